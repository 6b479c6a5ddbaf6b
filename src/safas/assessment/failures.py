"""What could not be scored: the failures of a prepared folder become presentations without a response."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from safas.assessment.notes import WARNING, Note
from safas.assessment.presentations import COLUMNS, UNNAMED, Presentations
from safas.assessment.raw import read_raw
from safas.assessment.runs import is_run
from safas.errors import TableError
from safas.table import PERSON

_NEEDED = ("dataset", "video", "label", "reason")
_PLACE = ("domain", "split")


def with_failures(test: Presentations, path: Path) -> Presentations:
    """The test with a row without a score for each failure (columns dataset, video, label, reason) not in it yet.

    The table samples.parquet beside the file, if there, says the species, the person, and which failures belong to
    the domains and splits that are tested. Raises InputError or TableError.
    """
    table = read_raw(path, empty=True).table
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise TableError(
            f"a column is missing: {', '.join(missing)}",
            where=str(path),
            remedy=f"Needed: {', '.join(_NEEDED)}.",
        )
    table = table.select(pl.col(name).cast(pl.String) for name in _NEEDED)
    beside = path.parent / "samples.parquet"
    notes = test.notes
    if beside.is_file():
        table = _of_the_test(table, read_raw(beside).table, test.table)
    else:
        text = f"{path.name}: no samples.parquet beside it, so every failure is counted and its species is not known."
        notes = (*notes, Note(WARNING, "failures", text))
    key = ["video"] if test.table["dataset"].null_count() == len(test.table) else ["dataset", "video"]
    new = table.join(test.table.select(key), on=key, how="anti")
    if "dataset" not in key:  # as the test has them
        new = new.with_columns(pl.lit(None, pl.String()).alias("dataset"))
    rows = _rows(new, test)
    return replace(test, table=pl.concat([test.table, rows], how="diagonal_relaxed"), notes=notes)


def _of_the_test(failures: pl.DataFrame, samples: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    further = [name for name in samples.columns if name not in _NEEDED]
    joined = failures.join(samples.select("dataset", "video", *further), on=["dataset", "video"], how="left")
    for name in _PLACE:
        tested = test[name].drop_nulls().unique() if name in test.columns else pl.Series(dtype=pl.String)
        if name in joined.columns and len(tested):
            joined = joined.filter(pl.col(name).is_in(tested.implode()))
    return joined


def _rows(failures: pl.DataFrame, test: Presentations) -> pl.DataFrame:
    live = pl.col("label") == "live"
    texts = ("domain", "attack", "subject")
    lacking = [pl.lit(None, pl.String()).alias(name) for name in texts if name not in failures.columns]
    person = PERSON if is_run(list(test.columns)) else ("dataset", "subject")
    rows = failures.with_columns(lacking).with_columns(
        pl.when(live).then(pl.lit("none")).otherwise(pl.col("attack").fill_null(UNNAMED)).alias("attack"),
        pl.concat_str(pl.col(person[:-1]).fill_null(""), person[-1], separator="\n").alias("person"),
        pl.lit(None, pl.Float64()).alias("score"),
        pl.lit(0, pl.Int64()).alias("frames"),
        pl.lit(None, pl.Int64()).alias("row"),
    )
    known = [name for name in test.table.columns if name in rows.columns and name not in COLUMNS]
    return rows.select(*COLUMNS, "reason", *(name for name in known if name != "reason"))
