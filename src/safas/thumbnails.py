"""Faces for a page: the middle crop of each prepared video, small enough to be written into the HTML."""

import base64
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from safas.errors import MediaError
from safas.table import CROPS, read_table

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 88)


def middle_crops(prepared: Path) -> pl.DataFrame:
    """dataset, video, crop: the middle crop of each video in time, its path relative to the prepared folder.

    Raises InputError without PREPARED/crops.parquet.
    """
    crops = read_table(prepared / "crops.parquet", CROPS).sort("dataset", "video", "frame")
    return crops.group_by("dataset", "video", maintain_order=True).agg(
        pl.col("crop").gather(pl.len() // 2).first()
    )


def read_crop(path: Path) -> np.ndarray:
    """uint8 [S, S, 3] RGB. Raises MediaError when it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if image is None:
        raise MediaError("not a readable crop", where=str(path), remedy="Run `safas prepare` again.")
    return np.asarray(image)


def jpeg_uri(image: np.ndarray, side: int | None = None) -> str:
    """uint8 [H, W, 3] RGB as a data URI; made smaller where a side is given (pixels) that is below the image's."""
    if side is not None and side < max(image.shape[:2]):
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), _JPEG)[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
