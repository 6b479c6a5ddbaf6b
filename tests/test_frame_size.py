"""Frames beyond the limit are refused before they are unfolded: by their header, as OpenCV and FFmpeg write it."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from conftest import Write
from safas.errors import InputError, MediaError
from safas.frame_size import MOST_PIXELS, VARIABLE, most_pixels
from safas.media import decoded_image, evenly_spaced

WIDTH, HEIGHT = 37, 23
PICTURE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
SEEN_THROUGH = np.dstack([PICTURE, PICTURE[:, :, 0]])
KINDS = {
    "png": (".png", PICTURE, ()),
    "jpeg": (".jpg", PICTURE, ()),
    "progressive jpeg": (".jpg", PICTURE, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "bmp": (".bmp", PICTURE, ()),
    "gif": (".gif", PICTURE, ()),
    "lossy webp": (".webp", PICTURE, (cv2.IMWRITE_WEBP_QUALITY, 80)),
    "lossless webp": (".webp", PICTURE, (cv2.IMWRITE_WEBP_QUALITY, 101)),
    "webp with alpha": (".webp", SEEN_THROUGH, (cv2.IMWRITE_WEBP_QUALITY, 80)),
    "tiff": (".tiff", PICTURE, ()),
}


def written(kind: str) -> np.ndarray:
    suffix, picture, options = KINDS[kind]
    return cv2.imencode(suffix, picture, options)[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_measured_by_its_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """37 x 23 = 851 pixels: with 851 allowed it decodes, with 850 it does not."""
    data = written(kind)
    monkeypatch.setenv(VARIABLE, "851")
    assert decoded_image(data, "here").shape == (HEIGHT, WIDTH, 3)
    monkeypatch.setenv(VARIABLE, "850")
    with pytest.raises(MediaError, match=r"the limit of 0.00085 million.*SAFAS_MAX_PIXELS="):
        decoded_image(data, "here")


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.avi", "mjpeg"), ("a.webm", "libvpx-vp9"), ("a.ts", "libx264")],
)
def test_a_video_is_measured_by_its_header(
    name: str, codec: str, tmp_path: Path, write_video: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 x 48 = 3,072 pixels."""
    clip = write_video(tmp_path / name, [np.full((48, 64, 3), 90, np.uint8)] * 3, codec=codec)
    monkeypatch.setenv(VARIABLE, "3072")
    assert len(evenly_spaced(clip, 2)) == 2
    monkeypatch.setenv(VARIABLE, "3071")
    with pytest.raises(MediaError, match=r"a frame of .* limit (is|of) 0.003071 million.*SAFAS_MAX_PIXELS="):
        evenly_spaced(clip, 2)


def test_a_video_that_grows_on_the_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Motion JPEG whose first frames have the 64 x 48 pixels of its header, and whose last has 96 x 64 = 6,144."""
    with av.open(str(tmp_path / "grows.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i, (width, height) in enumerate([(64, 48)] * 3 + [(96, 64)]):
            jpeg = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1]
            packet = av.Packet(jpeg.tobytes())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 5)
            container.mux(packet)
    frames = evenly_spaced(tmp_path / "grows.avi", 4)
    assert [frame.image.shape[:2] for frame in frames] == [(48, 64)] * 3 + [(64, 96)]
    monkeypatch.setenv(VARIABLE, "6143")
    with pytest.raises(MediaError):
        evenly_spaced(tmp_path / "grows.avi", 4)


def bomb(path: Path) -> Path:
    """8,192 x 8,192 grey pixels, in a PNG or in a video."""
    grey = np.full((8192, 8192), 90, np.uint8)
    if path.suffix == ".png":
        cv2.imwrite(str(path), grey)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=5)
        stream.width, stream.height, stream.pix_fmt = 8192, 8192, "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        container.mux(stream.encode())
    return path


_LOOK = """
import resource, sys
from pathlib import Path
from safas.errors import MediaError
from safas.media import evenly_spaced
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    evenly_spaced(Path(sys.argv[1]), 4)
except MediaError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, "MB")
"""


@pytest.mark.parametrize("name", ["bomb.png", "bomb.mov"])
@pytest.mark.skipif(sys.platform == "win32", reason="the module `resource` is of Unix")
def test_a_bomb_is_not_unfolded(name: str, tmp_path: Path) -> None:
    """67 million pixels in less than 500 kB would take 67 MB as they are, and 201 MB as RGB; 30 are allowed."""
    path = bomb(tmp_path / name)
    assert path.stat().st_size < 500_000
    said, grown = subprocess.run(
        [sys.executable, "-c", _LOOK, str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "pixels" in said
    assert "50 million" in said
    assert int(grown.split()[0]) * (1 if sys.platform == "linux" else 1 / 1024) < 30


def test_the_limit_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert most_pixels() == MOST_PIXELS
    for wrong in ("many", "-1", "0", "1.5"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(InputError, match="no number of pixels"):
            most_pixels()
