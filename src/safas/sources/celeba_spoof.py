"""CelebA-Spoof (Zhang et al., "CelebA-Spoof: Large-scale face anti-spoofing dataset with rich annotations", ECCV 2020):
625,537 images of 10,177 people.

    Data/{train,test}/<person>/{live,spoof}/<number>.{jpg,png}      beside each its face as <number>_BB.txt
    metas/intra_test/{train,test}_label.json                        {"Data/train/1/live/000184.jpg": [44 numbers], ...}

Number 40 is the spoof type, 41 the illumination, 42 the environment; the others are not read. There is no dev split.
The masks 4 to 6 are paper, which the owners' paper calls "paper cut", as we read it; 7 to 9 show a still on a display.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from safas.errors import InputError
from safas.sources.image_size import image_size
from safas.sources.source import Source
from safas.sources.tree import Row, Tree, numbers, walk
from safas.table import BOXES, SAMPLES

_LISTS = {split: f"metas/intra_test/{split}_label.json" for split in ("train", "test")}
_TYPES = {  # number 40: attack, instrument
    0: ("none", ""),
    1: ("print", "photo"),
    2: ("print", "poster"),
    3: ("print", "a4"),
    4: ("cut", "face mask"),
    5: ("cut", "upper body mask"),
    6: ("cut", "region mask"),
    7: ("replay_photo", "pc"),
    8: ("replay_photo", "pad"),
    9: ("replay_photo", "phone"),
    10: ("mask", "3d mask"),
}
_ILLUMINATIONS = {0: "", 1: "normal", 2: "strong", 3: "back", 4: "dark"}  # number 41; of live images it is 0
_ENVIRONMENTS = {0: "", 1: "indoor", 2: "outdoor"}  # number 42; of live images it is 0
_PATH = r"^Data/(?:train|test)/(\d+)/(?:live|spoof)/[^/]+\.\w+$"
_SIDE = 224.0  # pixels: the boxes are those of the image stretched to this width and height


def read(root: Path) -> pl.DataFrame:
    """The rows of the images that are there. Raises InputError when none is, or a list is missing or damaged."""
    tree = walk(root)
    table = pl.concat([_labelled(tree, split) for split in _LISTS])
    found = pl.Series("path", [tree.find(path) for path in table["path"]], pl.String)
    table = table.with_columns(found).filter(pl.col("path").is_not_null())
    if table.is_empty():
        raise InputError(
            "no image of CelebA-Spoof lies here",
            where=str(root),
            remedy="Name the folder that holds, for example, Data/train/1/live/000184.jpg.",
        )
    return table


def official(tree: Tree) -> Sequence[Row]:
    """Every image that the lists name."""
    return pl.concat([_labelled(tree, split) for split in _LISTS]).to_dicts()


def _labelled(tree: Tree, split: str) -> pl.DataFrame:
    """The rows of a split as its list has them, built by the column: there are hundreds of thousands."""
    file = tree.root / (tree.find(_LISTS[split]) or _LISTS[split])
    labels = _load(file)
    try:
        codes = [(int(code[40]), int(code[41]), int(code[42])) for code in labels.values()]
        kinds = [_TYPES[kind] for kind, _, _ in codes]
        places = [f"{_ILLUMINATIONS[light]}/{_ENVIRONMENTS[place]}".strip("/") for _, light, place in codes]
    except (TypeError, ValueError, LookupError) as error:
        raise _damaged(file, "a label is not 44 numbers as the owners define them") from error
    path = pl.col("path")
    table = pl.DataFrame({
        "path": list(labels), "attack": [attack for attack, _ in kinds],
        "instrument": [instrument for _, instrument in kinds], "session": places,
    }, schema_overrides={"path": pl.String}).with_columns(
        dataset=pl.lit("celeba-spoof"), domain=pl.lit("celeba-spoof"), media=pl.lit("image"), split=pl.lit(split),
        label=pl.when(pl.col("attack") == "none").then(pl.lit("live")).otherwise(pl.lit("spoof")),
        video=path.str.replace(r"^Data/", "").str.replace(r"\.\w+$", ""),
        subject=path.str.extract(_PATH), device=pl.lit(""), quality=pl.lit(""),
    )  # fmt: skip
    odd = table.filter(pl.col("subject").is_null())
    if not odd.is_empty():
        raise _damaged(file, f"names {odd['path'][0]!r}, which is no path of an image of this set")
    return table.select(*SAMPLES)


def _load(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(
            "the owners' list of labels is missing",
            where=str(file),
            remedy="Name the folder that holds Data and metas.",
        )
    try:
        labels = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(file, "not readable as JSON") from error
    if not isinstance(labels, dict) or not labels:
        raise _damaged(file, "holds no labels by path")
    return labels


def _damaged(file: Path, what: str) -> InputError:
    return InputError(what, where=str(file), remedy="Unpack it again from the owners' archive.")


def boxes(root: Path, samples: pl.DataFrame) -> pl.DataFrame | None:
    """The _BB.txt beside the images (x, y, width, height, score), scaled from 224 x 224 to the image's pixels."""
    rows, tree = [], walk(root)
    for video, path in samples.select("video", "path").iter_rows():
        lines = tree.beside(path, "_BB.txt")
        told = numbers(lines, 5) or numbers(lines, 4)
        size = image_size(root / path) if told else None
        if size is None:
            continue
        (x, y, width, height), (across, down) = told[0][:4], (side / _SIDE for side in size)
        if width > 0 and height > 0:
            rows.append((video, 0, x * across, y * down, width * across, height * down))
    return pl.DataFrame(rows, schema=dict(BOXES), orient="row") if rows else None


SOURCE = Source(read, boxes=boxes, official=official)
