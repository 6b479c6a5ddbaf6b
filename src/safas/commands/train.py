"""safas train PREPARED --protocol "A,B,C->D" """

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
import tyro

from safas.commands.common import output, say
from safas.methods import BY_THEMSELVES
from safas.prepared import is_simulated, prepared_samples, protocols_of
from safas.protocols import source_data
from safas.training import TrainConfig, preset, read_records, train
from safas.training.environment import check_devices
from safas.training.joining import is_started_together, joined, run_together


@dataclass(frozen=True)
class Pick:
    """What the defaults of all settings hang on."""

    preset: str = "demo"
    """where the settings start from: demo (minutes on two cores) or paper (256 px, 100 epochs)"""
    method: Annotated[str, tyro.conf.arg(help=f"one of {', '.join(BY_THEMSELVES)}")] = "sa-fas"


def command_class(argv: Sequence[str]) -> type:
    """The command's dataclass, its settings being by default those of the preset and method in `argv`."""
    pick, _ = tyro.cli(Pick, args=list(argv), return_unknown_args=True, add_help=False)
    defaults = preset(pick.preset, pick.method)

    @dataclass(frozen=True)
    class Command(Pick):
        """Train one method on the source domains of a protocol; the target's files are never read.

        The run's folder RUNS/<hash of all settings, protocol and crops> holds the settings, the log, the weights
        of every evaluated epoch and a checkpoint. Killed, the same command goes on exactly where it was.
        Then: safas evaluate RUN PREPARED
        """

        prepared: tyro.conf.Positional[Path] = tyro.MISSING
        """folder made by safas prepare"""
        protocol: str = tyro.MISSING
        """training domains and the unseen one, like "laptop,phone,tablet->webcam" (quote the arrow)"""
        splits: str = "official"
        """which splits serve for what: official, whole-target, train+test, all"""
        runs: Path = Path("runs")
        """folder of all runs"""
        resume: bool = True
        """go on from the last checkpoint; --no-resume starts this run afresh"""
        devices: int = 1
        """processes of this machine that train together, one a GPU; no part of the run's name (docs/distributed.md)"""
        settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = defaults

        def run(self, command: str) -> int:
            """Train and say where the run lies."""
            check_devices(self.devices, self.settings.accelerator)
            if self.devices > 1 and not is_started_together():
                return run_together(self.devices, shlex.split(command)[1:])
            with joined() as group:
                samples = prepared_samples(self.prepared)
                (protocol,) = protocols_of((self.protocol,), samples, self.splits)
                data = source_data(protocol, samples)
                folder = train(self.settings, data, self.prepared, self.runs, resume=self.resume, group=group)
            if group.is_first:
                self.tell(folder, samples)
            return 0

        def tell(self, folder: Path, samples: pl.DataFrame) -> None:
            """How the run stands and what is next."""
            console, told = output(), " (simulated faces)" if is_simulated(samples) else ""
            for record in read_records(folder, "epoch")[-1:]:
                say(
                    console,
                    f"source validation after epoch {record['epoch']}{told}: "
                    f"HTER {record['source_dev_hter']:.1%}, AUC {record['source_dev_auc']:.1%}",
                )
            say(console, f"run: {folder}\nnext: safas evaluate {folder} {self.prepared}")

    return Command
