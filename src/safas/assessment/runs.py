"""The score file of a safas run (RUN/scores.parquet): its target rows as test, its source validation as dev."""

import polars as pl

from safas.assessment.presentations import COLUMNS, Presentations
from safas.errors import TableError
from safas.evaluation import RUN_SCORES, check_one_run, choose
from safas.protocols import EPOCH_RULE, SOURCE_DEV, TARGET
from safas.table import PERSON, checked


def is_run(columns: list[str]) -> bool:
    """Whether a table with these columns is the score file of a run."""
    return {"epoch", "role"} <= set(columns)


def of_run(
    table: pl.DataFrame, file: str, sha256: str, epoch: int | None = None
) -> tuple[Presentations, Presentations]:
    """Test and dev at one epoch: the one given, or that which source validation chooses. Raises TableError."""
    table = checked(table, RUN_SCORES, file).with_row_index("row", offset=1)
    check_one_run(table, file)
    dev = table.filter(pl.col("role") == SOURCE_DEV)
    if dev.is_empty():
        raise TableError(f"no row of role {SOURCE_DEV!r}", where=file)
    rule = "stated" if epoch is not None else EPOCH_RULE
    epoch = choose(dev.drop("row")).epoch if epoch is None else epoch
    at = table.filter(pl.col("epoch") == epoch)
    if at.is_empty():
        known = ", ".join(str(one) for one in table["epoch"].unique().sort())
        raise TableError(f"epoch {epoch} is not scored", where=file, remedy=f"Scored: {known}.")
    parts = [(TARGET, "target"), (SOURCE_DEV, "source validation")]
    test, source = (
        _part(at.filter(pl.col("role") == role), file, sha256, f"{words}, epoch {epoch}: {rule}")
        for role, words in parts
    )
    return test, source


def _part(rows: pl.DataFrame, file: str, sha256: str, chosen: str) -> Presentations:
    if rows.is_empty():
        raise TableError(f"nothing scored as {chosen}", where=file)
    person = pl.concat_str(PERSON, separator="\n")
    named = rows.with_columns(person.alias("person"), pl.col("row").cast(pl.Int64))
    further = [name for name in rows.columns if name not in COLUMNS]
    table = named.select(*(pl.col(name).cast(kind) for name, kind in COLUMNS.items()), *further)
    columns = tuple(name for name in rows.columns if name != "row")
    return Presentations(table, file, sha256, len(rows), columns=columns, chosen=chosen)
