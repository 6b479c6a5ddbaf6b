"""A report in words and small tables, for a terminal."""

from collections.abc import Sequence
from typing import Any

from safas.assessment.intervals import Cell

Json = dict[str, Any]
Rows = list[tuple[str, ...]]


def headline(report: Json) -> str:
    """What was assessed, in one line."""
    test = report["data"]["test"]
    people = "subjects unknown" if test["subjects"] is None else f"{test['subjects']} subjects"
    simulated = ", SIMULATED" if report["simulated"] else ""
    return (
        f"{report['title']}: {test['live']} bona fide and {test['attacks']} attacks of {len(test['species'])} species, "
        f"{people}{simulated}"
    )


def rate_rows(report: Json) -> Rows:
    """(name, percent, 95 % interval, bootstrap, errors of n), the headline first."""
    rows = []
    for name, one in report["species"].items():
        worst = " (worst: the APCER)" if name == report["worst_species"] else ""
        rows.append(_cell_row(f"APCER {name}{worst}", one))
    rows.sort(key=lambda row: "(worst" not in row[0])
    intervals = report["intervals"] or {}
    rows.append(_cell_row("APCER pooled", report["pooled"]))
    rows.append(_cell_row("BPCER", report["bpcer"]))
    if report["apnrr"] or report["bpnrr"]:
        rows.append(_cell_row("APNRR", report["nonresponse"]["attacks"]))
        rows.append(_cell_row("BPNRR", report["nonresponse"]["bona_fide"]))
    for name, title in (("acer", "ACER*"), ("hter", "HTER*"), ("eer", "EER (oracle)"), ("auc", "AUC")):
        rows.append((title, percent(report[name]), "", span(intervals.get(name)), ""))
    at = intervals.get("bpcer_at_apcer") or {}
    for rate, value in report["bpcer_at_apcer"].items():
        title = f"BPCER{round(1 / float(rate))} (oracle)"
        rows.append((title, percent(value), "", span(at.get(rate)), ""))
    return rows


RATE_COLUMNS = ("", "%", "95 % interval", "over people", "errors")


def comparison_rows(comparison: Json) -> Rows:
    """(name, a, b, difference, its interval, which is better)."""
    return [
        (
            row["name"],
            percent(row["a"]),
            percent(row["b"]),
            f"{100 * row['difference']:+.1f}",
            span(row["interval"]),
            row["better"],
        )
        for row in comparison["rows"]
    ]


COMPARISON_COLUMNS = ("", "a", "b", "a - b", "95 % interval", "better")


def breakdown_rows(part: Json) -> Rows:
    """(group, bona fide, attacks, worst APCER, BPCER, note)."""
    return [
        (
            group["name"],
            str(group["live"]),
            str(group["attacks"]),
            _with_interval(group["apcer"], _interval_of_worst(group)),
            _with_interval(group["bpcer"]["rate"], group["bpcer"]["interval"]),
            "too small to say" if group["too_small"] else "",
        )
        for group in part["groups"]
    ]


BREAKDOWN_COLUMNS = ("", "bona fide", "attacks", "APCER, worst", "BPCER", "")


def sentences(report: Json) -> list[str]:
    """Where the threshold comes from, what the counts support, and the parts that were asked for."""
    threshold = report["threshold"]
    lines = [f"threshold {threshold['value']:.6g}: {threshold['chosen_on']}", *_support(report["support"])]
    part = report["decision"]
    if part:
        lines += [part["pass"]["statement"], part["deny"]["statement"], part["assumptions"]]
    if report["calibration"]:
        lines.append(_calibrated(report["calibration"]))
    own = report["own_live"]
    if own:
        lines += [f"own live videos ({own['file']}): {own['statement']} {own['warning']}"]
    matcher = report["matcher"]
    if matcher:
        lines.append(
            f"full system at matcher threshold {matcher['threshold']:g}: IAPAR {percent(matcher['iapar'])} % "
            f"({matcher['worst_species']}), FRR {percent(matcher['frr']['rate'])} %, "
            f"RIAPAR {percent(matcher['riapar'])} %"
        )
    if report["comparison"]:
        lines += _compared(report["comparison"])
    lines.append("* of the field's papers, not of the standard: means of APCER (worst; pooled) and BPCER")
    return lines


def percent(share: float | None) -> str:
    """Without the sign: one decimal, two below 1 %, and more where fewer would show 0 or 100 for what is not."""
    if share is None:
        return "–"
    value, text = 100 * share, ""
    for decimals in range(2 if 0 < abs(value) < 1 else 1, 6):
        text = f"{value:.{decimals}f}"
        if abs(value) in (0, 100) or 0 < abs(float(text)) < 100:
            break
    return text


def span(interval: Sequence[float] | None) -> str:
    """ "5.9–22.4", or "-2.0 to 1.5", or nothing."""
    if interval is None:
        return ""
    return f"{percent(interval[0])}{' to ' if interval[0] < 0 else '–'}{percent(interval[1])}"


def _with_interval(rate: float | None, interval: Sequence[float] | None) -> str:
    return f"{percent(rate)} ({span(interval)})" if interval else percent(rate)


def _cell_row(name: str, one: Cell) -> tuple[str, ...]:
    counts = f"{one['errors']} of {one['n']}"
    return name, percent(one["rate"]), span(one["interval"]), span(one["bootstrap"]), counts


def _interval_of_worst(group: Json) -> Sequence[float] | None:
    interval: Sequence[float] | None = None
    if group["worst_species"] is not None:
        interval = group["species"][group["worst_species"]]["interval"]
    return interval


def _support(support: Json) -> list[str]:
    seen = [f"{one['what']} below {percent(one['supports'])} %" for one in support["seen"] if one["n"]]
    claims = [
        f"below {100 * claim['rate']:g} % needs {claim['needed']['0']} presentations without an error, "
        f"{claim['needed']['1']} with one, {claim['needed']['3']} with three"
        for claim in support["claims"]
    ]
    return [f"supported with 95 % confidence: {', '.join(seen)}", f"to claim a rate {'; '.join(claims)}"]


def _calibrated(part: Json) -> str:
    errors = [f"{one['map']} {one['ece']:.3f}, {one['nll']:.3f}, {one['brier']:.3f}" for one in part["test"]]
    return f"ECE, NLL, Brier on test, maps fitted on {part['fitted_on']}: {'; '.join(errors)}"


def _compared(comparison: Json) -> list[str]:
    a, b = comparison["a"], comparison["b"]
    return [
        f"{comparison['matched']} presentations in both, {comparison['unmatched_a']} only in a, "
        f"{comparison['unmatched_b']} only in b",
        *(
            f"{name}: {one['file']} at {one['threshold']:.6g}: {one['chosen_on']}"
            for name, one in (("a", a), ("b", b))
        ),
        *(_mcnemar(row) for row in comparison["mcnemar"]),
    ]


def _mcnemar(row: Json) -> str:
    only = f"right only in a {row['only_a_right']}, only in b {row['only_b_right']}"
    return f"McNemar, {row['what']}: {only}, p = {row['p']:.3g}"
