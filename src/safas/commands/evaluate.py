"""safas evaluate RUN PREPARED"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from safas.commands.common import output, say
from safas.exhibits import run_page
from safas.habits import HABITS, Habit, evaluate_with
from safas.prepared import is_simulated, prepared_samples
from safas.results import Result, method_name, rows
from safas.run_evaluation import evaluate_run, unscored_epochs, validation_crops
from safas.run_page import write_report
from safas.tables import result_table, to_markdown, to_rich


@dataclass(frozen=True)
class Command:
    """Score a trained run on the domain it has never seen, and print the errors with the rules behind them.

    Writes RUN/scores.parquet (every video at every evaluated epoch) and RUN/evaluation.json. The headline has
    epoch and threshold from source validation; rows and columns marked oracle let the target choose.
    """

    run_dir: tyro.conf.Positional[Path]
    """a run's folder, as safas train printed it"""
    prepared: tyro.conf.Positional[Path]
    """the prepared folder that it was trained on"""
    markdown: bool = False
    """print the table as Markdown"""
    habits: tuple[Habit, ...] = ()
    """print a second table, as others evaluate (see docs/protocols.md): one-frame, nearest-fpr, no-face-is-spoof;
    RUN/habits.json keeps it"""
    page: bool = False
    """write RUN/evaluation.html too, one offline file: the numbers, where the errors are, the features with the
    decision, separability and alignment against AUC, the heads"""

    def run(self, command: str) -> None:
        """Evaluate and print."""
        if not unscored_epochs(self.run_dir, self.prepared):  # else they are checked when they are scored
            validation_crops(self.run_dir, self.prepared)
        result = evaluate_run(self.run_dir, self.prepared)
        console, about = output(), result["about"]
        told = "simulated faces, " if is_simulated(prepared_samples(self.prepared)) else ""
        told = f"({told}seed {about['seed']}, commit {about['commit']})"
        self.show(console, f"{about['protocol']}: errors in percent {told}", result)
        if self.habits:
            public = evaluate_with(self.habits, self.run_dir, self.prepared)
            self.show(console, f"{about['protocol']}: as others evaluate, in percent {told}", public)
            for name in public["about"]["habits"]:
                say(console, f"{name}: {HABITS[name]}.", style="dim")
        lost = about["without_crop"]
        if any(lost.values()):
            say(console, _lost(lost, result["chosen"]["counts"], self.run_dir, self.prepared))
        if self.page:
            out = write_report(
                run_page(self.run_dir, self.prepared, command), self.run_dir / "evaluation.html"
            )
            say(console, f"page: {out.resolve().as_uri()}")

    def show(self, console: Console, caption: str, result: Result) -> None:
        """The table and its rules."""
        lines = rows(result)
        about = result["about"]
        table = result_table(about["protocol"], caption, {method_name(about["method"]): lines})
        if self.markdown:
            say(console, to_markdown(table))
        else:
            console.print(to_rich(table))
        for row in lines:
            say(console, f"{row.title}: {row.rule}.", style="dim")


def _lost(lost: Mapping[str, int], counts: Mapping[str, int], run_dir: Path, prepared: Path) -> str:
    """What is in no number: presentations without a response, as ISO/IEC 30107-3 counts them apart."""
    rates = {label: (lost[label], lost[label] + counts[label]) for label in lost}
    told = {
        label: f"{of} of {whole} ({100 * of / whole if whole else 0:.1f} %)"
        for label, (of, whole) in rates.items()
    }
    return (
        f"No face to score in {told['spoof']} of the target's attacks (APNRR) and {told['live']} of its live videos "
        f"(BPNRR): in no number above. `safas report {run_dir} --failures {prepared / 'failures.parquet'}` counts them."
    )
