"""Figures of features in the plane: where the videos lie and what the classifier makes of them.

Colour is the domain, form the label (disc live, cross spoof), and shade the decision value: a mark is filled the
more, the more live it is judged, and hollow when it is judged spoof.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from safas.figures.embedding import Affine
from safas.figures.plotting import Figure, Spec, blank_axis, domain_colours, dots, layout_of, line, rounded

STEPS = 6  # shades of the background on either side of the threshold
_FORMS = {"live": "circle", "spoof": "x"}
_MARKS = (
    "Discs are live, crosses spoof; the fuller a mark, the more live it is judged, and hollow ones are judged spoof. "
    "The unseen domain is larger and outlined."
)


@dataclass(frozen=True, eq=False)
class Plane:
    """Videos in the plane: `points` [N, 2]; `table` [N] has domain, label, attack, score, decision and seen.

    decision: the logit that is thresholded, higher = more live; threshold: in the same unit. On a plane that is
    cut out of the feature space, `surface` is the decision value at every point and `heads` that of every
    domain's own hyperplane.
    """

    points: np.ndarray
    table: pl.DataFrame
    threshold: float
    surface: Affine | None = None
    heads: Mapping[str, Affine] = field(default_factory=dict)

    @property
    def colours(self) -> dict[str, str]:
        """The CSS variable of every domain's colour."""
        return domain_colours(self.table["domain"])


def neighbourhoods(key: str, method: str, plane: Plane) -> Figure:
    """The features by UMAP: marks only, because no line in its plane is the decision's."""
    return Figure(
        key,
        f"{method}: neighbours (UMAP)",
        f"UMAP of the features of {len(plane.table)} videos, scaled to length 1. {_MARKS} Neighbourhoods mean "
        "something; distances between far groups do not, and the decision has no line here.",
        f"UMAP of the features of {method}. {judged_in_words(plane)}",
        plane_spec(plane),
    )


def cut(key: str, method: str, plane: Plane, kept: float) -> Figure:
    """The features by PCA over the decision value; `kept`: the share of their variance that the plane shows."""
    surface = plane.surface
    share = "" if surface is None else f" and {_percent(surface.share)} of that of the decision"
    heads = " Dashed: where each domain's own head would, alone." if len(plane.heads) > 1 else ""
    return Figure(
        key,
        f"{method}: the cut through the feature space (PCA)",
        f"The plane of the two main directions of the features, as the classifier sees them: {_percent(kept)} of their "
        f"variance{share}. The background is the decision value on this plane; the thick line is where it meets the "
        f"threshold from source validation.{heads} {_MARKS} A mark that disagrees with its background is decided by "
        "what the plane does not show.",
        f"PCA of the features of {method}: {_percent(kept)} of their variance{share}. {judged_in_words(plane)}",
        plane_spec(plane),
    )


def plane_spec(plane: Plane) -> Spec:
    """The drawing alone."""
    reach = _reach(plane)
    data = [] if plane.surface is None else [_background(plane, plane.surface, reach)]
    for domain, colour in plane.colours.items():
        for label in _FORMS:
            rows = (plane.table["domain"] == domain).to_numpy() & (plane.table["label"] == label).to_numpy()
            if rows.any():
                data.append(_cloud(plane, rows, colour, reach))
    data += _lines(plane)
    layout = layout_of(500)
    layout["xaxis"], layout["yaxis"] = (blank_axis(range=list(_span(values))) for values in plane.points.T)
    return {"data": data + _legend(plane), "layout": layout}


def judged_in_words(plane: Plane) -> str:
    """What the decision accepts, domain by domain."""
    return f"Judged live: {'; '.join(_accepted(plane, domain) for domain in plane.colours)}."


def _accepted(plane: Plane, domain: str) -> str:
    rows = plane.table.filter(pl.col("domain") == domain)
    taken = {
        label: float((of["decision"] >= plane.threshold).to_numpy().mean())
        for (label,), of in rows.group_by("label", maintain_order=True)
    }
    words = " and ".join(f"{_percent(taken[label])} of {label}" for label in _FORMS if label in taken)
    return f"{domain}{'' if rows['seen'][0] else ' (unseen)'} {words}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return round(low - margin, 4), round(high + margin, 4)


def _reach(plane: Plane) -> float:
    """How far from the threshold the shades go: as far as 19 of 20 decisions."""
    return float(np.quantile(np.abs(plane.table["decision"].to_numpy() - plane.threshold), 0.95)) or 1.0


def _background(plane: Plane, surface: Affine, reach: float) -> Spec:
    """Bands of equal decision. Four corners are enough: between them the function is affine, and so is Plotly."""
    middle, width = plane.points.mean(axis=0), 6 * np.ptp(plane.points, axis=0).max() + 1
    x, y = ([float(m - width), float(m + width)] for m in middle)
    low, high = plane.threshold - reach, plane.threshold + reach
    return {
        "type": "contour", "x": x, "y": y, "hoverinfo": "skip", "showscale": False, "showlegend": False,
        "z": [[float(surface.at(np.array([a, b]))) for a in x] for b in y],
        "zmin": low, "zmax": high, "autocontour": False, "line": {"width": 0},
        "contours": {"start": low, "end": high, "size": reach / STEPS, "coloring": "fill"},
        "colorscale": [[0, "--shade-spoof"], [0.5, "--shade-none"], [1, "--shade-live"]],
    }  # fmt: skip


def _cloud(plane: Plane, rows: np.ndarray, colour: str, reach: float) -> Spec:
    """One domain's live or spoof videos."""
    table = plane.table.filter(rows)
    domain, label, seen = table["domain"][0], table["label"][0], bool(table["seen"][0])
    marker: Spec = {
        "symbol": _FORMS[label], "size": 8 if seen else 10, "color": rounded(table["decision"]),
        "cmin": plane.threshold - reach, "cmax": plane.threshold + reach,
        "colorscale": [[0, "--paper"], [1, colour]],
        "line": {"width": 1.2 if seen else 1.6, "color": colour if seen else "--ink"},
    }  # fmt: skip
    words = [f"{attack}, score {score:.2f}" for attack, score in table.select("attack", "score").iter_rows()]
    x, y = (rounded(values[rows]) for values in plane.points.T)
    name = f"{domain}{'' if seen else ' (unseen)'}, {label}"
    return dots(x, y, name, marker, "%{text}", text=words, legendgroup=domain, showlegend=False)


def _lines(plane: Plane) -> list[Spec]:
    """Where the decision, and every head by itself, meets the threshold."""
    heads = [
        _level(plane, head, plane.colours.get(domain, "--muted"), f"head of {domain}", 1.8, "dash")
        for domain, head in plane.heads.items()
        if len(plane.heads) > 1
    ]
    surface = plane.surface
    mean = [] if surface is None else [_level(plane, surface, "--ink", "the decision", 3.0, "solid")]
    return [drawn for drawn in (*heads, *mean) if drawn is not None]


def _level(plane: Plane, value: Affine, colour: str, name: str, width: float, dash: str) -> Spec | None:
    """The line on which an affine value is the threshold, far beyond the frame; None where there is none."""
    steepness = float(value.slope @ value.slope)
    if steepness == 0:
        return None
    middle = plane.points.mean(axis=0)
    foot = middle + (plane.threshold - value.at(middle)) / steepness * value.slope
    along = np.array([-value.slope[1], value.slope[0]]) / np.sqrt(steepness)
    far = (6 * np.ptp(plane.points, axis=0).max() + 1) * along
    x, y = (rounded(ends) for ends in np.array([foot - far, foot + far]).T)
    return line(x, y, colour, name=name, width=width, dash=dash) | {"hoverinfo": "skip"}


def _legend(plane: Plane) -> list[Spec]:
    """A mark for each domain, form and kind of line, instead of one for each of their pairs."""
    unseen = set(plane.table.filter(~pl.col("seen"))["domain"])
    entries = []
    for domain, colour in plane.colours.items():
        edge = {"width": 1.6, "color": "--ink" if domain in unseen else colour}
        name = f"{domain} (unseen)" if domain in unseen else domain
        entries.append(_entry(name, {"symbol": "square", "size": 11, "color": colour, "line": edge}))
        entries[-1] |= {"legendgroup": domain}
    for label, form in _FORMS.items():
        marker = {"symbol": form, "size": 9, "color": "--paper", "line": {"width": 1.2, "color": "--ink"}}
        entries.append(_entry(label, marker))
    if plane.surface is not None:
        entries.append(line([None], [None], "--ink", name="decision", width=3, legend=True))
        if len(plane.heads) > 1:
            entries.append(line([None], [None], "--muted", name="each head", dash="dash", legend=True))
    return entries


def _entry(name: str, marker: Spec) -> Spec:
    return dots([None], [None], name, marker, "", showlegend=True)
