"""From a data set's folder to the sample table. One file a source; the only place that knows file names."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from safas.errors import InputError
from safas.sources.folder import read_folder
from safas.sources.table import media_root, read_boxes, read_samples
from safas.table import checked_samples

__all__ = ["SOURCES", "media_root", "read_boxes", "read_source"]

SOURCES: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    "table": read_samples,  # samples.parquet or samples.csv, as `safas simulate` writes it
    "folder": read_folder,  # <domain>/<split>/<live|spoof...>/<subject>/file
}


def read_source(name: str, root: Path) -> pl.DataFrame:
    """The sample table of the data set at `root`, checked and sorted; paths relative to `media_root(root)`.

    Raises InputError for an unknown name, a missing root or an empty folder, TableError for a table that
    breaks a rule (`safas.table.checked_samples`).
    """
    if name not in SOURCES:
        raise InputError(f"unknown source {name!r}", remedy=f"Known: {', '.join(SOURCES)}.")
    if not root.exists():
        raise InputError("no such file or folder", where=str(root))
    if root.is_dir() and not any(root.iterdir()):
        raise InputError("the folder is empty", where=str(root))
    return checked_samples(SOURCES[name](root), str(root))
