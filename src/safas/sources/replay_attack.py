"""Replay-Attack (Chingovska, Anjos, Marcel, "On the effectiveness of local binary patterns in face anti-spoofing",
BIOSIG 2012): 1,200 videos of 50 people at a laptop's webcam.

    {train,devel,test}/real/clientNNN_session01_webcam_authenticate_{adverse,controlled}_{1,2}.mov
    {train,devel,test}/attack/{fixed,hand}/attack_{print,mobile,highdef}_clientNNN_session01_
        {highdef,mobile}_{photo,video}_{adverse,controlled}.mov       face-locations/<same path>.face

Which people are in which split is read from the files. The clips under enroll/ are for face recognition and no samples.
"""

import itertools
import re
from pathlib import Path

import polars as pl

from safas.sources.source import Source
from safas.sources.tree import Row, Tree, numbers, plain_name, reader, row, walk
from safas.table import BOXES

_SPLITS = {"train": "train", "devel": "dev", "test": "test"}
_PEOPLE = {"train": 15, "devel": 15, "test": 20}
_ATTACKS = (  # instrument, what it shows, attack
    ("print", "highdef_photo", "print"),
    ("mobile", "mobile_photo", "replay_photo"),
    ("mobile", "mobile_video", "replay_video"),
    ("highdef", "highdef_photo", "replay_photo"),
    ("highdef", "highdef_video", "replay_video"),
)
_LIGHTS, _SUPPORTS = ("adverse", "controlled"), ("fixed", "hand")


def official(tree: Tree) -> list[Row]:
    """All videos of every person of whom one video is there: 4 live, 20 attacks."""
    people = sorted({found.groups() for file in tree.files if (found := re.match(_CLIENT, plain_name(file)))})
    return [made for folder, client in people for made in (*_live(folder, client), *_attacks(folder, client))]


_CLIENT = r"(train|devel|test)/(?:real|attack/(?:fixed|hand))/.*client(\d{3})_session01_"


def _live(folder: str, client: str) -> list[Row]:
    return [
        _row(folder, f"real/client{client}_session01_webcam_authenticate_{light}_{take}", client, light)
        for light, take in itertools.product(_LIGHTS, (1, 2))
    ]


def _attacks(folder: str, client: str) -> list[Row]:
    return [
        _row(
            folder, f"attack/{support}/attack_{instrument}_client{client}_session01_{shown}_{light}", client, light,
            label="spoof", attack=attack, instrument=f"{instrument}/{support}",
        )
        for support, (instrument, shown, attack), light in itertools.product(_SUPPORTS, _ATTACKS, _LIGHTS)
    ]  # fmt: skip


def _row(folder: str, name: str, client: str, light: str, **about: str) -> Row:
    usual = {"label": "live", "attack": "none"}
    return row(
        dataset="replay-attack", domain="replay-attack", split=_SPLITS[folder], subject=client,
        video=f"{folder}/{name}", path=f"{folder}/{name}.mov", device="webcam", session=light,
        quality="320x240", **{**usual, **about},
    )  # fmt: skip


def boxes(root: Path, samples: pl.DataFrame) -> pl.DataFrame | None:
    """The owners' face-locations (frame, x, y, width, height); zeros, their way to say "no face", are left out."""
    rows, tree = [], walk(root)
    for video, path in samples.select("video", "path").iter_rows():
        found = numbers(tree.beside(f"face-locations/{path}", ".face"), 5)
        rows += [(video, int(frame), x, y, w, h) for frame, x, y, w, h in found if w > 0 and h > 0]
    return pl.DataFrame(rows, schema=dict(BOXES), orient="row") if rows else None


def people_problems(tree: Tree) -> list[tuple[str, str]]:
    """Splits of which whole people are missing, or that hold too many."""
    found = {
        folder: {r["subject"] for r in official(tree) if r["split"] == split}
        for folder, split in _SPLITS.items()
    }
    return [
        (folder, f"{len(found[folder])} people instead of {wanted}")
        for folder, wanted in _PEOPLE.items()
        if len(found[folder]) != wanted
    ]


SOURCE = Source(
    reader(official, "Replay-Attack", "train/real/client001_session01_webcam_authenticate_adverse_1.mov"),
    boxes=boxes,
    official=official,
    counts={
        ("train", "live"): 60, ("train", "spoof"): 300, ("dev", "live"): 60, ("dev", "spoof"): 300,
        ("test", "live"): 80, ("test", "spoof"): 400,
    },
    problems=people_problems,
    no_samples=("enroll/",),
)  # fmt: skip
