"""The length that a container announces: decoders play a file that was cut off without a word."""

from typing import BinaryIO

# Some AVI writers count their own 8-byte header twice; a cut this small can only hit the index at the end.
_RIFF_SLACK_BYTES = 16


def announced_length(file: BinaryIO, size: int) -> int:
    """Bytes that a file of `size` bytes, read from its start, says it has.

    0 when its container does not say (MPEG-TS, a live or unfinished recording).
    """
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
