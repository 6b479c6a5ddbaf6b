"""From a data set's folder to the sample table. One file a source; the only place that knows file names."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from safas.errors import InputError
from safas.sources import (
    casia_fasd,
    celeba_spoof,
    folder,
    msu_mfsd,
    oulu_npu,
    replay_attack,
    rose_youtu,
    siw,
    table,
    wmca,
)
from safas.sources.source import Source
from safas.sources.table import media_root
from safas.table import checked_samples

__all__ = ["SOURCES", "Source", "media_root", "read_boxes", "read_source", "source_named"]

SOURCES: Mapping[str, Source] = {
    "table": table.SOURCE,  # samples.parquet or samples.csv, as `safas simulate` writes it
    "folder": folder.SOURCE,  # <domain>/<split>/<live|spoof...>/<subject>/file
    "oulu-npu": oulu_npu.SOURCE,
    "casia-fasd": casia_fasd.SOURCE,
    "replay-attack": replay_attack.SOURCE,
    "msu-mfsd": msu_mfsd.SOURCE,
    "celeba-spoof": celeba_spoof.SOURCE,
    "siw": siw.SOURCE,
    "rose-youtu": rose_youtu.SOURCE,
    "wmca": wmca.SOURCE,
}


def source_named(name: str) -> Source:
    """The source of that name. Raises InputError for an unknown one."""
    if name not in SOURCES:
        raise InputError(f"unknown source {name!r}", remedy=f"Known: {', '.join(SOURCES)}.")
    return SOURCES[name]


def read_source(name: str, root: Path | str) -> pl.DataFrame:
    """The sample table of the data set at `root`, checked and sorted; paths relative to `media_root(root)`.

    Raises InputError for an unknown name, a missing root or an empty folder, TableError for a table that
    breaks a rule (`safas.table.checked_samples`).
    """
    source, root = source_named(name), Path(root)
    if not root.exists():
        raise InputError("no such file or folder", where=str(root))
    if root.is_dir() and not any(root.iterdir()):
        raise InputError("the folder is empty", where=str(root))
    return checked_samples(source.read(root), str(root))


def read_boxes(name: str, root: Path, samples: pl.DataFrame) -> pl.DataFrame | None:
    """The face boxes that the data set brings for these samples (columns BOXES, perhaps `landmarks`), or None."""
    return source_named(name).boxes(media_root(root), samples)
