"""A real bundle, real faces: every kind of input, the same crops as preparation, no torch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from skimage import data

import safas
from safas.errors import BundleError, InputError, MediaError
from safas.media import evenly_spaced
from safas.policy import fused, judged
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


def test_two_faces_are_told_of_and_the_larger_is_judged(predictor: safas.Predictor) -> None:
    """The photograph, and beside it the same at 60 %: the verdict is that of the photograph alone, with a note."""
    small = cv2.resize(PHOTO, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    beside = np.zeros((320, small.shape[1], 3), np.uint8)
    beside[: small.shape[0]] = small
    alone, both = predictor(PHOTO), predictor(np.concatenate([PHOTO, beside], axis=1))
    assert [reason.code for reason in both.reasons] == [alone.reasons[0].code, "several_faces"]
    assert "2 faces" in both.reasons[1].text
    assert both.box is not None
    assert both.box.x + both.box.w < 320


def test_no_face_is_no_score(predictor: safas.Predictor) -> None:
    verdict = predictor([np.full((120, 160, 3), 90, np.uint8)] * 3)
    assert (verdict.label, verdict.score, verdict.box, verdict.frames_used) == ("no_face", None, None, 0)
    assert [reason.code for reason in verdict.reasons] == ["no_face"]
    assert verdict.frame_scores == (None, None)
    json.dumps(verdict.to_dict())


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_clip_on_its_head_or_its_side_is_turned(predictor: safas.Predictor, turns: int) -> None:
    """A quarter turn counter-clockwise is undone by 90 degrees clockwise: the same pixels, so the same verdict."""
    upright, other = predictor([PHOTO] * 2), predictor([np.rot90(PHOTO, turns)] * 2)
    assert other.rotation == 90 * turns
    assert other.score == upright.score
    assert "turned" in [reason.code for reason in other.reasons]


def test_a_portrait_video_stays_upright(
    predictor: safas.Predictor, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    """As phones write it: stored lying, with the container saying how to turn it. The face is found where it stood."""
    lying = np.ascontiguousarray(np.rot90(PHOTO[:, :240], -1))
    stored = write_video(tmp_path / "phone.mp4", [lying] * 4, display=(90, False, False))
    seen, wanted = predictor(stored), predictor(PHOTO[:, :240])
    assert seen.rotation == 0
    assert seen.box is not None
    assert wanted.box is not None
    assert (seen.box.x, seen.box.y) == pytest.approx((wanted.box.x, wanted.box.y), abs=6)


def test_a_face_in_too_few_frames_is_no_ground(predictor: safas.Predictor) -> None:
    """The bundle looks at 2 frames and needs half of them: 1 of 2 is enough; of a policy of all, 1 of 2 is not."""
    blank = np.zeros_like(PHOTO)
    assert "too_few_faces" not in [reason.code for reason in predictor([PHOTO, blank]).reasons]
    strict = predictor.bundle.model_copy(
        update={"policy": predictor.bundle.policy.model_copy(update={"least_share": 1.0})}
    )
    reason = judged(score=1.0, used=1, frames=2, nearest=("north", 0.0), model=predictor.model, bundle=strict)
    assert (reason[0], reason[1].code) == ("unsure", "too_few_faces")


@pytest.mark.parametrize(
    ("score", "label", "text"),
    [
        (0.00129, "spoof", "score 0.00129; spoof below 0.00130"),  # 0.001 and 0.001 with three digits
        (0.00131, "unsure", "score 0.00131; spoof below 0.00130, live from 0.99951 on"),
        (0.9996, "live", "score 0.9996; live from 0.9995 on"),
        (0.5, "unsure", "score 0.500; spoof below 0.001, live from 1.000 on"),
        (0.99951, "live", "score 1.000; live from 1.000 on"),  # the same number
    ],
)
def test_a_reason_has_digits_enough_to_be_true(
    predictor: safas.Predictor, score: float, label: str, text: str
) -> None:
    band = predictor.model.band.model_copy(update={"deny_below": 0.0013, "pass_at": 0.99951})
    model = predictor.model.model_copy(update={"band": band})
    said = judged(score=score, used=2, frames=2, nearest=("north", 0.0), model=model, bundle=predictor.bundle)
    assert (said[0], said[1].text) == (label, text)


def test_threads_share_a_predictor(predictor: safas.Predictor) -> None:
    """Eight at once on different pictures get what each gets alone: a detector holds the size of its last image."""
    pictures = [np.ascontiguousarray(PHOTO[: 320 - 8 * i]) for i in range(8)]
    alone = [predictor(picture).score for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = [verdict.score for verdict in pool.map(predictor, pictures * 3)]
    assert together == alone * 3


def test_the_verdict_follows_the_thresholds(predictor: safas.Predictor) -> None:
    band, limit = predictor.model.band, predictor.model.distance_limit
    ask = partial(judged, used=2, frames=2, model=predictor.model, bundle=predictor.bundle)
    assert ask(score=band.pass_at, nearest=("north", limit))[0] == "live"
    assert ask(score=np.nextafter(band.deny_below, 0), nearest=("north", limit))[0] == "spoof"
    label, reason = ask(score=1.0, nearest=("north", limit * 1.001))
    assert (label, reason.code) == ("unsure", "unfamiliar")
    between = predictor.model.model_copy(
        update={"band": band.model_copy(update={"pass_at": 0.8, "deny_below": 0.2})}
    )
    for score, wanted in ((0.8, "live"), (0.79, "unsure"), (0.2, "unsure"), (0.19, "spoof")):
        assert ask(score=score, nearest=("north", 0.0), model=between)[0] == wanted


def test_the_score_is_the_mean_logit(predictor: safas.Predictor) -> None:
    """Frame scores 0.9 and 0.5: logits ln 9 and 0, mean ln 3, so 3/4. The mean of the scores would be 0.7."""
    assert fused([0.9, 0.5]) == pytest.approx(0.75)
    bright = np.clip(PHOTO.astype(int) + 60, 0, 255).astype(np.uint8)
    seen = predictor([PHOTO, bright])
    assert seen.score == pytest.approx(fused([score for score in seen.frame_scores if score is not None]))


def test_another_detector_is_refused(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle without a detector of its own takes the machine's only if it is the very file."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "face_detector.onnx").rename(tmp_path / "detector.onnx")
    said = json.loads((copy / "bundle.json").read_text())
    del said["files"]["face_detector.onnx"]
    (copy / "bundle.json").write_text(json.dumps(said))
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(tmp_path / "detector.onnx"))
    assert safas.Predictor(copy)(PHOTO).score is not None
    with (tmp_path / "detector.onnx").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BundleError, match="another face detector"):
        safas.Predictor(copy)


def test_a_detector_that_is_changed_later_is_not_used(bundle: Path, tmp_path: Path) -> None:
    """The bytes that were checked are those that every thread's detector is made of, also one that begins later."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    predictor = safas.Predictor(copy)
    wanted = predictor(PHOTO).score
    (copy / "face_detector.onnx").write_bytes(b"something else")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(predictor, PHOTO).result().score == wanted


def test_what_a_predictor_cannot_have(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no NoSuchProvider"):
        safas.Predictor(bundle, providers=["NoSuchProvider"])
    copy = shutil.copytree(bundle, tmp_path / "copy")
    said = json.loads((copy / "bundle.json").read_text())
    del said["models"]["int8"]
    (copy / "bundle.json").write_text(json.dumps(said))
    with pytest.raises(BundleError, match="no int8 model"):
        safas.Predictor(copy, precision="int8")
    assert safas.Predictor(bundle, precision="int8")(PHOTO).threshold == said_threshold(bundle, "int8")


def said_threshold(bundle: Path, precision: str) -> float:
    return float(json.loads((bundle / "bundle.json").read_text())["models"][precision]["threshold"])


@pytest.mark.parametrize("shape", [(90, 90), (90, 90, 1), (90, 90, 4), (0, 90, 3), (90,)])
def test_arrays_that_are_no_rgb_images_are_refused(
    predictor: safas.Predictor, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="Give uint8 RGB"):
        predictor(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="float64"):
        predictor(np.zeros((90, 90, 3)))
    for nothing in (None, 0.5, [PHOTO, None]):
        with pytest.raises(InputError, match=r"NoneType|float"):
            predictor(nothing)  # type: ignore[arg-type]


def test_a_broken_video_says_so(
    predictor: safas.Predictor, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    whole = write_video(tmp_path / "clip.mp4", [PHOTO] * 5)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(MediaError, match="cut off"):
        predictor(tmp_path / "cut.mp4")
    with pytest.raises(MediaError, match="no such file"):
        predictor(tmp_path / "none.mp4")
