"""Which numbers of a report mean less than they say, or something else: found from the data, said in words."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from safas.assessment import resampling
from safas.assessment.calibration import are_probabilities
from safas.assessment.intervals import LEVEL
from safas.assessment.notes import ALARM, NOTE, WARNING, Note
from safas.assessment.presentations import UNNAMED, Inputs, Presentations, known
from safas.assessment.rates import auc_or_none
from safas.assessment.uncertainty import interval

Json = dict[str, Any]
_ORDER = (ALARM, WARNING, NOTE)


def all_notes(inputs: Inputs, report: Json) -> list[Note]:
    """What reading the files brought up and what the numbers show, the loudest first."""
    files = [inputs.test, inputs.dev, inputs.own_live, inputs.against, inputs.against_dev]
    read = [note for file in files if file is not None for note in file.notes]
    found = [
        *read,
        *_direction(inputs),
        *_lost(inputs),
        *_unseen(inputs),
        *_people(inputs),
        *_numbers(inputs, report),
    ]
    unique = list(dict.fromkeys(found))
    return sorted(unique, key=lambda note: _ORDER.index(note.level))


def reversed_direction(file: Presentations) -> Note | None:
    """The alarm that higher scores mean attack, if AUC lies below 0.5 with all of its 95 % interval.

    A warning where it lies there by itself, but too few were presented to be sure.
    """
    area = auc_or_none(file.scored)
    if area is None or area >= 0.5:
        return None
    draws = resampling.drawn(resampling.counted(file.table), 200, (0, 0))
    found = interval(np.concatenate([resampling.auc(draw) for draw in draws]))
    certain = area == 0 and _reversed_by_chance(file.table) < (1 - LEVEL) / 2
    if not (certain if found is None else found[1] < 0.5):
        return Note(
            WARNING,
            "below-chance",
            f"{file.file}: AUC is {area:.2f}, worse than guessing, though that may be chance. If higher means attack "
            "in this file, add --higher-is-spoof; nothing was turned round.",
        )
    told = "0.00" if found is None else f"{found[0]:.2f} to {found[1]:.2f}"
    return Note(
        ALARM,
        "reversed",
        f"{file.file}: attacks score higher than bona fide (AUC {told}). If higher means "
        "attack here, add --higher-is-spoof: nothing was turned round, and every number below is of the scores as "
        "they stand.",
    )


def _reversed_by_chance(table: pl.DataFrame) -> float:
    """How likely AUC 0 is where scores say nothing; of people, where they are known, each counts once a class."""
    rows = table.drop_nulls("score")
    name = "person" if known(rows) else "row"
    lives, attacks = (rows.filter(label=label)[name].n_unique() for label in ("live", "spoof"))
    return 1 / math.comb(lives + attacks, lives)


def _direction(inputs: Inputs) -> Iterator[Note]:
    dev = inputs.dev if inputs.dev is not None and inputs.dev.scored.complete else None
    for file in (dev or inputs.test, inputs.against):
        note = None if file is None else reversed_direction(file)
        if note is not None:
            yield note


def _lost(inputs: Inputs) -> Iterator[Note]:
    table = inputs.test.table
    names = table.filter(pl.col("label") == "spoof")["attack"].unique().to_list()
    if names == [UNNAMED]:
        yield Note(
            WARNING,
            "no-species",
            "No species of attack (column `attack`): all attacks count as one, so the worst species cannot be told "
            "and the APCER here may hide one that passes every time.",
        )
    elif UNNAMED in names:
        yield Note(
            WARNING, "some-species", f"Some attacks name no species; they stand together as {UNNAMED!r}."
        )
    for file in (inputs.test, inputs.dev, inputs.against_dev):
        if file is not None and not known(file.table):
            yield Note(
                WARNING,
                "no-subject",
                f"{file.file}: no `subject` for every row with a score. Its presentations are taken as independent: "
                "where one person gave several, the intervals are too narrow.",
            )
    if table["domain"].null_count() == len(table):
        yield Note(NOTE, "no-domain", "No `domain`: nothing is told apart by camera or place.")


def _unseen(inputs: Inputs) -> Iterator[Note]:
    if inputs.dev is None or UNNAMED in (*inputs.dev.scored.species, *inputs.test.scored.species):
        return
    new = sorted(set(inputs.test.scored.species) - set(inputs.dev.scored.species))
    if new and inputs.dev.scored.species:
        yield Note(
            NOTE,
            "new-species",
            f"Not among the attacks of dev, so no threshold has seen them: {', '.join(new)}.",
        )


def _people(inputs: Inputs) -> Iterator[Note]:
    if inputs.dev is None:
        return
    if not (known(inputs.test.table) and known(inputs.dev.table)):
        yield Note(NOTE, "people-unknown", "Whether dev and test have people in common cannot be told.")
        return
    both = set(inputs.test.table["person"].drop_nulls()) & set(inputs.dev.table["person"].drop_nulls())
    if both:
        name = sorted(both)[0].split("\n")[-1]
        yield Note(
            WARNING,
            "shared-people",
            f"{len(both)} people are in dev and in test (such as {name!r}): the threshold has seen them.",
        )


def _numbers(inputs: Inputs, report: Json) -> Iterator[Note]:
    if report["threshold"]["oracle"]:
        yield Note(
            WARNING,
            "oracle",
            "The threshold was chosen on the test scores themselves: the error rates are oracle figures, better than "
            "any real use. Give dev scores with --dev, or state a threshold.",
        )
    if report["simulated"]:
        yield Note(
            WARNING, "simulated", "These presentations are simulated: they say nothing of real cameras."
        )
    if report["bpcer"]["n"] == 0 or report["pooled"]["n"] == 0:
        missing = "bona fide" if report["bpcer"]["n"] == 0 else "attack"
        yield Note(WARNING, "one-class", f"No {missing} presentation has a score: its rates are not defined.")
    elif report["threshold"]["rule"].startswith("threshold"):
        yield from _scale(report)
    yield from _compared(report)
    yield from _nonresponses(report)
    yield from _small(report)
    if not are_probabilities(inputs.test.table["score"].drop_nulls().to_numpy()):
        yield Note(
            NOTE,
            "no-probabilities",
            "Scores outside [0, 1] are no probabilities: calibration is told of a Platt map fitted on dev, if there "
            "is one, and the expected calibration error of the scores is not defined.",
        )


def _compared(report: Json) -> Iterator[Note]:
    part = report["comparison"]
    if part and part["a"]["oracle"] != part["b"]["oracle"]:
        oracle = part["a" if part["a"]["oracle"] else "b"]["file"]
        yield Note(
            WARNING,
            "uneven",
            f"The comparison is uneven: only the threshold of {oracle} was chosen on the test scores themselves. Give "
            "it dev scores too (--dev, --against-dev), or state one threshold for both.",
        )


def _scale(report: Json) -> Iterator[Note]:
    rates = (report["apcer_pooled"], report["bpcer"]["rate"])
    if rates in ((0, 1), (1, 0)):
        did = "rejects" if rates == (0, 1) else "accepts"
        yield Note(
            WARNING, "scale", f"The stated threshold {did} everybody: is it on the scale of these scores?"
        )


def _nonresponses(report: Json) -> Iterator[Note]:
    missing = report["nonresponse"]
    attacks, lives = missing["attacks"]["errors"], missing["bona_fide"]["errors"]
    if attacks + lives:
        yield Note(
            NOTE,
            "nonresponse",
            f"{attacks} attacks and {lives} bona fide got no response: they count in APNRR and BPNRR, not in APCER "
            "and BPCER.",
        )


def _small(report: Json) -> Iterator[Note]:
    cells = {"bona fide": report["bpcer"], **report["species"]}
    small = [f"{name} ({one['warning']})" for name, one in cells.items() if one["warning"]]
    if small:
        yield Note(WARNING, "small", f"Too few to say much: {'; '.join(small)}.")
