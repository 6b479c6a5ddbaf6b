"""Which run is which cell (RUNS/cells.csv), and the scores behind the headline (RUNS/scores.parquet)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from filelock import FileLock

from safas.errors import InputError
from safas.evaluation import RUN_SCORES
from safas.files import write_file
from safas.run_evaluation import Outcome
from safas.table import Schema, read_table

CELLS: Schema = {
    "protocol": pl.String(),
    "name": pl.String(),  # as printed
    "method": pl.String(),
    "seed": pl.Int64(),
    "run": pl.String(),  # the folder's name below RUNS
    "state": pl.String(),  # done or failed
    "hter": pl.Float64(),  # the headline: a share in [0, 1]
    "commit": pl.String(),
    "scores": pl.String(),  # the file, relative to RUNS; of a cell that is kept elsewhere its path
}
_KEYS = ["protocol", "name", "seed"]


def read_cells(runs: Path) -> pl.DataFrame:
    """The table, empty where there is none. Raises InputError for a file that is not it."""
    path = runs / "cells.csv"
    if not path.is_file():
        return pl.DataFrame(schema=dict(CELLS))
    try:
        return pl.read_csv(path, schema=dict(CELLS))
    except pl.exceptions.PolarsError as error:
        raise InputError(
            "not a table of cells", where=str(path), remedy="Delete it: it is written anew."
        ) from error


def add_cells(runs: Path, made: Sequence[Outcome]) -> None:
    """Put cells in, in place of what was said of them before; two processes may do so at once."""
    rows = pl.DataFrame([cell_row(one) for one in made], schema=dict(CELLS), orient="row")
    (runs / ".benchmark").mkdir(parents=True, exist_ok=True)
    with FileLock(runs / ".benchmark" / "cells.lock"):
        others = read_cells(runs).join(rows, on=_KEYS, how="anti").join(rows, on="run", how="anti")
        write_file(runs / "cells.csv", pl.concat([others, rows]).sort(_KEYS).write_csv())


def chosen_scores(made: Sequence[Outcome]) -> pl.DataFrame:
    """All finished cells' scores (columns RUN_SCORES) at the epochs that source validation chose.

    With cells.csv, which names further cells too, that is enough to derive the headline of these again; the other
    epochs' scores stay in the runs' folders.
    """
    chosen = [
        read_table(one.scores, RUN_SCORES).filter(run=one.folder.name, epoch=one.result["chosen"]["epoch"])
        for one in made
        if one.result
    ]
    return pl.concat([pl.DataFrame(schema=dict(RUN_SCORES)), *chosen]).sort("run", "role", "dataset", "video")


def cell_row(one: Outcome) -> tuple[object, ...]:
    """The columns CELLS of a cell."""
    who = (one.protocol, one.title, one.method, one.seed, one.folder.name)
    if one.failure:
        return (*who, "failed", None, None, None)
    result = one.result
    return (
        *who,
        "done",
        result["chosen"]["hter"],
        result["about"]["commit"],
        str(one.kept.resolve() if one.kept else f"{one.folder.name}/scores.parquet"),
    )
