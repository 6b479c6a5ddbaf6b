"""A data set that brings its sample table along: samples.parquet or samples.csv, and maybe boxes.parquet."""

from pathlib import Path

import polars as pl

from safas.errors import InputError
from safas.sources.source import Source
from safas.table import BOXES, SAMPLES, read_table

_NAMES = ("samples.parquet", "samples.csv")


def read(root: Path) -> pl.DataFrame:
    """The rows of samples.parquet, else of samples.csv, in `root`; `root` may be the file itself.

    Raises InputError when there is none, TableError for one that breaks a rule.
    """
    if root.is_file():
        return read_table(root, SAMPLES)
    found = [root / name for name in _NAMES if (root / name).is_file()]
    if not found:
        raise InputError(
            f"no {' or '.join(_NAMES)} in the folder",
            where=str(root),
            remedy="Write one, or use the source 'folder' for a tree of files.",
        )
    return read_table(found[0], SAMPLES)


def boxes(root: Path, _samples: pl.DataFrame) -> pl.DataFrame | None:
    """boxes.parquet (or boxes.csv) beside the table, with the columns of `safas.table.BOXES`, or None."""
    found = [
        path for suffix in ("parquet", "csv") if (path := media_root(root) / f"boxes.{suffix}").is_file()
    ]
    return read_table(found[0], BOXES) if found else None


def media_root(root: Path) -> Path:
    """The folder that a table's paths are relative to: `root`, or the folder of the table's file."""
    return root.parent if root.is_file() else root


SOURCE = Source(read, boxes=boxes)
