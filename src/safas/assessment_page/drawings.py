"""The page's other figures: rates with their intervals, histograms, reliability, decisions, differences."""

from collections.abc import Sequence
from typing import Any

from safas.assessment.lines import percent, span
from safas.assessment_page.parts import Json, drawn_unit, rows_axis, score_axis, species_lines, thresholds
from safas.assessment_page.tables import by_rate
from safas.figures.histograms import Bars, mirrored
from safas.figures.plotting import Figure, Spec, axis, dots, layout_of, line, percents, plain, rounded

_MOST_PANELS = 12  # of one figure of histograms
_TRACES = 8  # domains in one reliability diagram


def rates(report: Json) -> Figure:
    """BPCER, the APCER of each species and of all pooled, each with its intervals."""
    rows = [(f"APCER {name}", one, "--spoof") for name, one in by_rate(report["species"])]
    if len(rows) > 1:
        rows.append(("APCER, all pooled", report["pooled"], "--muted"))
    rows = [row for row in (*rows, ("BPCER", report["bpcer"], "--live")) if row[1]["n"]]
    data: list[Spec] = []
    for place, (_, one, colour) in enumerate(rows):
        data.append(line(percents(one["interval"]), [place] * 2, colour, width=3))
        if one["bootstrap"]:
            data.append(line(percents(one["bootstrap"]), [place + 0.24] * 2, "--muted", width=1.5))
    for place, (name, one, colour) in enumerate(rows):
        hover = (
            f"{plain(name)}: {percent(one['rate'])} %<br>95 % {span(one['interval'])} %<br>{_counted(one)}"
        )
        marker = {"size": 11, "color": colour, "line": {"width": 2, "color": "--paper"}}
        data.append(dots(percents([one["rate"]]), [place], "", marker, hover, showlegend=False))
    layout = layout_of(96 + 44 * len(rows))
    layout["xaxis"] = axis("error rate, %", range=[-1.5, _reach(rows)])
    layout["yaxis"] = axis("", **rows_axis([name for name, *_ in rows]))
    return Figure(
        "rates",
        "Error rates with their intervals",
        "Dot and thick line: the rate at the threshold in use and its Clopper-Pearson interval of 95 %. Thin line: the "
        f"interval that drawing {drawn_unit(report)} gives (bootstrap).",
        "; ".join(f"{name} {percent(one['rate'])} % ({span(one['interval'])})" for name, one, _ in rows)
        + ".",
        {"data": data, "layout": layout},
    )


def by_species(report: Json) -> Figure:
    """Histograms: the bona fide above the scores of each species."""
    of = report["histograms"]["species"]
    names = [name for name, _ in by_rate(report["species"]) if name in of] or ["no attack"]
    panels = [(name, of["live"], of.get(name, [0] * len(of["live"]))) for name in names]
    return _histograms("by-species", "Scores by species of attack", report, panels)


def by_domain(report: Json) -> Figure | None:
    """Histograms of each domain; None where there is but one or none."""
    of = report["histograms"]["domains"]
    if len(of) < 2:
        return None
    panels = [(name, part["live"], part["spoof"]) for name, part in of.items()]
    return _histograms("by-domain", "Scores by domain", report, panels)


def _histograms(key: str, title: str, report: Json, panels: Sequence[tuple[str, Any, Any]]) -> Figure:
    shown, edges = panels[:_MOST_PANELS], report["histograms"]["edges"]
    bars = [Bars(plain(name, 40), edges, live, spoof, thresholds(report)) for name, live, spoof in shown]
    words = [
        f"{name}: {sum(live)} bona fide, half of them below {_median(edges, live)}, and {sum(spoof)} attacks, half of "
        f"them below {_median(edges, spoof)}"
        for name, live, spoof in shown
    ]
    left = f" The first {_MOST_PANELS} of {len(panels)} are drawn." if len(panels) > len(shown) else ""
    return Figure(
        key,
        title,
        "Share of presentations by score, drawn as a square root so that a stray few stay visible: bona fide (live) "
        "above each line, attacks (spoof) below. Attacks right of the threshold are accepted; bona fide left of it "
        f"are rejected.{left}",
        f"{title}. {'; '.join(words)}.",
        mirrored(bars, "score (higher = more live)", score_axis(report)),
    )


def reliability(report: Json) -> Figure:
    """Share of bona fide against the mean score of each bin, of all and of each domain."""
    part = report["reliability"]
    groups = part["groups"] if len(part["groups"]) > 2 else part["groups"][:1]
    data = [line([0, 1], [0, 1], "--axis", dash="dot", width=1)]
    drawn = groups[: _TRACES + 1]
    colours = ["--ink", *(colour for _, colour, _ in species_lines([one["name"] for one in drawn[1:]]))]
    for i, (group, colour) in enumerate(zip(drawn, colours, strict=True)):
        data.append(_reliable(group, colour, whole=i == 0))
    layout = layout_of(440)
    layout["xaxis"] = axis(_mapped(part["map"]), range=[-0.02, 1.02])
    layout["yaxis"] = axis("share of bona fide", range=[-0.04, 1.04])
    words = "; ".join(f"{one['name']} {one['ece']:.3f} of {one['n']}" for one in drawn)
    return Figure(
        "reliability",
        "Reliability",
        f"{part['bins']} bins of equal width. On the dotted line, of the presentations that score 0.8 four in five are "
        "bona fide. Bars: Clopper-Pearson, 95 %. The share of bona fide among the tested presentations moves the line: "
        "a probability holds for this share only.",
        f"Reliability diagram. Expected calibration error: {words}.",
        {"data": data, "layout": layout},
    )


def decisions(report: Json) -> Figure:
    """What would be passed, unsure and denied, a bar for the bona fide and for each species."""
    rows = [row for row in report["decision"]["test"] if row["n"]]
    data = [
        {
            "type": "bar", "orientation": "h", "name": what, "y": list(range(len(rows))), "marker": {"color": colour},
            "x": percents(row[what] / row["n"] for row in rows), "customdata": [row[what] for row in rows],
            "hovertemplate": f"%{{customdata}}, %{{x:.1f}} %<extra>{what}</extra>",
        }
        for what, colour in (("pass", "--live"), ("unsure", "--axis"), ("deny", "--spoof"))
    ]  # fmt: skip
    layout = layout_of(110 + 42 * len(rows)) | {"barmode": "stack", "bargap": 0.35}
    layout["legend"] |= {"traceorder": "normal"}
    layout["xaxis"] = axis("share of presentations, %", range=[0, 100])
    layout["yaxis"] = axis("", **rows_axis([row["what"] for row in rows]))
    words = (f"{row['what']}: {row['pass']} pass, {row['unsure']} unsure, {row['deny']} deny" for row in rows)
    return Figure(
        "decisions",
        "Pass, unsure, deny on the test presentations",
        "Unsure means: ask again, or let a person look. Presentations without a response are in none of the three.",
        f"Decisions. {'; '.join(words)}.",
        {"data": data, "layout": layout},
    )


def differences(report: Json) -> Figure:
    """The error rates of a minus those of b with their paired intervals."""
    rows = [row for row in report["comparison"]["rows"] if row["name"] != "AUC"]
    data = [line([0, 0], [-0.6, len(rows) - 0.4], "--axis", dash="dot", width=1)]
    ends = [0.0]
    for place, row in enumerate(rows):
        colour = {"a": "--method-1", "b": "--method-0"}.get(row["better"], "--muted")
        if row["interval"]:
            data.append(line(percents(row["interval"]), [place] * 2, colour, width=3))
        marker = {"size": 11, "color": colour, "line": {"width": 2, "color": "--paper"}}
        hover = f"{plain(row['name'])}: {100 * row['difference']:+.1f} points<br>{_better(row['better'])}"
        data.append(dots(percents([row["difference"]]), [place], "", marker, hover, showlegend=False))
        ends += [100 * end for end in (row["difference"], *(row["interval"] or ()))]
    layout = layout_of(90 + 40 * len(rows))
    reach = 1.08 * max(map(abs, ends)) + 0.5
    layout["xaxis"] = axis("a − b, percent points", range=[-reach, reach])
    layout["yaxis"] = axis("", **rows_axis([row["name"] for row in rows]))
    words = (
        f"{row['name']} {100 * row['difference']:+.1f} ({span(row['interval']) or 'no interval'})"
        for row in rows
    )
    return Figure(
        "differences",
        "Differences of the error rates",
        "Dot: a minus b on the presentations that both have scored; line: 95 % interval, both systems on the same "
        "draws. Left of zero a errs less. A line that crosses zero decides nothing.",
        f"Differences a minus b in percent points. {'; '.join(words)}.",
        {"data": data, "layout": layout},
    )


def _reach(rows: Sequence[tuple[str, Json, str]]) -> float:
    ends = [end for _, one, _ in rows for end in (*one["interval"], *(one["bootstrap"] or ()))]
    return 104 * max(ends, default=1.0) + 0.5


def _counted(one: Json) -> str:
    return f"{one['errors']} of {one['n']}"


def _reliable(group: Json, colour: str, *, whole: bool) -> Spec:
    bins = group["bins"]
    y = [one["live_share"] for one in bins]
    marker = {"size": 8 if whole else 6, "color": colour}
    name = plain(f"{'all' if whole else group['name']}, ECE {group['ece']:.3f}", 40)
    words = [f"{one['n']} presentations" for one in bins]
    drawn = dots(rounded(one["mean_score"] for one in bins), rounded(y), name, marker, "%{text}", text=words)
    drawn |= {"mode": "lines+markers", "line": {"color": colour, "width": 2.5 if whole else 1.3}}
    if whole:
        high, low = (rounded(abs(one["interval"][i] - one["live_share"]) for one in bins) for i in (1, 0))
        drawn["error_y"] = {
            "type": "data", "symmetric": False, "array": high, "arrayminus": low, "color": "--muted",
            "thickness": 1.2, "width": 0,
        }  # fmt: skip
    return drawn


def _mapped(name: str) -> str:
    return "mean score" if name == "as given" else f"mean probability ({name} of the score)"


def _better(which: str) -> str:
    return "undecided" if which == "undecided" else f"{which} is better"


def _median(edges: Sequence[float], counts: Sequence[int]) -> str:
    """The upper edge of the bin in which half of the counts are reached."""
    total, reached = sum(counts), 0
    for edge, count in zip(edges[1:], counts, strict=True):
        reached += count
        if total and 2 * reached >= total:
            return f"{edge:.3g}"
    return "–"
