"""A made-up lab's scores, and the report of them with every part that a report can have: the real structure."""

from typing import Any

import numpy as np
import polars as pl

from safas.assessment.assess import Settings, assess
from safas.assessment.operating import parse
from safas.assessment.presentations import COLUMNS, Inputs, Presentations
from safas.assessment.risk import Risks

SPECIES = ("print", "replay", "mask")


def table(seed: int, people: int, *, shift: float = 0.0, first: int = 0) -> pl.DataFrame:
    """Each person: three live, and two attacks of each species, on one of two phones; masks are the hardest."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for person in range(first, first + people):
        mood = rng.normal(0, 0.7)
        for kind in ("none", "none", "none", *SPECIES, *SPECIES):
            level = {"none": 1.6, "print": -2.0, "replay": -1.2, "mask": -0.2}[kind] + mood + shift
            score = 1 / (1 + np.exp(-rng.normal(level, 1)))
            rows.append(
                {
                    "row": len(rows) + 1,
                    "dataset": "simulated",
                    "domain": ("north", "south")[person % 2],
                    "video": f"{person}/{len(rows)}",
                    "label": "live" if kind == "none" else "spoof",
                    "attack": kind,
                    "subject": f"p{person}",
                    "person": f"simulated\np{person}",
                    "score": None if rng.random() < 0.02 else score,
                    "frames": 4,
                    "device": ("phone", "tablet")[person % 2],
                    "matcher_score": float(rng.random()),
                    "reason": "no face",
                }
            )
    return pl.DataFrame(rows, schema_overrides=COLUMNS)


def presentations(rows: pl.DataFrame, file: str) -> Presentations:
    return Presentations(rows, file, "0" * 64, len(rows), {"bona fide": "live"}, columns=tuple(rows.columns))


def example() -> tuple[dict[str, Any], pl.DataFrame]:
    """(report, presentations): every part is there, none is null."""
    test, dev = table(0, 40), presentations(table(1, 60, first=100), "dev.csv")
    own = presentations(table(2, 40, first=200).filter(label="live"), "own.csv")
    other = presentations(test.with_columns(table(3, 40, shift=0.3)["score"].alias("score")), "b.csv")
    settings = Settings(
        parse("apcer=0.1"),
        by=("device", "subject"),
        risks=Risks(0.1, 0.05),
        matcher_threshold=0.3,
        replicates=200,
    )
    inputs = Inputs(presentations(test, "scores.csv"), dev, own, other, presentations(dev.table, "b-dev.csv"))
    return assess(inputs, settings, title="example", command="safas report scores.csv --dev dev.csv"), test
