"""What the page's figures have in common: names, colours, thresholds."""

from collections.abc import Iterator, Mapping
from typing import Any

from safas.figures.plotting import Spec, domain_colour, plain

Json = Mapping[str, Any]


def rule_in_words(rule: str) -> str:
    """ "apcer=0.05" -> "APCER ≤ 5 %"; what a point of the curves is called stays as it is."""
    kind, _, number = rule.partition("=")
    if kind in ("apcer", "bpcer") and number:
        return f"{kind.upper()} ≤ {100 * float(number):g} %"
    return {"eer": "EER", "threshold": f"stated value {number}"}.get(kind, rule)


def drawn_unit(report: Json) -> str:
    """What the bootstrap draws: people, or presentations where people are not known."""
    return "presentations" if (report["intervals"] or {}).get("unit") == "presentation" else "people"


def species_lines(names: list[str]) -> Iterator[tuple[str, str, str]]:
    """(name, colour, dash) of each species: eight colours, then the same broken."""
    for i, name in enumerate(names):
        yield name, domain_colour(i), ("solid", "dash", "dot")[i // 8 % 3]


def thresholds(report: Json) -> dict[str, float]:
    """What is drawn into the curves: the threshold in use, and those that were asked for besides."""
    found = {"threshold in use": report["threshold"]["value"]}
    decision, own = report["decision"] or {}, report["own_live"] or {}
    for name, part in (("pass", decision.get("pass")), ("deny", decision.get("deny"))):
        if part and part["threshold"] is not None:
            found[f"{name} threshold"] = part["threshold"]
    if own.get("threshold") is not None:
        found["threshold of own live videos"] = own["threshold"]
    return found


def score_axis(report: Json) -> tuple[float, float]:
    """From where to where the axis of scores reaches: a little beyond the histogram."""
    edges = report["histograms"]["edges"]
    margin = 0.01 * (edges[-1] - edges[0])
    return edges[0] - margin, edges[-1] + margin


def rows_axis(names: list[str], **more: Any) -> Spec:
    """The vertical axis of a drawing with a line for each name, the first at the top; names may repeat."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [plain(name) for name in names],
        "range": [len(names) - 0.4, -0.6],
        "showgrid": False,
        "ticks": "",
        "ticksuffix": "  ",
        "tickfont": {"size": 13, "color": "--ink"},
    } | more
