"""The files below a data set's folder, found again whatever became of their names' case and separators."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from safas.errors import InputError
from safas.table import SAMPLES

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".3gp")
)
IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"))

Row = Mapping[str, str]  # of the sample table

_LARGEST = 2.0**53  # up to here whole numbers are exact
_UNREADABLE, _NO_TEXT = "the folder cannot be read", "the name is no text in UTF-8"


@dataclass(frozen=True)
class Tree:
    """What lies below `root`: relative paths with "/", sorted; hidden files are passed over.

    `problems`: (relative path, reason) of what cannot be walked: a loop of links, a folder without permission, a
    link to nowhere, a name that is no text. Links to folders are followed.
    """

    root: Path
    files: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    _by_name: Mapping[str, str]  # by the plain name; the file's own ending first
    _by_stem: Mapping[str, str]  # videos, by the plain name without ending

    def find(self, path: str) -> str | None:
        """The file that the owners call `path`: up to case and separators, or else with another video ending."""
        return self.named(path) or self._by_stem.get(os.path.splitext(plain_name(path))[0])

    def named(self, path: str) -> str | None:
        """The file that the owners call `path`, up to case and separators."""
        return self._by_name.get(plain_name(path))

    def beside(self, path: str, ending: str) -> list[str]:
        """The lines of the text file that is called as `path` but for its ending; none where there is no such file."""
        file = self.named(os.path.splitext(path)[0] + ending)
        return [] if file is None else lines_of(self.root / file)


def plain_name(path: str) -> str:
    """Lower case, "_" for every run of blanks, "-" and "_", "/" between folders."""
    return re.sub(r"[\s_-]+", "_", path.replace("\\", "/").lower())


def refuse_losses(tree: Tree) -> None:
    """Raises InputError when a folder could not be read or a name not be understood: rows would be missing unseen."""
    for path, reason in tree.problems:
        if reason.startswith((_UNREADABLE, _NO_TEXT)):
            raise InputError(
                reason, where=str(tree.root / path), remedy="Give permission, or another name, or remove it."
            )


def walk(root: Path) -> Tree:
    """Everything below a folder. Raises InputError when it is none, or cannot be read."""
    if not root.is_dir():
        raise InputError("not a folder", where=str(root))
    files: list[str] = []
    problems: list[tuple[str, str]] = []
    _walk(root, "", frozenset(), files, problems)
    files.sort()
    by_name: dict[str, str] = {}
    by_stem: dict[str, str] = {}
    for file in files:
        stem, ending = os.path.splitext(plain_name(file))
        by_name.setdefault(stem + ending, file)
        if ending in VIDEO_SUFFIXES:
            by_stem.setdefault(stem, file)
    return Tree(root, tuple(files), tuple(sorted(problems)), by_name, by_stem)


def _walk(
    folder: Path, relative: str, above: frozenset[str], files: list[str], problems: list[tuple[str, str]]
) -> None:
    real = os.path.realpath(folder)
    if real in above:
        problems.append((relative, "a link that leads back to a folder above it"))
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problems.append((relative or ".", f"{_UNREADABLE} ({error.strerror})"))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = f"{relative}/{entry.name}" if relative else entry.name
        legible = name.encode(errors="replace").decode()
        if legible != name:
            problems.append((legible, _NO_TEXT))
            continue
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except PermissionError as error:  # a link into a folder that may not be entered
            problems.append((name, f"{_UNREADABLE} ({error.strerror})"))
            continue
        except OSError as error:
            problems.append((name, f"a link that leads nowhere ({error.strerror})"))
            continue
        if is_folder:
            _walk(folder / entry.name, name, above | {real}, files, problems)
        elif is_file:
            files.append(name)
        else:
            problems.append((name, "a link to nowhere, or no regular file"))


def row(**values: str) -> Row:
    """A row of the sample table; what is not given is empty. `path` names the file as its owners do."""
    return {**dict.fromkeys(SAMPLES, ""), "media": "video", **values}


def present(tree: Tree, official: Iterable[Row], name: str, example: str) -> pl.DataFrame:
    """The official rows whose file is there, with the path under which it was found.

    Raises InputError, giving an example of a path, when none is.
    """
    refuse_losses(tree)
    found = [{**row, "path": file} for row in official if (file := tree.find(row["path"]))]
    if not found:
        raise InputError(
            f"no video of {name} lies here",
            where=str(tree.root),
            remedy=f"Name the folder that holds, for example, {example}.",
        )
    return pl.DataFrame(found, schema=dict(SAMPLES))


def reader(rows: Callable[[Tree], Iterable[Row]], name: str, example: str) -> Callable[[Path], pl.DataFrame]:
    """The `read` of a source: the official rows whose file is there. Raises what `rows` and `present` raise."""

    def read(root: Path) -> pl.DataFrame:
        tree = walk(root)
        return present(tree, rows(tree), name, example)

    return read


def lines_of(path: Path) -> list[str]:
    """The lines of a text file. Raises InputError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Give permission to read it."
        ) from error


def numbers(lines: Iterable[str], columns: int) -> list[tuple[float, ...]]:
    """The lines of so many numbers, split at commas and blanks; lines of another form are passed over."""
    found = []
    for line in lines:
        words = re.split(r"[,\s]+", line.strip())
        try:
            values = tuple(float(word) for word in words)
        except ValueError:
            continue
        if len(values) == columns and all(abs(value) < _LARGEST for value in values):  # no NaN either
            found.append(values)
    return found
