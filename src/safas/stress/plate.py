"""The drawings of a robustness card as one SVG file, which a model card can show."""

import html
from importlib.resources import files

from safas.stress.card import HEIGHT, WIDTH, drawings_of
from safas.stress.measure import Stressed

_COLUMNS, _GAP, _HEAD = 3, 28, 40  # panels a row; pixels between them; above the drawings of one
_BETWEEN, _FOOT = 18, 46  # pixels between a panel's two drawings, and below them


def plate(result: Stressed) -> str:
    """All panels in rows of three, light or dark as the reader likes it."""
    panels = drawings_of(result)
    step_x, step_y = WIDTH + _GAP, _HEAD + 2 * HEIGHT + _BETWEEN + _FOOT
    rows = -(-len(panels) // _COLUMNS)
    width, height = _COLUMNS * step_x + _GAP // 2, rows * step_y + _GAP
    inside = []
    for number, (curve, (rates, shifts)) in enumerate(zip(result.curves, panels, strict=True)):
        x, y = _GAP // 2 + number % _COLUMNS * step_x, _GAP + number // _COLUMNS * step_y
        second = _HEAD + HEIGHT + _BETWEEN
        inside.append(
            f'<g transform="translate({x} {y})"><text class="title" y="6">{html.escape(curve["title"])}</text>'
            f'<text class="hter-fill" y="{_HEAD - 12}">HTER, %</text>{_placed(rates, _HEAD)}'
            f'<text y="{second - 4}">Shift of scores: <tspan class="live-fill">live faces</tspan>, '
            f'<tspan class="spoof-fill">attacks</tspan></text>{_placed(shifts, second)}'
            f'<text x="{WIDTH}" y="{second + HEIGHT + 10}" text-anchor="end">{html.escape(curve["axis"])}; '
            "dotted: as it is</text></g>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{_style()}</style><rect class="paper" width="100%" height="100%"/>{"".join(inside)}</svg>\n'
    )


def _placed(drawing: str, y: float) -> str:
    return drawing.replace("<svg ", f'<svg width="{WIDTH}" height="{HEIGHT}" y="{y}" ', 1)


def _style() -> str:
    """The pages' colours, light and dark, and the rules of the drawings."""
    templates = files("safas").joinpath("templates")
    colours = templates.joinpath("report.css").read_text(encoding="utf-8").split("* {", 1)[0]
    rules = templates.joinpath("stress.css").read_text(encoding="utf-8").split(".key", 1)[0]
    own = (
        "text { font: 11px var(--font-figure); } .title { font-size: 14px; font-weight: 600; fill: var(--ink); } "
        ".paper { fill: var(--paper); }"
    )
    return f"{colours}{rules}{own}"
