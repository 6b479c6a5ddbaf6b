"""A table of face boxes, as the faces of each video."""

import math

import numpy as np
import polars as pl

from safas.errors import TableError
from safas.faces import Box, Face, Landmarks
from safas.table import BOXES, CROPS, checked


def faces_by_video(boxes: pl.DataFrame) -> dict[str, dict[int, Face]]:
    """The largest box of each frame; boxes without area (some sets' way to say "no face") are dropped.

    The landmarks come from the column of that name, if there is one. Raises TableError for a column that is
    missing or wrong, and landmarks that are neither the eyes nor five points.
    """
    schema = {**BOXES, "landmarks": CROPS["landmarks"]} if "landmarks" in boxes.columns else BOXES
    boxes = checked(boxes, schema, "the table of boxes").select(*schema)
    boxes = boxes.filter((pl.col("box_w") > 0) & (pl.col("box_h") > 0))
    found: dict[str, dict[int, Face]] = {}
    for video, frame, x, y, w, h, *points in boxes.sort(pl.col("box_w") * pl.col("box_h")).iter_rows():
        found.setdefault(video, {})[frame] = Face(Box(x, y, w, h), _landmarks(video, frame, *points), 1.0)
    return found


def _landmarks(video: str, frame: int, points: list[float] | None = None) -> Landmarks | None:
    if points is None:
        return None
    if len(points) not in (4, 10) or not all(point is not None and math.isfinite(point) for point in points):
        raise TableError(
            f"the landmarks of video {video!r}, frame {frame}, are {points}",
            where="the table of boxes",
            remedy="Give x0 y0 x1 y1 (the eyes), or ten numbers (five points), or null.",
        )
    return np.asarray(points, np.float64).reshape(-1, 2)
