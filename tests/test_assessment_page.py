"""The page made of report.json: the same numbers, nothing that runs or leads out, whatever the data lack."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

import reports
from safas.assessment.assess import Settings, assess
from safas.assessment.operating import parse
from safas.assessment.presentations import UNNAMED, Inputs, Presentations
from safas.assessment_page import render, write_page
from safas.errors import InputError, MediaError
from safas.table import CROPS, write_table
from webpage import Page, check_drawn

FIGURES = 9  # of the example: rates, ROC, DET, threshold, two histograms, reliability, decisions, differences
SPECIES = "Error rates by species of attack instrument"


@pytest.fixture(scope="module")
def example() -> tuple[dict[str, Any], pl.DataFrame]:
    return reports.example()


@pytest.fixture(scope="module")
def text(example: tuple[dict[str, Any], pl.DataFrame]) -> str:
    return render(*example, created=datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def of(rows: pl.DataFrame, dev: pl.DataFrame | None = None, point: str = "eer") -> Page:
    """The page of these test rows."""
    by = None if dev is None else reports.presentations(dev, "dev.csv")
    inputs = Inputs(reports.presentations(rows, "scores.csv"), by)
    return Page(render(assess(inputs, Settings(parse(point), replicates=30)), rows))


def percent(share: float) -> str:
    """As the page writes what lies between 1 % and 99 %, and 0 and 100."""
    return f"{100 * share:.1f}"


def test_nothing_leads_out(page: Page) -> None:
    page.check_stays_inside()
    page.check_figures(FIGURES)


def test_headings_come_in_order_and_tables_have_captions_and_scopes(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.tables) == len(page.all("table")) == len(page.all("caption"))
    assert all(a.get("scope") in ("col", "row", "rowgroup") for a in page.all("th"))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {a["href"].removeprefix("#") for a in page.all("a")} <= ids


def test_the_headline_is_the_worst_species_and_bpcer(
    example: tuple[dict[str, Any], pl.DataFrame], page: Page
) -> None:
    report, _ = example
    one, bpcer = report["species"][report["worst_species"]], report["bpcer"]
    low, high = map(percent, one["interval"])
    counts = f"{one['errors']} of {one['n']} attacks accepted 95 % interval {low}–{high}"
    assert f"worst species: {report['worst_species']} {percent(report['apcer'])} % {counts}" in page.text
    assert (
        f"BPCER {percent(bpcer['rate'])} % {bpcer['errors']} of {bpcer['n']} bona fide rejected" in page.text
    )
    assert page.text.index("Simulated data.") < page.text.index("worst species")
    assert f"At threshold {report['threshold']['value']:.6g}, which was chosen beforehand" in page.text
    assert report["scope"] in page.text
    assert "compliant" not in page.text


def test_every_species_row_is_that_of_the_json(
    example: tuple[dict[str, Any], pl.DataFrame], page: Page
) -> None:
    report, _ = example
    rows = {row[0]: row[1:] for row in page.tables[SPECIES]}
    cells = {**report["species"], "pooled": report["pooled"], "bona fide": report["bpcer"]}
    for name, one in cells.items():
        assert [int(text) for text in rows[name][:2]] == [one["n"], one["errors"]]
        told = [float(part) for text in rows[name][2:] for part in text.split("–")]
        meant = [one["rate"], *one["interval"], *one["bootstrap"], one["upper"]]
        assert told == pytest.approx([100 * share for share in meant], abs=0.0501)
    assert list(rows)[1:3] == ["Worst species: its APCER is the result", report["worst_species"]]


def test_the_other_tables_are_those_of_the_json(
    example: tuple[dict[str, Any], pl.DataFrame], page: Page
) -> None:
    report, table = example
    tables = page.tables
    other = {row[0]: row[1] for row in tables["Other measures, in percent"] if len(row) > 1}
    assert [float(text) for text in list(other.values()) if text[:1].isdigit()] == pytest.approx(
        [100 * report[name] for name in ("acer", "hter", "auc", "eer")]
        + [100 * share for share in report["bpcer_at_apcer"].values()],
        abs=0.0501,
    )
    points = tables["What thresholds chosen by other rules on dev gave on test"][1:]
    assert [(row[1], row[3]) for row in points] == [
        (f"{one['threshold']:.6g}", one["worst_species"]) for one in report["operating_points"]
    ]
    compared = tables["Two systems on the same presentations"][1:]
    assert [row[3] for row in compared] == [
        f"{100 * r['difference']:+.1f}" for r in report["comparison"]["rows"]
    ]
    bars = tables["What was passed, unsure and denied on test"][1:]
    assert [[int(text) for text in row[1:5]] for row in bars] == [
        [row[key] for key in ("n", "pass", "unsure", "deny")] for row in report["decision"]["test"]
    ]
    needed = tables["Independent presentations needed to claim a rate"][1:]
    claims = [list(claim["needed"].values()) for claim in report["support"]["claims"]]
    assert [[int(text.replace(",", "")) for text in row[1:]] for row in needed] == claims
    files = {row[0]: row[1:] for row in tables["Files"]}
    assert files["test"] == ["scores.csv", "360", "360", "0" * 64]
    tested = {row[0]: row[1:] for row in tables["Presentations that were tested"]}
    assert tested["bona fide"] == [
        "120",
        str(len(table.filter(label="live").drop_nulls("score"))),
        "40",
        "60",
        "60",
    ]


def test_what_was_asked_for_is_said_in_full(example: tuple[dict[str, Any], pl.DataFrame], page: Page) -> None:
    report, _ = example
    parts = (report["decision"]["pass"]["statement"], report["decision"]["assumptions"])
    own = (report["own_live"]["statement"], report["own_live"]["warning"])
    for words in (*parts, *own, report["matcher"]["definition"], report["comparison"]["note"]):
        assert words in page.text
    assert all(note["text"] in page.text for note in report["notes"])
    assert "safas report scores.csv --dev dev.csv" in page.text
    assert "01 May 2026" in page.text


def test_figures_say_their_numbers_in_words(example: tuple[dict[str, Any], pl.DataFrame], page: Page) -> None:
    report, _ = example
    labels = {a["id"]: a["aria-label"] for a in page.all("div") if a.get("class") == "plot"}
    worst = f"{percent(report['apcer'])} %, BPCER {percent(report['bpcer']['rate'])} %"
    assert all(worst in labels[key] for key in ("roc", "det", "against-threshold"))
    assert f"APCER mask {percent(report['species']['mask']['rate'])} %" in labels["rates"]


EVIL = "<img src=x onerror=alert(1)>"
CLOSING = "</script></style><script>alert(2)</script>{{ 7 * 7 }}"


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    rows = reports.table(0, 12).with_columns(
        pl.col("attack").replace({"mask": EVIL, "print": "--ink", "replay": CLOSING}),
        pl.col("domain").replace({"north": EVIL, "south": "<a href='https://x.invalid'>y</a>"}),
        pl.col("video").add(EVIL),
        pl.col("subject").add(CLOSING),
        pl.lit(EVIL).alias("device"),
    )
    test = reports.presentations(rows, f"{EVIL}.csv")
    settings = Settings(parse("threshold=0.5"), by=("device", "subject"), replicates=20)
    report = assess(Inputs(test, None, None, test), settings, title=CLOSING, command=EVIL)
    out = write_page(report, rows, tmp_path / "page.html")
    page = Page(out.read_text())
    page.check_stays_inside()
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert len(page.all("script")) == len(page.specs) + 2
    assert len(page.all("style")) == 1
    assert {row[0] for row in page.tables[SPECIES]} >= {EVIL, CLOSING, "--ink"}
    assert page.tables["By device"][1][0] == EVIL
    drawn = json.dumps(page.specs)
    assert "<img" not in drawn
    assert "<a" not in drawn
    assert (
        '"--ink"' not in re.findall(r'"ticktext": \[[^\]]*\]', drawn)[0]
    )  # else the page takes it for a colour
    became = check_drawn(out, len(page.specs), tmp_path)
    assert escape("<img src=x onerro", quote=False) in became  # a name in a drawing, as text


def no_species(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.when(pl.col("label") == "spoof").then(pl.lit(UNNAMED)).alias("attack"))


def no_people(rows: pl.DataFrame) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    return rows.with_columns(
        *(nothing.alias(name) for name in ("subject", "person", "domain", "video", "dataset"))
    )


def many_species(rows: pl.DataFrame) -> pl.DataFrame:
    number = (pl.col("row") % 10).cast(pl.String)
    return rows.with_columns(
        pl.when(pl.col("label") == "spoof").then(pl.lit("kind ") + number).otherwise("attack").alias("attack")
    )


def apart(rows: pl.DataFrame) -> pl.DataFrame:
    """No error at all."""
    return rows.with_columns(pl.when(pl.col("label") == "live").then(0.9).otherwise(0.1).alias("score"))


def logits(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("score") * 40 - 30)


def silent(rows: pl.DataFrame) -> pl.DataFrame:
    """One species never gets a response."""
    return rows.with_columns(pl.when(pl.col("attack") != "mask").then("score").alias("score"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_species, "species cannot be told"),
        (no_people, "people not known"),
        (no_people, "over presentations"),
        (many_species, "kind 9"),
        (apart, "one-sided"),
        (logits, "are no probabilities"),
        (silent, "mask 0 0 – – – –"),
        (lambda rows: rows.filter(domain="north"), "domains 1"),
        (lambda rows: rows.filter(label="live"), "No attack presentation"),
        (lambda rows: rows.filter(label="spoof"), "No bona fide presentation"),
        (lambda rows: rows.head(2), "0.0–77.6 one-sided"),
    ],
)
def test_the_page_says_what_is_not_there(change: Callable[[pl.DataFrame], pl.DataFrame], said: str) -> None:
    page = of(change(reports.table(0, 20)), point="threshold=0.5")
    assert said in page.text
    assert "nan" not in page.text.lower().split()
    assert "None" not in page.text


def test_an_oracle_is_marked_at_the_headline() -> None:
    rows = reports.table(0, 20)
    oracle, fair = of(rows), of(rows, reports.table(1, 20, first=50))
    assert "test report in the style of ISO/IEC 30107-3 simulated oracle" in oracle.text
    assert "which the tested scores themselves chose" in oracle.text
    assert "30107-3 simulated oracle" not in fair.text
    assert "which was chosen beforehand on other scores (EER of dev)" in fair.text


def test_nothing_is_called_simulated_that_is_not() -> None:
    rows = reports.table(0, 20).with_columns(pl.lit("our lab").alias("dataset"))
    assert "simulated" not in of(rows).text.lower()


def test_a_million_scores_make_a_page_below_8_mb() -> None:
    rng = np.random.default_rng(0)
    count = 1_000_000
    live = rng.random(count) < 0.5
    kinds = np.where(live, "none", np.char.add("kind ", rng.integers(0, 10, count).astype(str)))
    rows = pl.DataFrame(
        {
            "row": np.arange(1, count + 1),
            "label": np.where(live, "live", "spoof"),
            "attack": kinds,
            "score": rng.normal(np.where(live, 1.5, 0), 1),
            "subject": pl.Series([None], dtype=pl.String).new_from_index(0, count),
        }
    ).with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in ("dataset", "domain", "video", "person"))
    )
    test = Presentations(rows, "scores.parquet", "0" * 64, count)
    report = assess(Inputs(test), Settings(replicates=2))
    assert len(render(report, rows).encode()) < 8_000_000


def prepared(folder: Path, videos: list[tuple[str, str]]) -> Path:
    """A prepared folder with three crops of each video; the middle one is white."""
    crops = []
    for number, (dataset, video) in enumerate(videos):
        for frame in range(3):
            name = f"crops/{number}-{frame}.png"
            (folder / "crops").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name), np.full((160, 160, 3), 255 if frame == 1 else 0, np.uint8))
            crops.append({"dataset": dataset, "video": video, "frame": frame, "crop": name})
    table = pl.DataFrame(crops)
    missing = [pl.lit(None, kind).alias(name) for name, kind in CROPS.items() if name not in table.columns]
    write_table(table.with_columns(missing), folder / "crops.parquet")
    return folder


def test_the_worst_scored_are_shown_with_their_faces(
    example: tuple[dict[str, Any], pl.DataFrame], tmp_path: Path
) -> None:
    report, table = example
    attacks = [row for row in report["worst_scored"] if row["label"] == "spoof"]
    folder = prepared(tmp_path, [(row["dataset"], row["video"]) for row in attacks[:3]])
    page = Page(render(report, table, crops=folder))
    images = page.all("img")
    assert len(images) == 3
    assert f"score {attacks[0]['score']:.4g}, accepted" in images[0]["alt"]
    assert all(image["src"].startswith("data:image/jpeg;base64,/9j/") for image in images)
    assert page.text.count("no crop") == 21
    (folder / "crops" / "0-1.png").unlink()
    with pytest.raises(MediaError, match=r"0-1\.png"):
        render(report, table, crops=folder)
    with pytest.raises(InputError, match=r"crops\.parquet"):
        render(report, table, crops=tmp_path / "elsewhere")


def test_a_browser_draws_the_page_and_asks_for_nothing(
    example: tuple[dict[str, Any], pl.DataFrame], tmp_path: Path
) -> None:
    check_drawn(write_page(*example, tmp_path / "page.html"), FIGURES, tmp_path)


def test_the_check_of_requests_bites(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    leaky = text.replace("default-src 'none'; img-src data:", "img-src *")
    page.write_text(leaky.replace("<body>", '<body><img src="http://127.0.0.1:9/x.png">'))
    with pytest.raises(AssertionError):
        check_drawn(page, FIGURES, tmp_path)
