"""From a file to upright frames. The only place that opens a video or an image.

Frames are chosen by a rule without any random number, so that the same file gives the same frames everywhere.
A file that is cut off or damaged is refused as a whole: half a presentation must not pass for one.
"""

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from safas.containers import announced_length
from safas.errors import InputError, MediaError
from safas.frame_size import check_size, most_pixels, unmeasured

Image = npt.NDArray[np.uint8]

# FFmpeg also knows playlists, which make it open other files and addresses, and text drawn as a picture.
_CONTAINERS = {"format_whitelist": "mov,avi,matroska,webm,mpegts,mpeg,asf,flv,ogg,mjpeg"}
_IMAGES = {
    "format_whitelist": "png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif,ppm_pipe,pgm_pipe,pbm_pipe,j2k_pipe"
}

# Each packet of these holds one shown frame (VP8, VP9 and AV1 also have hidden ones).
_ONE_TO_ONE = ("h264", "hevc", "mjpeg", "mpeg4")
_WHOLE_FROM = 0.75  # share of the packets: when as many are needed, all are decoded, and all damage is seen


@dataclass(frozen=True, eq=False)
class Frame:
    """One upright frame: uint8 [H, W, 3] RGB, its index in the decoded stream, seconds since the first."""

    index: int
    timestamp_s: float
    image: Image


@dataclass(frozen=True, eq=False)
class _Decoded:
    images: dict[int, Image]
    times_s: list[float]


class _Entry(NamedTuple):
    """A packet with a frame in it: when the frame is shown (in time base units); whether decoding can start here."""

    pts: int
    is_key: bool


@dataclass(frozen=True, eq=False)
class _Index:
    """A stream's packets in the order of decoding. `is_exact`: each stands for one frame, shown at its `pts`."""

    entries: Sequence[_Entry]
    time_base: Fraction  # seconds
    is_exact: bool


def evenly_spaced(path: Path, k: int) -> list[Frame]:
    """k evenly spaced frames of a video: the middles of k equal parts, floor((i + 1/2) n / k) for i < k.

    n is the number of frames that really decode; all n frames come back when n < k. An image gives itself.
    The container's rotation and mirroring (or the image's EXIF orientation) are applied.

    All packets are read, but only those from the key frames before the wanted frames on are decoded, if these
    are less than 3/4 of an MP4, MOV, AVI or Matroska file in H.264, HEVC, MPEG-4 Part 2 or Motion JPEG that
    times each packet. Anything else is decoded from end to end. The frames are the same to the bit.

    Raises MediaError for a file that is missing, empty, no video, cut off, or damaged so that FFmpeg notices:
    anywhere as far as the container tells, but inside a packet only if it is decoded. (A frame that such unseen
    damage would have cost counts among the n.) And for frames of more pixels than SAFAS_MAX_PIXELS, 50 million unless
    that is set, before one is decoded. InputError for k < 1. What announces no length as a whole (a
    transport stream, an MP4 in fragments) can be cut between two of its parts without a trace.
    """
    if k < 1:
        raise InputError(f"{k} frames were asked for", remedy="Ask for 1 or more.")
    if not path.is_file():
        raise MediaError("no such file", where=str(path))
    if path.stat().st_size == 0:
        raise MediaError("the file is empty (0 bytes)", where=str(path))
    if cv2.haveImageReader(str(path)):
        return [Frame(0, 0.0, _read_image(path))]
    says_length = _refuse_if_cut_off(path)
    index = _read_index(path)
    expected = len(index.entries)
    wanted = middles(expected, k)
    decoded = _decode_some(path, index, wanted) if says_length and index.is_exact else None
    decoded = decoded or _decode(path, wanted)
    if len(decoded.times_s) != expected:  # packets that hold no frame, or frames that an edit list hides
        decoded = _decode(path, middles(len(decoded.times_s), k))
    if not decoded.images:
        raise MediaError("not one frame decodes", where=str(path))
    return [Frame(index, decoded.times_s[index], image) for index, image in sorted(decoded.images.items())]


def middles(n: int, k: int) -> set[int]:
    """floor((i + 1/2) n / k), i = 0 .. k - 1, in whole numbers; every index when n <= k."""
    return {(2 * i + 1) * n // (2 * k) for i in range(k)} if n > k else set(range(n))


def _read_image(path: Path) -> Image:
    return decoded_image(np.fromfile(path, np.uint8), str(path))


def decoded_image(data: npt.NDArray[np.uint8], where: str) -> Image:
    """An image file's bytes, uint8 [N], as upright uint8 [H, W, 3] RGB. Raises MediaError, naming `where`."""
    _check_image(data, where)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)  # applies the EXIF orientation
    except cv2.error as error:
        if "MAX_IMAGE" in str(error):  # OpenCV's own limit, which the commands set to ours
            raise unmeasured(where) from error
        raise MediaError("the image cannot be decoded", where=where) from error
    if image is None:
        raise MediaError("the image is damaged or cut off", where=where)
    return np.asarray(image, np.uint8)


def _check_image(data: npt.NDArray[np.uint8], where: str) -> None:
    """Raises MediaError when the image is too large; what FFmpeg does not know is left to OpenCV and its own limit."""
    options = {**_IMAGES, **_frame_limit()}
    with suppress(av.FFmpegError), av.open(io.BytesIO(data.tobytes()), options=options) as container:
        check_size(container.streams.video[0].width, container.streams.video[0].height, where)


@contextmanager
def _video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        with av.open(
            str(path), options={**_CONTAINERS, **_frame_limit()}, metadata_errors="replace"
        ) as container:
            if not container.streams.video:
                raise MediaError("the file holds no video stream", where=str(path))
            stream = container.streams.video[0]
            if stream.codec_context is None:
                remedy = "Convert it, for example to H.264."  # type: ignore[unreachable]
                raise MediaError("a codec that FFmpeg does not know", where=str(path), remedy=remedy)
            _check_frames(stream, str(path))
            stream.codec_context.thread_count = 1  # preparation is parallel over videos already
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"not a readable video, or cut off or damaged ({reason})", where=str(path)
        ) from error


def _check_frames(stream: VideoStream, where: str) -> None:
    """Raises MediaError when the frames are too large; the decoder refuses those that become so later."""
    check_size(stream.width, stream.height, where)
    stream.codec_context.options = _frame_limit()


def _frame_limit() -> dict[str, str]:
    return {"max_pixels": str(most_pixels())}


def _read_index(path: Path) -> _Index:
    """The packets of the video stream, without decoding: one a frame for all but odd files."""
    entries: list[_Entry] = []
    with _video(path) as (container, stream):
        is_exact = _is_one_to_one(container, stream)
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise MediaError(
                    f"the stream is cut off or damaged at packet {len(entries)}", where=str(path)
                )
            if packet.size:
                entries.append(_Entry(packet.pts or 0, packet.is_keyframe))
                is_exact = is_exact and _is_plain(packet, stream)
        time_base = stream.time_base or Fraction(1)
    times = {entry.pts for entry in entries}
    starts = bool(entries) and entries[0].is_key and entries[0].pts == min(times)
    return _Index(entries, time_base, is_exact and starts and len(times) == len(entries))


def _is_one_to_one(container: InputContainer, stream: VideoStream) -> bool:
    """Whether packets of this kind stand for one frame each and know when it is shown.

    AVI has no times, and FFmpeg's guesses for reordered frames of H.264 and HEVC are wrong.
    """
    codec = stream.codec_context
    guessed = container.format.name == "avi" and codec.name in ("h264", "hevc") and codec.has_b_frames
    return codec.name in _ONE_TO_ONE and not guessed


def _is_plain(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Whether the packet has a time, is shown, changes no settings, and (in MPEG-4 Part 2) holds one frame.

    There, a frame that was "not coded" is a bare header, and DivX packs two frames (start code 00 00 01 B6) into
    one packet. A frame that is coded needs a bit for each macroblock of 16 x 16 pixels.
    """
    if packet.pts is None or packet.is_discard or packet.has_sidedata("new_extradata"):
        return False
    if stream.codec_context.name != "mpeg4":
        return True
    least = 8 + stream.width * stream.height // (16 * 16 * 8)
    return packet.size > least and bytes(packet).count(b"\0\0\1\xb6") == 1


def _decode_some(path: Path, index: _Index, wanted: Iterable[int]) -> _Decoded | None:
    """The wanted frames, decoded from the key frames before them on.

    None when that does not pay, or when what decodes is not what the packets promised.
    """
    entries = index.entries
    shown = sorted(range(len(entries)), key=lambda i: entries[i].pts)  # packets in the order of display
    stretches = _stretches(entries, [shown[i] for i in wanted])
    if sum(map(len, stretches)) >= _WHOLE_FROM * len(entries):
        return None
    missing = {entries[shown[i]].pts: i for i in wanted}
    images: dict[int, Image] = {}
    with _video(path) as (container, stream):
        packets, position = (packet for packet in container.demux(stream) if packet.size), 0
        for stretch in stretches:
            part = itertools.islice(packets, stretch.start - position, stretch.stop - position)
            position = stretch.stop
            found = _pick(_frames(stream, part), entries[stretch.start].pts, missing)
            if found is None:
                return None
            images |= found
    if len(images) < len(missing):
        return None
    base = index.time_base
    return _Decoded(
        images, _seconds([float(entries[i].pts) * base.numerator / base.denominator for i in shown], 0.0)
    )


def _stretches(entries: Sequence[_Entry], packets: Iterable[int]) -> list[range]:
    """The runs of packets to decode: to each given one from the last key frame that is shown no later than it.

    (The key frame just before it may be shown after it, and then it needs the one before that.)
    """
    runs: list[range] = []
    for packet in sorted(packets):
        pts = entries[packet].pts
        start = next(i for i in range(packet, -1, -1) if entries[i].is_key and entries[i].pts <= pts)
        while runs and start <= runs[-1].stop:
            start = min(start, runs.pop().start)
        runs.append(range(start, packet + 1))
    return runs


def _frames(stream: VideoStream, packets: "Iterable[Packet[VideoStream]]") -> Iterator[av.VideoFrame]:
    """What a run of packets decodes to when nothing is known from before it."""
    for packet in packets:
        yield from stream.codec_context.decode(packet)
    yield from stream.codec_context.decode(None)  # what it holds back to put frames in order
    stream.codec_context.flush_buffers()


def _pick(frames: Iterable[av.VideoFrame], start: int, wanted: Mapping[int, int]) -> dict[int, Image] | None:
    """The wanted frames ({pts: position}) among those of a run whose key frame is shown at `start`.

    None unless the run begins with an intra frame shown at `start`, goes on in the order of display, undamaged,
    and has no fields of their own (interlaced H.264 can store a frame in two packets).
    """
    images: dict[int, Image] = {}
    before: int | None = None
    for frame in frames:
        if frame.pts is None or frame.pts < start:  # it leads the key frame and lacks what it refers to
            continue
        begins = frame.pts == start and frame.pict_type == PictureType.I
        if (
            (not begins if before is None else frame.pts <= before)
            or frame.is_corrupt
            or frame.interlaced_frame
        ):
            return None
        before = frame.pts
        if before in wanted:
            images[wanted[before]] = _upright(frame)
    return images


def _decode(path: Path, wanted: set[int]) -> _Decoded:
    """Decode the whole stream, so that damage anywhere is seen, and keep the wanted frames."""
    images: dict[int, Image] = {}
    times: list[float | None] = []
    with _video(path) as (container, stream):
        for index, frame in enumerate(container.decode(stream)):
            times.append(frame.time)
            if frame.is_corrupt:
                raise MediaError(f"frame {index} is damaged", where=str(path))
            if index in wanted:
                images[index] = _upright(frame)
        rate = float(stream.average_rate or 0)
    return _Decoded(images, _seconds(times, rate))


def _seconds(times: list[float | None], rate: float) -> list[float]:
    """Seconds since the first frame; by the frame rate where the container has no usable timestamps."""
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a < b for a, b in itertools.pairwise(known)):
        return [time - known[0] for time in known]
    return [index / rate if rate else 0.0 for index in range(len(times))]


def _upright(frame: av.VideoFrame) -> Image:
    """The frame as RGB, turned and mirrored as its display matrix asks.

    The matrix maps a stored pixel to the display: x' = a x + c y, y' = b x + d y (ISO/IEC 14496-12, 8.3.2).
    Read in full because its rotation alone would take a mirrored frame for one that stands on its head.
    """
    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, Buffer):
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5]
    transposed = abs(b) > abs(a)
    if transposed:
        image = image.transpose(1, 0, 2)
    across, down = (c, b) if transposed else (a, d)
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _refuse_if_cut_off(path: Path) -> bool:
    """Compare the length that the container announces with the file's; whether it announces one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        announced = announced_length(file, size)
    if announced > size:
        raise MediaError(
            f"cut off: the container announces {announced} bytes and the file has {size}", where=str(path)
        )
    return announced > 0
