"""SiW (Liu, Jourabloo, Liu, "Learning deep models for face anti-spoofing: Binary or auxiliary supervision", CVPR 2018):
4,478 videos of 165 people.

    {Train,Test}/{live,spoof}/<person>/<person>-<sensor>-<type>-<medium>-<session>.mov    beside each its faces as .face

Type 1 is live, 2 print, 3 replay; the owners number the two cameras, two prints and four displays. Of a live video the
medium and the session together name one of four recordings. The people of Train train, those of Test test; there is no
dev split.

A .face file holds, as we read it, one line a frame from the first on: left, top, right, bottom; zeros where no face was
found. Others call these boxes inaccurate: prepare with the detector.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from safas.sources.source import Source
from safas.sources.tree import VIDEO_SUFFIXES, Row, Tree, numbers, plain_name, reader, row, walk
from safas.table import BOXES

_NAME = re.compile(r"(train|test)/(live|spoof)/(\d+)/\3_(\d)_([123])_(\d)_(\d)(\.\w+)")
_TYPES = {"1": ("none", ""), "2": ("print", "print/"), "3": ("replay_video", "replay/")}


def _rows(tree: Tree) -> Iterator[Row]:
    for path in tree.files:
        found = _NAME.fullmatch(plain_name(path))
        if found is None or found[8] not in VIDEO_SUFFIXES:
            continue
        split, label, person, sensor, kind, medium, session = found.groups()[:7]
        attack, instrument = _TYPES[kind]
        yield row(
            dataset="siw", domain="siw", split=split, label=label, attack=attack, subject=person, path=path,
            video=f"{person}-{sensor}-{kind}-{medium}-{session}", device=f"sensor/{sensor}",
            instrument=instrument and instrument + medium,
            session=session if instrument else f"{medium}-{session}",
        )  # fmt: skip


def boxes(root: Path, samples: pl.DataFrame) -> pl.DataFrame | None:
    """The .face files beside the videos; frames without a face are left out."""
    rows, tree = [], walk(root)
    for video, path in samples.select("video", "path").iter_rows():
        for frame, (left, top, right, bottom) in _corners(tree.beside(path, ".face")):
            if right > left and bottom > top:
                rows.append((video, frame, left, top, right - left, bottom - top))
    return pl.DataFrame(rows, schema=dict(BOXES), orient="row") if rows else None


def _corners(lines: Sequence[str]) -> Iterator[tuple[int, tuple[float, ...]]]:
    """(frame, four numbers) of the lines that hold four; the line's place is the frame's, so none may be dropped."""
    for frame, line in enumerate(lines):
        for corners in numbers([line], 4):
            yield frame, corners


SOURCE = Source(
    reader(_rows, "SiW", "Train/live/003/003-1-1-1-1.mov"),
    boxes=boxes,
    counts={("train", "live"): 714, ("train", "spoof"): 1703, ("test", "live"): 599, ("test", "spoof"): 1462},
)
