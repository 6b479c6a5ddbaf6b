"""The crops of a prepared folder in one file that is mapped into memory instead of read.

    PREPARED/packed/crops.npy    pixels uint8 [n, S, S, 3] RGB, row by row as in crops.parquet
    PREPARED/packed/packed.json  what they are, written last: without it there is no pack
    PREPARED/packed/digests/     digests of stores of these pixels, remembered

Opening looks at sizes, at the table and at a few crops, so that it takes no longer for many crops; `pack` looks at
every byte. Preparation discards the pack of a folder before it changes a crop.
"""

import contextlib
import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int, UInt8
from numpy.lib import format as npy

from safas import __version__
from safas.crop_files import decoded
from safas.errors import InputError
from safas.files import sha256, write_file
from safas.table import CROPS, read_table

GENERATION = "generation"  # a file of a prepared folder: a digest of what its crops are made from
_FOLDER, _PIXELS, _ABOUT, _DIGESTS = "packed", "crops.npy", "packed.json", "digests"
_BLOCK = 64 << 20  # bytes that are handled at a time
_PROBES = 16  # crops whose pixels are looked at when a pack is opened
_LET_GO = 256 << 20  # bytes of the file that may stay mapped into the process
_AROUND = 64 << 10  # bytes that Linux maps around each page that is touched


@dataclass(frozen=True)
class _About:
    """What packed.json says: the pixels, the table that names them, and what is looked at when they are opened."""

    crops: int
    side: int  # pixels
    table: str  # SHA-256 of the crops' paths in the table's order, and of the generation of their folders
    pixels: str  # SHA-256 of all pixels
    probe: str  # SHA-256 of the pixels of some crops
    bytes: int  # of crops.npy
    safas: str


class Pack:
    """The pixels of a prepared folder's crops, mapped: they are read from the disk when they are asked for."""

    def __init__(self, folder: Path, about: _About) -> None:
        """Raises InputError naming the file when it is missing, cut off or not the one that was packed."""
        self.folder, self.identity, self._touched = folder, about.pixels, 0
        path = folder / _PIXELS
        size = path.stat().st_size if path.is_file() else 0
        if size != about.bytes:
            raise _refusal(path, f"{size:,} bytes of {about.bytes:,} are there")
        try:
            mapped: Any = npy.open_memmap(path, mode="r")
        except ValueError as error:
            raise _refusal(path, "it is no NumPy file") from error
        if mapped.dtype != np.uint8 or mapped.shape != (about.crops, about.side, about.side, 3):
            what = f"it holds {mapped.dtype} of the shape {mapped.shape}, not the crops that were packed"
            raise _refusal(path, what)
        self._map: mmap.mmap = mapped.base
        self.pixels: UInt8[np.ndarray, "n S S 3"] = np.asarray(mapped)
        if _probe(self.pixels) != about.probe:
            raise _refusal(path, "these are not the pixels that were packed")

    def take(self, rows: Int[np.ndarray, "k"]) -> UInt8[np.ndarray, "k S S 3"]:
        """A copy of these rows of the table.

        What was mapped for it is let go from time to time: the system would keep it in its own memory anyway, but
        count it as the process's, up to the whole file.
        """
        taken: UInt8[np.ndarray, "k S S 3"] = np.take(self.pixels, rows, axis=0)
        self._touched += taken.nbytes + _AROUND * len(rows)
        if self._touched > _LET_GO and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        return taken

    def remembered(self, key: str, make: Callable[[], str]) -> str:
        """The text that `make` returned for this key of these pixels, made once and kept beside them."""
        path = self.folder / _DIGESTS / sha256(f"{self.identity} {key}".encode())
        if path.is_file():
            return path.read_text(encoding="utf-8")
        made = make()
        with contextlib.suppress(InputError):  # a folder that may only be read: made again next time
            write_file(path, made)
        return made

    def is_whole(self) -> bool:
        """Whether every byte is the one that was packed."""
        digest = hashlib.sha256()
        for block in blocks(PackedCrops(self, np.arange(len(self.pixels)))):
            digest.update(block.data)
        return digest.hexdigest() == self.identity


class PackedCrops:
    """Some rows of a pack, indexed like the array [n, S, S, 3] that they stand for; each access is a copy."""

    def __init__(self, pack: Pack, rows: Int[np.ndarray, "n"]) -> None:
        self.pack, self.rows = pack, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, S, S, 3)."""
        return (len(self.rows), *self.pack.pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | Int[np.ndarray, "k"] | list[int]) -> UInt8[np.ndarray, "k S S 3"]:
        return self.pack.take(self.rows[index])


Crops = UInt8[np.ndarray, "n S S 3"] | PackedCrops


def pack(
    prepared: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Pack, bool]:
    """Write the pack of a prepared folder, or check every byte of the one that is there; (pack, whether it was made).

    One that is damaged or of other crops is made anew. `progress` is told (crops done, all of them). Raises
    InputError when the folder is not a prepared one or has no crop, and MediaError for an unreadable or odd crop.
    """
    crops = read_table(prepared / "crops.parquet", CROPS)
    if crops.is_empty():
        raise InputError("there is no crop to pack", where=str(prepared))
    with contextlib.suppress(InputError):
        there = open_pack(prepared, crops)
        if there is not None and there.is_whole():
            return there, False
    discard(prepared)
    about = _written(prepared, crops, progress)
    write_file(prepared / _FOLDER / _ABOUT, json.dumps(asdict(about), indent=2) + "\n", durable=True)
    return Pack(prepared / _FOLDER, about), True


def open_pack(prepared: Path, crops: pl.DataFrame) -> Pack | None:
    """The pack of a prepared folder, whose table of crops this is; None when it has none.

    Raises InputError naming the file when it is damaged or of other crops than the table's.
    """
    folder = prepared / _FOLDER
    path = folder / _ABOUT
    if not path.is_file():
        return None
    try:
        about = _About(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _refusal(path, "it does not say what was packed") from error
    if about.table != _table_digest(prepared, crops):
        raise _refusal(folder / _PIXELS, f"it holds other crops than {prepared / 'crops.parquet'}")
    return Pack(folder, about)


def discard(prepared: Path) -> None:
    """Delete the pack of a prepared folder, if it has one."""
    (prepared / _FOLDER / _ABOUT).unlink(
        missing_ok=True
    )  # first: without it nobody takes the rest for a pack
    shutil.rmtree(prepared / _FOLDER, ignore_errors=True)


def blocks(crops: Crops) -> Iterator[UInt8[np.ndarray, "k S S 3"]]:
    """The crops in order, some 64 MB at a time."""
    step = _rows_of_block(crops.shape[1])
    for first in range(0, len(crops), step):
        yield np.ascontiguousarray(crops[first : first + step])


def _rows_of_block(side: int) -> int:
    return max(1, _BLOCK // (3 * side * side))


def _refusal(path: Path, what: str) -> InputError:
    prepared = path.parent.parent
    remedy = f"Run `safas pack {prepared}` again, or delete the folder {path.parent}."
    return InputError(f"the packed crops cannot be used: {what}", where=str(path), remedy=remedy)


def _written(prepared: Path, crops: pl.DataFrame, progress: Callable[[int, int], None]) -> _About:
    """Decode all crops, a block at a time, into the file."""
    paths = crops["crop"].to_list()
    path = prepared / _FOLDER / _PIXELS
    side = decoded(prepared, paths[:1]).shape[1]
    shape, step, pixels = (len(paths), side, side, 3), _rows_of_block(side), hashlib.sha256()
    # Before the pixels: what changes meanwhile is of another generation.
    table = _table_digest(prepared, crops)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for first in range(0, len(paths), step):
                block = decoded(prepared, paths[first : first + step], side).data
                file.write(block)
                pixels.update(block)
                progress(min(first + step, len(paths)), len(paths))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        remedy = "Make room and run it again."
        raise InputError(f"cannot be written ({error.strerror})", where=str(path), remedy=remedy) from error
    finally:
        partial.unlink(missing_ok=True)
    written: UInt8[np.ndarray, "n S S 3"] = np.load(path, mmap_mode="r")
    size = path.stat().st_size
    return _About(*shape[:2], table, pixels.hexdigest(), _probe(written), size, __version__)


def _probe(pixels: UInt8[np.ndarray, "n S S 3"]) -> str:
    """A digest of the pixels of some evenly spaced crops."""
    some = np.unique(np.linspace(0, len(pixels) - 1, _PROBES).round().astype(int))
    return sha256(np.take(pixels, some, axis=0).data)


def _table_digest(prepared: Path, crops: pl.DataFrame) -> str:
    """Of the paths, and of the generation of every folder that they lead to: a joint folder's crops lie elsewhere."""
    digest = hashlib.sha256("\n".join(crops["crop"]).encode())
    below = pl.concat_str(pl.lit("crops/"), "dataset", pl.lit("/"), "video", pl.lit("/"))
    folders = crops.select(pl.col("crop").str.split(below).list.first()).to_series()
    for folder in folders.filter(folders != crops["crop"]).unique().sort():
        with contextlib.suppress(FileNotFoundError):  # of crops that were not made by `safas prepare`
            digest.update((prepared / folder / GENERATION).read_bytes())
    return digest.hexdigest()
