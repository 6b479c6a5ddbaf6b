"""What several test files share: real videos made on the spot, and the face detector's weights if they are here."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Modules that work on tensors are imported with their annotations, shapes included, checked at each call.
TENSOR_MODULES = ("losses", "model", "augment", "batches", "methods", "training")
install_import_hook([f"safas.{name}" for name in TENSOR_MODULES], "typechecker.checked")

Write = Callable[..., Path]


def _write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    rate: int = 15,
    display: tuple[int, bool, bool] | None = None,
    **options: str,
) -> Path:
    """Encode uint8 [H, W, 3] RGB frames by the path's suffix; `display`: counter-clockwise degrees and flips."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = (
            {"qmin": "1", "qmax": "2"} if codec == "mjpeg" else {"crf": "8", "preset": "veryfast"}
        )
        if display is not None:
            stream.set_display_rotation(display[0], hflip=display[1], vflip=display[2])
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def write_video() -> Write:
    """write_video(path, frames, codec=..., rate=..., display=..., **muxer options) -> path."""
    return _write_video


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    """The YuNet weights, or a skip that says how to supply them."""
    beside = Path(__file__).parents[2] / "shared" / "models" / "yunet_n_dynamic.onnx"
    path = Path(os.environ.get("SAFAS_FACE_DETECTOR") or beside)
    if not path.is_file():
        pytest.skip(
            "no face detector here: set SAFAS_FACE_DETECTOR to yunet_n_dynamic.onnx "
            "(from github.com/ShiqiYu/libfacedetection.train, folder onnx)"
        )
    return path
