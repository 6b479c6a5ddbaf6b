"""From a file to upright frames. The only place that opens a video or an image.

Frames are chosen by a rule without any random number, so that the same file gives the same frames everywhere.
A file that is cut off or damaged is refused as a whole: half a presentation must not pass for one.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.container import InputContainer
from av.video.stream import VideoStream

from safas.errors import InputError, MediaError

Image = npt.NDArray[np.uint8]

# FFmpeg also knows playlists, which make it open other files and addresses, and text drawn as a picture.
_CONTAINERS = {"format_whitelist": "mov,avi,matroska,webm,mpegts,mpeg,asf,flv,ogg,mjpeg"}

# Some AVI writers count their own 8-byte header twice; a cut this small can only hit the index at the end.
_RIFF_SLACK_BYTES = 16


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


def evenly_spaced(path: Path, k: int) -> list[Frame]:
    """k evenly spaced frames of a video: the middles of k equal parts, floor((i + 1/2) n / k) for i < k.

    n is the number of frames that really decode; all n frames come back when n < k. An image gives itself.
    The container's rotation and mirroring (or the image's EXIF orientation) are applied.

    Raises MediaError for a file that is missing, empty, no video, cut off, or damaged anywhere so that FFmpeg
    notices; InputError for k < 1. What announces no length as a whole (a transport stream, an MP4 in fragments)
    can be cut between two of its parts without a trace.
    """
    if k < 1:
        raise InputError(f"{k} frames were asked for", remedy="Ask for 1 or more.")
    if not path.is_file():
        raise MediaError("no such file", where=str(path))
    if path.stat().st_size == 0:
        raise MediaError("the file is empty (0 bytes)", where=str(path))
    if cv2.haveImageReader(str(path)):
        return [Frame(0, 0.0, _read_image(path))]
    _refuse_if_cut_off(path)
    expected = _count_packets(path)
    decoded = _decode(path, _middles(expected, k))
    if len(decoded.times_s) != expected:  # packets that hold no frame, or frames that an edit list hides
        decoded = _decode(path, _middles(len(decoded.times_s), k))
    if not decoded.images:
        raise MediaError("not one frame decodes", where=str(path))
    return [Frame(index, decoded.times_s[index], image) for index, image in sorted(decoded.images.items())]


def _middles(n: int, k: int) -> set[int]:
    """floor((i + 1/2) n / k), i = 0 .. k - 1, in whole numbers; every index when n <= k."""
    return {(2 * i + 1) * n // (2 * k) for i in range(k)} if n > k else set(range(n))


def _read_image(path: Path) -> Image:
    try:
        image = cv2.imdecode(
            np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB
        )  # applies the EXIF orientation
    except cv2.error as error:
        raise MediaError("the image cannot be decoded", where=str(path)) from error
    if image is None:
        raise MediaError("the image is damaged or cut off", where=str(path))
    return np.asarray(image, np.uint8)


@contextmanager
def _video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        with av.open(str(path), options=_CONTAINERS, metadata_errors="replace") as container:
            if not container.streams.video:
                raise MediaError("the file holds no video stream", where=str(path))
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # preparation is parallel over videos already
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"not a readable video, or cut off or damaged ({reason})", where=str(path)
        ) from error


def _count_packets(path: Path) -> int:
    """Packets of the video stream, without decoding: the number of frames for all but odd files."""
    with _video(path) as (container, stream):
        count = 0
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise MediaError(f"the stream is cut off or damaged at packet {count}", where=str(path))
            count += packet.size > 0
        return count


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


def _refuse_if_cut_off(path: Path) -> None:
    """Compare the length that the container announces with the file's: decoders play a cut file silently."""
    size = path.stat().st_size
    with path.open("rb") as file:
        announced = _announced_length(file, size)
    if announced > size:
        raise MediaError(
            f"cut off: the container announces {announced} bytes and the file has {size}", where=str(path)
        )


def _announced_length(file: BinaryIO, size: int) -> int:
    """Bytes that the container says it has; 0 when it does not say (MPEG-TS, a live or unfinished file)."""
    head = file.read(12)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little") - _RIFF_SLACK_BYTES
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _end_of_segment(file)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _end_of_boxes(file, size)
    return 0


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """MP4 and MOV: walk the top-level boxes, each [length: 4 bytes][type: 4][length: 8 if the first is 1]."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or not head[4:8].isalnum():  # "to the end of the file", or padding behind the last box
            return size
        position += length
    return position


def _end_of_segment(file: BinaryIO) -> int:
    """Matroska and WebM: the end of the segment, which follows the header; 0 when its length is unknown."""
    file.seek(4)
    header = _ebml_length(file)
    file.seek(header, 1)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _ebml_length(file)
    return file.tell() + length if length else 0


def _ebml_length(file: BinaryIO) -> int:
    """A length of 1-8 bytes: the leading zero bits of the first, plus one (RFC 8794); 0 if unknown."""
    first = (file.read(1) or b"\x01")[0]
    width = 9 - max(first.bit_length(), 1)
    value = int.from_bytes(bytes([first & (0x7F >> (width - 1))]) + file.read(width - 1), "big")
    return 0 if value == (1 << 7 * width) - 1 else value
