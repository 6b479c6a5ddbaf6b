"""Mirrored histograms over one another: live above each line, attacks below, thresholds as vertical lines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from safas.figures.plotting import Spec, axis, blank_axis, layout_of, line, note, percents, rounded, upright

DASHES = ("solid", "dash", "dot", "dashdot")  # of thresholds, in the order in which a panel names them


@dataclass(frozen=True)
class Bars:
    """One panel: counts of live and of attacks [B] between the edges [B + 1], and the thresholds drawn in."""

    title: str
    edges: ArrayLike
    live: ArrayLike
    spoof: ArrayLike
    thresholds: Mapping[str, float]  # the rule in words -> score


def mirrored(panels: Sequence[Bars], score: str, reach: Sequence[float]) -> Spec:
    """The panels on one axis of scores from reach[0] to reach[1]; `score` is the axis' title."""
    height = 1 / len(panels)
    data: list[Spec] = []
    layout = layout_of(110 + 108 * len(panels))
    layout["margin"] = layout["margin"] | {"t": 60}  # two rows of legend
    layout |= {"bargap": 0.08, "barmode": "relative", "shapes": [], "annotations": []}
    layout["xaxis"] = axis(score, range=list(reach), anchor=f"y{len(panels)}")
    for row, panel in enumerate(panels, start=1):
        top = 1 - (row - 1) * height
        where = [max(0.0, top - 0.86 * height), top - 0.2 * height]
        layout[f"yaxis{row}"] = blank_axis(mirror=False, zeroline=True, zerolinecolor="--axis", domain=where)
        layout["annotations"].append(note(panel.title, 0, top - 0.19 * height))
        data += _bars(panel, f"y{row}", legend=row == 1)
        for value, dash in zip(panel.thresholds.values(), DASHES, strict=False):
            layout["shapes"].append(upright(value, f"y{row}", dash))
    return {"data": data + legend_of(rule for panel in panels for rule in panel.thresholds), "layout": layout}


def legend_of(rules: Iterable[str]) -> list[Spec]:
    """Entries of the legend for thresholds, each rule once."""
    named = zip(dict.fromkeys(rules), DASHES, strict=False)
    return [line([None], [None], "--ink", name=rule, legend=True, dash=dash) for rule, dash in named]


def _bars(panel: Bars, yaxis: str, *, legend: bool) -> list[Spec]:
    edges = np.asarray(panel.edges, dtype=np.float64)
    bars = []
    for name, counts, sign in (("live", panel.live, 1), ("spoof", panel.spoof, -1)):
        shares = np.asarray(counts) / max(1, int(np.sum(counts)))
        bars.append(
            {
                "type": "bar", "name": name, "legendgroup": name, "showlegend": legend, "yaxis": yaxis,
                "x": rounded((edges[:-1] + edges[1:]) / 2), "y": rounded(sign * np.sqrt(shares)),
                "customdata": percents(shares), "marker": {"color": f"--{name}"},
                "hovertemplate": f"%{{customdata}} % of {name} near %{{x:.2f}}<extra></extra>",
            }
        )  # fmt: skip
    return bars
