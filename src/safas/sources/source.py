"""What a data set's file offers to the rest of the house."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from safas.sources.tree import Row, Tree


def _no_boxes(_root: Path, _samples: pl.DataFrame) -> None:
    return None


@dataclass(frozen=True)
class Source:
    """One data set. `read`: its folder -> rows of SAMPLES, in any order, with paths relative to the folder.

    `boxes`: folder and rows -> what stands beside the videos, with the columns of BOXES and perhaps `landmarks`
    (List of x0 y0 x1 y1: the person's right and left eye, in pixels), or None. For a set that is published as a
    fixed collection: `official`, all rows of the whole set as its owners name the files (who and what is there may
    be looked up in the tree's lists), and `counts`, the published number of files of each (split, label);
    `problems`, what else may be wrong with its lists, as (relative path, reason); `no_samples`, lower-case beginnings
    of paths of further videos that belong to it.
    """

    read: Callable[[Path], pl.DataFrame]
    boxes: Callable[[Path, pl.DataFrame], pl.DataFrame | None] = _no_boxes
    official: Callable[[Tree], Sequence[Row]] | None = None
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    problems: Callable[[Tree], Sequence[tuple[str, str]]] | None = None
    no_samples: tuple[str, ...] = ()
