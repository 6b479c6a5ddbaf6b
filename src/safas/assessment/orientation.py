"""Scores whose high values mean attack, turned round on demand."""

from dataclasses import replace

import polars as pl

from safas.assessment.assess import Settings
from safas.assessment.calibration import are_probabilities
from safas.assessment.notes import NOTE, Note
from safas.assessment.presentations import Inputs, Presentations


def turned(inputs: Inputs, settings: Settings) -> tuple[Inputs, Settings]:
    """All files turned alike, and a stated threshold with them: 1 - score if all lie in [0, 1], else -score.

    Also -score where 1 - score would round very sure scores to the same number. The new threshold accepts what the old
    one does: score of the file <= threshold.
    """
    files = {name: file for name, file in vars(inputs).items() if file is not None}
    scores = [file.table["score"].drop_nulls() for file in files.values()]
    shares = all(are_probabilities(of.to_numpy()) and (1 - of).n_unique() == of.n_unique() for of in scores)
    flipped = 1 - pl.col("score") if shares else -pl.col("score")
    told = "1 - score" if shares else "-score"
    text = (
        f"All scores were turned round (--higher-is-spoof): what is called score here is {told} of the file."
    )
    note = Note(NOTE, "turned", text)
    point = settings.point
    if point.kind == "threshold":
        point = replace(point, value=1 - point.value if shares else -point.value)
    return (
        replace(inputs, **{name: _turned(file, flipped, note) for name, file in files.items()}),
        replace(settings, point=point),
    )


def _turned(file: Presentations, flipped: pl.Expr, note: Note) -> Presentations:
    kept = tuple(one for one in file.notes if one.code != "score-name")
    return replace(file, table=file.table.with_columns(flipped.alias("score")), notes=(*kept, note))
