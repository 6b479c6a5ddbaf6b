"""How many pixels a frame may have: small files can unfold to gigabytes."""

import os

from safas.errors import InputError, MediaError

MOST_PIXELS = 50_000_000  # of one frame, unless the variable says otherwise: 150 MB as RGB
VARIABLE = "SAFAS_MAX_PIXELS"


def most_pixels() -> int:
    """The limit. Raises InputError when the variable holds no whole number above 0."""
    said = os.environ.get(VARIABLE, "") or str(MOST_PIXELS)
    if not said.isdecimal() or int(said) < 1:
        raise InputError(
            f"{said!r} is no number of pixels", where=VARIABLE, remedy="Give a whole one above 0."
        )
    return int(said)


def check_size(width: int, height: int, where: str) -> None:
    """Raises MediaError, naming limit and variable, for a frame that is too large, or of 0 pixels: not measurable."""
    if width * height > most_pixels():
        raise _refusal(f"a frame of {width} x {height} pixels, and the limit is {_millions()}", where)
    if not width:  # FFmpeg had to look at a frame to learn it, and could not, or refused that one
        raise unmeasured(where)


def unmeasured(where: str) -> MediaError:
    """The refusal of what a decoder refused, for the one reason or the other."""
    return _refusal(f"damaged or cut off, or a frame of more pixels than the limit of {_millions()}", where)


def _refusal(what: str, where: str) -> MediaError:
    remedy = f"Give a whole file of smaller frames, or raise the limit where safas runs: {VARIABLE}=<pixels of one>."
    return MediaError(what, where=where, remedy=remedy)


def _millions() -> str:
    return f"{most_pixels() / 1e6:g} million"
