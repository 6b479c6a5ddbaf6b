"""The whole system, a face recogniser behind the liveness check: IAPAR, FRR and RIAPAR.

ISO/IEC 30107-3:2023: the impostor attack presentation accept rate, IAPAR, is the share of impostor attack
presentations of one species that the full system accepts (IAPMR in the edition of 2017); the relative one is
RIAPAR = 1 + (IAPAR - (1 - FRR)) = IAPAR + FRR, FRR being the share of genuine attempts that the full system rejects.
The definitions are taken from public descriptions of that edition, not from its text.
"""

from typing import Any

import polars as pl

from safas.assessment import rates
from safas.assessment.intervals import cell
from safas.assessment.scored import parts
from safas.errors import InputError

MATCHER = "matcher_score"  # column: higher = more alike the enrolled person

DEFINITION = (
    "The full system accepts when the liveness score and the matcher's score both reach their thresholds. IAPAR: "
    "share of a species' attacks accepted; FRR: share of bona fide (each taken as a genuine comparison) rejected; "
    "no response counts as not accepted. RIAPAR = IAPAR + FRR."
)


def full_system(table: pl.DataFrame, threshold: float, matcher_threshold: float) -> dict[str, Any]:
    """The part `matcher` of docs/report.md; a face is accepted when its MATCHER column is >= the threshold.

    Raises InputError without that column.
    """
    if MATCHER not in table.columns:
        raise InputError(
            f"no column {MATCHER!r}",
            where="--matcher-threshold",
            remedy="Add the face recogniser's score of each presentation against the enrolled person.",
        )
    passed = (pl.col("score") >= threshold) & (pl.col(MATCHER) >= matcher_threshold)
    table = table.with_columns(passed.fill_null(False).alias("_in"))
    lives = table.filter(pl.col("label") == "live")
    frr = cell(int((~lives["_in"]).sum()), len(lives), subjects=rates.subjects(lives))
    species = {
        name: cell(int(part["_in"].sum()), len(part), subjects=rates.subjects(part))
        for name, part in parts(table.filter(pl.col("label") == "spoof"), "attack").items()
    }
    for one in species.values():
        one["riapar"] = None if frr["rate"] is None else one["rate"] + frr["rate"]
    worst = rates.worst(species)
    return {
        "threshold": matcher_threshold,
        "frr": frr,
        "species": species,
        "worst_species": worst,
        "iapar": None if worst is None else species[worst]["rate"],
        "riapar": None if worst is None else species[worst]["riapar"],
        "definition": DEFINITION,
    }
