"""How a piece of work grows with n: processor time and memory at a row of sizes, and the exponents fitted to them.

Each stage is measured in a forked process of its own, so that none inherits memory or threads. Its time is that of the
processor, all threads together: other work on the machine then counts for little. Its memory is the most that is
resident during the first call beyond what was before (Linux's VmHWM, set back by /proc/self/clear_refs).
"""

import ctypes
import gc
import itertools
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

# Before the libraries are imported: threads that wait for one another would count as work.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

LEAST_S, LEAST_BYTES = 2e-3, 4e6  # below these a point is the fixed cost and says nothing of growth
REPEAT_S, REPEATS = 0.3, 5  # short work is done again; the fastest counts

Work = Callable[[], object]


@dataclass(frozen=True)
class Stage:
    """`prepare(n, folder)` makes n of `what` and returns the work to be measured on them."""

    name: str
    what: str
    prepare: Callable[[int, Path], Work]
    sizes: Sequence[int]


@dataclass(frozen=True)
class Point:
    """One size: processor seconds, and bytes beyond what was there before."""

    n: int
    seconds: float
    memory: int


@dataclass(frozen=True)
class Growth:
    """A stage at its sizes; cost ~ n^exponent, None where too little was measured."""

    stage: Stage
    points: tuple[Point, ...]

    @property
    def time_exponent(self) -> float | None:
        """Of the seconds."""
        return exponent([(p.n, p.seconds) for p in self.points if p.seconds >= LEAST_S])

    @property
    def memory_exponent(self) -> float | None:
        """Of the bytes."""
        return exponent([(p.n, p.memory) for p in self.points if p.memory >= LEAST_BYTES])

    def seconds_at(self, n: float) -> float:
        """At n, on the line through the two largest sizes."""
        below, last = self.points[-2:]
        return max(0.0, last.seconds + (last.seconds - below.seconds) / (last.n - below.n) * (n - last.n))

    def memory_at(self, n: float) -> float:
        """At n, on the line through the two largest sizes where memory grows; else what it was at the largest."""
        below, last = self.points[-2:]
        grows = last.memory > max(LEAST_BYTES, below.memory * (last.n / below.n) ** 0.5)
        return last.memory + grows * (last.memory - below.memory) / (last.n - below.n) * max(0.0, n - last.n)


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of log cost by log n, least squares, over the largest sizes within a factor of 20 (two at least)."""
    points = [(math.log(n), math.log(cost)) for n, cost in points if n * 20 >= points[-1][0]]
    if len(points) < 2:
        return None
    middle = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    over = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return over / sum((x - middle[0]) ** 2 for x, _ in points)


def grow(stage: Stage, budget_s: float) -> Growth:
    """The stage at two sizes at least, then on as long as the next one is likely to take less than `budget_s`."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(stage, budget_s, there))
    process.start()
    there.close()
    points = []
    try:
        while True:
            points.append(here.recv())
    except EOFError:
        process.join()
    if process.exitcode or not points:
        raise SystemExit(f"{stage.name}: its process ended with {process.exitcode} after {len(points)} sizes")
    return Growth(stage, tuple(points))


def _measure(stage: Stage, budget_s: float, out: Connection) -> None:
    _call(stage, stage.sizes[0])  # what is imported, compiled and allocated once
    for number, (n, following) in enumerate(itertools.pairwise([*stage.sizes, 0]), start=1):
        point = _call(stage, n)
        out.send(point)
        if number > 1 and point.seconds * (following / n) ** 1.2 > budget_s:
            break


def _call(stage: Stage, n: int) -> Point:
    with tempfile.TemporaryDirectory() as folder:
        work = stage.prepare(n, Path(folder))
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
        seconds = [_seconds(work)]
        memory = max(0, _resident("VmHWM") - before)
        while sum(seconds) < REPEAT_S and len(seconds) < REPEATS:
            seconds.append(_seconds(work))
    return Point(n, min(seconds), memory)


def _seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _resident(name: str) -> int:
    """Bytes, from /proc."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
