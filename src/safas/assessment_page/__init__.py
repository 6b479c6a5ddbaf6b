"""report.json as a page: `write_page` (one offline HTML file) and what is in it. Nothing here knows of torch."""

from safas.assessment_page.page import render, write_page

__all__ = ["render", "write_page"]
