"""safas benchmark PREPARED"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import tyro
from rich.console import Console

from safas.benchmark.cell_index import add_cells, chosen_scores
from safas.benchmark.cells import Desk, Elsewhere, has_diverged, protocol_digest, state
from safas.benchmark.grid import METHODS_COMPARED, SEEDS, Cell, Grid, plain_variants
from safas.benchmark.grid_file import GridFile, read_grid
from safas.benchmark.kept import Kept, keep, read_kept
from safas.benchmark.pages import as_terminal, compose, write
from safas.benchmark.runner import (
    Engine,
    Search,
    chosen_cells,
    failure_of,
    in_turn,
    run_cells,
    search,
)
from safas.benchmark.standing import searches_table, states_table
from safas.benchmark.summary import Section
from safas.cluster import each_on_ray
from safas.commands.common import output, say
from safas.errors import InputError
from safas.files import write_file
from safas.joint import prepare_jointly
from safas.methods import BY_THEMSELVES
from safas.model import backbone
from safas.parallel import cores, each
from safas.prepare import PrepareConfig
from safas.prepared import is_simulated, prepared_samples, protocols_of
from safas.results import rows
from safas.run_evaluation import Outcome, check_tested
from safas.sources import read_source
from safas.table import CROPS, SAMPLES, read_table, write_table
from safas.tables import to_rich


@dataclass(frozen=True)
class Command:
    """Train and evaluate methods x protocols x seeds, and print one table: mean and std over the seeds.

    From one prepared folder, or from data sets as their owners hand them out:
      safas benchmark --data oulu-npu=/d/O casia-fasd=/d/C replay-attack=/d/I msu-mfsd=/d/M --protocols ocim

    Finished runs in RUNS are not done again; killed, the same command goes on, and two of them share the work. Writes
    all tables, with the command, the commit and the seeds, to RUNS/benchmark.md, benchmark.tex and benchmark.html,
    which run each number is of to RUNS/cells.csv and the scores behind them to RUNS/scores.parquet. The exit code is 1
    when a run has failed.
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
    grid: Path | None = None
    """a YAML file that says all of the following and settings for each method; what is typed here counts instead"""
    protocols: tuple[str, ...] = ()
    """ocim, limited, single, celeba-spoof, oulu-1 ... oulu-4, or like "laptop,phone,tablet->webcam"; none: each
    domain is left out in turn"""
    methods: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            help=f"of {', '.join(BY_THEMSELVES)}; none: {', '.join(METHODS_COMPARED)}, or the grid's"
        ),
    ] = ()
    seeds: tuple[int, ...] = ()
    """one run each; none: 0 1 2, or the grid's"""
    preset: str | None = None
    """settings of all runs: demo or paper; none: demo, or the grid's"""
    splits: str | None = None
    """which splits serve for what: official, whole-target, train+test, all; none: official, or the grid's"""
    epochs: int | None = None
    """instead of the preset's"""
    trials: int | None = None
    """settings of each method to try on each protocol, drawn at random and chosen on source validation; none: 1, the
    method's own, or the grid's"""
    threads: int | None = None
    """CPU threads of each run; none: as many as torch takes by itself, with --jobs its share"""
    runs: Path = Path("runs")
    """folder of all runs"""
    kept: Path | None = None
    """folder of finished cells from here or elsewhere: what it holds is not run again, what is new is added to it"""
    list: bool = False
    """only say how far every run has come"""
    retry_failed: bool = False
    """do runs again that have failed before"""
    jobs: int = 1
    """runs at the same time on this machine"""
    engine: Literal["local", "ray"] = "local"
    """who works: local (--jobs processes of this machine) or ray (a cluster; needs safas[ray] and shared paths)"""
    address: str | None = None
    """with ray: the cluster's address (HOST:PORT, or auto); without one, --jobs processes of this machine"""
    gpus_per_run: float = 0.0
    """with ray: GPUs of each run, 0.5 for two runs on one; without any, Ray hides them and a run trains on the CPU"""

    def run(self, command: str) -> int:
        """Run the grid, a line for each run, then print and write the tables."""
        console, engine, said = output(), self._engine(), self._said()
        kept = self._read_kept(said)
        prepared, samples, grid = self._work(said, console)
        known = {} if kept is None else self._known(kept, grid, samples, prepared)
        desk = Desk(prepared, self.runs, self.retry_failed, self._share(), progress=engine is in_turn)
        told = " (simulated faces)" if is_simulated(samples) else ""
        if self.list:
            console.print(to_rich(states_table(grid, desk, known)))
            return 0
        cells, searches, outcomes, busy = grid.cells(), [], [], 0
        if short := dict.fromkeys(cell.name for cell in cells if not cell.config.is_long_enough):
            say(console, f"too short for all of the method ever to be at work: {', '.join(short)}")
        _check_first([cell for cell in cells if cell not in known], kept, desk)
        if grid.trials > 1:
            found = search(grid, desk, engine)
            searches = [one for one in found if isinstance(one, Search)]
            busy = len(found) - len(searches)
            cells = chosen_cells(searches)
            outcomes = [failed for one in searches if (failed := failure_of(one))]
        todo = [cell for cell in cells if cell not in known]
        if kept is not None:
            others = _of_other_crops(known, desk)
            note = f", {others} of them made of other crops than {prepared} has" if others else ""
            say(console, f"{len(cells) - len(todo)} of {len(cells)} runs are kept in {kept.folder}{note}")
        for number, made in enumerate(run_cells(todo, desk, engine), start=1):
            say(console, f"[{number}/{len(todo)}] {_line(made, told)}")
            if isinstance(made, Elsewhere):
                busy += 1
                continue
            outcomes.append(made)
            if kept is not None:
                keep(kept.folder, [made])
        if kept is not None:
            outcomes = _in_order(cells, [*known.values(), *outcomes])
        self._write(outcomes, searches, command, console, told, said.text)
        if kept is not None and not kept.has(outcomes):
            keep(kept.folder, outcomes)  # under the names that they have now
        return _end(outcomes, busy, console)

    def _said(self) -> GridFile:
        """The grid's file with what was typed in its place, or all of it from the options."""
        if self.trials is not None and self.trials < 1:
            raise InputError(f"trials = {self.trials} is below 1", where="--trials")
        if self.grid is None:
            variants = plain_variants(
                self.methods or METHODS_COMPARED,
                self.seeds or SEEDS,
                self.preset or "demo",
                self.epochs,
                self.threads,
            )
            return GridFile(self.protocols, self.splits or "official", variants, self.trials or 1)
        names = ("protocols", "methods", "seeds", "preset", "splits", "epochs", "threads", "trials")
        given = {name: None if (value := getattr(self, name)) == () else value for name in names}
        return read_grid(self.grid, **given)

    def _work(self, said: GridFile, console: Console) -> tuple[Path, pl.DataFrame, Grid]:
        """The prepared folder, its samples and the grid: data sets are prepared when all else is known to fit."""
        if (self.prepared is None) == (not self.data):
            raise InputError(
                "either a prepared folder or --data",
                where="benchmark",
                remedy="Write `safas benchmark PREPARED` or `safas benchmark --data SOURCE=FOLDER ...`.",
            )
        data = _sources(self.data)
        read = [read_source(name, root).select(*SAMPLES) for name, root in data.items()]
        samples = prepared_samples(self.prepared) if self.prepared else pl.concat(read)
        grid = Grid(protocols_of(said.protocols, samples, said.splits), said.variants, said.trials)
        if self.prepared is not None:
            return self.prepared, samples, grid
        joint = self.data_out / "joint"
        if not self.list:
            joint = prepare_jointly(data, self.data_out, self.prepare, lambda line: say(console, line))
        elif not (joint / "crops.parquet").is_file():
            raise InputError(
                "nothing is prepared yet, so there are no runs",
                where=str(joint),
                remedy="The same command without --list prepares the data and goes on to the runs.",
            )
        return joint, samples, grid

    def _read_kept(self, said: GridFile) -> Kept | None:
        if self.kept is None:
            return None
        if said.trials > 1:
            raise InputError("a search is not kept", where="--kept", remedy="Leave away --kept or --trials.")
        if self.kept.resolve() == self.runs.resolve():
            raise InputError("this is the folder of all runs", where="--kept", remedy="Name another one.")
        return read_kept(self.kept)

    def _known(self, kept: Kept, grid: Grid, samples: pl.DataFrame, prepared: Path) -> dict[Cell, Outcome]:
        """The cells that need no run; a failed one does where it is asked for again."""
        crops = read_table(prepared / "crops.parquet", CROPS)
        found = {cell: kept.outcome(cell, samples, crops) for cell in grid.cells()}
        return {cell: one for cell, one in found.items() if one and not (one.failure and self.retry_failed)}

    def _engine(self) -> Engine:
        if self.jobs < 1:
            raise InputError(f"jobs = {self.jobs} is below 1", where="--jobs")
        if not self.gpus_per_run >= 0:
            raise InputError(f"{self.gpus_per_run} GPUs", where="--gpus-per-run", remedy="0 or more.")
        if self.engine == "ray":
            return functools.partial(
                each_on_ray,
                workers=None if self.address else self.jobs,
                address=self.address,
                chunk=1,
                cpus=self.threads or 1,
                gpus=self.gpus_per_run,
            )
        if self.address is not None:
            raise InputError("an address is for a Ray cluster", where="--address", remedy="Add --engine ray.")
        if self.gpus_per_run:
            raise InputError("GPUs are handed out by Ray", where="--gpus-per-run", remedy="Add --engine ray.")
        return in_turn if self.jobs == 1 else functools.partial(each, workers=self.jobs, chunk=1)

    def _share(self) -> int | None:
        """Threads of each of several processes of this machine."""
        return None if self.jobs == 1 or self.address else max(1, cores() // self.jobs)

    def _write(
        self,
        outcomes: Sequence[Outcome],
        searches: Sequence[Search],
        command: str,
        console: Console,
        told: str,
        grid: str,
    ) -> None:
        """The tables of what has a result, to the terminal and to files."""
        if all(outcome.failure for outcome in outcomes):
            return
        page = compose(outcomes, command=command, simulated=bool(told))
        if searches:
            chosen = Section("Which settings were chosen", [searches_table(searches, told)])
            page = replace(page, sections=[*page.sections, chosen])
        console.print(as_terminal(page))
        add_cells(self.runs, [self._placed(one) for one in outcomes if one.kept])
        write_table(chosen_scores(outcomes), self.runs / "scores.parquet")
        written = [*write(page, self.runs), self.runs / "cells.csv", self.runs / "scores.parquet"]
        copy = self.runs / "benchmark.yaml"
        if grid:  # the page tells the command, which says little without it
            written.append(copy)
            write_file(copy, grid)
        else:
            copy.unlink(missing_ok=True)
        say(console, f"written: {', '.join(map(str, written))}")

    def _placed(self, one: Outcome) -> Outcome:
        """A kept cell, with its run's own scores where that lies here too."""
        folder = self.runs / one.folder.name
        return replace(one, folder=folder, kept=None) if (folder / "scores.parquet").is_file() else one


def _sources(data: Sequence[str]) -> dict[str, Path]:
    """ "oulu-npu=/d/O" -> the source's name and its folder."""
    found: dict[str, Path] = {}
    for item in data:
        name, _, folder = item.partition("=")
        if not (name and folder) or name in found:
            raise InputError(
                f"the source {name!r} is named twice" if name in found else f"{item!r} is not SOURCE=FOLDER",
                where="--data",
                remedy="For example: --data oulu-npu=/d/O casia-fasd=/d/C",
            )
        found[name] = Path(folder)
    return found


def _check_first(todo: Sequence[Cell], kept: Kept | None, desk: Desk) -> None:
    """Raises InputError for what would else come to light after hours.

    Networks and weights that cannot be had, crops that a target lacks, a folder that cannot be written to.
    """
    for name, weights in sorted({(cell.config.backbone, cell.config.weights) for cell in todo}):
        backbone(name, weights)
    for protocol in dict.fromkeys(
        cell.protocol for cell in todo if state(cell, desk).word not in ("done", "failed")
    ):
        check_tested(protocol, desk.prepared)
    if todo and kept is not None:
        keep(kept.folder, [])


def _of_other_crops(known: Mapping[Cell, Outcome], desk: Desk) -> int:
    """How many of the kept cells say that they were trained on other crops than the prepared folder has."""
    noted = [(cell.protocol, one.result["about"].get("crops")) for cell, one in known.items() if one.result]
    ours = {protocol: protocol_digest(protocol, desk) for protocol, crops in noted if crops}
    return sum(crops != ours[protocol] for protocol, crops in noted if crops)


def _in_order(cells: Sequence[Cell], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Kept and new ones as the grid has them, which is the order of the tables."""
    place = {(cell.protocol.name, cell.name, cell.config.seed): number for number, cell in enumerate(cells)}
    return sorted(outcomes, key=lambda one: place[one.protocol, one.title, one.seed])


def _line(made: Outcome | Elsewhere, told: str) -> str:
    if isinstance(made, Elsewhere):
        return f"{_name(made.cell)}: another process is at it"
    what = f"{made.protocol}, {made.title}, seed {made.seed}"
    if made.failure:
        return f"{what}: {made.failure}"
    return f"{what}: HTER {rows(made.result)[0].numbers['hter'].text()} %{told}"


def _name(cell: Cell) -> str:
    return f"{cell.protocol.name}, {cell.name}, seed {cell.config.seed}"


def _end(outcomes: Sequence[Outcome], busy: int, console: Console) -> int:
    """Say what is missing; the exit code."""
    if busy:
        say(console, f"another process is at {busy} more: the same command then prints all of them")
    failed = [outcome for outcome in outcomes if outcome.failure]
    for one in failed:
        where = f"kept in {one.kept.parent}" if one.kept else f"run {one.folder}"
        say(console, f"failed: {one.protocol}, {one.title}, seed {one.seed}: {one.failure} ({where})")
    if any(one.kept or has_diverged(one.folder) for one in failed):
        say(console, "--retry-failed does runs again that have diverged")
    return 1 if failed else 0
