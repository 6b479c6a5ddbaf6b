"""safas benchmark PREPARED"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from rich.console import Console

from safas.benchmark import Grid, is_simulated, prepared_samples, protocols_of, run_grid
from safas.commands.common import output, say
from safas.errors import InputError
from safas.joint import gather
from safas.methods import METHODS
from safas.pages import as_terminal, compose, write
from safas.prepare import PrepareConfig
from safas.results import method_name, rows
from safas.training import preset

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Command:
    """Train and evaluate methods x protocols x seeds, and print one table: mean and std over the seeds.

    From one prepared folder, or from data sets as their owners hand them out:
      safas benchmark --data oulu-npu=/d/O casia-fasd=/d/C replay-attack=/d/I msu-mfsd=/d/M --protocols ocim

    Finished runs in RUNS are not done again; killed, the same command goes on. Writes all tables, with the command,
    the commit and the seeds, to RUNS/benchmark.md, benchmark.tex and benchmark.html.
    """

    prepared: tyro.conf.Positional[Path | None] = None
    """folder made by safas prepare; not needed with --data"""
    data: tuple[str, ...] = ()
    """SOURCE=FOLDER of each data set, to be prepared first (a source of safas prepare)"""
    data_out: Path = Path("runs/data")
    """where --data keeps the prepared sets"""
    prepare: PrepareConfig = field(
        default_factory=lambda: PrepareConfig(size=256, margin=0.0, detector="yunet")
    )
    """how --data crops the faces: by default tight boxes of 256 pixels, as the paper has them"""
    protocols: tuple[str, ...] = ()
    """ocim, limited, single, celeba-spoof, oulu-1 ... oulu-4, or like "laptop,phone,tablet->webcam"; none: each
    domain is left out in turn"""
    methods: Annotated[tuple[str, ...], tyro.conf.arg(help=f"of {', '.join(METHODS)}")] = Grid.methods
    seeds: tuple[int, ...] = Grid.seeds
    """one run each"""
    preset: str = Grid.preset
    """settings of all runs: demo or paper"""
    splits: str = "official"
    """which splits serve for what: official, whole-target, train+test, all"""
    epochs: int | None = None
    """instead of the preset's"""
    threads: int | None = None
    """CPU threads; none: as many as torch takes by itself"""
    runs: Path = Path("runs")
    """folder of all runs"""

    def run(self, command: str) -> None:
        """Run the grid, a line for each run, then print and write the tables."""
        if not self.methods or not self.seeds:
            raise InputError("nothing to run", where="benchmark", remedy="Name a method and a seed.")
        for method in self.methods:  # a slip must not come to light after the preparation
            preset(self.preset, method)
        console = output()
        prepared = self._prepared(console)
        samples = prepared_samples(prepared)
        protocols = protocols_of(self.protocols, samples, self.splits)
        grid = Grid(protocols, _once(self.methods), _once(self.seeds), self.preset, self.epochs, self.threads)
        total, outcomes, simulated = len(grid.cells()), [], is_simulated(samples)
        for outcome in run_grid(grid, prepared, self.runs):
            outcomes.append(outcome)
            headline = rows(outcome.result)[0].numbers["hter"]
            say(
                console,
                f"[{len(outcomes)}/{total}] {outcome.protocol}, {method_name(outcome.method)}, seed {outcome.seed}: "
                f"HTER {headline.text()} %{' (simulated faces)' if simulated else ''}",
            )
        page = compose(outcomes, command=command, simulated=simulated)
        console.print(as_terminal(page))
        say(console, f"written: {', '.join(map(str, write(page, self.runs)))}")

    def _prepared(self, console: Console) -> Path:
        """The folder that was given, or the data sets that were, prepared and joined."""
        if (self.prepared is None) == (not self.data):
            raise InputError(
                "either a prepared folder or --data",
                where="benchmark",
                remedy="Write `safas benchmark PREPARED` or `safas benchmark --data SOURCE=FOLDER ...`.",
            )
        if self.prepared is not None:
            return self.prepared
        data: dict[str, Path] = {}
        for item in self.data:
            name, _, folder = item.partition("=")
            if not (name and folder) or name in data:
                raise InputError(
                    f"the source {name!r} is named twice"
                    if name in data
                    else f"{item!r} is not SOURCE=FOLDER",
                    where="--data",
                    remedy="For example: --data oulu-npu=/d/O casia-fasd=/d/C",
                )
            data[name] = Path(folder)
        return gather(data, self.data_out, self.prepare, lambda line: say(console, line))


def _once(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    """Each value once: a seed that is named twice is no second run."""
    return tuple(dict.fromkeys(values))
