"""A score file -> its table as it stands: Parquet, CSV, or the four columns of bob. What cannot be read is said."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from safas.assessment.bob import four_columns, is_four_columns, is_number
from safas.errors import InputError, TableError
from safas.files import sha256

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_BY_MAGIC = {b"PK\x03\x04": "a spreadsheet or an archive", b"\x1f\x8b": "compressed", b"%PDF": "a PDF"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, eq=False)
class Raw:
    """The table of a file; column names are stripped and in lower case. Of a CSV all values are text."""

    table: pl.DataFrame
    sha256: str
    bob: bool = False  # four columns of bob: repeated lines are frames of one video


def read_raw(path: Path, *, empty: bool = False) -> Raw:
    """Read a file by its content, not by its name; a folder stands for its scores.parquet.

    Raises InputError when there is no such file, TableError when it is no such table or has no row (unless `empty`).
    """
    path = path / "scores.parquet" if path.is_dir() else path
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    data = path.read_bytes()
    bob = False
    if data.startswith(b"PAR1"):
        table = _parquet(data, path)
    else:
        text = _text(data, path)
        bob = is_four_columns(text)
        table = four_columns(text, str(path)) if bob else _csv(text, path)
    if table.is_empty() and not empty:
        raise TableError("the table has no row", where=str(path))
    return Raw(_named(table, path), sha256(data), bob)


def _parquet(data: bytes, path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TableError(f"not a readable Parquet file ({_first(error)})", where=str(path)) from error


def _text(data: bytes, path: Path) -> str:
    if data.startswith(_UTF16) or b"\0" in data[:1000]:
        zeros = max(data[start:1000:2].count(0) for start in (0, 1))  # of every second byte
        what = (
            "encoded as UTF-16"
            if data.startswith(_UTF16) or zeros > len(data[:1000]) / 4
            else "this is no text"
        )
        raise TableError(what, where=str(path), remedy="Save it as CSV in UTF-8, or as Parquet.")
    for magic, kind in _BY_MAGIC.items():
        if data.startswith(magic):
            raise TableError(f"this is {kind}, no table", where=str(path), remedy="Save it as CSV in UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TableError(
            f"line {line} is not in UTF-8 (byte {data[error.start]:#04x})",
            where=str(path),
            remedy="Save it as CSV in UTF-8.",
        ) from error
    if not text.strip():
        raise TableError("the file is empty", where=str(path))
    return text if "\n" in text else text.replace("\r", "\n")


def _csv(text: str, path: Path) -> pl.DataFrame:
    header = text.lstrip("\r\n").splitlines()[0]
    separator = max(_SEPARATORS, key=header.count)
    if all(is_number(name) or not name.strip() for name in header.split(separator)):
        raise TableError(
            "the first line must name the columns",
            where=str(path),
            remedy="Such as: video,label,attack,subject,score",
        )
    if (odd := _odd_line(text, separator)) is not None:  # the reader would fill up short lines
        raise TableError(odd, where=str(path), remedy="Give every line all fields, empty ones too.")
    try:
        table = pl.read_csv(io.BytesIO(text.encode()), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise TableError(f"not a readable CSV ({_first(error)})", where=str(path)) from error
    return table.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines


def _odd_line(text: str, separator: str) -> str | None:
    """The first line whose number of fields is another than the header's, in words."""
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        width = len(next(rows))
        for row in rows:
            if row and len(row) != width:
                told = f"line {rows.line_num} has {len(row)} fields, the header {width}"
                return f"{told} (separated by {_SEPARATORS[separator]})"
    except csv.Error:
        pass
    return None


def _named(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    names = [name.strip().lower() for name in table.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    twice += [name.removesuffix("_duplicated_0") for name in names if name.endswith("_duplicated_0")]
    if twice:
        raise TableError(f"the column {twice[0]!r} stands there twice", where=str(path))
    return table.rename(dict(zip(table.columns, names, strict=True)))


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]
