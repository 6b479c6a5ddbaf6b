"""The crops of some videos and the batches drawn from them; every draw is a pure function of (seed, step)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from safas.crop_files import decoded
from safas.errors import InputError
from safas.packing import Crops, PackedCrops, blocks, open_pack
from safas.table import CROPS, HOW_MADE, in_order, is_live, read_table

Sampling = Literal["plain", "balanced"]


@dataclass(frozen=True)
class Batch:
    """What a method sees at one step: V views of B images, view 1 of all, then view 2 of all (N = V*B).

    images: float in [0, 1]; on several devices those of this one's share alone (M < N), which is number `part`, while
    all else is of the whole batch. labels: 1 live, 0 spoof. domains: 0 .. E-1. classes: one number a (label, domain).
    """

    images: Float[Tensor, "M 3 H W"]
    labels: Int[Tensor, "N"]
    domains: Int[Tensor, "N"]
    classes: Int[Tensor, "N"]
    part: int = 0

    @property
    def stream(self) -> tuple[int, ...]:
        """What goes behind a generator's seed and step, so that every device draws other numbers for its images."""
        return (self.part,) if self.part else ()


def classes_of(labels: Int[Tensor, "N"], domains: Int[Tensor, "N"]) -> Int[Tensor, "N"]:
    """The number of the pair (label, domain): the classes of SA-FAS's contrastive loss."""
    return 2 * domains + labels


class CropStore:
    """All crops of some videos, in memory or, when the folder is packed, mapped into it.

    images uint8 [n, S, S, 3] RGB, the crops of a video one after the other; first [v] and count [v] locate
    them; live bool [v], domain int [v] (index into `domains`); videos: the sample rows, one a video, in the
    same order.
    """

    def __init__(self, prepared: Path, samples: pl.DataFrame, domains: Sequence[str]) -> None:
        """Find the crops of `samples` (SAMPLES rows) in a prepared folder, and read them if it is not packed.

        Videos of which preparation kept no crop are left out (`missing` counts them). Raises InputError when
        the folder is not a prepared one, its crops were made in different ways, none remains or its pack is not
        of these crops, and MediaError for an unreadable or odd crop file.
        """
        crops = read_table(prepared / "crops.parquet", CROPS)
        rows = _joined(samples, crops)
        if rows.is_empty():
            raise InputError(
                "none of the protocol's videos has a crop here",
                where=str(prepared),
                remedy="Run `safas prepare` with the same sample table.",
            )
        _refuse_mixed(crops, samples, prepared)
        self.domains = tuple(domains)
        self.paths: list[str] = rows["crop"].to_list()
        pack = open_pack(prepared, crops)
        self.images: Crops = (
            decoded(prepared, self.paths)
            if pack is None
            else PackedCrops(pack, rows[_ROW].to_numpy().astype(np.int64))
        )
        is_new = rows.select(pl.any_horizontal(pl.col(_KEYS).ne_missing(pl.col(_KEYS).shift()))).to_series()
        self.videos = rows.filter(is_new).drop("frame", "crop", _ROW)
        self.first = is_new.arg_true().to_numpy().astype(np.int64)
        self.count = np.diff(self.first, append=len(rows))
        self.live = is_live(self.videos)
        number = {name: place for place, name in enumerate(self.domains)}
        self.domain = np.array([number[name] for name in self.videos["domain"]])
        self.missing = len(samples) - len(self.videos)

    def read(self, paths: Sequence[str]) -> UInt8[np.ndarray, "k S S 3"]:
        """The crops with these paths (as in the crop table)."""
        return self.images[[self._row[path] for path in paths]]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.paths)}

    def digest(self) -> str:
        """SHA-256 (hex) over pixels, ids, labels and domains: two equal stores train alike, packed or not."""
        if isinstance(self.images, PackedCrops):
            return self.images.pack.remembered(self._digest([]), lambda: self._digest(blocks(self.images)))
        return self._digest([self.images])

    def _digest(self, pixels: Iterable[UInt8[np.ndarray, "k S S 3"]]) -> str:
        digest = hashlib.sha256(repr((self.domains, self.images.shape)).encode())
        for part in pixels:
            digest.update(part.data)
        digest.update("\n".join(self.paths).encode())
        for column in ("dataset", "video", "label", "domain"):
            digest.update("\n".join(self.videos[column]).encode())
        return digest.hexdigest()


_KEYS, _ROW = ["dataset", "video"], "row of the crop table"


def _joined(samples: pl.DataFrame, crops: pl.DataFrame) -> pl.DataFrame:
    """The samples' crops, sorted by video and frame: their columns, frame, crop and the row of the crop table."""
    placed = crops.select(*_KEYS, "frame", "crop").with_row_index(_ROW)
    rows = samples.join(placed, on=_KEYS, how="inner", maintain_order="right")
    return in_order(rows, *_KEYS, "frame")


def _refuse_mixed(crops: pl.DataFrame, samples: pl.DataFrame, prepared: Path) -> None:
    if crops.select(pl.col(HOW_MADE).n_unique()).row(0) == (1,) * len(HOW_MADE):
        return
    crops = crops.join(samples, on=_KEYS, how="semi")
    for name in HOW_MADE:
        kinds = crops.group_by(name).agg(pl.col("dataset").min()).sort(name)
        if len(kinds) > 1:
            (one, ours), (other, theirs) = kinds.rows()[:2]
            raise InputError(
                f"crops with {name} = {one} ({ours}) and with {name} = {other} ({theirs}) are mixed",
                where=str(prepared),
                remedy="Prepare all data with the same settings.",
            )


def rng(seed: int, *path: int) -> np.random.Generator:
    """A generator for one purpose: the same (seed, path) gives the same numbers, another one unrelated numbers.

    Zeros at the end of a path do not count, so two paths must differ before them.
    """
    return np.random.default_rng([seed, *path])


_ORDER, _FRAME = 1, 2  # purposes


class Sampler:
    """Which videos, and which frame of each, make the batch of a step; a pure function of (seed, step).

    "plain": the videos in a new random order every epoch, as SA-FAS's authors do it. "balanced": as many images of
    every (domain, label) in every batch; the batch is rounded down to a multiple of their number and each of
    them is gone through in its own random orders. An epoch is number of videos // batch steps, one random
    frame of each video; the authors also take the smaller batch that is left at the end.
    """

    def __init__(self, store: CropStore, batch: int, sampling: Sampling, seed: int) -> None:
        """Raises InputError when the batch is larger than the set or too small to be balanced."""
        self.store, self.sampling, self.seed = store, sampling, seed
        cells = 2 * store.domain + store.live
        everything = np.arange(len(cells))
        pools = [everything] if sampling == "plain" else [everything[cells == c] for c in np.unique(cells)]
        self.pools, self.share = pools, batch // len(pools)
        self._permutation = lru_cache(2 * len(pools))(_permutation)  # each pool's turn, and the next one's
        self.batch = self.share * len(pools)
        if self.share == 0:
            raise InputError(f"a batch of {batch} cannot hold one image of each of {len(pools)} classes")
        self.steps_per_epoch = len(everything) // self.batch
        if self.steps_per_epoch == 0:
            raise InputError(
                f"a batch of {self.batch} images is more than the {len(everything)} training videos",
                remedy="Choose a smaller one: `--batch` of train, `training: {batch: ...}` of a benchmark's grid.",
            )

    def crops(self, step: int) -> tuple[Int[np.ndarray, "B"], Int[np.ndarray, "B"]]:
        """(videos, crops): the rows of the batch's videos and of one random crop of each."""
        videos = np.concatenate([self._from_pool(number, step) for number in range(len(self.pools))])
        within = rng(self.seed, _FRAME, step).random(len(videos)) * self.store.count[videos]
        return videos, self.store.first[videos] + within.astype(np.int64)

    def _from_pool(self, number: int, step: int) -> Int[np.ndarray, "b"]:
        pool = self.pools[number]
        if self.sampling == "plain":  # what does not fill a batch at the end of the epoch is left out
            epoch, within = divmod(step, self.steps_per_epoch)
            order = self._order(number, epoch)[within * self.share : (within + 1) * self.share]
            return np.asarray(pool[order])
        turns = [divmod(step * self.share + place, len(pool)) for place in range(self.share)]
        return np.array([pool[self._order(number, turn)[within]] for turn, within in turns])

    def _order(self, number: int, turn: int) -> Int[np.ndarray, "n"]:
        return self._permutation(len(self.pools[number]), self.seed, number, turn)


def _permutation(n: int, seed: int, number: int, turn: int) -> Int[np.ndarray, "n"]:
    return rng(seed, _ORDER, number, turn).permutation(n)
