"""Anyone's score file -> presentations: columns and labels by their names, frames averaged, contradictions refused."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from safas.assessment import spelling
from safas.assessment.notes import ALARM, NOTE, WARNING, Note
from safas.assessment.presentations import COLUMNS, UNNAMED, Presentations
from safas.assessment.raw import Raw, read_raw
from safas.assessment.runs import is_run, of_run
from safas.assessment.system import MATCHER
from safas.errors import TableError
from safas.table import SPLITS

_NEEDED = "Needed are `label` and `score`; `attack`, `subject`, `domain`, `dataset` and `video` say more."


def read(
    path: Path, *, epoch: int | None = None, live_only: bool = False
) -> tuple[Presentations, Presentations | None]:
    """The test rows of a file, and its dev rows if it has both.

    A safas run's scores are split by their role at the epoch that source validation chooses (or at `epoch`), any
    other table by its column `split`, where that says more than one thing. With `live_only` a file without labels
    holds live rows. Raises InputError or TableError, one line each.
    """
    raw = read_raw(path)
    if is_run(raw.table.columns):
        return of_run(raw.table, _shown(path), raw.sha256, epoch)
    if epoch is not None:
        raise TableError("this is no score file of a safas run: it has no epochs", where=str(path))
    return _by_split(_presentations(raw, path, live_only))


def read_dev(path: Path) -> Presentations:
    """The rows of a file that choose a threshold: all of them, or its dev split."""
    first, dev = read(path)
    return first if dev is None else dev


def _presentations(raw: Raw, path: Path, live_only: bool) -> Presentations:
    where = str(path)
    table, aliases = spelling.renamed(raw.table)
    if live_only and "label" not in table.columns:
        table = table.with_columns(pl.lit("live").alias("label"))
    score, of_attack = spelling.score_column(table.columns)
    missing = [name for name in ("label",) if name not in table.columns] + ([] if score else ["score"])
    if score is None or missing:
        raise TableError(
            f"a column is missing: {', '.join(missing)}",
            where=where,
            remedy=f"{_NEEDED} There are: {', '.join(raw.table.columns)}.",
        )
    for name in (*spelling.TEXTS, "label"):
        kind = table.schema.get(name, pl.String())
        if kind.is_nested() or kind == pl.Binary():
            raise TableError(
                f"the column {name!r} holds {kind}, not texts", where=where, remedy="Write it as texts."
            )
    labels, meaning = spelling.labels(table["label"], where)
    values = spelling.numbers(table[score], where).alias("score")
    if MATCHER in table.columns:
        table = table.with_columns(spelling.numbers(table[MATCHER], where))
    columns = tuple(raw.table.columns)
    table = _with_all(table.drop(score).with_columns(labels.alias("label"), values))
    _check_attacks(table, where)
    table, averaged = _one_a_presentation(table, where, raw.bob)
    notes = [*_spelled(_shown(path), aliases, meaning, score, of_attack), *_averaged(_shown(path), averaged)]
    return Presentations(
        _ordered(table), _shown(path), raw.sha256, len(raw.table), meaning, averaged, columns, tuple(notes)
    )


def _with_all(table: pl.DataFrame) -> pl.DataFrame:
    """The table with COLUMNS; the score and the label are there and clean."""
    texts = spelling.TEXTS
    lacking = [pl.lit(None, pl.String()).alias(name) for name in texts if name not in table.columns]
    table = table.drop("row", "person", strict=False).with_columns(lacking).with_row_index("row", offset=1)
    table = table.with_columns(spelling.text_or_null(name) for name in texts)
    frames = pl.col("frames") if "frames" in table.columns else pl.lit(1)
    kind = pl.col("attack")
    species = (
        pl.when(kind.is_in(spelling.RESERVED)).then(kind + " (attack)").otherwise(kind.fill_null(UNNAMED))
    )
    named = pl.when(pl.col("label") == "live").then(kind).otherwise(species)
    person = pl.concat_str(pl.col("dataset").fill_null(""), pl.col("subject"), separator="\n")
    return table.with_columns(
        frames.cast(pl.Int64, strict=False).alias("frames"), named.alias("attack"), person.alias("person")
    )


def _check_attacks(table: pl.DataFrame, where: str) -> None:
    live = (pl.col("label") == "live") & pl.col("attack").is_not_null()
    odd = table.filter(live & ~pl.col("attack").str.to_lowercase().is_in(spelling.LIVE))
    if len(odd):
        row, attack = odd.select("row", "attack").row(0)
        raise TableError(
            f"row {row} has the label live and the attack {attack!r}",
            where=where,
            remedy="Leave the attack of live rows empty, or call it none.",
        )


def _one_a_presentation(table: pl.DataFrame, where: str, repeats: bool) -> tuple[pl.DataFrame, bool]:
    """Frames of one video become one row with the means of their scores; true when there were such."""
    if table["video"].null_count() == len(table):
        return table, False
    key = [pl.col("dataset").fill_null(""), pl.col("video")]
    twice = table.filter(pl.col("video").is_not_null() & pl.struct(key).is_duplicated())
    if twice.is_empty():
        return table, False
    if not repeats and "frame" not in table.columns:
        name = twice["video"][0]
        rows = twice.filter(pl.col("video") == name)["row"].to_list()
        raise TableError(
            f"video {name!r} stands in rows {rows[0]} and {rows[1]}",
            where=where,
            remedy="Name each presentation once; if these are frames of one video, number them in a column `frame`.",
        )
    unnamed = pl.when(pl.col("video").is_null()).then(pl.col("row")).otherwise(0)
    parts = table.group_by(*key, unnamed.alias("_row"), maintain_order=True)
    means = [name for name in ("score", MATCHER) if name in table.columns]
    first = [name for name in table.columns if name not in ("dataset", "video", "frames", "frame", *means)]
    mixed = parts.agg(pl.col("label").n_unique(), pl.col("attack").n_unique().alias("attacks"))
    odd = mixed.filter((pl.col("label") > 1) | (pl.col("attacks") > 1))
    if len(odd):
        raise TableError(
            f"the frames of video {odd['video'][0]!r} have different labels or attacks", where=where
        )
    merged = parts.agg(
        pl.col(first).first(), pl.col(means).mean(), pl.col("score").count().cast(pl.Int64).alias("frames")
    ).drop("_row")
    return merged.with_columns(spelling.text_or_null("dataset")), True


def _ordered(table: pl.DataFrame) -> pl.DataFrame:
    attack = pl.when(pl.col("label") == "live").then(pl.lit("none")).otherwise(pl.col("attack"))
    table = table.with_columns(attack.alias("attack")).sort("row")
    further = [name for name in table.columns if name not in COLUMNS]
    return table.select(*(pl.col(name).cast(kind) for name, kind in COLUMNS.items()), *further)


def _spelled(
    file: str, aliases: dict[str, str], meaning: dict[str, str], score: str, of_attack: bool
) -> list[Note]:
    notes = []
    other = {word: label for word, label in meaning.items() if word != label}
    if other:
        told = ", ".join(f"{word!r} as {label}" for word, label in other.items())
        level = WARNING if any(word.lower() in spelling.NUMBERS for word in other) else NOTE
        notes.append(Note(level, "labels", f"{file}: labels read {told}."))
    for alias, name in aliases.items():
        notes.append(Note(NOTE, "column", f"{file}: column `{alias}` read as `{name}`."))
    if of_attack:
        notes.append(
            Note(
                ALARM,
                "score-name",
                f"{file}: the score is the column `{score}`, whose name says that higher means attack. It was read as "
                "it stands, higher = bona fide; if its name is right, add --higher-is-spoof.",
            )
        )
    elif score != "score":
        notes.append(Note(NOTE, "column", f"{file}: column `{score}` read as `score`."))
    return notes


def _averaged(file: str, averaged: bool) -> list[Note]:
    text = f"{file}: several frames of a video are one presentation here, with their mean score."
    return [Note(NOTE, "frames", text)] if averaged else []


def _by_split(whole: Presentations) -> tuple[Presentations, Presentations | None]:
    """Test and dev rows where the column `split` tells them apart; everything where it does not."""
    if "split" not in whole.table.columns:
        return whole, None
    table = whole.table.with_columns(spelling.split("split"))
    splits = set(table["split"].drop_nulls().unique())
    if len(splits) < 2:
        return whole, None
    if not splits <= set(SPLITS) or "test" not in splits:
        there = ", ".join(map(repr, sorted(splits)))
        text = f"{whole.file}: its column `split` says {there}, not train, dev and test: all rows are assessed as test."
        return replace(whole, notes=(*whole.notes, Note(WARNING, "split", text))), None
    test, dev = (
        replace(whole, table=table.filter(pl.col("split") == name), chosen=f"split {name}")
        for name in ("test", "dev")
    )
    told = (
        "dev chooses the threshold unless --dev names other rows"
        if "dev" in splits
        else "the others are left out"
    )
    note = Note(NOTE, "split", f"{whole.file}: its rows of split test are assessed; {told}.")
    return replace(test, notes=(*test.notes, note)), dev if "dev" in splits else None


def _shown(path: Path) -> str:
    """How a file is called in the report: its name, and its folder where the name is that of every run."""
    if path.is_dir():
        return f"{path.name}/scores.parquet"
    return f"{path.parent.name}/{path.name}" if path.name == "scores.parquet" else path.name
