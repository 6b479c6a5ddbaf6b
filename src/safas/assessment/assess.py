"""Scores of anyone's system -> everything that report.json holds (docs/report.md, schema.json)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from safas import __version__, metrics
from safas.assessment import rates, resampling, uncertainty
from safas.assessment.breakdown import breakdown
from safas.assessment.comparison import System, compare
from safas.assessment.curves import curves, histograms
from safas.assessment.intervals import Cell, cell
from safas.assessment.operating import OperatingPoint, threshold_of
from safas.assessment.presentations import Inputs, Presentations
from safas.assessment.reliability import calibrated
from safas.assessment.resampling import Counted
from safas.assessment.risk import Risks, decision, own_live
from safas.assessment.scored import Scored, below
from safas.assessment.support import support
from safas.assessment.system import full_system
from safas.assessment.uncertainty import Bootstrap
from safas.assessment.warn import all_notes
from safas.errors import MetricError
from safas.metrics import FloatArray

SCHEMA = "safas-report/1"
SCOPE = (
    "A report in the style of ISO/IEC 30107-3, made from scores and labels alone; it is no certificate. Injection "
    "attacks, which reach the system without passing a camera, are out of scope, as in the standard."
)
EER = OperatingPoint("eer")
SIMULATED = "simulated"  # the data set's name in tables of the simulation
WORST_SCORED = 24  # rows of each label

Json = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a report is asked for."""

    point: OperatingPoint = EER
    by: tuple[str, ...] = ()
    risks: Risks | None = None
    matcher_threshold: float | None = None
    own_bpcer: float = 0.05  # to be held on one's own live videos
    replicates: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Chosen:
    """The threshold in use: its value, in words on what it was chosen, and whether the test itself chose it."""

    value: float
    chosen_on: str
    oracle: bool


def assess(inputs: Inputs, settings: Settings, *, title: str = "", command: str = "") -> Json:
    """All of report.json. Raises MetricError when the test rows have no score, or those of dev none to choose by."""
    table, dev, data = inputs.test.table, inputs.dev, inputs.test.scored
    if not data.values.size:
        raise MetricError("no presentation has a score", where=inputs.test.file)
    chosen = choose(settings.point, inputs.test, dev)
    plan = Bootstrap(settings.point, chosen.value, settings.replicates, settings.seed)
    counts = resampling.counted(table, chosen.value) if data.complete else None
    chose = None if dev is None else resampling.counted(dev.table, chosen.value)
    thresholds = None if counts is None else uncertainty.replicated_thresholds(plan, counts, chose)
    report = {
        **_about(inputs, title, command),
        "threshold": _threshold(chosen, settings.point),
        **_rates(table, data, chosen.value),
    }
    report["intervals"] = _intervals(report, counts, chose, plan, thresholds)
    report["operating_points"] = _operating_points(inputs, settings.point, chosen, data)
    report["support"] = support(report, settings.point, settings.risks)
    calibration, reliability = calibrated(table, dev)
    report |= {"calibration": calibration, "reliability": reliability, "ece": _ece(reliability)}
    report["decision"] = decision(settings.risks, dev, table) if settings.risks else None
    report["own_live"] = own_live(inputs.own_live, settings.own_bpcer, table) if inputs.own_live else None
    report["matcher"] = (
        None
        if settings.matcher_threshold is None
        else full_system(table, chosen.value, settings.matcher_threshold)
    )
    report["breakdowns"] = {
        column: breakdown(table, column, plan, counts, thresholds) for column in settings.by
    }
    report["curves"] = curves(data, _marked(report))
    report["histograms"] = histograms(table)
    report["worst_scored"] = _worst_scored(table, chosen.value)
    report["comparison"] = _comparison(inputs, settings, chosen)
    report["notes"] = [vars(note) for note in all_notes(inputs, report)]
    return report


def choose(point: OperatingPoint, test: Presentations, dev: Presentations | None) -> Chosen:
    """The threshold from the stated value or from dev; without either the test itself chooses: oracle.

    Raises MetricError when the rows that choose lack a class.
    """
    if point.kind == "threshold":
        return Chosen(point.value, point.words, oracle=False)
    by = dev if dev is not None else test
    try:
        value = threshold_of(point, by.scored)
    except MetricError as error:
        raise MetricError(
            f"no threshold at {point.words}: {error.what}",
            where=by.file,
            remedy="Add such rows, or state a threshold with --operating-point threshold=0.5.",
        ) from error
    if dev is None:
        return Chosen(
            value, f"oracle: {point.words} of the test scores themselves ({test.file})", oracle=True
        )
    told = f", {dev.chosen}" if dev.chosen else ""
    return Chosen(value, f"{point.words} of dev ({dev.file}{told})", oracle=False)


def _about(inputs: Inputs, title: str, command: str) -> Json:
    files = {name: getattr(inputs, name) for name in ("test", "dev", "own_live", "against", "against_dev")}
    names = set(inputs.test.table["dataset"].drop_nulls().unique())
    return {
        "schema": SCHEMA,
        "safas": __version__,
        "title": title or inputs.test.file,
        "command": command,
        "simulated": SIMULATED in names,
        "scope": SCOPE,
        "data": {name: None if file is None else file.about() for name, file in files.items()},
    }


def _threshold(chosen: Chosen, point: OperatingPoint) -> Json:
    return {"value": chosen.value, "chosen_on": chosen.chosen_on, "rule": str(point), "oracle": chosen.oracle}


def _rates(table: pl.DataFrame, data: Scored, threshold: float) -> Json:
    species = rates.attack_cells(table, threshold)
    rates.add_auc(species, data)
    worst = rates.worst(species)
    pooled = rates.accepted_cell(table.filter(pl.col("label") == "spoof"), threshold)
    bpcer = rates.rejected_cell(table.filter(pl.col("label") == "live"), threshold)
    apcer = None if worst is None else species[worst]["rate"]
    missing = rates.nonresponse(table, threshold)
    scores, live = data.both
    return {
        "species": species,
        "worst_species": worst,
        "apcer": apcer,
        "apcer_pooled": pooled["rate"],
        "pooled": pooled,
        "bpcer": bpcer,
        "bpcer_at_apcer": rates.bpcer_at_apcer(data),
        "acer": _mean(apcer, bpcer["rate"]),
        "hter": _mean(pooled["rate"], bpcer["rate"]),
        "eer": metrics.eer(scores=scores, live=live)[0] if data.complete else None,
        "auc": rates.auc_or_none(data),
        "apnrr": missing["attacks"]["rate"],
        "bpnrr": missing["bona_fide"]["rate"],
        "nonresponse": missing,
    }


def _intervals(
    report: Json,
    counts: Counted | None,
    chose: Counted | None,
    plan: Bootstrap,
    thresholds: FloatArray | None,
) -> Json | None:
    """The bootstrap's intervals; those of a cell are written into it too."""
    if counts is None or thresholds is None:
        return None
    found = uncertainty.intervals(uncertainty.replicates(counts, thresholds, plan))
    for name, one in report["species"].items():
        one["bootstrap"] = found.pop(f"species/{name}", None)
    report["bpcer"]["bootstrap"], report["pooled"]["bootstrap"] = found["bpcer"], found["apcer_pooled"]
    at = {f"{rate:g}": found.pop(f"bpcer_at_apcer/{rate:g}") for rate in rates.BPCER_AT}
    return {**found, "bpcer_at_apcer": at, **uncertainty.in_words(counts, chose, plan)}


def _operating_points(inputs: Inputs, point: OperatingPoint, chosen: Chosen, data: Scored) -> list[Json]:
    """What the thresholds of the usual rules, chosen as the one in use was, gave on test."""
    if not data.complete:
        return []
    usual = [EER, *(OperatingPoint("apcer", rate) for rate in rates.BPCER_AT)]
    listed = [point, *(other for other in usual if other != point)]
    by = inputs.dev or inputs.test
    if not by.scored.complete:
        listed = [point]
    rows = []
    for one in listed:
        at = chosen if one == point else choose(one, inputs.test, inputs.dev)
        rows.append(_operating_point(data, one, at, headline=one == point))
    return rows


def _operating_point(data: Scored, point: OperatingPoint, at: Chosen, *, headline: bool) -> Json:
    species = {name: _accepted(attacks, at.value) for name, attacks in data.species.items()}
    worst, pooled = str(rates.worst(species)), _accepted(data.attacks, at.value)
    bpcer = cell(int(below(data.live, at.value)), data.live.size)
    return {
        "rule": str(point),
        "chosen_on": at.chosen_on,
        "oracle": at.oracle,
        "threshold": at.value,
        "apcer": species[worst]["rate"],
        "apcer_interval": species[worst]["interval"],
        "worst_species": worst,
        "apcer_pooled": pooled["rate"],
        "bpcer": bpcer["rate"],
        "bpcer_interval": bpcer["interval"],
        "headline": headline,
    }


def _accepted(attacks: FloatArray, threshold: float) -> Cell:
    return cell(attacks.size - int(below(attacks, threshold)), attacks.size)


def _marked(report: Json) -> Mapping[str, float]:
    rows = report["operating_points"]
    return {"threshold in use" if row["headline"] else row["rule"]: row["threshold"] for row in rows}


def _worst_scored(table: pl.DataFrame, threshold: float) -> list[Json]:
    columns = ("row", "dataset", "video", "domain", "subject", "label", "attack", "score")
    rows = table.drop_nulls("score").select(columns)
    attacks, lives = (rows.filter(pl.col("label") == label) for label in ("spoof", "live"))
    highest = attacks.top_k(WORST_SCORED, by=["score", "row"], reverse=[False, True])
    lowest = lives.bottom_k(WORST_SCORED, by=["score", "row"])
    shown = pl.concat([highest.sort("score", "row", descending=[True, False]), lowest.sort("score", "row")])
    accepted = pl.col("score") >= threshold
    return shown.with_columns(
        accepted.alias("accepted"), (accepted != (pl.col("label") == "live")).alias("wrong")
    ).to_dicts()


def _comparison(inputs: Inputs, settings: Settings, chosen: Chosen) -> Json | None:
    if inputs.against is None:
        return None
    other = choose(settings.point, inputs.against, inputs.against_dev)
    a = System(inputs.test, inputs.dev, chosen.value, chosen.chosen_on, chosen.oracle)
    b = System(inputs.against, inputs.against_dev, other.value, other.chosen_on, other.oracle)
    return compare(a, b, settings.point, settings.replicates, settings.seed)


def _ece(reliability: Json | None) -> float | None:
    if reliability is None or reliability["map"] != "as given":
        return None
    value: float = reliability["groups"][0]["ece"]
    return value


def _mean(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else (one + other) / 2
