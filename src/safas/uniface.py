"""A second detector: RetinaFace by the package `uniface`, which is not installed along with safas."""

from pathlib import Path
from typing import Any

import numpy as np

from safas.errors import InputError
from safas.faces import Box, Face, Image

_INSTALL = "Install it (pip install uniface) or use detector = yunet."


def uniface_weights() -> Path:
    """The network's file in uniface's own cache, fetched and checked by uniface if it isn't there.

    Raises InputError, saying what to do, when uniface isn't installed or can't get the file.
    """
    try:
        from uniface.constants import RetinaFaceWeights
        from uniface.model_store import get_cache_dir, verify_model_weights
    except ImportError as error:
        raise InputError("the package uniface is not installed", remedy=_INSTALL) from error
    try:
        return Path(verify_model_weights(RetinaFaceWeights.MNET_V2))
    except (OSError, ValueError) as error:  # ConnectionError is an OSError
        raise InputError(
            f"the network {RetinaFaceWeights.MNET_V2.value} can be neither found nor downloaded",
            where=get_cache_dir(),
            remedy="Put uniface's file there, set UNIFACE_CACHE_DIR to its folder, or use detector = yunet.",
        ) from error


class Uniface:
    """RetinaFace (Deng et al., CVPR 2020; MobileNetV2) through uniface 4. Not shared between threads.

    Raises InputError when uniface isn't installed or the weights can't be loaded.
    """

    sure = 1.0  # it may be as sure of turned faces, so that the rotations are always compared

    def __init__(self, weights: Path | None = None, *, min_score: float = 0.6) -> None:
        path = weights or uniface_weights()
        try:
            from uniface.detection import RetinaFace

            # uniface looks the file up by itself, in the folder that `uniface_weights` has checked
            self._network: Any = RetinaFace(
                confidence_threshold=min_score, providers=["CPUExecutionProvider"]
            )
        except ImportError as error:
            raise InputError("the package uniface is not installed", remedy=_INSTALL) from error
        except (RuntimeError, OSError, ValueError) as error:
            raise InputError("not a network that uniface can load", where=str(path)) from error

    def detect(self, image: Image) -> list[Face]:
        """The faces of an upright RGB image uint8 [H, W, 3], largest box first; empty if there is none."""
        found = self._network.detect(np.ascontiguousarray(image[:, :, ::-1]))  # it takes BGR
        return sorted((_face(face) for face in found), key=lambda face: -face.box.w * face.box.h)


def _face(found: Any) -> Face:
    """uniface's Face: bbox [4] as corners, landmarks [5, 2] in our order, confidence."""
    left, top, right, bottom = np.asarray(found.bbox, np.float64).tolist()
    points = np.asarray(found.landmarks, np.float64)
    return Face(Box(left, top, right - left, bottom - top), points, float(found.confidence))
