"""Figures of a result as plain Plotly specifications: numbers in, dictionaries out, nothing drawn here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from safas import metrics
from safas.figures.histograms import Bars, mirrored
from safas.figures.plotting import (
    Figure,
    Spec,
    axis,
    dots,
    layout_of,
    line,
    method_colour,
    percent,
    percents,
)

BINS = 40  # bars of a score histogram over [0, 1]


@dataclass(frozen=True)
class Bar:
    """One method's headline HTER on the unseen domain with its interval, and inside; shares in [0, 1]."""

    method: str
    hter: float
    interval: tuple[float, float] | None
    inside: float | None


@dataclass(frozen=True)
class Panel:
    """The scores of one domain: `scores` [N] in [0, 1], `live` [N] boolean, and the thresholds drawn in."""

    title: str
    scores: np.ndarray
    live: np.ndarray
    thresholds: Mapping[str, float]  # the rule in words -> score

    def describe(self) -> str:
        """The panel in words."""
        live, spoof = self.scores[self.live], self.scores[~self.live]
        means = [f"{name} {x.mean():.2f}" for name, x in (("live", live), ("spoof", spoof)) if len(x)]
        return f"{self.title}: mean score {', '.join(means)}"


def at_a_glance(key: str, target: str, bars: Sequence[Bar]) -> Figure:
    """HTER inside the training domains (ring) and on the unseen one (dot, 95 % interval), a line a method."""
    data: list[Spec] = []
    for i, bar in enumerate(bars):
        if bar.inside is not None:
            gap = (percent(bar.inside), percent(bar.hter))
            data.append(line(gap, [bar.method] * 2, "--axis", dash="dot"))
        if bar.interval is not None:
            data.append(line(percents(bar.interval), [bar.method] * 2, method_colour(i), width=3))
    for name, values, symbol in (
        ("inside: new people, known domains", [bar.inside for bar in bars], "circle-open"),
        (f"unseen domain: {target}", [bar.hter for bar in bars], "circle"),
    ):
        colours = [method_colour(i) for i in range(len(bars))]
        marker = {"symbol": symbol, "size": 12, "color": colours, "line": {"width": 2.5, "color": colours}}
        data.append(dots(map(percent, values), [b.method for b in bars], name, marker, "%{y}: %{x:.1f} %"))
    layout = layout_of(128 + 46 * len(bars))
    reach = max(max(bar.hter, bar.inside or 0, *(bar.interval or (0,))) for bar in bars)
    layout["xaxis"] = axis("half total error rate, %", range=[-1.5 * reach, 108 * reach + 1])
    layout["yaxis"] = axis("", showgrid=False, autorange="reversed", ticks="", type="category")
    layout["yaxis"]["tickfont"] = {"size": 14, "color": "--ink"}
    return Figure(
        key,
        "The price of a new place",
        "Half total error rate (HTER) at the threshold fixed on source validation. The dotted line is the gap "
        "between new people in known domains and a domain never seen; the bar is the 95 % interval over subjects.",
        f"Half total error rates on {target}. {'; '.join(_bar_in_words(bar) for bar in bars)}.",
        {"data": data, "layout": layout},
    )


def roc(key: str, target: str, curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> Figure:
    """ROC on the target: method -> (scores [N], live [N], threshold); the dot is the headline's threshold."""
    data = [line([0, 100], [100, 0], "--axis", dash="dot", width=1)]
    words = []
    for i, (method, (scores, live, threshold)) in enumerate(curves.items()):
        curve = metrics.roc(scores=scores, live=live)
        x, y = percents(curve.far), percents(1 - curve.frr)
        data.append(line(x, y, method_colour(i), name=method, width=2.5, legend=True))
        accepted = scores >= threshold
        marker = {"size": 12, "color": method_colour(i), "line": {"width": 2, "color": "--paper"}}
        hover = f"threshold {threshold:.3f}<br>attacks accepted %{{x:.1f}} %<br>live accepted %{{y:.1f}} %"
        point = (percents([accepted[~live].mean()]), percents([accepted[live].mean()]))
        data.append(dots(*point, method, marker, hover, showlegend=False))
        words.append(
            f"{method}: AUC {metrics.auc(scores=scores, live=live):.3f}, at the threshold fixed on source "
            f"validation {point[0][0]:.1f} % of attacks and {point[1][0]:.1f} % of live faces are accepted"
        )
    layout = layout_of(440)
    layout["xaxis"] = axis("attacks accepted, %", range=[-1.5, 101.5])
    layout["yaxis"] = axis("live faces accepted, %", range=[-1.5, 101.5])
    return Figure(
        key,
        f"ROC on {target}, the unseen domain",
        "Up and to the left is better. The dot is where the threshold fixed on source validation lands; on the "
        "dotted diagonal both error rates are equal.",
        f"ROC curves on the unseen domain {target}. {'; '.join(words)}.",
        {"data": data, "layout": layout},
    )


def by_species(key: str, target: str, accepted: Mapping[str, Mapping[str, float]]) -> Figure:
    """Errors on the target by kind of presentation: method -> {kind: share that is judged wrongly}."""
    data: list[Spec] = [
        {
            "type": "bar", "orientation": "h", "name": method, "y": list(shares), "x": percents(shares.values()),
            "marker": {"color": method_colour(i)},
            "hovertemplate": f"%{{y}}: %{{x:.1f}} %<extra>{method}</extra>",
        }
        for i, (method, shares) in enumerate(accepted.items())
    ]  # fmt: skip
    layout = layout_of(440) | {"barmode": "group", "bargap": 0.35}
    layout["xaxis"] = axis("judged wrongly, %", rangemode="tozero")
    layout["yaxis"] = axis(
        "", showgrid=False, autorange="reversed", ticks="", type="category", ticksuffix=" "
    )
    words = (
        f"{method}: " + ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in shares.items())
        for method, shares in accepted.items()
    )
    return Figure(
        key,
        f"What goes wrong on {target}",
        "Live faces refused, and attacks of each kind accepted, at the threshold fixed on source validation.",
        f"Shares judged wrongly on {target}. {'; '.join(words)}.",
        {"data": data, "layout": layout},
    )


def score_panels(key: str, method: str, panels: Sequence[Panel]) -> Figure:
    """Scores by domain, live above the line and spoof below it, with the thresholds as vertical lines."""
    spec = mirrored([_bars(panel) for panel in panels], "score = P(live)", (-0.01, 1.01))
    return Figure(
        key,
        method,
        "Share of videos by score, drawn as a square root so that a stray few stay visible: live faces above "
        "each line, attacks below. Attacks right of the threshold get in; live faces left of it are refused.",
        f"Score histograms of {method}. {'; '.join(panel.describe() for panel in panels)}.",
        spec,
    )


def _bar_in_words(bar: Bar) -> str:
    words = f"{bar.method} {percent(bar.hter)} %"
    if bar.interval is not None:
        words += f" (95 % interval {percent(bar.interval[0])} to {percent(bar.interval[1])})"
    return words if bar.inside is None else f"{words}, inside {percent(bar.inside)} %"


def _bars(panel: Panel) -> Bars:
    edges = np.linspace(0, 1, BINS + 1)
    live, spoof = (np.histogram(panel.scores[of], edges)[0] for of in (panel.live, ~panel.live))
    return Bars(panel.title, edges, live, spoof, panel.thresholds)
