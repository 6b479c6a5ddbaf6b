"""One's own data as a tree: <domain>/<split>/<live|spoof|spoof_ATTACK>/<subject>/<video or image>.

For example phone/train/live/anna/1.mp4 and phone/train/spoof_print/anna/2.mp4.
`spoof` alone is the attack "other".
"""

from pathlib import Path, PurePosixPath

import polars as pl

from safas.errors import InputError
from safas.sources.source import Source
from safas.sources.tree import IMAGE_SUFFIXES, VIDEO_SUFFIXES, refuse_losses, walk
from safas.table import ATTACKS, SAMPLES, SPLITS

_SHAPE = "<domain>/<split>/<live|spoof_ATTACK>/<subject>/<file>"


def read(root: Path) -> pl.DataFrame:
    """One row a video or image below `root`; other files and hidden ones are passed over.

    The data set is named after the folder.

    Raises InputError when there is no such file, or one lies elsewhere than the tree's shape says.
    """
    tree = walk(root)
    refuse_losses(tree)
    files = [PurePosixPath(file) for file in tree.files]
    rows = [_row(file, root) for file in files if file.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES]
    if not rows:
        raise InputError(
            "no video and no image below the folder", where=str(root), remedy=f"Expected {_SHAPE}."
        )
    return pl.DataFrame(rows, schema=dict(SAMPLES))


def _row(file: PurePosixPath, root: Path) -> dict[str, str]:
    if len(file.parts) != 5:
        raise InputError(
            "a file stands at the wrong depth", where=str(root / file), remedy=f"Expected {_SHAPE}."
        )
    domain, split, kind, subject, _ = file.parts
    if split not in SPLITS:
        raise InputError(
            f"{split!r} is no split", where=str(root / file), remedy=f"Known: {', '.join(SPLITS)}."
        )
    label, attack = _label(kind, root / file)
    return {
        **dict.fromkeys(SAMPLES, ""),
        "dataset": root.resolve().name,
        "domain": domain,
        "video": str(file),
        "path": str(file),
        "media": "image" if file.suffix.lower() in IMAGE_SUFFIXES else "video",
        "split": split,
        "label": label,
        "attack": attack,
        "instrument": attack,
        "subject": subject,
    }


def _label(kind: str, path: Path) -> tuple[str, str]:
    """("live", "none"), or ("spoof", the attack), from the folder's name."""
    if kind == "live":
        return "live", "none"
    attack = "other" if kind == "spoof" else kind.removeprefix("spoof_")
    if not kind.startswith("spoof") or attack not in ATTACKS or attack == "none":
        known = ", ".join(["live", "spoof", *(f"spoof_{name}" for name in ATTACKS if name != "none")])
        raise InputError(f"{kind!r} is no label", where=str(path), remedy=f"Known: {known}.")
    return "spoof", attack


SOURCE = Source(read)
