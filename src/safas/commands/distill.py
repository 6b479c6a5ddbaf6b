"""safas distill RUN PREPARED -o RUNS"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from safas.commands.common import output, say
from safas.distillation import StudentConfig, distill
from safas.prepared import is_simulated, prepared_samples
from safas.training import validated


@dataclass(frozen=True)
class Command:
    """Train a small student of a trained run: it learns to answer as its teacher does, head by head.

    On the source domains that the teacher was trained on; the target's files are never read. The student is a run like
    any other, in RUNS/<hash of all settings, the teacher's weights and the crops>. Killed, the same command goes on
    where it was. Then: safas evaluate STUDENT PREPARED, safas export STUDENT PREPARED
    """

    run_dir: tyro.conf.Positional[Path]
    """the teacher: a finished run's folder, as safas train printed it"""
    prepared: tyro.conf.Positional[Path]
    """the prepared folder that it was trained on"""
    runs: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("runs")
    """folder of all runs"""
    settings: Annotated[StudentConfig, tyro.conf.arg(name="")] = field(default_factory=StudentConfig)

    def run(self, command: str) -> None:
        """Train and say where the student lies, beside its teacher on source validation."""
        folder = distill(self.run_dir, self.prepared, self.runs, self.settings)
        console = output()
        told = " (simulated faces)" if is_simulated(prepared_samples(self.prepared)) else ""
        for name, run in (("teacher", self.run_dir), ("student", folder)):
            record = validated(run)
            say(
                console,
                f"{name}, epoch {record.epoch}, on source validation{told}: "
                f"HTER {record.hter:.1%}, AUC {record.auc:.1%}",
            )
        say(console, f"student: {folder}\nnext: safas evaluate {folder} {self.prepared}")
