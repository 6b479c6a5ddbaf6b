"""safas benchmark PREPARED"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from safas.benchmark import Grid, is_simulated, markdown, prepared_samples, protocols_of, run_grid, summary
from safas.commands.common import output, say
from safas.errors import InputError
from safas.results import method_name, rows
from safas.tables import to_rich


@dataclass(frozen=True)
class Command:
    """Train and evaluate methods x protocols x seeds, and print one table: mean and std over the seeds.

    Finished runs in RUNS are not done again; killed, the same command goes on. Writes RUNS/benchmark.md with
    the command, the commit and the seeds.
    """

    prepared: tyro.conf.Positional[Path]
    """folder made by safas prepare"""
    protocols: tuple[str, ...] = ()
    """like "laptop,phone,tablet->webcam" "..."; none: each domain is left out in turn"""
    methods: tuple[str, ...] = Grid.methods
    """of erm, erm-supcon, sa-fas"""
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
        console, samples = output(), prepared_samples(self.prepared)
        protocols = protocols_of(self.protocols, samples, self.splits)
        grid = Grid(protocols, self.methods, self.seeds, self.preset, self.epochs, self.threads)
        total, outcomes, simulated = len(grid.cells()), [], is_simulated(samples)
        for outcome in run_grid(grid, self.prepared, self.runs):
            outcomes.append(outcome)
            headline = rows(outcome.result)[0].numbers["hter"]
            say(
                console,
                f"[{len(outcomes)}/{total}] {outcome.protocol}, {method_name(outcome.method)}, seed {outcome.seed}: "
                f"HTER {headline.text()} %{' (simulated faces)' if simulated else ''}",
            )
        for table in summary(outcomes, simulated=simulated):
            console.print(to_rich(table), "")
        page = self.runs / "benchmark.md"
        page.write_text(markdown(outcomes, command=command, simulated=simulated), encoding="utf-8")
        say(console, f"written: {page}")
