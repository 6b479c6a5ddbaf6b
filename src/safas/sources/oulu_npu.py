"""OULU-NPU (Boulkenafet et al., "OULU-NPU: A mobile face presentation attack database", FG 2017): 4,950 videos.

    {Train,Dev,Test}_files/<phone 1-6>_<session 1-3>_<subject 01-55>_<file 1-5>.avi, beside each the eyes as .txt
    Protocols/Protocol_N/{Train,Dev,Test}[_fold].txt

File 1 is live; 2, 3 are prints of two printers; 4, 5 video replays on two displays. People 1-20 train, 21-35 dev,
36-55 test. The four protocols are `oulu-1` ... `oulu-4` in `safas.protocols`; the owners' lists are only compared.
"""

import itertools
from pathlib import Path

import polars as pl

from safas.sources.source import Source
from safas.sources.tree import Row, Tree, numbers, reader, row, walk
from safas.table import BOXES

_SPLITS = {"train": range(1, 21), "dev": range(21, 36), "test": range(36, 56)}
_FILES = (  # file, attack, instrument
    (1, "none", ""),
    (2, "print", "print/1"),
    (3, "print", "print/2"),
    (4, "replay_video", "display/1"),
    (5, "replay_video", "display/2"),
)
_CODES = {1: "+1", 2: "-1", 3: "-1", 4: "-2", 5: "-2"}  # of each file, in the protocols' lists
_PHONES, _SESSIONS = range(1, 7), range(1, 4)
# A face box from the distance of the eyes, as the set gives no box: about what detectors mark in a frontal face.
_WIDTH, _HEIGHT, _ABOVE = 2.3, 3.0, 1.2  # eye distances: width, height, from the eyes up to the top
_LISTS = {
    1: ("",),
    2: ("",),
    3: tuple(f"_{fold}" for fold in _PHONES),
    4: tuple(f"_{fold}" for fold in _PHONES),
}


def official(_tree: Tree) -> list[Row]:
    """All 4,950."""
    return [
        row(
            dataset="oulu-npu", domain="oulu-npu", split=split, subject=f"{person:02d}",
            video=f"{phone}_{session}_{person:02d}_{file}",
            path=f"{split.title()}_files/{phone}_{session}_{person:02d}_{file}.avi",
            label="live" if attack == "none" else "spoof", attack=attack, instrument=instrument,
            device=f"phone/{phone}", session=str(session),
        )
        for split, people in _SPLITS.items()
        for phone, session, person, (file, attack, instrument)
        in itertools.product(_PHONES, _SESSIONS, people, _FILES)
    ]  # fmt: skip


def boxes(root: Path, samples: pl.DataFrame) -> pl.DataFrame | None:
    """Face boxes around the eyes in the .txt beside each video (frame, x, y, x, y); the eyes as landmarks."""
    rows, tree = [], walk(root)
    for video, path in samples.select("video", "path").iter_rows():
        for frame, x0, y0, x1, y1 in numbers(tree.beside(path, ".txt"), 5):
            (right_x, right_y), (left_x, left_y) = sorted(
                [(x0, y0), (x1, y1)]
            )  # upright: the right eye is left
            apart = ((left_x - right_x) ** 2 + (left_y - right_y) ** 2) ** 0.5
            middle = ((left_x + right_x) / 2, (left_y + right_y) / 2)
            box = (
                middle[0] - _WIDTH / 2 * apart,
                middle[1] - _ABOVE * apart,
                _WIDTH * apart,
                _HEIGHT * apart,
            )
            if apart > 0:
                rows.append((video, int(frame), *box, [right_x, right_y, left_x, left_y]))
    schema = {**BOXES, "landmarks": pl.List(pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None


def list_problems(tree: Tree) -> list[tuple[str, str]]:
    """What is wrong with the owners' protocol lists: missing, empty, or naming other videos than the protocol does."""
    found = []
    for number, folds in _LISTS.items():
        for split, fold in itertools.product(_SPLITS, folds):
            name = f"Protocols/Protocol_{number}/{split.title()}{fold}.txt"
            path = tree.find(name)
            if path is None:
                found.append((name, "the protocol's list is missing"))
                continue
            text = (tree.root / path).read_text(encoding="utf-8-sig", errors="replace")
            lines = [line for line in text.splitlines() if line.strip()]
            codes = {name.strip(): code.strip() for code, _, name in (line.partition(",") for line in lines)}
            listed = set(codes)
            wanted = _listed(number, int(fold[1:] or 0), split)
            if not lines:
                found.append((path, "the protocol's list is empty"))
            elif listed != wanted:
                less, more = sorted(wanted - listed), sorted(listed - wanted)
                first = f"lacks {less[0]}" if less else f"names {more[0]}"
                found.append(
                    (path, f"the protocol's list differs in {len(less) + len(more)} videos, {first}")
                )
            else:
                wrong = [name for name in sorted(listed) if codes[name] != _CODES[int(name[-1])]]
                if wrong:
                    told = f"{codes[wrong[0]]} of {wrong[0]}, which is {_CODES[int(wrong[0][-1])]}"
                    found.append(
                        (path, f"the protocol's list has other labels of {len(wrong)} videos: {told}")
                    )
    return found


def _listed(number: int, fold: int, split: str) -> set[str]:
    """The videos of a protocol: 1 new session, 2 new instruments, 3 new phone, 4 all of these (paper, table 3)."""
    phones = [p for p in _PHONES if number < 3 or (p == fold) == (split == "test")]
    sessions = [s for s in _SESSIONS if number in (2, 3) or (s == 3) == (split == "test")]
    files = [f for f, *_ in _FILES if number in (1, 3) or f == 1 or (f in (3, 5)) == (split == "test")]
    people = _SPLITS[split]
    return {f"{p}_{s}_{who:02d}_{f}" for p, s, who, f in itertools.product(phones, sessions, people, files)}


SOURCE = Source(
    reader(official, "OULU-NPU", "Train_files/1_1_01_1.avi"),
    boxes=boxes,
    official=official,
    counts={
        ("train", "live"): 360, ("train", "spoof"): 1440, ("dev", "live"): 270, ("dev", "spoof"): 1080,
        ("test", "live"): 360, ("test", "spoof"): 1440,
    },
    problems=list_problems,
)  # fmt: skip
