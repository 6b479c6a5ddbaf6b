"""safas predict BUNDLE INPUT..."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from safas.bundle import Precision
from safas.commands.common import output, say
from safas.errors import InputError, MediaError
from safas.files import write_file
from safas.inputs import media_files
from safas.predictor import Predictor
from safas.table import write_table

Row = dict[str, Any]

BROKEN = 1  # exit code: some input could not be read
_BOX = pl.Struct({side: pl.Float64() for side in "xywh"})
_COLUMNS = {  # of --out x.parquet
    "input": pl.String(),
    "label": pl.String(),
    **dict.fromkeys(("score", "threshold", "probability", "distance"), pl.Float64()),
    "nearest_domain": pl.String(),
    "reasons": pl.List(pl.Struct({"code": pl.String(), "text": pl.String()})),
    **dict.fromkeys(("frames", "frames_used", "rotation"), pl.Int64()),
    "box": _BOX,
    "boxes": pl.List(_BOX),
    "frame_scores": pl.List(pl.Float64()),
    "timings": pl.Struct({name: pl.Float64() for name in ("decode", "detect", "crop", "score")}),
    "trained_on_simulated_faces": pl.Boolean(),
    "error": pl.String(),
}
_STYLES = {"live": "green", "spoof": "red", "unsure": "yellow", "no_face": "yellow", "unreadable": "magenta"}


@dataclass(frozen=True)
class Command:
    """Judge images and videos, or whoever stands before a camera: live, spoof, unsure or no face.

    On a terminal it prints a table, into a pipe one JSON object a line. What cannot be read is named at the end, with
    exit code 1; the rest is judged all the same. Only "live" is an acceptance.
    """

    bundle: tyro.conf.Positional[Path]
    """a folder made by safas export"""
    inputs: tyro.conf.Positional[tuple[str, ...]] = ()
    """images, videos, folders of them, or patterns like "clips/*.mp4" """
    camera: int | None = None
    """number of a camera of this machine (the first is 0): one presentation of two seconds"""
    out: Path | None = None
    """also write a file: .parquet or .jsonl"""
    precision: Precision = "fp32"
    """fp32, or int8: faster on most processors, its thresholds fixed on its own scores"""
    public_key: Path | None = None
    """accept only a bundle that was signed with this Ed25519 key's private half (PEM)"""
    threads: int = 1
    """CPU threads of the network"""

    def run(self, command: str) -> int:
        """Judge all, print, and say what could not be read."""
        if self.out is not None and self.out.suffix not in (".parquet", ".jsonl"):
            raise InputError("neither .parquet nor .jsonl", where=str(self.out), remedy="Name one of these.")
        if self.out is not None:
            _check_folder(self.out.parent)
        sources: list[Path | int] = [
            *media_files(self.inputs),
            *([] if self.camera is None else [self.camera]),
        ]
        if not sources:
            raise InputError("nothing to judge", where="predict", remedy="Name a file or --camera 0.")
        predictor = Predictor(
            self.bundle, public_key=self.public_key, precision=self.precision, threads=self.threads
        )
        console, rows = output(), []
        for row in _rows(predictor, sources):
            rows.append(row)
            if not console.is_terminal:
                print(json.dumps(row), flush=True)  # noqa: T201 - for the next program in the pipe
        if console.is_terminal:
            console.print(_table(rows, predictor.bundle.training.simulated))
        if self.out is not None:
            _write(rows, self.out)
        return _tell_broken(rows)


def _check_folder(folder: Path) -> None:
    """Before hours are spent on what could not be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"no folder to write to ({error.strerror})", where=str(folder), remedy="Name another one."
        ) from error


def _rows(predictor: Predictor, sources: list[Path | int]) -> Iterator[Row]:
    """A row for each source, in order; the bar is drawn on stderr."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("judging", total=len(sources))
        for source in sources:
            yield _row(predictor, source)
            bar.advance(task)


def _row(predictor: Predictor, source: Path | int) -> Row:
    told: Row = {"input": f"camera {source}" if isinstance(source, int) else str(source)}
    simulated = {"trained_on_simulated_faces": predictor.bundle.training.simulated}
    try:
        return told | predictor(source).to_dict() | simulated
    except (MediaError, InputError) as error:
        return told | {"label": "unreadable", "error": str(error)} | simulated
    except OSError as error:  # no permission, a drive that was pulled out
        said = f"{told['input']}: cannot be read ({error.strerror})"
        return told | {"label": "unreadable", "error": said} | simulated


def _table(rows: list[Row], simulated: bool) -> Table:
    """One line an input; the folder that all are in, if there is one, is named once, above."""
    folder = _common_folder([row["input"] for row in rows])
    title = f"in {folder}" if folder else ""
    caption = "The model was trained on simulated faces: no evidence about real ones." if simulated else None
    table = Table(title=escape(title), title_justify="left", caption=caption, caption_justify="left")
    for name in ("input", "verdict", "score", "like", "why"):
        table.add_column(name, justify="right" if name == "score" else "left", overflow="fold")
    for row in rows:
        score = row.get("score")
        why = row.get("error") or "; ".join(reason["text"] for reason in row["reasons"])
        style = _STYLES[row["label"]]
        table.add_row(
            escape(os.path.relpath(row["input"], folder) if folder else row["input"]),
            f"[{style}]{row['label'].replace('_', ' ')}[/]",
            "–" if score is None else f"{score:.3f}",
            escape(row.get("nearest_domain") or "–"),
            escape(why),
        )
    return table


def _common_folder(inputs: list[str]) -> str:
    try:
        return os.path.commonpath([Path(one).parent for one in inputs])
    except ValueError:  # some begin at the root and some do not, or on another drive
        return ""


def _write(rows: list[Row], path: Path) -> None:
    if path.suffix == ".jsonl":
        write_file(path, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        write_table(pl.DataFrame(rows, schema=_COLUMNS), path)


def _tell_broken(rows: list[Row]) -> int:
    broken = [row for row in rows if row["label"] == "unreadable"]
    if not broken:
        return 0
    console = Console(stderr=True, highlight=False)
    say(console, f"safas: {len(broken)} of {len(rows)} could not be read:")
    for row in broken:
        say(console, f"  {row['error']}")
    return BROKEN
