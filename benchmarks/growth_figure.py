"""The growth of every stage as one figure: a column for what is counted, processor time above, memory below."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growing import LEAST_BYTES, LEAST_S, Growth

# Okabe and Ito's colours, which the colour-blind tell apart; the yellow is too light for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--")
GREY = "#9a9a9a"
COLUMNS = {
    "videos": "videos",
    "crops": "crops",
    "domains": "domains E, 512 views",
    "views": "views in a batch",
}
MEASURES = (("processor time, s", "seconds", LEAST_S, 1.0), ("memory, MB", "memory", LEAST_BYTES, 1e6))
QUIET = {"font.size": 7.5, "font.family": "DejaVu Sans", "svg.hashsalt": "growth", "axes.linewidth": 0.6}


def draw(growths: Sequence[Growth], out: Path) -> None:
    """Write the figure as SVG."""
    with mpl.rc_context(QUIET):
        figure = Figure(figsize=(13.2, 7.0), layout="constrained")
        grid = figure.subplots(
            2, len(COLUMNS), sharex="col", gridspec_kw={"width_ratios": (1.25, 1.2, 1, 0.9)}
        )
        for row, (title, quantity, least, unit) in enumerate(MEASURES):
            for column, (what, words) in enumerate(COLUMNS.items()):
                of = [growth for growth in growths if growth.stage.what == what]
                panel(grid[row][column], of, quantity, least, unit)
                guide(grid[row][column], 2 if what == "views" else 1)
                grid[row][column].set_xlabel(words if row else "")
            grid[row][0].set_ylabel(title)
        grid[1][list(COLUMNS).index("domains")].set_xticks([4, 16, 64], ["4", "16", "64"], minor=False)
        grid[1][list(COLUMNS).index("domains")].minorticks_off()
        figure.savefig(out, format="svg", metadata={"Date": None})


def panel(axes: Axes, growths: Sequence[Growth], quantity: str, least: float, unit: float) -> None:
    """Lines with their names and exponents at their ends; those that hardly grow are grey, in one group."""
    axes.set(xscale="log", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.5)
    axes.tick_params(which="both", width=0.5)
    ends: list[tuple[float, float, str, str]] = []
    flat: list[tuple[float, float]] = []
    for growth, colour, dashes in zip(growths, *zip(*styles(len(growths)), strict=True), strict=True):
        points = [(p.n, getattr(p, quantity) / unit) for p in growth.points if getattr(p, quantity) >= least]
        if len(points) < 2:
            continue
        power = growth.time_exponent if quantity == "seconds" else growth.memory_exponent
        is_flat = len(growths) > 12 and (power or 0) < 0.3
        style = {"color": GREY, "linestyle": "-"} if is_flat else {"color": colour, "linestyle": dashes}
        axes.plot(
            *zip(*points, strict=True), marker="o", markersize=2.2, linewidth=0.7 if is_flat else 1.2, **style
        )
        if is_flat:
            flat.append(points[-1])
        else:
            ends.append((*points[-1], f"{growth.stage.name}  {power:.2f}", colour))
    if flat:
        ends.append(
            (
                flat[0][0],
                float(np.exp(np.mean(np.log([y for _, y in flat])))),
                f"{len(flat)} others  < 0.3",
                GREY,
            )
        )
    name(axes, ends)


def guide(axes: Axes, power: int) -> None:
    """A dotted line that grows as n^power, through the middle of the panel, behind everything."""
    limits = np.log10(axes.get_xlim()), np.log10(axes.get_ylim())
    (left, right), (low, high) = limits
    reach = min((right - left) / 2, (high - low) / 2 / power) * 0.96
    x, y = (
        np.array([-reach, reach]) + (left + right) / 2,
        np.array([-reach, reach]) * power + (low + high) / 2,
    )
    axes.plot(10**x, 10**y, color="#c8c8c8", linestyle=":", linewidth=1, zorder=0)
    mark = "n " if power == 1 else f"n$^{power}$ "
    axes.text(10 ** x[1], 10 ** y[1], mark, color=GREY, ha="right", va="center", style="italic")
    axes.set(xlim=10 ** np.array(limits[0]), ylim=10 ** np.array(limits[1]))


def styles(count: int) -> Iterator[tuple[str, str]]:
    """A colour and a dash for each of so many lines."""
    for i in range(count):
        yield COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]


def name(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write the names in a column beside the panel, in the order of the lines' ends and never over one another."""
    low, high = np.log(axes.get_ylim())
    wanted = sorted(ends, key=lambda end: end[1])
    places = spread([(np.log(end[1]) - low) / (high - low) for end in wanted], 0.053)
    for (x, y, text, colour), place in zip(wanted, places, strict=True):
        axes.annotate(
            text, (x, y), xytext=(1.04, place), textcoords="axes fraction", color=colour, va="center", fontsize=6.8,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.35, "shrinkA": 1, "shrinkB": 2},
        )  # fmt: skip


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Rising places moved as little as needed to be `gap` apart, and all of them within 0 and 1 where that can be."""
    made: list[float] = []
    for place in places:
        made.append(max(place, made[-1] + gap) if made else place)
    over = max(0.0, made[-1] - 1) if made else 0.0
    for i in reversed(range(len(made))):
        made[i] = min(made[i], (made[i + 1] - gap) if i + 1 < len(made) else made[i] - over)
    return made
