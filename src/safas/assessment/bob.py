"""The four-column score files of Idiap's bob: `claimed_id real_id test_label score`, separated by blanks.

As bob.pad.base wrote them (tools/scoring.py): a bona fide presentation has its person as both ids, an attack has its
person as the claimed id and the name of its kind ("attack", "attack/print", "replay") as the real one; higher means
bona fide. A label that stands there several times has one line a frame.
"""

import polars as pl

from safas.errors import TableError

_COLUMNS = 4


def is_four_columns(text: str) -> bool:
    """Whether the first line that is no comment has four fields between blanks, the last a number."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    fields = first.split()
    return len(fields) == _COLUMNS and not set(",;") & set(first) and is_number(fields[-1])


def four_columns(text: str, where: str) -> pl.DataFrame:
    """Columns video, label, attack, subject, score (text where it is no number). Raises TableError for other lines."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != _COLUMNS:
            raise TableError(
                f"line {number} has {len(fields)} fields, not the four claimed_id real_id test_label score",
                where=where,
            )
        claimed, real, video, score = fields
        live = claimed == real
        rows.append((video, "live" if live else "spoof", None if live else _species(real), claimed, score))
    columns = ("video", "label", "attack", "subject", "score")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String()), orient="row")


def _species(real: str) -> str | None:
    """ "attack/print" -> "print"; "attack" names none; any other name is the kind of attack itself."""
    kind = real.removeprefix("attack").strip("/_-")
    return kind or None


def is_number(text: str) -> bool:
    """Whether Python reads it as one; nan and inf are some."""
    try:
        float(text)
    except ValueError:
        return False
    return True
