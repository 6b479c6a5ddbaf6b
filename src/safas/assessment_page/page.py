"""report.json as a page that a lab hands to a customer: one offline HTML file, light, dark and for print."""

import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from safas.assessment import lines
from safas.assessment_page import curves, drawings, systems, tables
from safas.assessment_page.glossary import GLOSSARY
from safas.assessment_page.parts import Json, drawn_unit, rule_in_words
from safas.figures.plotting import Figure
from safas.files import write_file
from safas.offline import page
from safas.tables import Table, plain_table
from safas.thumbnails import jpeg_uri, middle_crops, read_crop

_PACKAGES = ("safas", "numpy", "scipy", "polars", "plotly")
_FACE = 120  # pixels: side of a thumbnail
_FACES = 12  # of each label
_TITLE = 70  # characters of the title at the foot of a printed page


def write_page(
    report: Mapping[str, Any], presentations: pl.DataFrame, out: Path, *, crops: Path | None = None
) -> Path:
    """Render the page and write it atomically; returns `out`.

    report: what `safas.assessment.assess.assess` returns; presentations: the test's table; crops: a prepared folder
    that holds the faces of the worst-scored presentations. Raises InputError or MediaError where it does not.
    """
    write_file(out, render(report, presentations, crops=crops))
    return out


def render(
    report: Json, presentations: pl.DataFrame, *, crops: Path | None = None, created: datetime | None = None
) -> str:
    """The page as text."""
    figures = {figure.key: figure for figure in _figures(report)}
    created = created or datetime.now(UTC)
    return page(
        "assessment.html",
        list(figures.values()),
        title=report["title"],
        foot=css_string(_shortened(report)),
        report=report,
        figures=figures,
        tables=_tables(report, presentations),
        breakdowns=[tables.breakdown(column, part) for column, part in report["breakdowns"].items()],
        headline=_headline(report),
        facts=_facts(report),
        faces=_faces(report, crops),
        glossary=GLOSSARY,
        unit=drawn_unit(report),
        rule=rule_in_words(report["threshold"]["rule"]),
        percent=lines.percent,
        created=created.strftime("%d %B %Y, %H:%M UTC"),
    )


def css_string(text: str) -> str:
    """Anyone's text as a string of CSS, safe inside a <style>: everything but plain letters and digits by number."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):06x}" for c in text) + '"'


def _figures(report: Json) -> Iterator[Figure]:
    yield drawings.rates(report)
    if report["curves"] is not None:
        yield from (draw(report) for draw in (curves.roc, curves.det, curves.against_threshold))
    yield drawings.by_species(report)
    domains = drawings.by_domain(report)
    if domains is not None:
        yield domains
    if report["reliability"] is not None:
        yield drawings.reliability(report)
    if report["decision"] is not None and any(row["n"] for row in report["decision"]["test"]):
        yield drawings.decisions(report)
    if report["comparison"] is not None:
        yield drawings.differences(report)


def _tables(report: Json, presentations: pl.DataFrame) -> dict[str, Table | None]:
    found: dict[str, Table | None] = {
        "tested": tables.tested(presentations),
        "species": tables.by_species(report),
        "nonresponses": tables.nonresponses(report),
        "other": tables.other_measures(report),
        "points": tables.operating_points(report) if report["operating_points"] else None,
        "claims": tables.claims(report),
        "needed": tables.needed(report),
        "calibration": systems.calibration(report),
        "files": systems.files(report),
        "versions": plain_table("Versions", ("package", "version"), _versions()),
        "worst": systems.worst_scored(report),
    }
    if report["decision"] is not None:
        found |= {"decision": systems.decision(report), "support": systems.decision_support(report)}
    if report["matcher"] is not None:
        found["matcher"] = systems.matcher(report)
    if report["comparison"] is not None:
        found |= {"comparison": systems.comparison(report), "mcnemar": systems.mcnemar(report)}
    return found


def _headline(report: Json) -> list[dict[str, str]]:
    """The two numbers that count: what, value, its intervals and counts in words."""
    worst = report["worst_species"]
    found = []
    if worst is not None:
        one = report["species"][worst]
        found.append(_number(f"APCER, worst species: {worst}", one, "attacks accepted", drawn_unit(report)))
    found.append(_number("BPCER", report["bpcer"], "bona fide rejected", drawn_unit(report)))
    return found


def _number(name: str, one: Json, did: str, unit: str) -> dict[str, str]:
    ranges = [f"95 % interval {tables.interval_words(one)}"] if one["interval"] else []
    if one["bootstrap"]:
        ranges.append(f"over {unit} {lines.span(one['bootstrap'])}")
    counts = f"{one['errors']:,} of {one['n']:,} {did}"
    return {"name": name, "value": lines.percent(one["rate"]), "range": "; ".join(ranges), "counts": counts}


def _facts(report: Json) -> list[tuple[str, str]]:
    """What was tested, in numbers."""
    test = report["data"]["test"]
    people = "not known" if test["subjects"] is None else f"{test['subjects']:,}"
    return [
        ("bona fide", f"{test['live']:,}"),
        ("attacks", f"{test['attacks']:,}"),
        ("species", str(len(test["species"]))),
        ("people", people),
        ("domains", str(len(test["domains"])) if test["domains"] else "not known"),
    ]


def _faces(report: Json, prepared: Path | None) -> list[dict[str, Any]]:
    """The worst-scored presentations with their faces, attacks first; nothing without a prepared folder."""
    if prepared is None:
        return []
    crops = {(dataset, video): crop for dataset, video, crop in middle_crops(prepared).iter_rows()}
    shown = []
    for label, title in (
        ("spoof", "Attacks with the highest scores"),
        ("live", "Bona fide with the lowest scores"),
    ):
        rows = [row for row in report["worst_scored"] if row["label"] == label][:_FACES]
        faces = [_face(row, prepared, crops.get((row["dataset"], row["video"]))) for row in rows]
        if faces:
            shown.append({"title": title, "faces": faces})
    return shown


def _face(row: Json, prepared: Path, crop: str | None) -> dict[str, Any]:
    species = "bona fide" if row["label"] == "live" else row["attack"]
    decided = "accepted" if row["accepted"] else "rejected"
    words = [species, row["domain"], f"person {row['subject']}" if row["subject"] else None]
    return {
        "uri": None if crop is None else jpeg_uri(read_crop(prepared / crop), _FACE),
        "name": systems.name_of(row),
        "words": ", ".join(filter(None, words)),
        "score": f"{row['score']:.4g}",
        "decided": decided,
        "wrong": row["wrong"],
    }


def _shortened(report: Json) -> str:
    title = report["title"]
    title = title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"
    return f"{title}{' – SIMULATED DATA' if report['simulated'] else ''} – in the style of ISO/IEC 30107-3"


def _versions() -> list[tuple[str, str]]:
    return [("python", platform.python_version()), *((name, version(name)) for name in _PACKAGES)]
