"""An image's width and height from its first bytes; decoding hundreds of thousands of images takes hours."""

import struct
from io import BufferedReader
from pathlib import Path

import cv2
import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # JPEG markers among the frame headers C0 to CF that are something else
_EXIF, _FILLER = 0xE1, 0xFF


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) in pixels of the upright image; None for what is no image, or damaged at its head."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = None
            if head == _PNG:
                size = _png_size(file)
            elif head.startswith(b"\xff\xd8"):
                size = _jpeg_size(file)
        return size or _decoded_size(path)
    except (OSError, struct.error, cv2.error):
        return None


def _png_size(file: BufferedReader) -> tuple[int, int] | None:
    """From the first chunk; None when one before the pixels may turn the image."""
    length, kind, width, height = struct.unpack(">I4sII", file.read(16))
    if kind != b"IHDR":
        return None
    file.seek(length - 8 + 4, 1)
    while kind != b"IDAT":
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf":
            return None
        file.seek(length + 4, 1)
    return width, height


def _jpeg_size(file: BufferedReader) -> tuple[int, int] | None:
    """From the frame header; None when something before it may turn the image."""
    file.seek(2)
    while True:
        mark, marker, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or marker in (_EXIF, _FILLER):
            return None
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(length - 2, 1)


def _decoded_size(path: Path) -> tuple[int, int] | None:
    """As preparation decodes it, turned as the EXIF orientation asks."""
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    return None if image is None else (image.shape[1], image.shape[0])
