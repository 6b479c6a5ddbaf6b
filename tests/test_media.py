"""Real files, encoded on the spot: the frames that come back, the way up, and what is refused."""

import math
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from conftest import Write
from safas import media
from safas.errors import InputError, MediaError
from safas.media import evenly_spaced

KINDS = [
    ("a.mp4", "libx264"),
    ("a.avi", "mjpeg"),
    ("a.mov", "mjpeg"),
    ("a.mkv", "libx264"),
    ("b.avi", "libx264"),
]


def grey(i: int) -> np.ndarray:
    """Frame i of a clip that counts in grey: level 20 (i + 1)."""
    return np.full((48, 64, 3), 20 * (i + 1), np.uint8)


def number(image: np.ndarray) -> int:
    """Which frame of the counting clip this is."""
    return round(float(image.mean()) / 20) - 1


@pytest.fixture(scope="module")
def noise() -> list[np.ndarray]:
    """Frames that do not compress, so that a share of the bytes is a share of the frames."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(12)]


@pytest.mark.parametrize(("name", "codec"), [*KINDS, ("a.ts", "libx264")])
def test_the_middles_of_equal_parts(tmp_path: Path, write_video: Write, name: str, codec: str) -> None:
    """10 frames, 4 parts of 2.5: the middles 1.25, 3.75, 6.25, 8.75 round down to 1, 3, 6, 8."""
    path = write_video(tmp_path / name, [grey(i) for i in range(10)], codec=codec)
    frames = evenly_spaced(path, 4)
    assert [frame.index for frame in frames] == [1, 3, 6, 8]
    assert [number(frame.image) for frame in frames] == [1, 3, 6, 8]
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    # 15 frames a second; Matroska keeps whole milliseconds
    assert [frame.timestamp_s for frame in frames] == pytest.approx(
        [1 / 15, 3 / 15, 6 / 15, 8 / 15], abs=2e-3
    )


def test_every_count_of_frames(tmp_path: Path, write_video: Write) -> None:
    """Against the rule in exact fractions; more frames than there are give all of them."""
    path = write_video(tmp_path / "a.mp4", [grey(i) for i in range(10)])
    for k in range(1, 10):
        expected = [math.floor((i + Fraction(1, 2)) * 10 / k) for i in range(k)]
        assert [frame.index for frame in evenly_spaced(path, k)] == expected
    assert [frame.index for frame in evenly_spaced(path, 25)] == list(range(10))


def test_colours_survive(tmp_path: Path, write_video: Write) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    path = write_video(tmp_path / "a.mp4", [np.full((48, 64, 3), colour, np.uint8) for colour in colours])
    for frame, colour in zip(evenly_spaced(path, 3), colours, strict=True):
        assert np.abs(frame.image.astype(int) - colour).max() <= 6


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mov", "mjpeg")])
def test_upright_in_every_orientation(
    tmp_path: Path, write_video: Write, degrees: int, flips: tuple[bool, bool], name: str, codec: str
) -> None:
    """Four grey quarters, turned counter-clockwise, then mirrored: NumPy says what must come out."""
    stored = np.kron([[30, 90], [150, 210]], np.ones((24, 32))).astype(np.uint8)[..., None].repeat(3, 2)
    path = write_video(tmp_path / name, [stored] * 2, codec=codec, display=(degrees, *flips))
    expected = np.rot90(stored, degrees // 90)
    expected = expected[:, ::-1] if flips[0] else expected
    expected = expected[::-1] if flips[1] else expected
    shown = evenly_spaced(path, 1)[0].image
    assert shown.shape == expected.shape
    assert shown.flags.c_contiguous
    assert np.abs(shown.astype(int) - expected).mean() < 3


X265 = {"x265-params": "log-level=none:keyint=12:min-keyint=12:open-gop=1:bframes=3"}
GROUPS = {"g": "12", "keyint_min": "12", "sc_threshold": "0"}
LONG = {  # name: file, encoder, its options, pixel format
    "H.264 with B frames": ("a.mp4", "libx264", {**GROUPS, "bf": "3", "b_strategy": "0"}, "yuv420p"),
    "without": ("a.avi", "libx264", {**GROUPS, "tune": "zerolatency"}, "yuv420p"),
    "open groups": (
        "a.mov",
        "libx264",
        {"x264-params": "open-gop=1:keyint=12:scenecut=0:bframes=3"},
        "yuv420p",
    ),
    "open groups in Matroska": (
        "a.mkv",
        "libx264",
        {"x264-params": "open-gop=1:keyint=12:bframes=3"},
        "yuv420p",
    ),
    "10 bit": ("b.mkv", "libx264", {**GROUPS, "bf": "2"}, "yuv420p10le"),
    "HEVC": ("b.mp4", "libx265", X265, "yuv420p"),
    "MPEG-4 Part 2": ("b.avi", "mpeg4", {**GROUPS, "b": "400k"}, "yuv420p"),
    "MPEG-4 Part 2 with B frames": ("c.mp4", "mpeg4", {**GROUPS, "bf": "2", "b": "400k"}, "yuv420p"),
    "Motion JPEG": ("c.avi", "mjpeg", {}, "yuvj420p"),
    "Motion JPEG in QuickTime": ("b.mov", "mjpeg", {}, "yuvj420p"),
}
ODD = {  # what has to be decoded from end to end
    "AVI with B frames": ("d.avi", "libx264", {**GROUPS, "bf": "3", "b_strategy": "0"}, "yuv420p"),
    "a refresh that rolls": (
        "d.mp4",
        "libx264",
        {"x264-params": "intra-refresh=1:keyint=12:scenecut=0"},
        "yuv420p",
    ),
    "one group": ("e.mp4", "libx264", {"g": "250", "sc_threshold": "0"}, "yuv420p"),
    "interlaced": ("f.mp4", "libx264", {**GROUPS, "x264-params": "interlaced=1"}, "yuv420p"),
    "VP9": ("e.mkv", "libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}, "yuv420p"),
    "a transport stream": ("a.ts", "libx264", GROUPS, "yuv420p"),
}
STEPS = {"even": [1] * 60, "uneven": [1, 3, 2, 7, 1, 1] * 10}  # in 1/30 s


def encode(path: Path, codec: str, options: dict[str, str], form: str, steps: list[int]) -> Path:
    """A film of 60 frames: a gradient that moves by a pixel a frame, and a patch of noise."""
    rng = np.random.default_rng(4)
    wide = np.add.outer(2 * np.arange(48), 2 * np.arange(140)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt, time = 48, 64, form, 0
        for i, step in enumerate(steps):
            image = np.stack([wide[:, i : i + 64], wide[:, 60 - i : 124 - i], wide[:, :64]], 2)
            image[8:24, 8:24] = rng.integers(0, 256, (16, 16, 3))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base, time = time, Fraction(1, 30), time + step
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def assert_as_decoded_whole(path: Path, k: int) -> None:
    """Against PyAV's plain loop over all frames: index, time (to the last digit) and every pixel."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        images = [frame.to_ndarray(format="rgb24") for frame in frames]
    picked = evenly_spaced(path, k)
    assert [frame.index for frame in picked] == [math.floor((i + Fraction(1, 2)) * 60 / k) for i in range(k)]
    times = [frame.time - frames[0].time for frame in frames]
    if sorted(times) == times:  # H.264 with B frames has none in AVI
        assert [frame.timestamp_s for frame in picked] == [times[frame.index] for frame in picked]
    assert len(frames) == 60
    for frame in picked:
        assert np.array_equal(frame.image, images[frame.index])


@pytest.mark.parametrize(
    ("kind", "steps"),
    # AVI has one frame rate for all frames
    [
        (kind, steps)
        for kind in LONG
        for steps in STEPS
        if steps == "even" or not LONG[kind][0].endswith(".avi")
    ],
)
def test_a_part_decodes_to_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, steps: str
) -> None:
    """In groups of 12, the middles of 1 to 4 parts; never by decoding the whole."""
    name, codec, options, form = LONG[kind]
    path = encode(tmp_path / name, codec, options, form, STEPS[steps])
    monkeypatch.setattr(media, "_decode", lambda *_: pytest.fail("the whole was decoded"))
    for k in (1, 2, 3, 4):
        assert_as_decoded_whole(path, k)


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_picked_from_is_decoded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name, codec, options, form = ODD[kind]
    path = encode(tmp_path / name, codec, options, form, STEPS["even"])
    whole, calls = media._decode, []
    monkeypatch.setattr(media, "_decode", lambda *given: calls.append(given) or whole(*given))
    for k in (1, 4, 30):
        assert_as_decoded_whole(path, k)
    assert len(calls) >= 2


def test_every_frame_of_groups_that_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame alone, also those shown before the key frame that they need but stored behind it."""
    name, codec, options, form = LONG["open groups"]
    path = encode(tmp_path / name, codec, options, form, STEPS["even"])
    with av.open(str(path)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    monkeypatch.setattr(media, "_WHOLE_FROM", 2)
    monkeypatch.setattr(media, "_decode", lambda *_: pytest.fail("the whole was decoded"))
    for i, image in enumerate(images):
        monkeypatch.setattr(media, "middles", lambda *_, i=i: {i})
        (frame,) = evenly_spaced(path, 1)
        assert np.array_equal(frame.image, image)


def test_a_part_is_turned_upright_too(tmp_path: Path, write_video: Write) -> None:
    """A Motion JPEG of 8 frames stored on its side: the frame picked is the one among all."""
    path = write_video(
        tmp_path / "a.mov", [grey(i) for i in range(8)], codec="mjpeg", display=(90, False, False)
    )
    (frame,), every = evenly_spaced(path, 1), evenly_spaced(path, 8)
    assert frame.image.shape == (64, 48, 3)
    assert number(frame.image) == 4
    assert np.array_equal(frame.image, every[4].image)


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path, write_video: Write) -> None:
    """Re-muxed to start at its fourth frame, a clip of 10 shows 7, though all are needed to decode them."""
    whole = write_video(tmp_path / "whole.mp4", [grey(i) for i in range(10)])
    path = tmp_path / "trimmed.mp4"
    with (
        av.open(str(whole)) as old,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                shift = round(3 / 15 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                new.mux(packet)
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) > 7
    frames = evenly_spaced(path, 7)
    assert [frame.index for frame in frames] == list(range(7))
    assert [number(frame.image) for frame in frames] == list(range(3, 10))


def test_an_image_is_its_own_frame(tmp_path: Path, noise: list[np.ndarray]) -> None:
    path = tmp_path / "face.png"
    path.write_bytes(cv2.imencode(".png", noise[0][:, :, ::-1])[1].tobytes())
    (frame,) = evenly_spaced(path, 4)
    assert (frame.index, frame.timestamp_s) == (0, 0.0)
    assert np.array_equal(frame.image, noise[0])


def test_the_exif_orientation_of_an_image(tmp_path: Path) -> None:
    """Orientation 6: the camera was turned, the picture must be turned clockwise by 90 degrees."""
    stored = np.kron([[30, 90], [150, 210]], np.ones((24, 32))).astype(np.uint8)[..., None].repeat(3, 2)
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    tiff = b"MM\0\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    shown = evenly_spaced(path, 1)[0].image
    expected = np.rot90(stored, -1)
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [(name, codec, {}) for name, codec in KINDS]
    + [
        ("fast.mp4", "libx264", {"movflags": "+faststart"}),
        ("fast.mov", "mjpeg", {"movflags": "+faststart"}),
        ("parts.mp4", "mjpeg", {"movflags": "+frag_every_frame+empty_moov"}),
    ],
)
def test_a_cut_video_is_refused(
    tmp_path: Path,
    write_video: Write,
    noise: list[np.ndarray],
    name: str,
    codec: str,
    options: dict[str, str],
    share: float,
) -> None:
    """Each container, cut at several places: with its index in front the first frames would still decode."""
    path = write_video(tmp_path / name, noise, codec=codec, **options)
    assert len(evenly_spaced(path, 12)) == 12
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(MediaError, match="cut off") as caught:
        evenly_spaced(path, 4)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_between_two_frames_is_refused(
    tmp_path: Path, write_video: Write, noise: list[np.ndarray]
) -> None:
    """Every frame that is left decodes, so that only the announced length tells."""
    path = write_video(tmp_path / "a.avi", noise, codec="mjpeg")
    with av.open(str(path)) as container:
        seventh = [packet.pos for packet in container.demux(video=0) if packet.size][6]
    path.write_bytes(path.read_bytes()[:seventh])
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 6
    with pytest.raises(MediaError, match="cut off: the container announces"):
        evenly_spaced(path, 4)


def test_a_cut_in_the_head_of_a_fragment_is_refused(
    tmp_path: Path, write_video: Write, noise: list[np.ndarray]
) -> None:
    """What is left of an MP4 in fragments decodes without a word."""
    path = write_video(
        tmp_path / "a.mp4", noise, codec="mjpeg", movflags="+frag_every_frame+empty_moov+default_base_moof"
    )
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moof", 0, len(data) // 2) + 20])
    with av.open(str(path)) as container:
        assert 0 < len(list(container.decode(video=0))) < 12
    with pytest.raises(MediaError, match="cut off: the container announces"):
        evenly_spaced(path, 4)


def test_a_gap_in_a_stream_is_refused(tmp_path: Path, write_video: Write, noise: list[np.ndarray]) -> None:
    """A transport stream that lost one of its packets of 188 bytes, and one that ends in a frame."""
    path = write_video(tmp_path / "a.ts", noise)
    data = path.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    film = [i for i, packet in enumerate(packets) if packet[1] & 0x1F == 1 and packet[2] == 0]  # PID 256
    del packets[film[len(film) // 2]]
    path.write_bytes(b"".join(packets))
    with pytest.raises(MediaError, match="cut off or damaged at packet"):
        evenly_spaced(path, 4)
    path.write_bytes(data[: film[len(film) * 3 // 4] * 188])
    with pytest.raises(MediaError, match="damaged"):
        evenly_spaced(path, 4)


def test_a_frame_that_ffmpeg_calls_corrupt_is_refused(
    tmp_path: Path, write_video: Write, noise: list[np.ndarray]
) -> None:
    """200 bytes are wiped out at one place after another; at some of them FFmpeg notices."""
    path = write_video(tmp_path / "a.avi", noise * 2, codec="libx264")
    data, corrupt = path.read_bytes(), 0
    for start in range(len(data) // 10, len(data) * 9 // 10, len(data) // 16):
        path.write_bytes(data[:start] + bytes(200) + data[start + 200 :])
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1  # several find now this, now that error
            noticed = any(frame.is_corrupt for frame in container.decode(video=0))
        if noticed:
            corrupt += 1
            with pytest.raises(MediaError, match=r"frame \d+ is damaged"):
                evenly_spaced(path, 1)
    assert corrupt


def test_damage_is_seen_where_it_is_decoded(
    tmp_path: Path, write_video: Write, noise: list[np.ndarray]
) -> None:
    """Of 12 frames of Motion JPEG the middle one is frame 6. Zeros in its packet are refused, in others not seen."""
    path = write_video(tmp_path / "a.avi", noise, codec="mjpeg")
    data, (sound,) = path.read_bytes(), evenly_spaced(path, 1)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    places = [(data.index(packet), len(packet)) for packet in packets]
    for i, (start, size) in enumerate(places):
        path.write_bytes(data[:start] + bytes(size) + data[start + size :])
        if i == 6:
            with pytest.raises(MediaError, match="damaged"):
                evenly_spaced(path, 1)
        else:
            (frame,) = evenly_spaced(path, 1)
            assert frame.index == 6
            assert np.array_equal(frame.image, sound.image)


def test_a_damaged_stream_is_refused(tmp_path: Path, write_video: Write, noise: list[np.ndarray]) -> None:
    path = write_video(tmp_path / "a.mp4", noise)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 4] = b"\xff" * (len(data) // 4)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="damaged"):
        evenly_spaced(path, 4)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_cut_image_is_refused(tmp_path: Path, noise: list[np.ndarray], suffix: str) -> None:
    path = tmp_path / f"face{suffix}"
    data = cv2.imencode(suffix, noise[0])[1].tobytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="damaged or cut off"):
        evenly_spaced(path, 1)


def test_what_is_no_video(tmp_path: Path) -> None:
    empty, text, sound = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "sound.mp4"
    empty.write_bytes(b"")
    text.write_text("this is no video\n" * 100)
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    reasons = {
        empty: "empty",
        text: "not a readable video",
        sound: "no video stream",
        tmp_path / "none.mp4": "no such",
        tmp_path: "no such",
    }
    for path, reason in reasons.items():
        with pytest.raises(MediaError, match=reason) as caught:
            evenly_spaced(path, 4)
        assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile 'real.mp4'\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nreal.ts\n#EXT-X-ENDLIST\n"),
        ("poem.txt", "FFmpeg draws text\n" * 50),
    ],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, write_video: Write, name: str, text: str) -> None:
    for suffix in ("mp4", "ts"):
        write_video(tmp_path / f"real.{suffix}", [grey(i) for i in range(4)])
    assert len(evenly_spaced(tmp_path / "real.ts", 4)) == 4
    (tmp_path / name).write_text(text)
    with pytest.raises(MediaError, match="not a readable video"):
        evenly_spaced(tmp_path / name, 1)


def test_a_codec_that_ffmpeg_does_not_know(tmp_path: Path, write_video: Write) -> None:
    path = write_video(tmp_path / "a.avi", [grey(i) for i in range(4)], codec="mjpeg")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"WXYZ"))
    with pytest.raises(MediaError, match=r"a\.avi: a codec that FFmpeg does not know. Convert it"):
        evenly_spaced(path, 4)


def test_no_frame_is_no_request(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 frames"):
        evenly_spaced(tmp_path / "a.mp4", 0)
