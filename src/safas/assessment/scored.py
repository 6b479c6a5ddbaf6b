"""Scores sorted once: the bona fide and each species of attack apart, from which every rate is a look-up."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from safas.metrics import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Scored:
    """Rising scores of the bona fide, and of the attacks by species (names sorted); either may be empty."""

    live: FloatArray
    species: Mapping[str, FloatArray]

    @cached_property
    def attacks(self) -> FloatArray:
        """All attacks pooled, rising."""
        return np.sort(np.concatenate([*self.species.values(), np.empty(0)]), kind="stable")

    @cached_property
    def values(self) -> FloatArray:
        """The distinct scores, rising."""
        return np.unique(np.concatenate([self.live, self.attacks]))

    @property
    def both(self) -> tuple[FloatArray, BoolArray]:
        """Scores and whether live, as `safas.metrics` takes them."""
        live = np.repeat([True, False], [self.live.size, self.attacks.size])
        return np.concatenate([self.live, self.attacks]), live

    @property
    def complete(self) -> bool:
        """Whether both classes are there."""
        return bool(self.live.size and self.species)


def scored(rows: pl.DataFrame) -> Scored:
    """From the columns label, attack, score; rows without a score are left out."""
    rows = rows.select("label", "attack", "score").drop_nulls("score").sort("score")
    live = rows.filter(pl.col("label") == "live")["score"].to_numpy()
    attacks = parts(rows.filter(pl.col("label") != "live"), "attack")
    return Scored(live, {name: part["score"].to_numpy() for name, part in attacks.items()})


def parts(rows: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """The rows of each value of a column (of text, none null), the values sorted."""
    found = rows.partition_by(column, as_dict=True)
    return {str(key[0]): part for key, part in sorted(found.items(), key=lambda item: item[0])}


def below(rising: FloatArray, threshold: ArrayLike) -> np.ndarray:
    """How many of the scores are rejected at each threshold."""
    return np.searchsorted(rising, threshold, side="left")
