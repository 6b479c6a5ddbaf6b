"""All cells of a grid, by any engine; with trials, first the search for each method's settings.

The search sees source validation only: a trial is trained and not scored on its target, and only the settings that
win are run and evaluated, with every seed. In DomainBed the whole search is repeated for each seed; here it is made
with the first one, so the deviation over the seeds says nothing about the search itself.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from safas.benchmark.cell_index import add_cells
from safas.benchmark.cells import Desk, Elsewhere, Validated, do_cell, do_trial, drop_trial, has_diverged
from safas.benchmark.grid import Cell, Grid, Variant, cell_of, changed
from safas.benchmark.search import SEED, drawn
from safas.files import write_file
from safas.protocols import Protocol
from safas.run_evaluation import Outcome

Engine = Callable[[Callable[[Cell], Any], Sequence[Cell]], Iterator[Any]]

CHOICE_RULE = (
    "lowest HTER on source validation at the epoch chosen there, then highest AUC, then the earlier trial"
)


@dataclass(frozen=True)
class Search:
    """What was tried for one variant on one protocol; `chosen` is the number of a trial.

    None is if all diverged, or if the folder of one is broken: it might be the best.
    """

    protocol: Protocol
    variant: Variant
    trials: tuple[Validated | Outcome, ...]
    chosen: int | None

    @property
    def variant_chosen(self) -> Variant:
        """The variant with the settings that won."""
        config = drawn(self.variant.config, self.chosen or 0, self.variant.told)
        return replace(self.variant, config=config)


def in_turn(work: Callable[[Cell], Any], cells: Sequence[Cell]) -> Iterator[Any]:
    """The engine of one process."""
    return map(work, cells)


def run_cells(cells: Sequence[Cell], desk: Desk, engine: Engine = in_turn) -> Iterator[Outcome | Elsewhere]:
    """Do every cell, yielding each when it is done, and name it in RUNS/cells.csv; the finished ones stay in any case.

    A cell that another process is busy with is come back to at the end; one that it is still busy with is told as such.
    Raises what training raises, but for a run that diverges or whose folder is broken: its Outcome says so.
    """
    work, busy = functools.partial(do_cell, desk=desk), []
    for cell, made in zip(cells, engine(work, cells), strict=True):
        if isinstance(made, Elsewhere):
            busy.append(cell)
        else:
            yield _told(made, desk)
    for cell in busy:
        made = work(cell)
        yield made if isinstance(made, Elsewhere) else _told(made, desk)


def trial_cells(grid: Grid) -> list[tuple[Protocol, Variant, list[Cell]]]:
    """The runs of each search: every trial with the variant's first seed."""
    return [
        (protocol, variant, [_trial(protocol, variant, number) for number in range(grid.trials)])
        for protocol in grid.protocols
        for variant in grid.variants
    ]


def search(grid: Grid, desk: Desk, engine: Engine = in_turn) -> list[Search | Elsewhere]:
    """Choose the settings of every variant for every protocol. An Elsewhere stands for a search that can't end yet.

    Writes RUNS/trials.csv with every trial, its settings and its source-validation numbers. Of the trials that were not
    chosen only records and scores are kept.
    """
    plan = trial_cells(grid)
    every = [cell for _, _, cells in plan for cell in cells]
    work = functools.partial(do_trial, desk=desk)
    made = list(engine(work, every))
    made = [work(cell) if isinstance(one, Elsewhere) else one for cell, one in zip(every, made, strict=True)]
    found: list[Search | Elsewhere] = []
    for number, (protocol, variant, _) in enumerate(plan):
        trials = made[number * grid.trials : (number + 1) * grid.trials]
        busy = [trial for trial in trials if isinstance(trial, Elsewhere)]
        found.append(busy[0] if busy else searched(protocol, variant, trials))
    ended = [one for one in found if isinstance(one, Search)]
    for one in ended:
        for number, trial in enumerate(one.trials):
            if one.chosen not in (None, number) and isinstance(trial, Validated):
                drop_trial(trial, desk)
    if ended:
        write_file(desk.runs / "trials.csv", trials_table(ended).write_csv())
    return found


def best_trial(trials: Sequence[Validated | Outcome]) -> int | None:
    """The number of the trial by CHOICE_RULE; None where all have diverged."""
    ranked = [
        (trial.hter, -trial.auc, number)
        for number, trial in enumerate(trials)
        if isinstance(trial, Validated)
    ]
    return min(ranked)[-1] if ranked else None


def searched(protocol: Protocol, variant: Variant, trials: Sequence[Validated | Outcome]) -> Search:
    """The search whose trials these are."""
    is_whole = not any(map(_is_broken, trials))
    return Search(protocol, variant, tuple(trials), best_trial(trials) if is_whole else None)


def failure_of(one: Search) -> Outcome | None:
    """Why nothing was chosen: the first trial whose folder is broken, else the first of all, which have diverged."""
    failed = [trial for trial in one.trials if isinstance(trial, Outcome)]
    return None if one.chosen is not None else next(filter(_is_broken, failed), failed[0])


def _is_broken(trial: Validated | Outcome) -> bool:
    return isinstance(trial, Outcome) and not has_diverged(trial.folder)


def chosen_cells(searches: Sequence[Search]) -> list[Cell]:
    """The runs with the settings that won, seed by seed."""
    ranked = [
        (rank, cell_of(one.protocol, one.variant_chosen, rank))
        for one in searches
        for rank in range(len(one.variant.seeds))
        if one.chosen is not None
    ]
    return [cell for _, cell in sorted(ranked, key=lambda pair: pair[0])]


def trials_table(searches: Sequence[Search]) -> pl.DataFrame:
    """One row a trial: its numbers on source validation, whether it was chosen, and the settings that it drew."""
    rows = []
    for one in searches:
        for number, trial in enumerate(one.trials):
            config = drawn(one.variant.config, number, one.variant.told)
            settings = changed(config, one.variant.config)
            numbers = (trial.epoch, trial.hter, trial.auc) if isinstance(trial, Validated) else (None,) * 3
            rows.append(
                {
                    "protocol": one.protocol.name,
                    "name": one.variant.name,
                    "trial": number,
                    "run": trial.folder.name,
                    "epoch": numbers[0],
                    "source_dev_hter": numbers[1],
                    "source_dev_auc": numbers[2],
                    "chosen": number == one.chosen,
                    "settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
                    "search_seed": SEED,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def _told(made: Outcome, desk: Desk) -> Outcome:
    add_cells(desk.runs, [made])
    return made


def _trial(protocol: Protocol, variant: Variant, number: int) -> Cell:
    return cell_of(protocol, replace(variant, config=drawn(variant.config, number, variant.told)))
