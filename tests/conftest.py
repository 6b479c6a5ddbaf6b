"""What several test files share: real videos made on the spot, and the face detector's weights if they are here."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Modules that work on tensors are imported with their annotations, shapes included, checked at each call.
TENSOR_MODULES = (
    "losses",
    "model",
    "augment",
    "batches",
    "crop_files",
    "packing",
    "methods",
    "training",
    "export",
)
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


@dataclass(frozen=True)
class Finished:
    """A run of two tiny domains, trained in a moment, and the prepared folder that it was trained on."""

    run: Path
    prepared: Path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, write_video: Write) -> Finished:
    """Crops of 32 pixels of ramps that rise or fall, and SA-FAS after the epochs that it needs to tell them."""
    import tiny  # here, so that tests of small things need not wait for torch
    from safas.prepare import PrepareConfig, prepare
    from safas.prepared import prepared_samples
    from safas.protocols import parse, source_data
    from safas.sources import read_boxes, read_source
    from safas.training import preset, train

    root = tiny.data_set(tmp_path_factory.mktemp("data"), write_video)
    prepared, runs = root.parent / "prepared", tmp_path_factory.mktemp("runs")
    samples = read_source("table", root)
    cropping = PrepareConfig(size=32, frames=2, workers=1)
    prepare(samples, root, prepared, cropping, read_boxes("table", root, samples), progress=False)
    config = preset("demo")
    augment = replace(config.augment, flip=False)  # a ramp in a mirror is of the other class
    settings = replace(config, augment=augment, image_size=32, epochs=8, batch=6, threads=1, evaluate_every=4)
    data = source_data(parse("north,south->west"), prepared_samples(prepared))
    return Finished(train(settings, data, prepared, runs, progress=False), prepared)


@pytest.fixture(scope="session")
def bundle(finished: Finished, yunet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run exported, with the detector inside. Not to be changed: copy it."""
    from safas.export import export

    out = tmp_path_factory.mktemp("exported") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
        return export(finished.run, finished.prepared, out, progress=False).folder
