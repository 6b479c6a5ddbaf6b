"""The robustness card: stress.html, one offline page without a script, with its numbers in stress.json."""

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from safas.stress.measure import Stressed

WIDTH, HEIGHT, _LEFT, _TOP, _BOTTOM = 340, 150, 40, 10, 22  # pixels of one drawing


def page(result: Stressed) -> str:
    """The whole page; its only style and drawings are inside it."""
    templates = files("safas").joinpath("templates")
    css = "".join(
        templates.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "stress.css")
    )
    about, base = result.about, result.baseline
    simulated = (
        '<p class="notice"><strong>Simulated.</strong> The model or these videos are simulated: no evidence about '
        "real faces and attacks.</p>"
        if about["simulated"]
        else ""
    )
    both = zip(result.curves, drawings_of(result), strict=True)
    panels = "".join(_panel(curve, *drawings) for curve, drawings in both)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Robustness card, run {html.escape(about["run"])}</title><style>{css}</style></head><body>
<header class="masthead"><p class="eyebrow">safas stress</p><h1>What the model bears</h1>
<p class="lede">{html.escape(opening(about, base, result.curves))}</p>{simulated}</header>
<main><div class="panels">{panels}</div>
<h2>The same as numbers</h2>{_table(result)}
<h2>How it was done</h2><p class="text">{_method(about)}</p></main></body></html>
"""


def opening(about: Mapping[str, Any], base: Mapping[str, Any], curves: Sequence[Mapping[str, Any]]) -> str:
    """What was measured, on whom, and the weakest place, in plain words."""
    known = set(about["known_domains"])
    of = ", ".join(f"{name} ({'trained on' if name in known else 'never seen'})" for name in about["domains"])
    return (
        f"{about['live']} live presentations and {about['spoof']} attacks of {about['people']} people; {of}. "
        f"As they are, HTER is {percent(base['hter'])} %{_interval(base)}; APCER of the worst species "
        f"({base['worst_species']}) {percent(base['apcer'])} %, BPCER {percent(base['bpcer'])} %. {_weakest(curves)}"
    )


def _weakest(curves: Sequence[Mapping[str, Any]]) -> str:
    curve, point = max(((c, p) for c in curves for p in c["points"]), key=lambda pair: float(pair[1]["hter"]))
    return (
        f"Weakest where {curve['title'].lower()}: {percent(point['hter'])} %{_interval(point)} at {point['level']:g} "
        f"{curve['axis']}."
    )


def _method(about: Mapping[str, Any]) -> str:
    lost = about["without_a_face"]
    return html.escape(
        f"Threshold {about['threshold']:.4f}, fixed as {about['chosen_on']}; it stays where it is. The face box is "
        "found once, in the frames as they are: the curves show what the network bears, not what the detector "
        "does. Each presentation is perturbed in all its frames; directions are drawn from seed "
        f"{about['seed']}. {len(lost)} presentations without a usable face are left out. Bands: 95 % intervals by "
        "bootstrap over people. Shift: how far the mean score of live faces and of attacks moved."
    )


def drawings_of(result: Stressed) -> list[tuple[str, str]]:
    """Two SVG drawings of each curve: HTER by level, on one scale for all of them, and the shift of mean scores."""
    highest = _ceiling(max(_upper(point) for curve in result.curves for point in curve["points"]))
    return [_drawings(curve, highest) for curve in result.curves]


def _panel(curve: Mapping[str, Any], rates: str, shifts: str) -> str:
    return (
        f'<figure><h3>{html.escape(curve["title"])}</h3><p class="key"><b class="h">HTER</b>, %</p>{rates}'
        f'<p class="key">Shift of scores: <b class="l">live faces</b>, <b class="s">attacks</b></p>{shifts}'
        f'<p class="key">{html.escape(curve["axis"])}; dotted: as it is</p></figure>'
    )


def _drawings(curve: Mapping[str, Any], highest: float) -> tuple[str, str]:
    points, title = curve["points"], html.escape(curve["title"])
    labels = [f"{point['level']:g}" for point in points]
    at = [point["level"] for point in points].index(curve["neutral"])
    rates = _drawing(
        labels, at, f"{title}: HTER by level", [("hter", [point["hter"] for point in points])], low=0.0,
        high=highest, band=[point["interval"] for point in points],
    )  # fmt: skip
    lines = [(kind, [point[f"{kind}_shift"] for point in points]) for kind in ("live", "spoof")]
    most = _ceiling(max(abs(value) for _, values in lines for value in values))
    shifts = _drawing(labels, at, f"{title}: shift of the mean score by level", lines, low=-most, high=most)
    return rates, shifts


def _drawing(
    labels: Sequence[str], neutral: int, alt: str, lines: Sequence[tuple[str, Sequence[float]]], *, low: float,
    high: float, band: Sequence[Sequence[float] | None] | None = None,
) -> str:  # fmt: skip
    """One SVG: levels evenly spaced from left to right, values between `low` and `high`."""
    across = [_LEFT + 12 + i * (WIDTH - _LEFT - 24) / max(1, len(labels) - 1) for i in range(len(labels))]
    base = HEIGHT - _BOTTOM

    def up(value: float) -> float:
        return base - (value - low) / (high - low) * (base - _TOP)

    parts = [_grid(low, high, up)]
    for x, text in zip(across, labels, strict=True):
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{text}</text>')
    x = across[neutral]
    parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base}"/>')
    if band is not None and all(pair is not None for pair in band):
        edge = [(x, up(pair[1])) for x, pair in zip(across, band, strict=True) if pair is not None]
        edge += [(x, up(pair[0])) for x, pair in zip(across, band, strict=True) if pair is not None][::-1]
        parts.append(f'<polygon class="hter-fill band" points="{_points(edge)}"/>')
    for kind, values in lines:
        way = [(x, up(value)) for x, value in zip(across, values, strict=True)]
        parts.append(f'<polyline class="line {kind}" points="{_points(way)}"/>')
        parts += [f'<circle class="{kind}-fill" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in way]
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(alt)}">{inside}</svg>'


def _upper(point: Mapping[str, Any]) -> float:
    return float(point["hter"] if point["interval"] is None else point["interval"][1])


def _ceiling(value: float) -> float:
    """The next round number for the end of an axis."""
    return next((end for end in (0.1, 0.2, 0.3, 0.5, 0.6, 0.8) if value <= end), 1.0)


def _grid(low: float, high: float, up: Any) -> str:
    """Three lines with their values; rates in percent, shifts signed."""
    signed = low < 0
    lines = []
    for value in (low, (low + high) / 2, high):
        text = f"{value:+.2f}" if signed and value else f"{value:.0f}" if signed else f"{100 * value:.0f}"
        kind = "zero" if value == 0 else "grid"
        y = up(value)
        lines.append(f'<line class="{kind}" x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(lines)


def _points(way: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in way)


def _table(result: Stressed) -> str:
    rows = []
    for curve in result.curves:
        for point in curve["points"]:
            name = f"{curve['title']}: {point['level']:g} {curve['axis']}"
            cells = [
                f"{percent(point['hter'])}{_interval(point)}",
                percent(point["apcer"]),
                percent(point["bpcer"]),
            ]
            cells += [f"{point['live_shift']:+.3f}", f"{point['spoof_shift']:+.3f}"]
            rows.append(
                f"<tr><td>{html.escape(name)}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
            )
    head = "".join(
        f"<th>{name}</th>" for name in ("", "HTER, %", "APCER, %", "BPCER, %", "live shift", "attack shift")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def percent(share: float) -> str:
    """A share as in tables."""
    return f"{100 * share:.1f}"


def _interval(point: Mapping[str, Any]) -> str:
    pair = point["interval"]
    return "" if pair is None else f" ({percent(pair[0])}–{percent(pair[1])})"
