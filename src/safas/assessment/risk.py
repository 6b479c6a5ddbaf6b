"""The report's parts on pass, unsure and deny, and on one's own live videos, with what is guaranteed in words."""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from safas.assessment import rates
from safas.assessment.calibration import DENY, PASS, UNSURE, Decision
from safas.assessment.decision import Side, decide, own_live_threshold, supportable
from safas.assessment.intervals import LEVEL, cell, presentations_needed
from safas.assessment.presentations import Presentations, people_of
from safas.assessment.scored import parts
from safas.errors import InputError

ASSUMPTIONS = (
    "Both hold for presentations that are exchangeable with those of dev (the same species, instruments, cameras and "
    "kinds of people), each independent of the others, and say nothing of other species or cameras."
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Risks:
    """What may go wrong at most: attacks passed (worst species), bona fide denied; shares in (0, 1)."""

    apcer: float
    bpcer: float
    confidence: float = LEVEL

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1:
                raise InputError(f"{name} = {value} is no share between 0 and 1", where="risk")


def decision(risks: Risks, dev: Presentations | None, test: pl.DataFrame) -> Json:
    """The part `decision` of docs/report.md. Raises InputError without dev."""
    if dev is None:
        raise InputError(
            "thresholds with a guarantee need dev scores",
            where="--risk",
            remedy="Name them with --dev dev.csv.",
        )
    made, sides, lives = decide(dev.scored, risks.apcer, risks.bpcer, risks.confidence)
    percent = f"{100 * risks.confidence:g} %"
    return {
        "risks": {"apcer": risks.apcer, "bpcer": risks.bpcer},
        "confidence": risks.confidence,
        "fitted_on": dev.file,
        "people": people_of(dev.table),
        "pass": {
            "threshold": made.passes,
            "supported": made.passes is not None,
            "statement": _pass_words(made, sides, risks, percent),
            "needed": presentations_needed(risks.apcer, confidence=risks.confidence),
            "by_species": [_side(side, "species", risks.confidence) for side in sides],
        },
        "deny": {
            "threshold": made.denies,
            "supported": made.denies is not None,
            "statement": _deny_words(made, lives, risks, percent),
            "needed": presentations_needed(risks.bpcer, confidence=risks.confidence),
            **_side(lives, "what", risks.confidence),
        },
        "overlap": made.passes is not None and made.passes == made.denies,
        "assumptions": _assumptions(dev, risks.confidence),
        "test": _on_test(made, test),
    }


def own_live(own: Presentations, bpcer: float, test: pl.DataFrame) -> Json:
    """The part `own_live` of docs/report.md. Raises InputError when the file has an attack or no score."""
    if (own.table["label"] == "spoof").any():
        raise InputError(
            "there is an attack among one's own live videos", where=own.file, remedy="Take it out."
        )
    lives = own.scored.live
    if not lives.size:
        raise InputError("no video has a score", where=own.file)
    found = own_live_threshold(lives, bpcer)
    made = Decision(found.threshold, found.threshold)
    least = int(1 / bpcer - 1e-9)
    if found.threshold is None:
        words = f"{found.n} videos cannot support BPCER <= {_percent(bpcer)}: at least {least} are needed."
    else:
        words = (
            f"A further live video of the same cameras and kinds of people scores below {found.threshold:.4g} with "
            f"probability {found.rank}/({found.n} + 1) = {_percent(found.guarantee or 0)} at most: on average over "
            f"sets of {found.n} exchangeable videos. For {_percent(LEVEL)} of such sets BPCER is at most "
            f"{_percent(found.with_confidence() or 0)}."
        )
    return {
        "file": own.file,
        "n": found.n,
        "bpcer": bpcer,
        "threshold": found.threshold,
        "rank": found.rank,
        "guarantee": found.guarantee,
        "with_confidence": found.with_confidence(),
        "needed": least,
        "statement": words,
        "warning": "No attack was filmed with these cameras: APCER at this threshold is unknown there.",
        "test": None if found.threshold is None else _at(found.threshold, test),
        "decision": asdict(made),
    }


def _at(threshold: float, test: pl.DataFrame) -> Json:
    species = rates.attack_cells(test, threshold)
    worst = rates.worst(species)
    return {
        "apcer": None if worst is None else species[worst]["rate"],
        "worst_species": worst,
        "bpcer": rates.rejected_cell(test.filter(pl.col("label") == "live"), threshold),
    }


def _side(side: Side, name: str, confidence: float) -> Json:
    return {
        name: side.name,
        "n": side.n,
        "allowed_errors": max(side.allowed, 0),
        "own_threshold": side.threshold,
        "own_supported": side.supported,
        "supportable": supportable(side.n, confidence),
    }


def _assumptions(dev: Presentations, confidence: float) -> str:
    """With what is left of the guarantee when people gave several presentations, which are then not independent."""
    people = people_of(dev.table)
    if people is None:
        return f"{ASSUMPTIONS} Whose presentations they are is not known: of one person several are not independent."
    if people == len(dev.table):
        return ASSUMPTIONS
    return (
        f"{ASSUMPTIONS} The {len(dev.table)} presentations of dev are of {people} people: those of one person are not "
        f"independent, and one of each alone would support no risk below {_percent(supportable(people, confidence))}."
    )


def _pass_words(made: Decision, sides: list[Side], risks: Risks, percent: str) -> str:
    claim = f"APCER <= {_percent(risks.apcer)}"
    if made.passes is not None:
        return (
            f"Pass when score >= {made.passes:.4g}. With {percent} confidence in the choice of the dev presentations, "
            f"{claim} for every one of the species of dev at once, the worst included."
        )
    short = [f"{side.name}: n = {side.n}" for side in sides if not side.supported]
    least = presentations_needed(risks.apcer, confidence=risks.confidence)
    return (
        f"{claim} with {percent} confidence cannot be supported by {', '.join(short) or 'no attack'}; "
        f"at least {least} of each species are needed. No score passes."
    )


def _deny_words(made: Decision, lives: Side, risks: Risks, percent: str) -> str:
    claim = f"BPCER <= {_percent(risks.bpcer)}"
    if made.denies is not None:
        return (
            f"Deny when score < {made.denies:.4g}. With {percent} confidence in the choice of the dev presentations, "
            f"{claim}: so few bona fide are denied."
        )
    least = presentations_needed(risks.bpcer, confidence=risks.confidence)
    return (
        f"{claim} with {percent} confidence cannot be supported by n = {lives.n} bona fide; at least {least} are "
        "needed. No score is denied."
    )


def _on_test(made: Decision, test: pl.DataFrame) -> list[Json]:
    answered = test.drop_nulls("score")
    lives = answered.filter(pl.col("label") == "live")
    attacks = parts(answered.filter(pl.col("label") == "spoof"), "attack")
    named = [("bona fide", lives), *attacks.items()]
    return [_counts(name, rows, made) for name, rows in named]


def _counts(name: str, rows: pl.DataFrame, made: Decision) -> Json:
    verdicts = made(rows["score"].to_numpy())
    counts = {verdict: int((verdicts == verdict).sum()) for verdict in (PASS, UNSURE, DENY)}
    people = rates.subjects(rows)
    return {
        "what": name,
        "n": len(rows),
        **counts,
        "passed": cell(counts[PASS], len(rows), subjects=people),
        "denied": cell(counts[DENY], len(rows), subjects=people),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
