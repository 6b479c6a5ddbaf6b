"""Frames from a camera of this machine."""

import sys
import time
from collections.abc import Iterator

import cv2
import numpy as np

from safas.errors import MediaError
from safas.faces import Image

SECONDS = 2.0  # a presentation
_WARM_UP = 5  # first frames, which many cameras expose badly


def camera_frames(index: int, seconds: float = SECONDS) -> list[Image]:
    """The frames of one presentation, uint8 RGB. Raises MediaError when the camera does not answer."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error below says it in one line
    camera = cv2.VideoCapture(index)
    cv2.utils.logging.setLogLevel(level)
    try:
        frames = list(_frames(camera, seconds)) if camera.isOpened() else []
    finally:
        camera.release()
    if not frames:
        raise MediaError(
            "no frame came from it",
            where=f"camera {index}",
            remedy="Is it plugged in, allowed, and not used by another program?",
        )
    return frames


def _frames(camera: cv2.VideoCapture, seconds: float) -> Iterator[Image]:
    end = sys.float_info.max
    count = 0
    while time.monotonic() < end:
        got, image = camera.read()
        if not got:
            return
        count += 1
        if count == _WARM_UP:
            end = time.monotonic() + seconds
        if count > _WARM_UP:
            yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
