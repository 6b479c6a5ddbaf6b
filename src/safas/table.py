"""The tables that everything passes along: samples, crops and scores. One polarity, defined here once.

Score = P(live) in [0, 1], higher = more live. Label 1 = live (bona fide), 0 = spoof (attack).
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from safas.errors import InputError, TableError
from safas.files import write_file

LABELS = ("live", "spoof")
SPLITS = ("train", "dev", "test")
MEDIA = ("video", "image")
PERSON = (
    "dataset",
    "domain",
    "subject",
)  # the columns that name one: the same name in two domains is two people
ATTACKS = ("none", "print", "cut", "replay_photo", "replay_video", "mask", "makeup", "other")

Schema = Mapping[str, pl.DataType]

# One row a video or a single image. `path` is relative to the data set's root; `video` is unique in the set.
SAMPLES: Schema = {
    name: pl.String()
    for name in (
        "dataset", "domain", "video", "path", "media", "split", "label", "attack",
        "instrument", "subject", "device", "session", "quality",
    )
}  # fmt: skip

# One row a face in the upright frame: box in pixels (top left, width, height). A further column `landmarks`, if
# there is one, is that of CROPS, or null; x0 y0 x1 y1, the eyes alone, will do.
BOXES: Schema = {
    "video": pl.String(),
    "frame": pl.Int64(),  # index in the decoded stream
    **{f"box_{side}": pl.Float64() for side in "xywh"},
}

# One row a face crop, joined to SAMPLES by (dataset, video). `crop` is relative to the prepared folder.
CROPS: Schema = {
    "dataset": pl.String(),
    **BOXES,
    "timestamp_s": pl.Float64(),
    "rotation": pl.Int64(),  # degrees clockwise that made the frame upright, beyond what the file itself asks for
    # in pixels of the upright frame: the person's right eye, left eye (and nose, right, left corner of the mouth)
    "landmarks": pl.List(pl.Float64()),  # x0 y0 x1 y1 (... x4 y4), or null
    "detector": pl.String(),
    "detector_score": pl.Float64(),
    "crop": pl.String(),
    "size": pl.Int64(),  # pixels: side of the crop
    "margin": pl.Float64(),  # beyond the box on each side, as a share of its longer side
    "align": pl.Boolean(),  # whether the face was turned until the eyes lay level
    "safas": pl.String(),  # the version that made the crop
}
# Crops that differ in one of these must not be mixed: a network would tell the data sets apart by it.
HOW_MADE = ("detector", "size", "margin", "align", "safas")

# One row a presentation and scored state of a run.
SCORES: Schema = {
    "dataset": pl.String(),
    "video": pl.String(),
    "subject": pl.String(),
    "domain": pl.String(),
    "split": pl.String(),
    "label": pl.String(),
    "attack": pl.String(),
    "score": pl.Float64(),  # P(live), the mean over `frames` frames
    "frames": pl.Int64(),
    "run": pl.String(),
    "seed": pl.Int64(),
}

# No sample is without these; the other texts may be null.
_IDENTITY = ("dataset", "domain", "video", "path", "subject")
_UNKNOWN_PEOPLE = "Where people are not known, give each video a subject of its own."

# Columns that came later; what a table from before them means.
_LATER = {"rotation": 0, "size": None, "margin": None, "align": None, "safas": None}

_ALLOWED = {"label": LABELS, "split": SPLITS, "media": MEDIA, "attack": ATTACKS}


def is_live(table: pl.DataFrame) -> np.ndarray:
    """Boolean [N], true where the row is live."""
    return (table["label"] == "live").to_numpy()


def in_order(table: pl.DataFrame, *by: str) -> pl.DataFrame:
    """The table sorted by these columns; one that lies so already is looked at only, which is far cheaper."""
    follows = pl.lit(True)
    for name in reversed(by):
        column, before = pl.col(name), pl.col(name).shift()
        follows = (column > before) | ((column == before) & follows)
    lies_so = len(table) < 2 or table.select(follows.slice(1).fill_null(False).all()).item()
    return table if lies_so else table.sort(*by)


def checked(table: pl.DataFrame, schema: Schema, where: str) -> pl.DataFrame:
    """The table with the schema's columns first, cast to its types; further columns are kept behind them.

    What older tables of crops lack is filled in: 0 for `rotation`, null for how the crops were made.

    Raises TableError naming the column, and the first row that breaks a rule.
    """
    later = {name: value for name, value in _LATER.items() if name in schema and name not in table.columns}
    table = table.with_columns(pl.lit(value).alias(name) for name, value in later.items())
    missing = [name for name in schema if name not in table.columns]
    if missing:
        raise TableError(
            f"a column is missing: {', '.join(missing)}",
            where=where,
            remedy=f"The table needs: {', '.join(schema)}.",
        )
    try:
        table = table.with_columns(pl.col(name).cast(kind) for name, kind in schema.items())
    except pl.exceptions.PolarsError as error:
        raise TableError(f"a value has the wrong type ({str(error).splitlines()[0]})", where=where) from error
    for name in (name for name in schema if name in _ALLOWED):
        _check_values(table, name, where)
    return table.select(*schema, *(name for name in table.columns if name not in schema))


def checked_samples(table: pl.DataFrame, where: str) -> pl.DataFrame:
    """A sample table, checked and sorted by domain and video.

    Raises TableError when a column is missing, a value is unknown, a row lacks its data set, domain, video,
    path or subject, `video` is not unique in its data set, label and attack contradict each other, or a
    subject of a domain stands in two splits.
    """
    table = in_order(checked(table, SAMPLES, where), "dataset", "domain", "video")
    if table.is_empty():
        raise TableError("the table has no row", where=where, remedy="Give it one row a video.")
    _check_filled(table, where)
    twice = table.filter(pl.struct("dataset", "video").is_duplicated())
    if not twice.is_empty():
        raise TableError(
            f"the video id {twice['video'][0]!r} stands in more than one row",
            where=where,
            remedy="Give every video of a data set an id of its own.",
        )
    check_attacks(table, where)
    crossing = table.group_by(PERSON).agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    if not crossing.is_empty():
        row = crossing.sort("domain", "subject").row(0, named=True)
        raise TableError(
            f"subject {row['subject']!r} of domain {row['domain']!r} stands in more than one split",
            where=where,
            remedy="Give each person one split; otherwise identity leaks into the test.",
        )
    return table


def check_attacks(table: pl.DataFrame, where: str) -> None:
    """Raises TableError when a row's label and attack (columns video, label, attack) contradict each other."""
    odd = table.filter((pl.col("label") == "live") != (pl.col("attack") == "none"))
    if not odd.is_empty():
        row = odd.row(0, named=True)
        raise TableError(
            f"video {row['video']!r} has label {row['label']!r} and attack {row['attack']!r}",
            where=where,
            remedy="Live rows have attack 'none', spoof rows one of the others.",
        )


def read_table(path: Path, schema: Schema) -> pl.DataFrame:
    """Read Parquet or CSV (by the file's ending) and check it against the schema.

    Raises InputError when there is no such file, TableError when it is not readable or lacks a column.
    """
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        table = _read_csv(path, schema) if path.suffix.lower() == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TableError(f"not a readable table ({str(error).splitlines()[0]})", where=str(path)) from error
    return checked(table, schema, str(path))


def _read_csv(path: Path, schema: Schema) -> pl.DataFrame:
    """All as texts; an empty cell of a column of texts is an empty text, an empty line no row."""
    table = pl.read_csv(path, infer_schema=False)
    table = table.filter(pl.any_horizontal(pl.all().is_not_null()))
    texts = [name for name, kind in schema.items() if kind == pl.String() and name in table.columns]
    return table.with_columns(pl.col(texts).fill_null(""))


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write Parquet atomically. Raises InputError when it cannot be written."""
    data = io.BytesIO()
    table.write_parquet(data)
    write_file(path, data.getvalue())


def _check_filled(table: pl.DataFrame, where: str) -> None:
    for name in _IDENTITY:
        empty = table.filter(pl.col(name).is_null() | (pl.col(name) == ""))
        if not empty.is_empty():
            raise TableError(
                f"column {name!r} is empty for video {empty['video'][0]!r}",
                where=where,
                remedy=_UNKNOWN_PEOPLE if name == "subject" else "",
            )


def _check_values(table: pl.DataFrame, name: str, where: str) -> None:
    wrong = table.filter(~pl.col(name).is_in(_ALLOWED[name]) | pl.col(name).is_null())
    if not wrong.is_empty():
        raise TableError(
            f"column {name!r} holds {wrong[name][0]!r}",
            where=where,
            remedy=f"Allowed: {', '.join(_ALLOWED[name])}.",
        )
