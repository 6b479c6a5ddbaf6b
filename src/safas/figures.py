"""The report's figures as plain Plotly specifications: numbers in, dictionaries out, nothing drawn here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from safas import metrics
from safas.plotting import (
    Spec,
    axis,
    blank_axis,
    domain_colour,
    dots,
    layout_of,
    line,
    method_colour,
    note,
    percent,
    percents,
    rounded,
    stacked,
    upright,
)

Record = Mapping[str, Any]
Histories = Mapping[str, Sequence[Record]]  # a method's printable name -> its records

BINS = 40  # bars of a score histogram over [0, 1]
_DASHES = ("solid", "dash", "dot")


@dataclass(frozen=True)
class Figure:
    """One drawing: `spec` for Plotly, `alt` says in words what it shows, `caption` how to read it."""

    key: str
    title: str
    caption: str
    alt: str
    spec: Spec


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


def histograms(key: str, method: str, panels: Sequence[Panel]) -> Figure:
    """Scores by domain, live above the line and spoof below it, with the thresholds as vertical lines."""
    height = 1 / len(panels)
    data: list[Spec] = []
    layout = layout_of(110 + 108 * len(panels))
    layout["margin"] = layout["margin"] | {"t": 60}  # two rows of legend
    layout |= {"bargap": 0.08, "barmode": "relative", "shapes": [], "annotations": []}
    layout["xaxis"] = axis("score = P(live)", range=[-0.01, 1.01], anchor=f"y{len(panels)}")
    for row, panel in enumerate(panels, start=1):
        top = 1 - (row - 1) * height
        where = [max(0.0, top - 0.86 * height), top - 0.2 * height]
        layout[f"yaxis{row}"] = blank_axis(mirror=False, zeroline=True, zerolinecolor="--axis", domain=where)
        layout["annotations"].append(note(panel.title, 0, top - 0.19 * height))
        data += _mirrored_bars(panel, f"y{row}", legend=row == 1)
        for value, dash in zip(panel.thresholds.values(), _DASHES, strict=False):
            layout["shapes"].append(upright(value, f"y{row}", dash))
    rules = dict.fromkeys(rule for panel in panels for rule in panel.thresholds)
    data += [
        line([None], [None], "--ink", name=rule, legend=True, dash=dash)
        for rule, dash in zip(rules, _DASHES, strict=False)
    ]
    return Figure(
        key,
        method,
        "Share of videos by score, drawn as a square root so that a stray few stay visible: live faces above "
        "each line, attacks below. Attacks right of the threshold get in; live faces left of it are refused.",
        f"Score histograms of {method}. {'; '.join(panel.describe() for panel in panels)}.",
        {"data": data, "layout": layout},
    )


def embedding(key: str, method: str, points: np.ndarray, how: str, table: pl.DataFrame) -> Figure:
    """Features in the plane: `points` [N, 2]; `table` [N] has domain, label, attack, score and seen."""
    domains = sorted(table["domain"].unique())
    frame = table.with_columns(pl.Series("x", points[:, 0]), pl.Series("y", points[:, 1]))
    data: list[Spec] = []
    for i, domain in enumerate(domains):
        for label in ("live", "spoof"):
            rows = frame.filter((pl.col("domain") == domain) & (pl.col("label") == label))
            if not rows.is_empty():
                data.append(_cloud(rows, domain, label, domain_colour(i)))
    layout = layout_of(500)
    layout["xaxis"], layout["yaxis"] = blank_axis(), blank_axis()
    unseen = ", ".join(sorted(table.filter(~pl.col("seen"))["domain"].unique())) or "none"
    return Figure(
        key,
        method,
        f"{how} of the features of {len(table)} videos: discs live, crosses spoof; the unseen domain is larger "
        "and its discs are outlined."
        + (" Neighbourhoods mean something; distances between far groups do not." if how == "UMAP" else ""),
        f"{how} of the features of {method}, coloured by domain ({', '.join(domains)}; unseen: {unseen}).",
        {"data": data, "layout": layout},
    )


def heads(key: str, method: str, records: Sequence[Record]) -> Figure | None:
    """Mean pairwise cosine of the domains' heads, and the spread of their biases, against step."""
    rows = [r for r in records if r.get("head_cosine") is not None]
    if not rows:
        return None
    steps = [r["step"] for r in rows]
    cosine = rounded(r["head_cosine"] for r in rows)
    spread = rounded(r.get("bias_spread") for r in rows)
    return Figure(
        key,
        f"{method}: do the heads fall in line?",
        "Each training domain has its own hyperplane. Alignment turns them towards each other until they are one "
        "(cosine 1). Biases are never aligned: what is left of their spread shifts thresholds between domains.",
        f"Mean pairwise cosine of the heads: {cosine[0]} at step {steps[0]}, {cosine[-1]} at step {steps[-1]}; "
        f"spread of their biases: {spread[0]}, then {spread[-1]}.",
        {
            "data": [
                line(steps, cosine, "--accent", name="cosine", width=2.5),
                line(steps, spread, "--accent", name="bias spread", width=2.5, yaxis="y2"),
            ],
            "layout": stacked("mean cosine of heads", "bias spread", "step"),
        },
    )


def separability(key: str, histories: Histories) -> Figure:
    """Separability and alignment of the features per evaluated epoch."""
    return Figure(
        key,
        "Separability and alignment",
        "Separability: mean distance between the centres of the (label, domain) groups of normalised features. "
        "Alignment: mean cosine between the classifier's direction and each domain's step from spoof to live. "
        "The method wants both high.",
        f"Separability and alignment per epoch. {_ends(histories, 'separability')}; {_ends(histories, 'alignment')}.",
        _by_epoch(histories, ("separability", "separability"), ("alignment", "alignment")),
    )


def training(key: str, histories: Histories) -> Figure:
    """Source-validation HTER per evaluated epoch above the mean training loss of each epoch."""
    histories = {method: _with_losses(records) for method, records in histories.items()}
    spec = _by_epoch(histories, ("source_dev_hter", "source dev HTER"), ("mean_loss", "training loss"))
    spec["layout"]["yaxis"] |= {"tickformat": ".0%", "rangemode": "tozero"}
    return Figure(
        key,
        "Training",
        "Half total error rate on source validation, which alone picks epoch and threshold, and each epoch's mean "
        "training loss. The losses of different methods have different terms and cannot be compared.",
        f"Training curves. {_ends(histories, 'source_dev_hter')}; {_ends(histories, 'mean_loss')}.",
        spec,
    )


def _bar_in_words(bar: Bar) -> str:
    words = f"{bar.method} {percent(bar.hter)} %"
    if bar.interval is not None:
        words += f" (95 % interval {percent(bar.interval[0])} to {percent(bar.interval[1])})"
    return words if bar.inside is None else f"{words}, inside {percent(bar.inside)} %"


def _mirrored_bars(panel: Panel, yaxis: str, *, legend: bool) -> list[Spec]:
    edges = np.linspace(0, 1, BINS + 1)
    bars = []
    for name, chosen, sign in (("live", panel.live, 1), ("spoof", ~panel.live, -1)):
        shares = np.histogram(panel.scores[chosen], edges)[0] / max(1, int(chosen.sum()))
        bars.append(
            {
                "type": "bar", "name": name, "legendgroup": name, "showlegend": legend, "yaxis": yaxis,
                "x": rounded((edges[:-1] + edges[1:]) / 2), "y": rounded(sign * np.sqrt(shares)),
                "customdata": percents(shares), "marker": {"color": f"--{name}"},
                "hovertemplate": f"%{{customdata}} % of {name} near %{{x:.2f}}<extra></extra>",
            }
        )  # fmt: skip
    return bars


def _cloud(rows: pl.DataFrame, domain: str, label: str, colour: str) -> Spec:
    """One domain's live or spoof videos. A thin cross takes its colour from its line, a disc from its filling."""
    seen = bool(rows["seen"][0])
    edge = {"width": 1.6 if seen else 2.4, "color": colour}
    if label == "live":
        edge = {"width": 0.6 if seen else 1.2, "color": "--paper" if seen else "--ink"}
    marker: Spec = {"symbol": "circle" if label == "live" else "x-thin", "color": colour, "line": edge}
    marker |= {"size": 7 if seen else 9, "opacity": 0.9}
    words = [f"{a}, score {s:.2f}" for a, s in zip(rows["attack"], rows["score"], strict=True)]
    name = f"{domain}{'' if seen else ' (unseen)'}, {label}"
    return dots(rounded(rows["x"]), rounded(rows["y"]), name, marker, "%{text}", text=words)


def _by_epoch(histories: Histories, upper: tuple[str, str], lower: tuple[str, str]) -> Spec:
    """Two stacked panels of recorded quantities (field, axis title) per evaluated epoch."""
    data: list[Spec] = []
    for i, (method, records) in enumerate(histories.items()):
        for field, yaxis in ((upper[0], "y"), (lower[0], "y2")):
            rows = [r for r in records if r.get(field) is not None]
            values = rounded(r[field] for r in rows)
            curve = line((r["epoch"] for r in rows), values, method_colour(i), name=method, yaxis=yaxis)
            data.append(curve | {"mode": "lines+markers", "showlegend": yaxis == "y", "legendgroup": method})
    return {"data": data, "layout": stacked(upper[1], lower[1], "epoch")}


def _with_losses(records: Sequence[Record]) -> list[Record]:
    """The records, and one more an epoch with the mean loss of its logged steps."""
    losses: dict[int, list[float]] = {}
    for record in records:
        if record.get("loss") is not None:
            losses.setdefault(record["epoch"], []).append(record["loss"])
    return [*records, *({"epoch": e, "mean_loss": float(np.mean(values))} for e, values in losses.items())]


def _ends(histories: Histories, field: str) -> str:
    ends = {
        method: [r[field] for r in rows if r.get(field) is not None] for method, rows in histories.items()
    }
    last = [f"{method} {values[-1]:.3f}" for method, values in ends.items() if values]
    return f"{field.replace('_', ' ')} at the end: {', '.join(last) or 'not recorded'}"
