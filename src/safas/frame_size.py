"""How many pixels a frame may have, and how many an image's header says it has: small files can unfold to gigabytes."""

import os
from collections.abc import Callable, Mapping
from typing import Literal

from safas.errors import InputError, MediaError

MOST_PIXELS = 50_000_000  # of one frame, unless the variable says otherwise: 150 MB as RGB
VARIABLE = "SAFAS_MAX_PIXELS"

Size = tuple[int, int]  # width, height
Order = Literal["big", "little"]


def most_pixels() -> int:
    """The limit. Raises InputError when the variable holds no whole number above 0."""
    said = os.environ.get(VARIABLE, "") or str(MOST_PIXELS)
    if not said.isdecimal() or int(said) < 1:
        raise InputError(
            f"{said!r} is no number of pixels", where=VARIABLE, remedy="Give a whole one above 0."
        )
    return int(said)


def check_size(width: int, height: int, where: str) -> None:
    """Raises MediaError, naming limit and variable, for a frame that is larger than allowed."""
    if width * height > most_pixels():
        raise too_many_pixels(f"{width} x {height} pixels", where)


def too_many_pixels(size: str, where: str) -> MediaError:
    """The refusal of a frame of that `size`."""
    return MediaError(
        f"a frame of {size}, and the limit is {most_pixels() / 1e6:g} million",
        where=where,
        remedy=f"Make it smaller, or raise the limit where safas runs: {VARIABLE}=<pixels of a frame>.",
    )


def size_in_header(data: bytes) -> Size | None:
    """Width and height that an image file begins by announcing; None for a format that is not known here."""
    for signature, read in _FORMATS.items():
        if data.startswith(signature):
            try:
                return read(data)
            except IndexError:  # cut off: its decoder will say so
                return None
    return None


def _number(data: bytes, at: int, length: int, order: Order) -> int:
    """An unsigned number of `length` bytes. Raises IndexError beyond the end."""
    part = data[at : at + length]
    if len(part) < length:
        raise IndexError(at)
    return int.from_bytes(part, order)


def _png(data: bytes) -> Size:
    return _number(data, 16, 4, "big"), _number(data, 20, 4, "big")


def _jpeg(data: bytes) -> Size | None:
    """Segments [FF][marker][length: 2 bytes][content] up to a start of frame: SOF0 to SOF15 without C4, C8, CC."""
    at = 2
    while _number(data, at, 1, "big") == 0xFF:
        marker = _number(data, at + 1, 1, "big")
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _number(data, at + 7, 2, "big"), _number(data, at + 5, 2, "big")
        else:
            at += 2 + (0 if marker == 0x01 or 0xD0 <= marker <= 0xD8 else _number(data, at + 2, 2, "big"))
    return None


def _bmp(data: bytes) -> Size:
    """The height is negative where rows go from top to bottom."""
    if _number(data, 14, 4, "little") == 12:  # OS/2's first header
        return _number(data, 18, 2, "little"), _number(data, 20, 2, "little")
    height = _number(data, 22, 4, "little")
    return _number(data, 18, 4, "little"), min(height, 2**32 - height)


def _gif(data: bytes) -> Size:
    return _number(data, 6, 2, "little"), _number(data, 8, 2, "little")


def _webp(data: bytes) -> Size | None:
    """RFC 9649: lossy (14 bits each), lossless (14 bits each, less 1), extended (24 bits each, less 1)."""
    kind = data[8:16]
    if kind == b"WEBPVP8 ":
        return _number(data, 26, 2, "little") & 0x3FFF, _number(data, 28, 2, "little") & 0x3FFF
    if kind == b"WEBPVP8L":
        bits = _number(data, 21, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"WEBPVP8X":
        return _number(data, 24, 3, "little") + 1, _number(data, 27, 3, "little") + 1
    return None


def _tiff(data: bytes) -> Size | None:
    """The first directory: [count: 2 bytes], then [tag: 2][type: 2][count: 4][value: 4] each; tags 256 and 257."""
    order: Order = "little" if data.startswith(b"II") else "big"
    at = _number(data, 4, 4, order)
    found = {}
    for entry in range(at + 2, at + 2 + 12 * _number(data, at, 2, order), 12):
        length = 2 if _number(data, entry + 2, 2, order) == 3 else 4  # SHORT or LONG
        found[_number(data, entry, 2, order)] = _number(data, entry + 8, length, order)
    return (found[256], found[257]) if {256, 257} <= set(found) else None


_FORMATS: Mapping[bytes, Callable[[bytes], Size | None]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8": _jpeg,
    b"BM": _bmp,
    b"GIF8": _gif,
    b"RIFF": _webp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}
