"""A real bundle, real faces: every kind of input, the same crops as preparation, no torch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from skimage import data

import safas
from safas.errors import InputError, MediaError
from safas.media import evenly_spaced
from safas.prepare import PrepareConfig, prepare
from safas.table import SAMPLES

PHOTO = np.ascontiguousarray(data.astronaut()[:320, 60:380])  # one face


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> safas.Predictor:
    return safas.Predictor(bundle)


def test_an_image_its_file_a_video_and_its_frames(
    predictor: safas.Predictor, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    """A PNG holds the pixels themselves, so file and array agree to the last digit."""
    cv2.imwrite(str(tmp_path / "face.png"), PHOTO[:, :, ::-1])
    of_array, of_file = predictor(PHOTO), predictor(tmp_path / "face.png")
    assert of_array.score == of_file.score
    assert (of_array.frames, of_array.frames_used) == (1, 1)
    assert predictor([PHOTO, PHOTO]).score == pytest.approx(of_array.score)
    seen = predictor(str(write_video(tmp_path / "clip.mp4", [PHOTO] * 5)))
    assert (seen.frames, seen.frames_used) == (2, 2)
    assert seen.box is not None
    assert set(seen.timings) == {"decode", "detect", "crop", "score"}


def test_torch_is_not_needed(bundle: Path) -> None:
    script = (
        "import sys, numpy, safas; assert 'onnxruntime' not in sys.modules\n"
        "verdict = safas.Predictor(sys.argv[1])(numpy.zeros((90, 90, 3), numpy.uint8))\n"
        "assert verdict.label == 'no_face', verdict\n"
        "print(sorted({'torch', 'scipy', 'sklearn', 'jaxtyping'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(bundle)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_crops_are_those_of_preparation(
    predictor: safas.Predictor,
    bundle: Path,
    tmp_path: Path,
    write_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`prepare` with the bundle's detector and rule writes the bytes that the predictor feeds to the network."""
    rng = np.random.default_rng(0)
    frames = [np.roll(PHOTO, int(shift), axis=1) for shift in rng.integers(-12, 12, 9)]
    write_video(tmp_path / "videos" / "clip.mp4", frames)
    row = dict.fromkeys(SAMPLES, "x") | {"dataset": "d", "video": "v", "path": "clip.mp4", "media": "video"}
    samples = pl.DataFrame([row | {"split": "dev", "label": "live", "attack": "none"}])
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(bundle / "face_detector.onnx"))
    how = predictor.bundle.crop
    config = PrepareConfig(
        size=how.size, margin=how.margin, align=how.align, frames=2, detector="yunet", workers=1
    )
    prepare(samples, tmp_path / "videos", tmp_path / "out", config, progress=False)
    kept = sorted((tmp_path / "out" / "crops").rglob("*.png"), key=lambda path: int(path.stem))
    wanted = np.stack([cv2.imread(str(path))[:, :, ::-1] for path in kept])
    seen = predictor.crops([frame.image for frame in evenly_spaced(tmp_path / "videos" / "clip.mp4", 2)])
    assert np.array_equal(seen.images, wanted)


@pytest.mark.parametrize("shape", [(90, 90), (90, 90, 1), (90, 90, 4), (0, 90, 3), (90,)])
def test_arrays_that_are_no_rgb_images_are_refused(
    predictor: safas.Predictor, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="Give uint8 RGB"):
        predictor(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="float64"):
        predictor(np.zeros((90, 90, 3)))


def test_a_broken_video_says_so(
    predictor: safas.Predictor, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    whole = write_video(tmp_path / "clip.mp4", [PHOTO] * 5)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(MediaError, match="cut off"):
        predictor(tmp_path / "cut.mp4")
    with pytest.raises(MediaError, match="no such file"):
        predictor(tmp_path / "none.mp4")
