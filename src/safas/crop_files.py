"""The files of single crops, decoded."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from safas.errors import MediaError

READERS = 4  # threads that decode; OpenCV lets go of the interpreter meanwhile


def decoded(
    prepared: Path, paths: Sequence[str], side: int | None = None
) -> UInt8[np.ndarray, "n side side 3"]:
    """The crops of a prepared folder with these paths (at least one), RGB.

    side: pixels that each must have; None: as many as the first. Raises MediaError for an unreadable or odd file.
    """
    side = side or len(_read(prepared / paths[0]))
    images = np.empty((len(paths), side, side, 3), dtype=np.uint8)

    def fill(row: int) -> None:
        path = prepared / paths[row]
        image = _read(path)
        if image.shape != images.shape[1:]:
            raise MediaError(
                f"the crop has the shape {image.shape}, the others have {images.shape[1:]}", where=str(path)
            )
        images[row] = image

    with ThreadPoolExecutor(READERS) as pool:
        for _ in pool.map(fill, range(len(paths))):
            pass
    return images


def _read(path: Path) -> UInt8[np.ndarray, "S S 3"]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if image is None or image.shape[0] != image.shape[1]:
        raise MediaError("not a readable square crop", where=str(path), remedy="Run `safas prepare` again.")
    return np.asarray(image, dtype=np.uint8)
