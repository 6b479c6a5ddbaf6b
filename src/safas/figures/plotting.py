"""Building blocks of the pages' figures: lines, axes and layouts as plain Plotly dictionaries.

A colour is written as the name of a CSS variable ("--ink", "--domain-2"); the page looks it up when it draws,
so that one specification serves light mode, dark mode and print. Rates are in [0, 1] and drawn as percent.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Spec = dict[str, Any]

_SMALL = {"size": 12, "color": "--muted"}


@dataclass(frozen=True)
class Figure:
    """One drawing: `spec` for Plotly, `alt` says in words what it shows, `caption` how to read it."""

    key: str
    title: str
    caption: str
    alt: str
    spec: Spec


def method_colour(index: int) -> str:
    """The CSS variable of the index-th method's colour."""
    return f"--method-{index % 5}"


def domain_colour(index: int) -> str:
    """The CSS variable of the index-th domain's colour."""
    return f"--domain-{index % 8}"


def domain_colours(domains: Iterable[str]) -> dict[str, str]:
    """A CSS variable for each domain, by its place among all of them in alphabetical order."""
    return {domain: domain_colour(i) for i, domain in enumerate(sorted(set(domains)))}


def line(
    x: Iterable[Any], y: Iterable[Any], colour: str, *, name: str = "", width: float = 1.5, dash: str = "solid",
    legend: bool = False, yaxis: str = "y", shape: str = "linear",
) -> Spec:  # fmt: skip
    """A line; without a name it is furniture and answers to no pointer."""
    return {
        "type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": name, "yaxis": yaxis,
        "showlegend": legend, "hoverinfo": "x+y+name" if name else "skip",
        "line": {"color": colour, "width": width, "dash": dash, "shape": shape},
    }  # fmt: skip


def dots(x: Iterable[Any], y: Iterable[Any], name: str, marker: Spec, hover: str, **more: Any) -> Spec:
    """Markers with a pointer text in Plotly's template language."""
    return {
        "type": "scatter", "mode": "markers", "x": list(x), "y": list(y), "name": name, "marker": marker,
        "hovertemplate": f"{hover}<extra>{name}</extra>",
    } | more  # fmt: skip


def upright(value: float, axis: str, dash: str) -> Spec:
    """A vertical line through one panel."""
    return {
        "type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "xref": "x", "yref": f"{axis} domain",
        "line": {"color": "--ink", "width": 1.5, "dash": dash},
    }  # fmt: skip


def note(text: str, x: float, y: float) -> Spec:
    """Text whose lower left corner lies at (x, y), in shares of the drawing."""
    return {
        "text": text, "x": x, "y": y, "xref": "paper", "yref": "paper", "showarrow": False,
        "xanchor": "left", "yanchor": "bottom", "font": {"size": 13, "color": "--ink"},
    }  # fmt: skip


def axis(title: str, **more: Any) -> Spec:
    """One axis with its title; `more` overrides."""
    return {
        "title": {"text": title, "font": _SMALL, "standoff": 10}, "gridcolor": "--grid", "linecolor": "--axis",
        "zeroline": False, "ticks": "outside", "ticklen": 4, "tickcolor": "--axis", "tickfont": _SMALL,
        "automargin": True,
    } | more  # fmt: skip


def blank_axis(**more: Any) -> Spec:
    """An axis whose numbers mean nothing: a frame only."""
    bare = {"showticklabels": False, "showgrid": False, "ticks": "", "linecolor": "--rule", "mirror": True}
    return axis("", **(bare | more))


def layout_of(height: int) -> Spec:
    """The page's common layout; height in CSS pixels."""
    return {
        "height": height, "margin": {"l": 12, "r": 12, "t": 12, "b": 12},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "--font-figure", "size": 13, "color": "--ink"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 13}},
        "hoverlabel": {"bgcolor": "--paper", "bordercolor": "--rule", "font": {"color": "--ink"}},
        "hovermode": "closest", "dragmode": False,
    }  # fmt: skip


def stacked(titles: Sequence[str], below: str) -> Spec:
    """The layout of panels over one another (the first at the top, on "y", then "y2", ...) on one horizontal axis.

    The first is a little taller than the others.
    """
    gap, shares = 0.1, np.array([1.3, *[1.0] * (len(titles) - 1)])
    heights = shares / shares.sum() * (1 - gap * (len(titles) - 1))
    layout = layout_of(190 + 120 * len(titles))
    layout["xaxis"] = axis(below, anchor="y" if len(titles) == 1 else f"y{len(titles)}")
    top = 1.0
    for row, (title, height) in enumerate(zip(titles, heights, strict=True), start=1):
        where = [round(max(0.0, top - height), 4), round(top, 4)]
        layout["yaxis" if row == 1 else f"yaxis{row}"] = axis(title, domain=where, nticks=5)
        top -= height + gap
    return layout


def plain(text: str, longest: int = 26) -> str:
    """Anyone's text for a drawing, shortened: Plotly would read tags in it, and the page a "--" as a colour."""
    text = text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
    escaped = html.escape(text, quote=False)
    return escaped.replace("-", "&#45;", 1) if escaped.startswith("-") else escaped


def percent(value: float | None) -> float | None:
    """A share as percent with two decimals."""
    return None if value is None else round(100 * float(value), 2)


def percents(values: Iterable[Any]) -> list[float]:
    """Shares as percent with two decimals."""
    return [round(100 * float(value), 2) for value in values]


def rounded(values: Iterable[Any]) -> list[float | None]:
    """Numbers with four decimals; what is missing or not finite becomes a gap."""
    return [None if v is None or not np.isfinite(v) else round(float(v), 4) for v in values]
