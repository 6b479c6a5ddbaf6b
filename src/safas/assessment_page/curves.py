"""ROC, DET and the error rates against the threshold, of report.json's `curves`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from safas.assessment.lines import percent
from safas.assessment_page.parts import Json, rule_in_words, score_axis, species_lines, thresholds
from safas.figures.histograms import legend_of
from safas.figures.plotting import (
    Figure,
    Spec,
    axis,
    dots,
    layout_of,
    line,
    percents,
    plain,
    rounded,
    upright,
)

# labels of normal-deviate axes, in percent
_TICKS = (0.001, 0.01, 0.1, 0.5, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99.5, 99.9, 99.99, 99.999)

Transform = Callable[[ArrayLike], list[Any]]


def roc(report: Json) -> Figure:
    """Bona fide accepted against attacks accepted."""
    data = [line([0, 100], [100, 0], "--axis", dash="dot", width=1)]
    data += _traces(
        report, lambda rate: percents(np.asarray(rate)), lambda rate: percents(1 - np.asarray(rate))
    )
    layout = _layout(len(_species(report)) + 2, 2)
    layout["xaxis"] = axis("attacks accepted (APCER), %", range=[-1.5, 101.5])
    layout["yaxis"] = axis("bona fide accepted (100 − BPCER), %", range=[-1.5, 101.5])
    return Figure(
        "roc",
        "ROC",
        "Up and to the left is better. Dots are thresholds; the filled one is in use. On the dotted diagonal both "
        "error rates are equal.",
        f"ROC curve. Area under it, all attacks pooled: {percent(report['auc'])} %. {_points_in_words(report)}",
        {"data": data, "layout": layout},
    )


def det(report: Json) -> Figure:
    """BPCER against APCER on normal-deviate axes."""
    curves = report["curves"]
    layout = _layout(len(_species(report)) + 2, 2)
    rates = np.concatenate([curves["bpcer"], *curves["apcer"].values()])
    ticks = _ticks(rates)
    shared = {
        "tickvals": rounded(ndtri(np.array(ticks) / 100)),
        "ticktext": _labels(ticks),
        "tickangle": 0,
        "range": [float(ndtri(ticks[0] / 100)) - 0.08, float(ndtri(ticks[-1] / 100)) + 0.08],
    }
    layout["xaxis"] = axis("attacks accepted (APCER), %", **shared)
    layout["yaxis"] = axis("bona fide rejected (BPCER), %", **shared)
    return Figure(
        "det",
        "DET",
        "The same errors on normal-deviate axes: down and to the left is better, and normally distributed scores "
        "give a straight line. Rates of 0 % and 100 % lie at infinity and are not drawn.",
        f"Detection error trade-off curve. {_points_in_words(report)}",
        {"data": _traces(report, _probit, _probit), "layout": layout},
    )


def against_threshold(report: Json) -> Figure:
    """APCER and BPCER at every threshold, with the thresholds drawn in."""
    curves, species = report["curves"], _species(report)
    x = rounded(curves["threshold"])
    data = [
        line(
            x,
            percents(curves["apcer"][name]),
            colour,
            name=plain(f"APCER {name}"),
            dash=dash,
            legend=True,
            shape="hvh",
        )
        for name, colour, dash in species_lines(species)
        if len(species) > 1
    ]
    data += [
        line(
            x,
            percents(worst_apcer(report)),
            "--spoof",
            name=_worst_name(report),
            width=2.5,
            legend=True,
            shape="hvh",
        ),
        line(x, percents(curves["bpcer"]), "--live", name="BPCER", width=2.5, legend=True, shape="hvh"),
    ]
    drawn = thresholds(report)
    legend = legend_of(drawn)
    layout = _layout(len(data) + len(legend), 4, height=330)
    layout["xaxis"] = axis(
        "threshold (accepted when the score is at least so)", range=list(score_axis(report))
    )
    layout["yaxis"] = axis("error rate, %", range=[-1.5, 101.5])
    layout["shapes"] = [
        upright(value, "y", entry["line"]["dash"])
        for value, entry in zip(drawn.values(), legend, strict=False)
    ]
    named = "; ".join(f"{name} {value:.6g}" for name, value in drawn.items())
    return Figure(
        "against-threshold",
        "Error rates against the threshold",
        "A higher threshold accepts fewer attacks and rejects more bona fide. Where the lines are steep beside a "
        "threshold, a small shift of the scores in another place changes the rates much.",
        f"APCER and BPCER against the threshold. Drawn in: {named}. {_points_in_words(report)}",
        {"data": data + legend, "layout": layout},
    )


def worst_apcer(report: Json) -> np.ndarray:
    """The highest APCER of any species at each threshold [T]: the standard's."""
    of = report["curves"]["apcer"]
    worst: np.ndarray = np.max([of[name] for name in _species(report)], axis=0)
    return worst


def _species(report: Json) -> list[str]:
    return [name for name in report["curves"]["apcer"] if name != "pooled"]


def _worst_name(report: Json) -> str:
    return "APCER, worst species" if len(_species(report)) > 1 else f"APCER {plain(_species(report)[0])}"


def _layout(entries: int, in_a_row: int, height: int = 400) -> Spec:
    """With room for a legend above: paper is laid out after the legend has asked for its own."""
    legend = 21 * -(-entries // in_a_row)
    layout = layout_of(height + legend)
    layout["margin"] = layout["margin"] | {"t": 14 + legend}
    return layout


def _traces(report: Json, x: Transform, y: Transform) -> list[Spec]:
    """A thin line a species, all pooled, the worst at each threshold, and the thresholds as dots."""
    curves, species = report["curves"], _species(report)
    bpcer = y(curves["bpcer"])
    data = []
    if len(species) > 1:
        for name, colour, dash in species_lines(species):
            data.append(_curve(x(curves["apcer"][name]), bpcer, colour, plain(name, 18), 1.3, dash))
        data.append(_curve(x(curves["apcer"]["pooled"]), bpcer, "--muted", "all pooled", 1.5, "dash"))
    data.append(_curve(x(worst_apcer(report)), bpcer, "--ink", _worst_name(report), 2.5, "solid"))
    return data + [_dot(point, x, y) for point in _points(report)]


def _curve(x: list[Any], y: list[Any], colour: str, name: str, width: float, dash: str) -> Spec:
    drawn = line(x, y, colour, name=name, width=width, dash=dash, legend=True)
    return drawn | {"hoverinfo": "name"}


def _dot(point: Json, x: Transform, y: Transform) -> Spec:
    used = point["name"] == "threshold in use"
    edge = {"width": 2, "color": "--paper" if used else "--ink"}
    marker = {"size": 12 if used else 8, "symbol": "circle" if used else "circle-open", "line": edge}
    hover = (
        f"{rule_in_words(point['name'])}: threshold {point['threshold']:.6g}<br>APCER {percent(point['apcer'])} % "
        f"(pooled {percent(point['apcer_pooled'])} %)<br>BPCER {percent(point['bpcer'])} %"
    )
    at = x([point["apcer"]]), y([point["bpcer"]])
    return dots(*at, "", marker | {"color": "--ink"}, hover, showlegend=False)


def _points(report: Json) -> Sequence[Json]:
    """Those that differ: of the others only the one in use, which is drawn last and so on top."""
    used = [point for point in report["curves"]["points"] if point["name"] == "threshold in use"]
    same = {point["threshold"] for point in used}
    others = [point for point in report["curves"]["points"] if point["threshold"] not in same]
    return [*others, *used]


def _points_in_words(report: Json) -> str:
    words = [
        f"{rule_in_words(point['name'])} ({point['threshold']:.6g}): APCER of the worst species "
        f"{percent(point['apcer'])} %, BPCER {percent(point['bpcer'])} %"
        for point in reversed(_points(report))
    ]
    return f"{'; '.join(words)}."


def _probit(rate: ArrayLike) -> list[Any]:
    return rounded(ndtri(np.asarray(rate, dtype=np.float64)))


def _ticks(rates: np.ndarray) -> list[float]:
    """The labels that the drawn rates reach to: a square piece of the plane."""
    inside = 100 * rates[(rates > 0) & (rates < 1)]
    low, high = (inside.min(), inside.max()) if inside.size else (5, 95)
    first = max((tick for tick in _TICKS if tick <= low), default=_TICKS[0])
    last = min((tick for tick in _TICKS if tick >= high), default=_TICKS[-1])
    return [tick for tick in _TICKS if first <= tick <= last]


def _labels(ticks: Sequence[float]) -> list[str]:
    """In percent; none where it would touch the last one: a tenth of the axis apart at least."""
    places = ndtri(np.array(ticks) / 100)
    apart, last, labels = (places[-1] - places[0]) / 10, -np.inf, []
    for tick, place in zip(ticks, places, strict=True):
        shown = place - last >= apart
        last = place if shown else last
        labels.append(f"{tick:g}" if shown else "")
    return labels
