"""Time and memory of every stage against n, as a table with fitted exponents and a figure; and what n crops cost.

    SAFAS_FACE_DETECTOR=yunet_n_dynamic.onnx python benchmarks/growth.py [BUDGET] [FIGURE]
    SAFAS_FACE_DETECTOR=yunet_n_dynamic.onnx python benchmarks/growth.py at CROPS

Linux. Each stage is measured at sizes in a geometric series, as long as the next one is likely to take less than BUDGET
(default 3) processor seconds; FIGURE (default docs/images/growth.svg) is the plot. A cost is taken to be n^exponent
over the largest sizes, within a factor of twenty; small ones are the fixed cost. n log n comes out between 1 and 1.2.
All is done in one thread. Networks are ResNet-18s that see 80 pixels: at 256 pixels their work takes ten times as long.
The last table is for one core of this machine: what is beyond the sizes measured is marked with ~ and goes on linearly
from the two largest. `at` measures that table's stages at so many crops instead (at 10000 half an hour or more).
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import getloadavg
from pathlib import Path

from growing import Growth, grow  # first: it sets the number of threads
from growth_figure import draw
from growth_stages import AGAIN, EXPORT, METRICS, OPEN, PREPARE, REPORT, SCORE, SIMULATE, STAGES, TRAIN
from machine import machine

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "growth.svg"
PACKAGES = ("safas", "torch", "numpy", "polars", "scikit-learn", "umap-learn", "av", "onnxruntime")
N_LOG_N = 1.25  # an exponent above this is worse
CROPS = (1e4, 1e6, 1e8)


@dataclass(frozen=True)
class Cost:
    """A row of the last table: `share` of the stage's n to one crop, and what takes the time, or the memory.

    `alone`: its tasks know nothing of one another, so that a process needs no more memory for more of them. `holds`:
    another stage, whose memory for as many crops comes on top, since it is lost in the noise of a small n.
    """

    stage: str
    share: float
    bottleneck: str
    holds: str = ""
    alone: bool = False

    def memory(self, named: Mapping[str, Growth], crops: float) -> float:
        """Bytes for so many crops."""
        growth = named[self.stage]
        own = growth.points[-1].memory if self.alone else growth.memory_at(crops * self.share)
        return own + (named[self.holds].memory_at(crops) if self.holds else 0.0)


COSTS = (
    Cost(SIMULATE, 1, "rendering; one task a person, on any number of machines", alone=True),
    Cost(
        PREPARE,
        1,
        "finding faces, then decoding; one task a video, on any number of machines",
        AGAIN,
        alone=True,
    ),
    # three eighths of its crops are trained on
    Cost(
        TRAIN, 8 / 3, "convolutions; GPUs. All crops are in memory unless `safas pack` has packed them", OPEN
    ),
    Cost(SCORE, 1, "convolutions, then decoding PNG files; memory as above", OPEN),
    Cost(METRICS, 1 / 4, "1,000 draws of people; one process a run"),
    Cost(REPORT, 1 / 4, "reading and sorting the scores in one process"),
    Cost(EXPORT, 1, "8 bits and the graph, at first; then scoring source validation; memory as above", OPEN),
)


def at(crops: int) -> None:
    """Print what each of COSTS takes for so many crops, measured."""
    named = {stage.name: stage for stage in STAGES}
    print(f"measured at {crops:,} crops: processor time of one core, and memory")
    for cost in COSTS:
        stage = named[cost.stage]
        sizes = (stage.sizes[0], round(crops * cost.share))
        point = grow(replace(stage, sizes=sizes), float("inf")).points[-1]
        print(f"{stage.name:22} {_duration(point.seconds):>9}, {_size(point.memory)}", flush=True)


def growth_table(growths: Sequence[Growth]) -> list[str]:
    """A line a stage: the largest n, its seconds and megabytes, and the exponents."""
    lines = [f"{'stage':22} {'of n':8} {'largest n':>9} {'CPU s':>8} {'MB':>7}  time ~ n^  memory ~ n^"]
    for growth in growths:
        last, stage = growth.points[-1], growth.stage
        powers = [
            f"{'-' if p is None else format(p, '.2f'):>9}"
            for p in (growth.time_exponent, growth.memory_exponent)
        ]
        numbers = f"{last.n:9,} {last.seconds:8.3f} {last.memory / 1e6:7.0f}"
        lines.append(f"{stage.name:22} {stage.what:8} {numbers}  {powers[0]}  {powers[1]:>11}")
    return lines


def worse(growths: Sequence[Growth]) -> list[str]:
    """The stages that grow faster than n log n."""
    return [
        f"{growth.stage.name} ({which} ~ n^{power:.2f})"
        for growth in growths
        for which, power in (("time", growth.time_exponent), ("memory", growth.memory_exponent))
        if power is not None and power > N_LOG_N
    ]


def cost_table(growths: Sequence[Growth]) -> list[str]:
    """Markdown: processor time and memory of each stage at CROPS crops."""
    named = {growth.stage.name: growth for growth in growths}
    lines = [
        "| stage | measured up to | 10^4 crops | 10^6 crops | 10^8 crops | bottleneck |",
        "| --- " * 6 + "|",
    ]
    for cost in COSTS:
        growth = named[cost.stage]
        largest = growth.points[-1].n / cost.share
        cells = [
            f"{'~' if crops > largest else ''}{_duration(growth.seconds_at(crops * cost.share))}, "
            f"{_size(cost.memory(named, crops))}"
            for crops in CROPS
        ]
        lines.append(f"| {' | '.join((cost.stage, f'{largest:,.0f}', *cells, cost.bottleneck))} |")
    return lines


def _duration(seconds: float) -> str:
    units = (("years", 31_557_600), ("days", 86400), ("h", 3600), ("min", 60), ("s", 1))
    name, unit = next((u for u in units if seconds >= 1.5 * u[1]), units[-1])
    return f"{seconds / unit:.2g} {name}" if seconds < 100 * unit else f"{seconds / unit:,.0f} {name}"


def _size(memory: float) -> str:
    return f"{memory / 1e6:.0f} MB" if memory < 1e9 else f"{memory / 1e9:,.0f} GB"


def main() -> int:
    if sys.argv[1:2] == ["at"]:
        print(machine(*PACKAGES), f"load when it began: {getloadavg()[0]:.1f}", sep="\n")
        at(int(sys.argv[2]))
        return 0
    budget = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    figure = Path(sys.argv[2]) if len(sys.argv) > 2 else FIGURE
    start = time.perf_counter()
    print(machine(*PACKAGES))
    print(f"load when it began: {getloadavg()[0]:.1f}; processor seconds, up to about {budget:g} each")
    growths = []
    for stage in STAGES:
        print(f"{stage.name} ...", end=" ", file=sys.stderr, flush=True)
        growths.append(grow(stage, budget))
        print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    print("\n".join(growth_table(growths)))
    print(f"worse than n log n: {'; '.join(worse(growths)) or 'nothing'}")
    print("\n".join(cost_table(growths)))
    draw(growths, figure)
    print(f"written: {figure.name}; {time.perf_counter() - start:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
