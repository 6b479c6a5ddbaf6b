import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tiny
from safas.evaluation import evaluate
from safas.protocols import Protocol
from safas.run_page import (
    Face,
    Features,
    MethodRun,
    ProtocolRuns,
    Provenance,
    ReportInput,
    render,
    write_report,
)
from webpage import Page, check_drawn

NOT_REAL = "Made by a program."


def method_run(method: str, shift: float, heads: bool) -> MethodRun:
    scores = tiny.run_scores(shift)
    last = scores.filter((pl.col("epoch") == 2) & (pl.col("role") != "source-dev"))
    values = np.random.default_rng(0).normal(size=(40, 6))
    logits = {"north": values[:, 0], "south": values[:, 1]} if heads else {"all": values[:, 0]}
    table = (
        last.head(40)
        .select("domain", "label", "attack", "score")
        .with_columns(
            pl.Series("decision", np.mean(list(logits.values()), axis=0)),
            (pl.col("domain") != "west").alias("seen"),
        )
    )
    features = Features(values, table, logits)
    return MethodRun(method, scores, evaluate(scores), tiny.records(heads=heads), features)


@pytest.fixture(scope="module")
def content() -> ReportInput:
    runs = [method_run("ERM", 2.0, heads=False), method_run("SA-FAS", 0.5, heads=True)]
    rng = np.random.default_rng(0)
    faces = [
        Face(domain, attack, "ann", rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
        for domain in tiny.DOMAINS
        for attack in ("none", "print", "replay_video")
    ]
    provenance = Provenance(
        command="safas demo --seed 7",
        commit="abc123",
        seed=7,
        created="1 May",
        versions={"torch": "9.9"},
        stages=[("simulate", 61.0), ("report", 2.0)],
        peak_memory="1.5 GB",
        configurations={"Training, SA-FAS": {"alpha": 0.99}},
    )
    return ReportInput(
        [ProtocolRuns(Protocol(("north", "south"), "west"), runs)], provenance, faces, NOT_REAL
    )


@pytest.fixture(scope="module")
def text(content: ReportInput) -> str:
    return render(content)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_first_lines_say_what_is_simulated(page: Page) -> None:
    assert NOT_REAL in page.text[: page.text.index("Half total error rate")]


def test_every_printed_table_of_numbers_says_simulated(text: str) -> None:
    captions = re.findall(r"<caption>(.*?)</caption>", text)
    assert captions[:2] == [
        "Error on west, in percent (simulated faces): 6 live and 12 spoof videos, 6 people",
        "Crops as the network receives them (simulated)",
    ]


def test_nothing_of_it_is_said_of_real_recordings(content: ReportInput) -> None:
    assert "imulated" not in Page(render(replace(content, simulated=""))).text


def test_no_reference_leads_out_of_the_file(page: Page) -> None:
    page.check_stays_inside()


def test_own_style_and_script_load_nothing() -> None:
    folder = Path(__file__).parents[1] / "src" / "safas" / "templates"
    for file in sorted(folder.iterdir()):
        assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", file.read_text()), (
            file.name
        )


def test_ids_are_unique_and_every_figure_has_a_drawing_and_words(page: Page) -> None:
    page.check_figures(12)


def test_pictures_have_words_and_headers_have_scopes(page: Page) -> None:
    images = page.all("img")
    assert len(images) == 9
    assert images[0]["alt"] == "north, live, person ann"
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in images)
    assert all(a.get("scope") in ("col", "row", "rowgroup") for a in page.all("th"))


def test_headline_number_is_the_evaluations(content: ReportInput, page: Page) -> None:
    for run in content.protocols[0].methods:
        assert f"{run.method} {100 * run.result['chosen']['hter']:.1f} %" in page.text


def test_headline_precedes_what_is_marked_oracle(page: Page) -> None:
    order = [
        page.text.index(words) for words in ("Epoch and threshold from", "Last evaluated", "Best epoch on")
    ]
    assert order == sorted(order)
    assert "Best epoch on the target, as published oracle" in page.text


def test_provenance_is_complete(page: Page) -> None:
    for words in (
        "safas demo --seed 7",
        "abc123",
        "seed 7",
        "torch",
        "9.9",
        "1 min 01 s",
        "1.5 GB",
        '"alpha": 0.99',
    ):
        assert words in page.text


def test_markup_in_names_stays_text(content: ReportInput) -> None:
    runs = content.protocols[0]
    evil = "<script>alert(1)</script>"
    methods = [replace(run, method=evil) for run in runs.methods[:1]]
    text = render(replace(content, protocols=[ProtocolRuns(Protocol(runs.protocol.sources, evil), methods)]))
    assert evil not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_domain_tested_on_itself_is_not_called_unseen(content: ReportInput) -> None:
    methods = content.protocols[0].methods
    for protocol, words in (
        (Protocol(("north",), "north"), "Trained on north; tested on other people of it<"),
        (Protocol(("north",), "north", "oulu-3.2"), "tested on other people of it (protocol oulu-3.2)"),
    ):
        text = render(replace(content, protocols=[ProtocolRuns(protocol, methods)]))
        assert words in text
        assert "never seen" not in text.split("</header>")[0]
        assert "unseen domain" not in text.split("</header>")[0]
        assert "What the pictures call unseen are these people" in text
    assert "APCER (worst)" in text


def test_several_protocols_have_an_overview(content: ReportInput) -> None:
    first = content.protocols[0]
    page = Page(
        render(replace(content, protocols=[first, replace(first, protocol=Protocol(("south",), "west"))]))
    )
    assert "All protocols" in page.text
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"].removeprefix("#") for a in page.all("a")]
    assert set(links) <= set(ids)


def test_written_whole_or_not_at_all(content: ReportInput, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.html"
    assert write_report(content, out).read_text().rstrip().endswith("</html>")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_a_browser_draws_every_figure_without_an_error(content: ReportInput, tmp_path: Path) -> None:
    check_drawn(write_report(content, tmp_path / "report.html"), 12, tmp_path)
