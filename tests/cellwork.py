"""Cells that take a second: two layers' worth of training on the toy crops."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from safas.benchmark.cells import Desk
from safas.benchmark.grid import Cell, Grid, Variant, cell_of
from safas.methods import CONFIGS
from safas.protocols import Protocol
from safas.results import method_name
from safas.training import TrainConfig, preset

PROTOCOL = Protocol(("a", "b"), "c")
QUICK = replace(
    preset("demo", "erm"),
    backbone="mobilenet_v3_small",
    image_size=16,
    epochs=2,
    threads=1,
    checkpoint_every=1,
)  # 1 step an epoch: 32 videos, of which a batch holds 32


def variant(method: str = "erm", seeds: tuple[int, ...] = (0,), name: str = "", **settings: Any) -> Variant:
    config: TrainConfig = replace(QUICK, method=CONFIGS[method](), **settings)
    return Variant(name or method_name(method), config, seeds)


def cell(method: str = "erm", **settings: Any) -> Cell:
    return cell_of(PROTOCOL, variant(method, **settings))


def grid(*variants: Variant, trials: int = 1) -> Grid:
    return Grid((PROTOCOL,), variants, trials)


def benchmark_command(prepared: Path, folder: Path, grid: str) -> list[str]:
    """`safas benchmark` on a grid in YAML, which is written into the folder."""
    (folder / "grid.yaml").write_text(grid)
    return ["benchmark", str(prepared), "--grid", str(folder / "grid.yaml")]


def desk(prepared: Path, runs: Path, **other: Any) -> Desk:
    return Desk(prepared, runs, progress=False, **other)
