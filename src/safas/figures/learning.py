"""Figures of how a run learned, from its records and the scores of its evaluated epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from safas.figures.plotting import (
    Figure,
    Spec,
    axis,
    dots,
    layout_of,
    line,
    method_colour,
    percents,
    rounded,
    stacked,
)
from safas.metrics import auc
from safas.protocols import SOURCE_DEV, TARGET
from safas.table import is_live

Record = Mapping[str, Any]  # a line of a run's log
Histories = Mapping[str, Sequence[Record]]  # a method's printable name -> its records

MEANINGS = {
    "separability": "Separability is the mean distance between the centres of the (label, domain) groups of normalised "
    "features of source validation",
    "alignment": "Alignment is the mean cosine between the classifier's direction and each training domain's step from "
    "spoof to live, on source validation",
}
_ROLES = {"unseen_auc": TARGET, "source_auc": SOURCE_DEV}
_WHERE = {"unseen_auc": "the unseen domain", "source_auc": "source validation"}


def head_names(sources: Sequence[str], count: int) -> list[str]:
    """What a method's heads are called: by their domains, "all domains" if they share one.

    A method may have more heads than domains (`least_heads` of SA-FAS); these come last.
    """
    spare = [f"no domain {number}" for number in range(1, count - len(sources) + 1)]
    return ["all domains"] if count == 1 else [*sources, *spare]


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


def separability(key: str, histories: Histories) -> Figure:
    """Separability and alignment of the features, epoch by epoch."""
    return Figure(
        key,
        "Separability and alignment",
        f"{MEANINGS['separability']}. {MEANINGS['alignment']}. SA-FAS wants both high.",
        f"Separability and alignment per epoch. {_ends(histories, 'separability')}; {_ends(histories, 'alignment')}.",
        _by_epoch(histories, ("separability", "separability"), ("alignment", "alignment")),
    )


def with_aucs(records: Sequence[Record], scores: pl.DataFrame) -> list[dict[str, Any]]:
    """The records of evaluated epochs, each with `source_auc` and `unseen_auc` from a run's score table."""
    epochs = [record for record in records if record.get("separability") is not None]
    found = []
    for record in epochs:
        of = scores.filter(pl.col("epoch") == record["epoch"])
        aucs = {name: _auc(of.filter(pl.col("role") == role)) for name, role in _ROLES.items()}
        found.append({**record, **aucs})
    return found


def against_auc(
    key: str, quantity: str, histories: Histories, target: str, chosen: Mapping[str, int]
) -> Figure:
    """A quantity ("separability" or "alignment") of every epoch against AUC at that epoch, inside and outside.

    histories: records as `with_aucs` makes them. chosen: the epoch that source validation chose, by method.
    """
    data: list[Spec] = []
    for i, (method, records) in enumerate(histories.items()):
        for where, symbol in (("source_auc", "circle-open"), ("unseen_auc", "circle")):
            data.append(_trajectory(method, records, (quantity, where), symbol, method_colour(i)))
            data += _crown([r for r in records if r["epoch"] == chosen.get(method)], quantity, where)
    data += _legend(list(histories))
    layout = layout_of(440)
    layout["xaxis"], layout["yaxis"] = axis(quantity), axis("AUC, %")
    words = "; ".join(_correlations(method, quantity, rows) for method, rows in histories.items())
    return Figure(
        key,
        f"Does {quantity} go with a better AUC?",
        f"{MEANINGS[quantity]}. A mark is an evaluated epoch, a line their order, a ring around it the epoch that "
        f"source validation chose. Discs are the AUC on {target}, the unseen domain: oracle knowledge, which chose "
        f"nothing. Open marks are source validation. Rank correlation over the epochs: {words}. Much else changes from "
        "epoch to epoch, so it shows no cause.",
        f"{quantity.capitalize()} against AUC, epoch by epoch. {words}. "
        + "; ".join(_last(method, quantity, rows) for method, rows in histories.items() if rows),
        {"data": data, "layout": layout},
    )


def heads(key: str, method: str, records: Sequence[Record], colours: Mapping[str, str]) -> Figure | None:
    """Of the domains' heads against step: mean pairwise cosine, every norm, every bias; None for a single head.

    colours: of the training domains, in the order of their heads. Older records hold the spread of the biases only.
    """
    rows = [r for r in records if r.get("head_cosine") is not None]
    if not rows:
        return None
    steps = [r["step"] for r in rows]
    cosine = rounded(r["head_cosine"] for r in rows)
    data = [line(steps, cosine, "--ink", name="mean cosine", width=2.5)]
    titles, words = ["mean cosine"], [f"mean pairwise cosine {_from_to(cosine)}"]
    for field, title in (("head_norms", "norm"), ("head_biases", "bias"), ("bias_spread", "bias spread")):
        if field not in rows[0] or (field == "bias_spread" and "bias" in titles):
            continue
        titles.append(title)
        curves, said = _head_curves(rows, field, title, colours, f"y{len(titles)}")
        data += curves
        words.append(said)
    return Figure(
        key,
        f"{method}: do the heads fall in line?",
        "Each training domain has its own hyperplane. Alignment turns them towards each other until they are one "
        "(cosine 1). Norms and biases are aligned only where the method is told to align whole hyperplanes; biases "
        "that stay apart shift thresholds between domains.",
        f"Heads from step {steps[0]} to step {steps[-1]}: {'; '.join(words)}.",
        {"data": data, "layout": stacked(titles, "step")},
    )


def _head_curves(
    rows: Sequence[Record], field: str, title: str, colours: Mapping[str, str], yaxis: str
) -> tuple[list[Spec], str]:
    """The curves of one panel, one a head or one for all, and what they do in words."""
    steps = [r["step"] for r in rows]
    if field == "bias_spread":
        spread = rounded(r[field] for r in rows)
        return [
            line(steps, spread, "--ink", name=title, width=2.5, yaxis=yaxis)
        ], f"{title} {_from_to(spread)}"
    curves, words = [], []
    for i, domain in enumerate(head_names(list(colours), len(rows[0][field]))):
        values, colour = rounded(r[field][i] for r in rows), colours.get(domain, "--muted")
        curve = line(steps, values, colour, name=domain, width=2, yaxis=yaxis, legend=title == "norm")
        curves.append(curve | {"legendgroup": domain})
        words.append(f"{domain} {_from_to(values)}")
    return curves, f"{title} of {', '.join(words)}"


def _from_to(values: Sequence[float | None]) -> str:
    return f"{values[0]} to {values[-1]}"


def _auc(rows: pl.DataFrame) -> float | None:
    """AUC in [0, 1]; None where an epoch was not scored."""
    return None if rows.is_empty() else auc(scores=rows["score"].to_numpy(), live=is_live(rows))


def _trajectory(
    method: str, records: Sequence[Record], fields: tuple[str, str], symbol: str, colour: str
) -> Spec:
    quantity, where = fields
    shown = [r for r in records if r[where] is not None]
    marker = {"symbol": symbol, "size": 8, "color": colour, "line": {"width": 1.8, "color": colour}}
    x, y = rounded(r[quantity] for r in shown), percents(r[where] for r in shown)
    hover = f"epoch %{{text}}: {quantity} %{{x:.3f}}, {_WHERE[where]} AUC %{{y:.1f}} %"
    drawn = dots(x, y, method, marker, hover, text=[str(r["epoch"]) for r in shown], showlegend=False)
    return drawn | {"mode": "lines+markers", "line": {"color": colour, "width": 0.7}, "legendgroup": method}


def _crown(records: Sequence[Record], quantity: str, where: str) -> list[Spec]:
    """A ring around the chosen epoch."""
    marker = {"symbol": "circle-open", "size": 15, "color": "--ink", "line": {"width": 2, "color": "--ink"}}
    return [
        dots(rounded([r[quantity]]), percents([r[where]]), "chosen", marker, "", showlegend=False)
        | {"hoverinfo": "skip", "hovertemplate": None}
        for r in records
        if r[where] is not None
    ]


def _legend(methods: Sequence[str]) -> list[Spec]:
    entries = [
        line([None], [None], method_colour(i), name=method, width=3, legend=True) | {"legendgroup": method}
        for i, method in enumerate(methods)
    ]
    for name, symbol in (("unseen domain (oracle)", "circle"), ("source validation", "circle-open")):
        marker = {"symbol": symbol, "size": 8, "color": "--ink", "line": {"width": 1.8, "color": "--ink"}}
        entries.append(dots([None], [None], name, marker, "", showlegend=True))
    return entries


def _correlations(method: str, quantity: str, records: Sequence[Record]) -> str:
    """Spearman's rank correlation of the quantity with both AUCs over the epochs, in words."""
    return f"{method} " + ", ".join(
        f"{_rank_correlation([(r[quantity], r[where]) for r in records if r[where] is not None])} with {words}"
        for where, words in _WHERE.items()
    )


def _rank_correlation(pairs: Sequence[tuple[float, float]]) -> str:
    x, y = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "not defined"
    return f"{spearmanr(x, y).statistic:+.2f}".replace("-", "−")


def _last(method: str, quantity: str, records: Sequence[Record]) -> str:
    last = records[-1]
    aucs = [
        f"{100 * last[where]:.1f} % {words}" for where, words in _WHERE.items() if last[where] is not None
    ]
    return f"{method} at the end: {quantity} {last[quantity]:.3f}, AUC {' and '.join(aucs)}"


def _by_epoch(histories: Histories, upper: tuple[str, str], lower: tuple[str, str]) -> Spec:
    """Two stacked panels of recorded quantities (field, axis title) per evaluated epoch."""
    data: list[Spec] = []
    for i, (method, records) in enumerate(histories.items()):
        for field, yaxis in ((upper[0], "y"), (lower[0], "y2")):
            rows = [r for r in records if r.get(field) is not None]
            values = rounded(r[field] for r in rows)
            curve = line((r["epoch"] for r in rows), values, method_colour(i), name=method, yaxis=yaxis)
            data.append(curve | {"mode": "lines+markers", "showlegend": yaxis == "y", "legendgroup": method})
    return {"data": data, "layout": stacked((upper[1], lower[1]), "epoch")}


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
