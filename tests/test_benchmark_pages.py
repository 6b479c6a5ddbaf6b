import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import many
from safas.benchmark.latex import to_latex
from safas.benchmark.pages import (
    NAMES,
    Page,
    as_html,
    as_latex,
    as_markdown,
    as_terminal,
    compose,
    write,
)
from safas.offline import environment
from safas.run_evaluation import Outcome
from safas.tables import Cell, Group, Table, to_markdown


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return many.grid(tmp_path_factory.mktemp("runs"), ("a&b->c", "a&c->b"), ("erm", "sa-fas"), (3, 5))


@pytest.fixture(scope="module")
def page(outcomes: list[Outcome]) -> Page:
    return compose(outcomes, command="safas benchmark <P> & Q", simulated=True, replicates=50, seed=4)


class Tags(HTMLParser):
    """Counts tags, keeps attributes, and checks that every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def printed(page: Page, width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(as_terminal(page))
    return text.getvalue()


def test_every_format_says_how_the_numbers_came_about(page: Page) -> None:
    for text in (as_markdown(page), as_latex(page), as_html(page)):
        for words in (
            "Benchmark of 2 methods in 2 protocols", "Simulated faces: ", "abc", "3, 5",
            "50 replicates over people, seed 4", "lowest HTER on source validation", "people tested in each protocol",
        ):  # fmt: skip
            assert words in text.replace("<strong>", "").replace("</strong>", ""), words
    assert "`safas benchmark <P> & Q`" in as_markdown(page)
    assert r"safas benchmark \textless{}P\textgreater{} \& Q" in as_latex(page)
    assert "safas benchmark &lt;P&gt; &amp; Q" in as_html(page)


def markup(table: Table) -> str:
    """One table as the pages' own template draws it."""
    macros: Any = environment().get_template("macros.html").module
    return str(macros.grouped_table(table)).strip()


def test_every_format_has_every_table(page: Page) -> None:
    tables = [table for section in page.sections for table in section.tables]
    assert len(tables) > 8
    markdown, html, tex = as_markdown(page), as_html(page), as_latex(page)
    for i, table in enumerate(tables, start=1):
        assert to_markdown(table) in markdown
        assert to_latex(table, f"tab:safas-{i}") in tex
        assert markup(table) in html


def test_real_recordings_are_not_called_simulated(outcomes: list[Outcome]) -> None:
    real = compose(outcomes, command="safas benchmark P", simulated=False, replicates=20)
    for text in (as_markdown(real), as_latex(real), as_html(real), printed(real, 80)):
        assert "imulated" not in text
    assert ("data", "tiny (recorded)") in real.facts


def about(outcomes: list[Outcome], said: Callable[[Outcome], dict[str, Any]]) -> Mapping[str, str]:
    """The facts of a page whose runs say this of themselves."""
    made = [replace(one, result={**one.result, "about": {"commit": "abc", **said(one)}}) for one in outcomes]
    return dict(compose(made, command="", simulated=True, replicates=20).facts)


def test_which_runs_had_which_precision(outcomes: list[Outcome]) -> None:
    """What differs with the method might be taken for it."""
    same = about(outcomes, lambda _: {"precision": "fp32"})
    assert same["training's precision"] == "fp32"
    mixed = about(outcomes, lambda o: {"precision": "bf16"} if (o.method, o.seed) == ("erm", 3) else {})
    assert mixed["training's precision bf16 (runs)"] == "ERM (2)"
    assert mixed["training's precision not noted (runs)"] == "ERM (2), SA-FAS (4)"


def test_trainings_that_end_before_their_method_begins_are_named(outcomes: list[Outcome]) -> None:
    told = "too short for all of the method ever to be at work (runs)"
    assert told not in about(outcomes, lambda _: {"long_enough": True})
    assert about(outcomes, lambda o: {"long_enough": o.method == "erm"})[told] == "SA-FAS (4)"


def test_rows_whose_method_bfloat16_rounded_away_are_named(outcomes: list[Outcome]) -> None:
    def facts(precision: str, method: str) -> list[str]:
        told = about(outcomes, lambda _: {"precision": precision, "method": method})
        return [which for what, which in told.items() if "rounded" in what]

    assert facts("bf16", "sam") == ["ERM (4), SA-FAS (4)"]
    assert facts("fp32", "sam") == facts("bf16", "erm") == []


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_gets_the_main_tables_without_a_cut(page: Page, width: int) -> None:
    text = printed(page, width)
    assert text.startswith("Simulated faces")
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "Oracle: HTER" in text
    assert "AUC in percent" not in text


def test_html_is_whole_offline_and_marked_up_for_a_screen_reader(page: Page) -> None:
    tags = Tags(as_html(page))
    assert not tags.open
    assert not tags.all("script")
    assert "script-src" not in as_html(page)
    assert not tags.all("link")
    assert not any("src" in attributes for _, attributes in tags.seen)
    assert all((a.get("href") or "").startswith("#") for a in tags.all("a"))
    count = sum(len(section.tables) for section in page.sections)
    assert len(tags.all("table")) == len(tags.all("caption")) == count
    assert all(a.get("scope") in ("col", "row", "rowgroup") for a in tags.all("th"))
    named = {attributes.get("id") for _, attributes in tags.seen}
    assert {(a["href"] or "")[1:] for a in tags.all("a")} <= named


def test_html_escapes_what_it_is_given() -> None:
    text = markup(
        Table("<b>", ("m", "x"), [Group("<i>", [(Cell("<u>"), Cell("1", "<s>", best=True))])], "<p>")
    )
    assert {tag for tag, _ in Tags(text).seen}.isdisjoint({"b", "i", "u", "s"})
    assert '<td class="number best">1 <small>&lt;s&gt;</small></td>' in text
    assert '<p class="note">&lt;p&gt;</p>' in text


def test_write_leaves_three_files(page: Page, tmp_path: Path) -> None:
    assert write(page, tmp_path) == [tmp_path / name for name in NAMES]
    assert [path.name for path in sorted(tmp_path.iterdir())] == sorted(NAMES)
    assert (tmp_path / "benchmark.md").read_text(encoding="utf-8") == as_markdown(page)
