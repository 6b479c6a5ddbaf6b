"""The shell of every page: one offline HTML file with its style, its numbers and the drawing library in it.

A content security policy in the page forbids every request, so that it can be opened, mailed and kept.
"""

from collections.abc import Sequence
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from safas import __version__
from safas.figures.plotting import Figure


def page(template: str, drawn: Sequence[Figure], **content: Any) -> str:
    """A page as text: `template` extends page.html, shows `content`, and holds the figures that are drawn in it.

    A page without a figure has no script.
    """
    shell = environment().get_template(template)
    return shell.render(
        specs=[{"key": figure.key, "json": figure.spec} for figure in drawn],
        plotly=get_plotlyjs,
        version=__version__,
        **content,
    )


def environment() -> jinja2.Environment:
    """The package's templates; what they are given is escaped, and what they are not given is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("safas"), autoescape=True, undefined=jinja2.StrictUndefined
    )
