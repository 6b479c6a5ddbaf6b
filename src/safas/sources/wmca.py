"""WMCA (George et al., "Biometric face presentation attack detection with multi-channel convolutional neural network",
TIFS 2019): 72 people before colour, depth, infrared and thermal cameras.

**Only RGB videos are read.** The owners deliver the recordings as HDF5 files, which hold all channels, and RGB videos
of the same names apart from them; nothing here opens HDF5.

    <any folder>/<client>_<session>_<presenter>_<type>_<instrument>.<video>     for example 12.02.18/100_03_015_2_10.mp4
    PROTOCOL-grandtest.csv      which recording is in train, dev and eval; anywhere below the folder

Recordings that the list does not name are passed over. The subject is the client: whose face is shown, not who holds
it up. What type and instrument mean is as we read it from the owners' software.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from safas.errors import InputError
from safas.sources.source import Source
from safas.sources.tree import VIDEO_SUFFIXES, Row, Tree, plain_name, reader, row

_LIST = "PROTOCOL-grandtest.csv"
_SPLITS = {"train": "train", "dev": "dev", "eval": "test"}
_RECORDING = r"\d{3}_\d{2}_\d{3}_[0-5]_\d{2,3}"
_VIDEO = re.compile(rf"(?:.*/)?({_RECORDING})(\.\w+)")
_LISTED = re.compile(rf"(?:.*/)?({_RECORDING})(\.\w+)?")

_KINDS = (  # type, its instruments, attack, what it is; the first that fits
    (0, range(1000), "none", ""),
    (1, (1, 4, 5, 6, 7, 15, 16), "other", "glasses"),
    (1, range(8, 13), "other", "wig"),
    (1, (2, 13, 14), "mask", "rigid mask"),
    (1, range(1000), "other", "disguise"),
    (2, range(1, 8), "other", "fake head"),
    (2, range(8, 12), "mask", "paper mask"),
    (2, range(12, 18), "mask", "rigid mask"),
    (2, (18, *range(75, 100)), "mask", "flexible mask"),
    (2, range(1000), "other", "fake face"),
    (3, (5, 10, 15), "replay_photo", "electronic photo"),
    (3, range(1000), "print", "print"),
    (4, range(2, 1000, 2), "replay_photo", "paused video"),
    (4, range(1000), "replay_video", "video"),
    (5, range(1000), "makeup", "makeup"),
)


def _rows(tree: Tree) -> Iterator[Row]:
    """The RGB videos that the protocol names. Raises InputError when there is none, or no protocol."""
    splits = _splits(tree)
    for path in tree.files:
        found = _VIDEO.fullmatch(plain_name(path))
        if found is None or found[2] not in VIDEO_SUFFIXES or found[1] not in splits:
            continue
        client, session, _, kind, number = found[1].split("_")
        attack, instrument = _attack(int(kind), int(number))
        yield row(
            dataset="wmca", domain="wmca", split=splits[found[1]], video=found[1], path=path,
            label="live" if attack == "none" else "spoof", attack=attack,
            instrument=instrument and f"{instrument}/{number}", subject=client, session=session,
            device="realsense-sr300",
        )  # fmt: skip


def _attack(kind: int, number: int) -> tuple[str, str]:
    """(attack, what it is) of a type and an instrument."""
    return next((attack, name) for of, numbers, attack, name in _KINDS if of == kind and number in numbers)


def _splits(tree: Tree) -> dict[str, str]:
    """The split of each recording. Copies of the list differ in their columns: cells are told apart by their form."""
    paths = [path for path in tree.files if plain_name(Path(path).name) == plain_name(_LIST)]
    if not paths:
        raise InputError(
            f"no {_LIST}: it says which recording belongs to train, dev and eval",
            where=str(tree.root),
            remedy="Put the owners' list anywhere below the folder.",
        )
    splits = {}
    for line in (tree.root / paths[0]).read_text(encoding="utf-8-sig", errors="replace").lower().splitlines():
        cells = re.split(r"[,;\s\"]+", line)
        names = [found[1] for cell in cells if (found := _LISTED.fullmatch(plain_name(cell)))]
        groups = [_SPLITS[cell] for cell in cells if cell in _SPLITS]
        if len(names) == len(groups) == 1:
            splits[names[0]] = groups[0]
    if not splits:
        raise InputError(
            "names no recording",
            where=str(tree.root / paths[0]),
            remedy="A line holds a recording such as 100_03_015_2_10, and train, dev or eval, between commas.",
        )
    return splits


SOURCE = Source(reader(_rows, "WMCA", "12.02.18/100_03_015_2_10.mp4"))
