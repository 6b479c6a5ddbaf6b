"""How columns and labels may be spelled, and what each spelling was taken for: nothing is guessed in silence."""

import re

import polars as pl

from safas.errors import TableError

LIVE = (
    "live",
    "bona fide",
    "bona-fide",
    "bona_fide",
    "bonafide",
    "real",
    "genuine",
    "1",
    "+1",
    "1.0",
    "true",
)
SPOOF = ("spoof", "attack", "fake", "presentation attack", "0", "-1", "0.0", "-1.0", "false")
NUMBERS = ("1", "+1", "1.0", "0", "0.0", "-1", "-1.0", "true", "false")
LARGEST = 1e100  # beyond it a number stands for something else, such as a failure, and its square overflows
NOTHING = ("", "none", "null", "na", "n/a", "nan", "-")

SPLITS = {
    "training": "train",
    "devel": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}

RESERVED = ("live", "pooled", "bona fide", "attacks")  # words of the report that no species may be called

TEXTS = ("dataset", "domain", "video", "attack", "subject")  # columns besides the label

# other name of a column -> its name here; used where the file has no column of that name
ALIASES = {
    "is_bonafide": "label",
    "species": "attack",
    "pai_species": "attack",
    "pais": "attack",
    "attack_type": "attack",
    "subject_id": "subject",
    "client_id": "subject",
    "claimed_id": "subject",
    "person": "subject",
    "video_id": "video",
    "presentation": "video",
    "test_label": "video",
    "filename": "video",
}
_OF_ATTACK = re.compile(r"(^|_)(spoof|attack|fake|pa)(_|$|ness)")
_OF_LIVE = re.compile(r"(^|_)(live|liveness|bonafide|real|genuine)(_|$)")
_A_SCORE = re.compile(r"(^|_)(score|p|prob|probability|liveness)(_|$)|^(spoof|live|liveness)$")


def renamed(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """The table with ALIASES applied, and which were: {name in the file: name here}."""
    used: dict[str, str] = {}
    for alias, name in ALIASES.items():
        if alias in table.columns and name not in (*table.columns, *used.values()):
            used[alias] = name
    return table.rename(used), used


def score_column(columns: list[str]) -> tuple[str | None, bool]:
    """The column that holds the score, and whether its name says that higher means attack."""
    if "score" in columns:
        return "score", False
    like = [name for name in columns if _A_SCORE.search(name)]
    attack = [name for name in like if _OF_ATTACK.search(name)]
    live = [name for name in like if _OF_LIVE.search(name)]
    if len(live) == 1:
        return live[0], False
    return (attack[0], True) if len(attack) == 1 and not live else (None, False)


def labels(values: pl.Series, where: str) -> tuple[pl.Series, dict[str, str]]:
    """live or spoof for each row, and what each spelling was taken for. Raises TableError for another one."""
    words = values.cast(pl.String).str.strip_chars()
    meaning = {}
    for word in words.unique(maintain_order=True):
        meaning[word] = _label(word, words, where)
    return words.replace_strict(meaning, return_dtype=pl.String), meaning


def _label(word: str | None, words: pl.Series, where: str) -> str:
    plain = None if word is None else word.lower()
    for label, spellings in (("live", LIVE), ("spoof", SPOOF)):
        if plain in spellings:
            return label
    row = int((words.is_null() if word is None else words == word).arg_max() or 0) + 1
    raise TableError(
        f"row {row} has no label" if not word else f"row {row} has the label {word!r}",
        where=where,
        remedy="Known: live, bona fide, real, 1; spoof, attack, fake, 0.",
    )


def text_or_null(column: str) -> pl.Expr:
    """A text without blanks around it; null for what stands for nothing."""
    words = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(words.str.to_lowercase().is_in(NOTHING)).then(None).otherwise(words).alias(column)


def split(column: str) -> pl.Expr:
    """The official splits by their names here, in small letters; others as they stand."""
    return text_or_null(column).str.to_lowercase().replace(SPLITS)


def numbers(values: pl.Series, where: str) -> pl.Series:
    """Finite numbers, null where there is none (empty, NaN, null); "0,93" is read where no value has a point.

    Raises TableError naming the first row that holds something else, or an infinity.
    """
    words, found = _cast(values)
    wrong = found.is_null() & words.is_not_null()
    found = found.fill_nan(None)
    wrong = wrong | (found.abs() > LARGEST).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise TableError(
            f"row {row + 1} has {words[row]!r} in column {values.name!r}, which is no plausible number",
            where=where,
            remedy="Leave it empty where there was no response.",
        )
    return found.alias(values.name)


def _cast(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The values as they stand, null for what stands for nothing, and as numbers, null where they are none."""
    if values.dtype.is_numeric():
        return values, values.cast(pl.Float64)
    if values.dtype != pl.String:
        return values, pl.Series(values.name, [None] * len(values), dtype=pl.Float64)
    words = values.str.strip_chars()
    words = words.set(words.str.to_lowercase().is_in(NOTHING), None)
    if words.str.contains(",", literal=True).any() and not words.str.contains(".", literal=True).any():
        words = words.str.replace(",", ".", literal=True)
    return words, words.cast(pl.Float64, strict=False)
