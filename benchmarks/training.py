"""The training step: ours beside the textbook loop of `plain.py`, data included, and the loss of both.

    python benchmarks/training.py PREPARED [ROUNDS [BATCH ...]]     speed (minutes)
    python benchmarks/training.py PREPARED curves [STEPS [SEEDS]]   losses side by side

PREPARED is a folder of `safas prepare`, for example that of `safas demo`. Its training crops of all domains but the
last are resized to 256 pixels and written as JPEG files. Both ways train the same ResNet-18 from random weights with
SA-FAS on them, with the paper's settings: the plain loop decodes the files, ours has packed them (`safas pack`). Each
on two threads; the plain loop has as many DataLoader workers. The ways take turns in each of ROUNDS (default 5), the
plain loop's workers standing still meanwhile; medians are printed, with the range, and ratios are of medians. Beside
the views a second stand those a second of processor time, of all threads and workers (Linux only): where other programs
want the processor too, they are what can be compared. OMP_WAIT_POLICY=passive keeps threads that wait from counting.

The peak is that of a compiled loop of multiply-adds in 32 bits on one core, times the threads, in the same run.
`curves` (default: 120 steps, 3 seeds; 24 images of 64 pixels a step) prints the mean loss of each tenth of the steps.
"""

import contextlib
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from machine import machine
from peak import peak
from plain import Plain, Video
from safas.batches import CropStore, Sampler
from safas.methods.sa_fas import SaFas
from safas.model import backbone
from safas.packing import pack
from safas.prepared import prepared_samples
from safas.protocols import leave_one_out, source_data
from safas.table import CROPS, read_table, write_table
from safas.training import TrainConfig
from safas.training.environment import make_fabric, reproducible, uses_bf16
from safas.training.memory import memory_kept
from safas.training.step import make_batch, take_step

THREADS = 2
SIZE, BATCHES = 256, (96, 24)  # pixels; images a step, each of them in two views
PUBLISHED = {24: (15, 17)}  # views/s that the authors' loop reached on two cores of this kind, in 32 bits
PACKAGES = ("safas", "torch", "torchvision", "pillow", "lightning-fabric", "numpy")


class Ours:
    """The step of `safas.training.train`, without its log."""

    def __init__(self, store: CropStore, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.config, self.done = config, 0
        self.fabric = make_fabric(config)
        self.sampler = Sampler(store, config.batch, config.sampling, config.seed)
        trunk, dim = backbone(config.backbone, config.weights)
        domains = len(store.domains)
        self.method = SaFas(
            trunk, dim, domains, config.method, config.image_size, self.sampler.steps_per_epoch
        )
        self.method.to(memory_format=torch.channels_last)
        parameters = list(self.method.parameters())
        self.method.backbone = self.fabric.setup_module(trunk)
        sgd = torch.optim.SGD(
            parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.optimizer = self.fabric.setup_optimizers(sgd)
        self.method.train()

    def batch(self) -> object:
        """What a step sees."""
        return make_batch(self.sampler, self.config, self.method.views, self.done, self.fabric.device)

    def step(self) -> float:
        """One step of training; its loss."""
        with reproducible(self.config, self.fabric.device):
            terms = take_step(self.fabric, self.method, self.optimizer, self.batch(), self.done)
        self.done += 1
        return float(terms["loss"])


def config_of(size: int, batch: int, seed: int) -> TrainConfig:
    """The paper's settings, but from random weights and aligning from the first step, as the plain loop does."""
    paper = TrainConfig(
        weights="none", image_size=size, batch=batch, seed=seed, accelerator="cpu", threads=THREADS
    )
    return replace(paper, method=replace(paper.method, align_epoch=0))


def data_of(prepared: Path, folder: Path, size: int) -> tuple[CropStore, list[Video]]:
    """The training crops of PREPARED as JPEG files of this size, packed for us and listed for the plain loop."""
    samples = prepared_samples(prepared)
    data = source_data(leave_one_out(samples["domain"].unique())[-1], samples)
    crops = read_table(prepared / "crops.parquet", CROPS).join(
        data.train, on=["dataset", "video"], how="semi"
    )
    names = [f"{number}.jpg" for number in range(len(crops))]
    for crop, name in zip(crops["crop"], names, strict=True):
        image = cv2.resize(cv2.imread(str(prepared / crop)), (size, size), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / name), image, (cv2.IMWRITE_JPEG_QUALITY, 95))
    write_table(crops.with_columns(crop=np.array(names)), folder / "crops.parquet")
    pack(folder)
    store = CropStore(folder, data.train, data.protocol.sources)
    places = zip(store.first, store.count, store.live, store.domain, strict=True)
    videos = [
        Video([folder / path for path in store.paths[first : first + count]], int(live), int(domain))
        for first, count, live, domain in places
    ]
    return store, videos


@contextlib.contextmanager
def standing_still() -> Iterator[None]:
    """The DataLoader's workers wait within, and go on afterwards from where they were."""
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def gflop(size: int) -> float:
    """Of one view, forward and back, by torch's counter; a multiply-add is two."""
    net, image = backbone("resnet18")[0], torch.rand(2, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        net(image).sum().backward()
    return counter.get_total_flops() / 2 / 1e9


def speed(prepared: Path, rounds: int = 5, *batches: int) -> None:
    """Views/s, side by side."""
    core, cost = peak(1), gflop(SIZE)
    print(f"peak of a core {core:.0f} GFLOP/s in 32 bits; {cost:.1f} GFLOP a view of {SIZE} pixels")
    with tempfile.TemporaryDirectory() as folder:
        store, videos = data_of(prepared, Path(folder), SIZE)
        for batch in batches or BATCHES:
            _print(batch, _times(store, videos, batch, rounds), THREADS * core, cost)


Rates = Mapping[
    str, list[tuple[float, float]]
]  # views a second and views a second of processor time, a round each


def _times(store: CropStore, videos: Sequence[Video], batch: int, rounds: int) -> Rates:
    ours, plain = Ours(store, config_of(SIZE, batch, 0)), Plain(videos, SIZE, batch, THREADS, 0)
    steps = max(1, BATCHES[0] // batch // 2)
    times: dict[str, list[tuple[float, float]]] = {"plain": [], "ours": [], "ours, batches alone": []}
    for number in range(rounds + 1):
        found = {"plain": _seconds(plain.step, steps)}
        with standing_still(), memory_kept(torch.device("cpu")):
            ours.step()  # the memory that the others then use
            found["ours"] = _seconds(ours.step, steps)
            found["ours, batches alone"] = _seconds(ours.batch, steps)
        for name, (passed, worked) in found.items():
            if number:  # the first one warms up
                times[name].append((2 * batch / passed, 2 * batch / worked))
    return times


def _seconds(job: Callable[[], object], steps: int) -> tuple[float, float]:
    """Of one step: by the clock, and of processor time."""
    start, worked = time.perf_counter(), _worked()
    for _ in range(steps):
        job()
    return (time.perf_counter() - start) / steps, (_worked() - worked) / steps


def _worked() -> float:
    """Seconds of processor time of this process and the workers that it has."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        path = Path(f"/proc/{child.pid}/stat")
        fields = path.read_text().rpartition(")")[2].split() if path.is_file() else ["0"] * 13
        total += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def _print(batch: int, found: Rates, most: float, cost: float) -> None:
    middle = {
        name: [statistics.median(rates) for rates in zip(*both, strict=True)] for name, both in found.items()
    }
    for name, both in found.items():
        rates = [rate for rate, _ in both]
        rate, worked = middle[name]
        said = f"{rate:6.1f} views/s ({min(rates):.1f} to {max(rates):.1f})"
        said += f", {rate / middle['plain'][0]:.2f} times plain"
        said += f"; {worked:.1f} a second of one core, {worked / middle['plain'][1]:.2f} times plain"
        if "alone" not in name:
            said += f"; {rate * cost:.0f} GFLOP/s, {rate * cost / most:.0%} of the peak"
            said += f" ({worked * cost * THREADS / most:.0%} by processor time)"
        print(f"batch {batch}, {name:19} {said}")
    if batch in PUBLISHED:
        low, high = PUBLISHED[batch]
        times = f"{middle['ours'][0] / high:.1f} to {middle['ours'][0] / low:.1f}"
        print(f"batch {batch}, ours is {times} times the authors' loop, {low} to {high} views/s")


def curves(prepared: Path, steps: int = 120, seeds: int = 3, batch: int = 24, size: int = 64) -> None:
    """The mean loss of each tenth of the steps, side by side."""
    runs: dict[str, list[list[float]]] = {"plain": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        store, videos = data_of(prepared, Path(folder), size)
        for seed in range(seeds):
            plain = Plain(videos, size, batch, THREADS, seed)
            runs["plain"].append([plain.step() for _ in range(steps)])
            del plain  # and its workers
            ours = Ours(store, config_of(size, batch, seed))
            runs["ours"].append([ours.step() for _ in range(steps)])
    print(f"mean loss over {seeds} seeds (lowest to highest), {batch} images of {size} pixels a step:")
    parts = {name: np.array(losses).reshape(seeds, 10, -1).mean(axis=2) for name, losses in runs.items()}
    for tenth in range(10):
        told = [f"{name} {_spread(of[:, tenth])}" for name, of in parts.items()]
        print(f"  steps {tenth * steps // 10:3} to {(tenth + 1) * steps // 10 - 1:3}: {', '.join(told)}")
    halves = {name: of[:, 5:].mean(axis=1) for name, of in parts.items()}
    error = np.sqrt(sum(of.var(ddof=1) for of in halves.values()) / seeds)
    gap = halves["ours"].mean() - halves["plain"].mean()
    print(f"second half, ours minus plain: {gap:+.4f}; standard error over the seeds {error:.4f}")


def _spread(losses: np.ndarray) -> str:
    return f"{losses.mean():.3f} ({losses.min():.3f} to {losses.max():.3f})"


def main(prepared: Path, *more: str) -> None:
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    print(machine(*PACKAGES))
    precision = "bf16" if uses_bf16("auto", torch.device("cpu")) else "fp32"
    print(f"{THREADS} threads, {THREADS} workers; ours in {precision}, plain in fp32")
    waiting = os.environ.get("OMP_WAIT_POLICY", "the system's")
    print(f"waiting threads: {waiting}; load when it began: {os.getloadavg()[0]:.1f}")
    if more[:1] == ("curves",):
        curves(prepared, *map(int, more[1:]))
    else:
        speed(prepared, *map(int, more))
    print(f"load when it ended: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    prepared_dir, *rest = sys.argv[1:]
    main(Path(prepared_dir), *rest)
