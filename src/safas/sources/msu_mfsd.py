"""MSU-MFSD (Wen, Han, Jain, "Face spoof detection with image distortion analysis", TIFS 2015): 280 public videos.

    scene01/real/real_clientNNN_{android_SD,laptop_SD}_scene01.{mp4,mov}
    scene01/attack/attack_clientNNN_{android_SD,laptop_SD}_{ipad_video,iphone_video,printed_photo}_scene01.{mp4,mov}
    train_sub_list.txt, test_sub_list.txt           beside each video its faces as .face

Android clips are mp4, laptop ones mov. Some android clips are stored upside down: prepare with the detector.
There is no dev split.
"""

import itertools
from pathlib import Path

import polars as pl

from safas.errors import InputError
from safas.sources.source import Source
from safas.sources.tree import Row, Tree, lines_of, numbers, reader, row, walk
from safas.table import BOXES

_LISTS = {"train": "train_sub_list.txt", "test": "test_sub_list.txt"}
_PEOPLE = {"train": 15, "test": 20}
_DEVICES = (("android_SD", "mp4", "720x480"), ("laptop_SD", "mov", "640x480"))
_ATTACKS = (("ipad_video", "replay_video"), ("iphone_video", "replay_video"), ("printed_photo", "print"))


def official(tree: Tree) -> list[Row]:
    """Two live videos and six attacks of every person in the lists. Raises InputError for a list that is missing."""
    rows = []
    for split in _LISTS:
        for person, (device, ending, quality) in itertools.product(_people(tree, split), _DEVICES):
            about = {"split": split, "subject": f"{person:03d}", "device": device, "quality": quality}
            stem = f"client{person:03d}_{device}"
            rows.append(_row(f"real/real_{stem}_scene01", ending, about))
            for instrument, attack in _ATTACKS:
                told = {**about, "label": "spoof", "attack": attack, "instrument": instrument}
                rows.append(_row(f"attack/attack_{stem}_{instrument}_scene01", ending, told))
    return rows


def _row(name: str, ending: str, about: Row) -> Row:
    usual = {
        "dataset": "msu-mfsd",
        "domain": "msu-mfsd",
        "session": "scene01",
        "label": "live",
        "attack": "none",
    }
    return row(**{**usual, **about, "video": name, "path": f"scene01/{name}.{ending}"})


def _people(tree: Tree, split: str) -> list[int]:
    path = tree.find(_LISTS[split])
    if path is None:
        raise InputError(
            f"no {_LISTS[split]}: it says who belongs to {split}",
            where=str(tree.root),
            remedy="Name the folder of MSU-MFSD that holds scene01 and the two lists.",
        )
    return sorted({int(number) for (number,) in numbers(lines_of(tree.root / path), 1)})


def boxes(root: Path, samples: pl.DataFrame) -> pl.DataFrame | None:
    """The .face files beside the videos: frame, left, top, right, bottom and perhaps four numbers for the eyes."""
    rows, tree = [], walk(root)
    for video, path in samples.select("video", "path").iter_rows():
        lines = tree.beside(path, ".face")
        for frame, left, top, right, bottom, *eyes in (*numbers(lines, 9), *numbers(lines, 5)):
            pairs = sorted([tuple(eyes[:2]), tuple(eyes[2:])]) if eyes else []
            points = [value for pair in pairs for value in pair]
            if right > left and bottom > top:
                rows.append((video, int(frame), left, top, right - left, bottom - top, points or None))
    schema = {**BOXES, "landmarks": pl.List(pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None


def list_problems(tree: Tree) -> list[tuple[str, str]]:
    """Lists of people that are missing, empty or of another length."""
    problems = []
    for split, name in _LISTS.items():
        path = tree.find(name)
        if path is None:
            problems.append((name, "the list of people is missing"))
            continue
        count = len(_people(tree, split))
        if count != _PEOPLE[split]:
            problems.append((path, f"names {count} people instead of {_PEOPLE[split]}"))
    return problems


SOURCE = Source(
    reader(official, "MSU-MFSD", "scene01/real/real_client001_android_SD_scene01.mp4"),
    boxes=boxes,
    official=official,
    counts={("train", "live"): 30, ("train", "spoof"): 90, ("test", "live"): 40, ("test", "spoof"): 120},
    problems=list_problems,
)
