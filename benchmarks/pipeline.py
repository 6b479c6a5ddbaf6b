"""The input pipeline: batches for a model that does nothing beside what the real step takes, and a million crops.

    python benchmarks/pipeline.py [ROWS [ROUNDS]]

First, 256 pixels, batch 96 in two views, ResNet-18, two threads, crops that are packed: batches made and thrown away
beside whole steps of training, in turns, ROUNDS (default 5) of them. Then a packed store of ROWS (default 1,000,000)
crops of 8 pixels, four of each video: the time from the tables on disk to the first batch, five times, and as many
samples as there are rows drawn from it, with the process's memory (Linux only) before, on the way and after.
The tables and pixels are generated; the crops' rows share some hundred files. Medians, with the range.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import torch

from machine import machine
from safas.augment import AugmentConfig
from safas.batches import CropStore, Sampler
from safas.packing import pack
from safas.prepared import prepared_samples
from safas.protocols import leave_one_out, source_data
from safas.table import CROPS, SAMPLES, checked, checked_samples, write_table
from safas.training import TrainConfig
from safas.training.step import make_batch
from training import THREADS, Ours, config_of

FILES = 300  # distinct crops
OF_VIDEO = 4  # crops
BATCH = 96
PACKAGES = ("safas", "torch", "numpy", "polars")
CPU = torch.device("cpu")


def generated(folder: Path, rows: int, side: int) -> None:
    """A prepared folder: four domains, crops of noise."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    number = np.arange(rows // OF_VIDEO)
    video = pl.Series([f"{place:08d}" for place in number])
    label = pl.Series(np.where(number // 4 % 2, "live", "spoof"))
    samples = {name: "x" for name in SAMPLES} | {"dataset": "generated", "media": "video"}
    samples |= {"video": video, "path": video, "subject": video, "label": label}
    samples |= {"domain": pl.Series(np.array(list("abcd"))[number % 4])}
    samples |= {"attack": label.replace({"live": "none", "spoof": "print"})}
    samples |= {"split": pl.Series(np.where(number % 5 == 0, "dev", "train"))}
    table = pl.select(**{name: pl.lit(value) for name, value in samples.items()})
    write_table(checked_samples(table, "generated"), folder / "samples.parquet")
    crops = {name: None for name in CROPS} | {"dataset": "generated", "detector": "yunet", "size": side}
    crops |= {"video": pl.Series(np.repeat(video.to_numpy(), OF_VIDEO)), "margin": 0.15, "align": False}
    crops |= {"frame": pl.Series(np.tile(np.arange(OF_VIDEO), len(video))), "rotation": 0}
    crops |= {"landmarks": pl.Series([[float(value) for value in range(10)]]).new_from_index(0, rows)}
    crops |= {"crop": pl.Series([f"{place % FILES}.png" for place in range(len(video) * OF_VIDEO)])}
    table = pl.select(**{name: pl.lit(value) for name, value in crops.items()})
    write_table(checked(table, CROPS, "generated"), folder / "crops.parquet")


def against_the_step(rounds: int) -> None:
    """Batches of 256 pixels for nobody, and whole steps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generated(folder, 1600, 256)
        pack(folder)
        ours = Ours(_store(folder), config_of(256, BATCH, 0))
        found: dict[str, list[float]] = {"batches": [], "steps": []}
        for number in range(rounds + 1):
            times = {"batches": _seconds(ours.batch), "steps": _seconds(ours.step)}
            for what, seconds in times.items():
                if number:  # the first one warms up
                    found[what].append(1 / seconds)
    middle = {what: statistics.median(rates) for what, rates in found.items()}
    for what, rates in found.items():
        print(f"{what:8} {middle[what]:6.2f} a second ({min(rates):.2f} to {max(rates):.2f})")
    print(f"batches come {middle['batches'] / middle['steps']:.1f} times as fast as steps take them")


def many(rows: int, rounds: int = 5) -> None:
    """Start-up, and as many samples as there are rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generated(folder, rows, 8)
        start = time.perf_counter()
        size = pack(folder)[0].pixels.nbytes
        print(
            f"{rows:,} crops of 8 pixels packed in {time.perf_counter() - start:.0f} s: {size / 1e6:.0f} MB"
        )
        times = [_seconds(lambda: _first_batch(folder)) for _ in range(rounds)]
        _tell("tables on disk to the first batch", times)
        _tell("the digest, first", [_seconds(_store(folder).digest)])
        _tell("the digest, remembered", [_seconds(_store(folder).digest) for _ in range(rounds)])
        _draw(folder, rows)


def _draw(folder: Path, rows: int) -> None:
    sampler = Sampler(_store(folder), BATCH, "plain", seed=0)
    _make(sampler, 0)
    before, steps, times = _memory(), rows // BATCH, []
    for step in range(1, steps):
        times.append(_seconds(lambda step=step: _make(sampler, step)))
        if step == steps // 2:
            halfway = _memory()
    print(f"{steps * BATCH:,} samples in {sum(times):.0f} s, {sampler.steps_per_epoch} batches an epoch:")
    _tell("  a batch", times)
    for what, memory in (("before", before), ("halfway", halfway), ("after", _memory())):
        print(f"  memory {what:8} {memory}")


def _first_batch(folder: Path) -> None:
    """What training does before its first step, on data whose digest is known."""
    samples = prepared_samples(folder)
    data = source_data(leave_one_out(samples["domain"].unique())[-1], samples)
    stores = [CropStore(folder, part, data.protocol.sources) for part in (data.train, data.dev)]
    _make(Sampler(stores[0], BATCH, "plain", seed=0), 0)


def _store(folder: Path) -> CropStore:
    samples = prepared_samples(folder)
    return CropStore(folder, samples, sorted(samples["domain"].unique()))


def _make(sampler: Sampler, step: int) -> None:
    make_batch(sampler, TrainConfig(image_size=8, augment=AugmentConfig()), 2, step, CPU)


def _memory() -> str:
    """Of this process: its own, and what it has mapped of files."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return "unknown"
    told = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    own, mapped = (int(told[name].split()[0]) / 1000 for name in ("RssAnon", "RssFile"))
    return f"{own + mapped:.0f} MB ({own:.0f} its own, {mapped:.0f} of files)"


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _tell(what: str, seconds: list[float]) -> None:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    if middle < 0.1:
        print(f"{what}: {1000 * middle:.1f} ms ({1000 * low:.1f} to {1000 * high:.1f})")
    else:
        print(f"{what}: {middle:.2f} s ({low:.2f} to {high:.2f})")


def main(rows: int = 1_000_000, rounds: int = 5) -> None:
    torch.set_num_threads(THREADS)
    print(machine(*PACKAGES))
    print(f"{THREADS} threads; load when it began: {os.getloadavg()[0]:.1f}; {rounds} rounds")
    against_the_step(rounds)
    many(rows)
    print(f"load when it ended: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
