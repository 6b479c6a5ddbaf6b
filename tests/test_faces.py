"""Crops against plain slicing, padding and block means; the detector on a real photograph."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.feature import Cascade

from safas import faces
from safas.errors import InputError
from safas.faces import Box, YuNet, aligned_crop, square_crop, yunet_weights


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector(yunet_file: Path) -> YuNet:
    return YuNet(yunet_file)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut())


def test_a_crop_of_its_own_size_is_a_slice(noise: np.ndarray) -> None:
    """Box 16 x 8 at (20, 30), margin 1/4: side 16 * 1.5 = 24 around (28, 34): columns 16-39, rows 22-45."""
    crop = square_crop(noise, Box(20, 30, 16, 8), margin=0.25, size=24)
    assert np.array_equal(crop, noise[22:46, 16:40])


@pytest.mark.parametrize(("x", "y"), [(-6, -4), (72, 50), (-6, 50), (74, 20)])
def test_outside_the_frame_the_border_is_repeated(noise: np.ndarray, x: int, y: int) -> None:
    padded = np.pad(noise, ((30, 30), (30, 30), (0, 0)), mode="edge")
    crop = square_crop(noise, Box(x, y, 12, 12), margin=0.5, size=24)
    assert np.array_equal(crop, padded[y - 6 + 30 : y + 18 + 30, x - 6 + 30 : x + 18 + 30])


def test_shrinking_takes_the_mean_of_blocks(noise: np.ndarray) -> None:
    """Side 32 to size 8: each pixel is the mean of 4 x 4."""
    crop = square_crop(noise, Box(10, 10, 32, 32), margin=0.0, size=8)
    blocks = noise[10:42, 10:42].astype(float).reshape(8, 4, 8, 4, 3).mean((1, 3))
    assert np.abs(crop - blocks).max() <= 0.5


def test_shrinking_does_not_alias() -> None:
    """A checkerboard of single pixels becomes even grey, not a coarser pattern."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    crop = square_crop(board, Box(0, 0, 64, 64), margin=0.0, size=16)
    assert np.ptp(crop) == 0
    assert 127 <= crop[0, 0, 0] <= 128


def test_enlarging_keeps_the_range(noise: np.ndarray) -> None:
    crop = square_crop(noise, Box(10, 10, 8, 8), margin=0.0, size=32)
    assert crop.shape == (32, 32, 3)
    source = noise[10:18, 10:18]
    assert crop.min() >= source.min()
    assert crop.max() <= source.max()


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Box(1, 1, 0, 5), "no area"),
        (Box(1, 1, 5, -1), "no area"),
        (Box(float("nan"), 1, 5, 5), "no area"),
        (Box(80, 1, 5, 5), "outside"),
        (Box(1, -9, 5, 9), "outside"),
        (Box(0, 0, 1e9, 1e9), "far larger"),
    ],
)
def test_an_impossible_box(noise: np.ndarray, box: Box, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        square_crop(noise, box, margin=0.1, size=16)
    with pytest.raises(InputError, match=reason):
        aligned_crop(noise, box, np.zeros((5, 2)), margin=0.1, size=16)


def points(right_eye: tuple[float, float], left_eye: tuple[float, float]) -> np.ndarray:
    return np.array([right_eye, left_eye, (0, 0), (0, 0), (0, 0)], np.float64)


def test_a_level_face_is_not_turned(noise: np.ndarray) -> None:
    box = Box(20, 20, 20, 20)
    eyes = points((25.0, 27.0), (35.0, 27.0))
    straight = square_crop(noise, box, margin=0.1, size=24)
    assert np.array_equal(aligned_crop(noise, box, eyes, margin=0.1, size=24), straight)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_is_turned_back(noise: np.ndarray, turns: int) -> None:
    """The frame turned counter-clockwise by 90 degrees, eyes and box with it, gives the crop of the level face.

    A turn takes the point (x, y) of a frame of width W to (y, W - x).
    """
    level, eyes = (20.0, 16.0, 40.0, 36.0), [(25.0, 23.0), (35.0, 23.0)]
    expected = square_crop(noise, Box(20, 16, 20, 20), margin=0.1, size=24)
    image, corners = noise, [level[:2], level[2:]]
    for _ in range(turns):
        width = image.shape[1]
        image = np.ascontiguousarray(np.rot90(image))
        corners = [(y, width - x) for x, y in corners]
        eyes = [(y, width - x) for x, y in eyes]
    left, top = np.min(corners, 0)
    crop = aligned_crop(image, Box(left, top, 20, 20), points(*eyes), margin=0.1, size=24)
    assert np.abs(crop.astype(int) - expected).max() <= 1


def test_tilted_eyes_come_to_lie_level() -> None:
    """Two bright dots on a slope of 3 in 4: level afterwards, and their distance of 25 pixels is kept."""
    image = np.zeros((100, 100, 3), np.uint8)
    cv2.circle(image, (40, 40), 2, (255, 255, 255), -1)
    cv2.circle(image, (60, 55), 2, (255, 255, 255), -1)
    crop = aligned_crop(image, Box(30, 30, 40, 40), points((40.5, 40.5), (60.5, 55.5)), margin=0.0, size=40)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    left = columns < columns.mean()
    assert rows[left].mean() == pytest.approx(rows[~left].mean(), abs=0.5)
    assert columns[~left].mean() - columns[left].mean() == pytest.approx(25, abs=0.7)


def test_a_real_face_is_found(detector: YuNet, astronaut: np.ndarray) -> None:
    """The surest face is where scikit-image's own cascade sees one, and its five points are in order."""
    cascade = Cascade(data.lbp_frontal_face_cascade_filename())
    seen = cascade.detect_multi_scale(
        img=astronaut, scale_factor=1.2, step_ratio=1, min_size=(60, 60), max_size=(123, 123)
    )[0]
    (face,) = detector.detect(astronaut)
    x, y = seen["c"] + seen["width"] / 2, seen["r"] + seen["height"] / 2
    assert abs(face.box.x + face.box.w / 2 - x) < 0.25 * seen["width"]
    assert abs(face.box.y + face.box.h / 2 - y) < 0.25 * seen["height"]
    assert 0.6 <= face.score <= 1
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


def test_boxes_are_in_pixels_of_the_given_image(detector: YuNet, astronaut: np.ndarray) -> None:
    """Three times enlarged (and shrunk inside), mirrored: the box follows."""
    (face,) = detector.detect(astronaut)
    (large,) = detector.detect(cv2.resize(astronaut, None, fx=3, fy=3))
    (mirrored,) = detector.detect(np.ascontiguousarray(astronaut[:, ::-1]))
    assert np.abs(large.landmarks / 3 - face.landmarks).max() < 10
    assert [large.box.x / 3, large.box.w / 3] == pytest.approx([face.box.x, face.box.w], abs=6)
    assert mirrored.box.x == pytest.approx(512 - face.box.x - face.box.w, abs=6)


def test_the_largest_face_comes_first(detector: YuNet, astronaut: np.ndarray) -> None:
    """The photograph beside itself at half its size, on either side; the size may change between calls."""
    half = np.zeros_like(astronaut)
    half[:256, :256] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    for pair in ([astronaut, half], [half, astronaut]):
        large, small = detector.detect(np.hstack(pair))
        assert large.box.w * large.box.h > 2 * small.box.w * small.box.h


def test_no_face(detector: YuNet, noise: np.ndarray) -> None:
    assert detector.detect(noise) == []
    assert detector.detect(np.full((480, 640, 3), 128, np.uint8)) == []


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(InputError, match="SAFAS_FACE_DETECTOR"):
        YuNet(path)


def test_the_variable_names_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.onnx"
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(path))
    with pytest.raises(InputError, match="no such file"):
        yunet_weights()
    path.write_bytes(b"mine")
    assert yunet_weights() == path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and weights that lie in a file instead of on the net."""
    monkeypatch.delenv("SAFAS_FACE_DETECTOR", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    (tmp_path / "net.onnx").write_bytes(b"weights")
    monkeypatch.setattr(faces, "YUNET_URL", (tmp_path / "net.onnx").as_uri())
    # printf weights | sha256sum
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    monkeypatch.setattr(faces, "YUNET_SHA256", digest)
    return tmp_path / "home"


def test_the_download_is_kept(home: Path, tmp_path: Path) -> None:
    path = yunet_weights()
    assert path == home / ".cache" / "safas" / "yunet_n_dynamic.onnx"
    assert path.read_bytes() == b"weights"
    (tmp_path / "net.onnx").unlink()
    assert yunet_weights() == path


def test_a_damaged_copy_is_fetched_anew(home: Path) -> None:
    path = yunet_weights()
    path.write_bytes(b"half")
    assert yunet_weights().read_bytes() == b"weights"


@pytest.mark.parametrize(("content", "reason"), [(b"other", "SHA-256"), (None, "cannot be fetched")])
def test_a_download_that_fails_leaves_nothing(
    home: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    net = tmp_path / "net.onnx"
    net.unlink() if content is None else net.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        yunet_weights()
    assert "SAFAS_FACE_DETECTOR" in caught.value.remedy
    assert not list(home.rglob("*.onnx*"))
