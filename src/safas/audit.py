"""Is a data set complete, and is it what its owners published? Everything that differs, by name.

The whole is read once: each file is hashed, its container checked from end to end, and one frame decoded (damage
inside the other frames can stay unseen until preparation decodes them). What was found of a file is kept beside the
audit, so that a killed audit goes on and a second one of the same folder reads only what has changed.
"""

import functools
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import track

from safas.errors import InputError, MediaError, TableError
from safas.files import sha256, write_file
from safas.media import evenly_spaced
from safas.parallel import each
from safas.sources import Source, media_root, source_named
from safas.sources.tree import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Row, Tree, walk
from safas.table import SAMPLES, checked_samples

Named = tuple[str, str]  # a file and what is said of it


@dataclass(frozen=True)
class Audit:
    """What an audit found; paths are relative to the data set's folder.

    The first four make a set incomplete; the others are told all the same: owners, too, publish a file twice.
    """

    source: str
    missing: Sequence[str]
    unreadable: Sequence[Named]  # (path, reason): empty, cut off, damaged, no permission
    crossing: Sequence[Named]  # (person, splits)
    problems: Sequence[Named]  # (path, reason): lists of the owners, folders that cannot be walked
    copies: Sequence[Named]  # (path, path): the same content under two names; hard links are not counted
    renamed: Sequence[Named]  # (as the owners name it, as it is): case, separators or ending differ
    extra: Sequence[str]  # videos and images that are no part of the set
    counts: Sequence[Mapping[str, Any]]  # split, label, attack, files
    published: Sequence[Mapping[str, Any]]  # split, label, files, published
    digest: str  # SHA-256 over ids and contents: equal for equal data; of a published set whatever its files' names

    @property
    def complete(self) -> bool:
        """Whether every file of the published set is there, whole, and its people are in one split each."""
        off = any(row["files"] != row["published"] for row in self.published)
        return not (self.missing or self.unreadable or self.crossing or self.problems or off)


@dataclass(frozen=True)
class _Content:
    """What was found in a file of a given size and time of change."""

    path: str
    size: int
    changed: int
    folder: str = ""  # of the data set: another copy of it is looked at for itself
    sha256: str = ""
    reason: str = ""


def audit(name: str, root: Path, out: Path, workers: int | None = None, progress: bool = True) -> Audit:
    """Compare the data set `name` at `root` with what its owners published, and keep the answer in `out`.

    Writes OUT/audit-<name>.json. Raises InputError for an unknown source, a missing root or one that holds nothing of
    the set.
    """
    source = source_named(name)
    if workers is not None and workers < 1:
        raise InputError(f"workers = {workers}", where="audit", remedy="The least is 1.")
    if not root.exists():
        raise InputError("no such file or folder", where=str(root))
    folder = media_root(root)
    tree = walk(folder)
    problems = [*tree.problems, *(source.problems(tree) if source.problems else ())]
    official, rows = _rows(source, tree, root, problems)
    problems += _broken_rules(source, rows)
    rows, gone = _there(rows, folder)
    contents = _contents(sorted({row["path"] for row in rows}), folder, out, name, workers, progress)
    found = Audit(
        source=name,
        missing=[row["path"] for row in official if tree.find(row["path"]) is None] + gone,
        unreadable=[(path, content.reason) for path, content in contents.items() if content.reason],
        crossing=_crossing(rows),
        problems=sorted(set(problems)),
        copies=_copies(rows, contents, folder),
        renamed=[
            (o["path"], path) for o in official if (path := tree.find(o["path"])) not in (None, o["path"])
        ],
        extra=_extra(source, tree, rows) if official else [],
        counts=_counts(rows),
        published=_published(source, rows),
        digest=_digest(rows, contents),
    )
    said = {"complete": found.complete, **asdict(found)}
    write_file(out / f"audit-{name}.json", json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    return found


def _rows(
    source: Source, tree: Tree, root: Path, problems: list[Named]
) -> tuple[Sequence[Row], Sequence[Mapping[str, Any]]]:
    """What should be there (nothing for an open set), and what is."""
    official: Sequence[Row] = ()
    if source.official is not None:
        try:
            official = source.official(tree)
        except InputError:  # a list of the owners is missing: it stands among the problems
            if not problems:
                raise
            return (), ()
    found = [{**row, "path": file} for row in official if (file := tree.find(row["path"])) is not None]
    return official, found or source.read(root).select(
        *SAMPLES
    ).to_dicts()  # which says what should lie there


def _there(rows: Sequence[Mapping[str, Any]], folder: Path) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The rows whose file is there, and the paths of the others (a table can name what is not there)."""
    there = [row for row in rows if row["path"] and (folder / row["path"]).is_file()]
    paths = {row["path"] for row in there}
    return there, sorted(str(row["path"]) for row in rows if row["path"] not in paths)


def _broken_rules(source: Source, rows: Sequence[Mapping[str, Any]]) -> list[Named]:
    """What a table of one's own gets wrong; people in two splits are listed by themselves."""
    if source.official is not None or _crossing(rows):
        return []
    try:
        checked_samples(pl.DataFrame(rows, schema=dict(SAMPLES)), "the sample table")
    except TableError as error:
        return [("the sample table", error.what)]
    return []


def _contents(
    paths: Sequence[str], folder: Path, out: Path, name: str, workers: int | None, progress: bool
) -> dict[str, _Content]:
    """Each file's digest, and the reason why it cannot be used; files that are one on disk are read once."""
    log = out / f".audit-{name}.jsonl"
    here = str(folder.resolve())
    known = {content.path: content for content in _read_log(log) if content.folder == here}
    states = {path: _state(folder, path) for path in paths}
    one_of: dict[tuple[int, int], str] = {}
    first_of = {path: one_of.setdefault(_on_disk(folder / path, path), path) for path in paths}
    todo = [path for path in one_of.values() if not _is_same(known.get(path), states[path])]
    out.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as lines:
        done = each(functools.partial(_look, folder=folder), [states[path] for path in todo], workers)
        bar = track(
            done, "reading files", total=len(todo), disable=not progress, console=Console(stderr=True)
        )
        for content in bar:
            known[content.path] = content
            lines.write(json.dumps(asdict(content)) + "\n")
            lines.flush()
    return {path: known[first_of[path]] for path in paths}


def _read_log(log: Path) -> Iterable[_Content]:
    if not log.is_file():
        return
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield _Content(**json.loads(line))
        except (ValueError, TypeError):  # the last line of a killed audit
            continue


def _state(folder: Path, path: str) -> _Content:
    stat = (folder / path).stat()
    return _Content(path, stat.st_size, stat.st_mtime_ns, str(folder.resolve()))


def _is_same(known: _Content | None, now: _Content) -> bool:
    """A file that could not be read is looked at again: its permission may have been given meanwhile."""
    return known is not None and (known.size, known.changed) == (now.size, now.changed) and not known.reason


def _on_disk(path: Path, name: str) -> tuple[int, int]:
    stat = path.stat()
    return (stat.st_dev, stat.st_ino) if stat.st_ino else (-1, hash(name))


def _look(state: _Content, folder: Path) -> _Content:
    """Hash a file and open it as preparation does."""
    path = folder / state.path
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        evenly_spaced(path, 1)
    except MediaError as error:
        return replace(state, sha256=sha256, reason=error.what)
    except OSError as error:
        return replace(state, reason=error.strerror or "cannot be read")
    return replace(state, sha256=sha256)


def _crossing(rows: Sequence[Mapping[str, Any]]) -> list[Named]:
    splits: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        splits.setdefault((row["dataset"], row["domain"], row["subject"]), set()).add(row["split"])
    return sorted(
        ("/".join(map(str, who[1:])), ", ".join(sorted(among)))
        for who, among in splits.items()
        if len(among) > 1
    )


def _copies(rows: Sequence[Mapping[str, Any]], contents: Mapping[str, _Content], folder: Path) -> list[Named]:
    """Files of equal content, links left out; one file that stands in two rows which tell different things of it."""
    told = ("split", "label", "subject")
    first: dict[str, Mapping[str, Any]] = {}
    copies = []
    for row in sorted(rows, key=lambda row: (posixpath.normpath(row["path"]), row["video"])):
        path, sha256 = row["path"], contents[row["path"]].sha256
        if not sha256 or contents[path].size == 0:
            continue
        one = first.setdefault(sha256, row)
        before = one["path"]
        if posixpath.normpath(before) == posixpath.normpath(path):
            if any(one[name] != row[name] for name in told):
                copies.append((f"{before} as video {one['video']}", f"{path} as video {row['video']}"))
        elif _on_disk(folder / before, before) != _on_disk(folder / path, path):
            copies.append((before, path))
    return copies


def _extra(source: Source, tree: Tree, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    used = {row["path"] for row in rows}
    return [
        file
        for file in tree.files
        if file not in used
        and Path(file).suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES
        and not file.lower().startswith(source.no_samples)
    ]


def _counts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    table = pl.DataFrame(rows, schema=dict(SAMPLES))
    names = ["split", "label", "attack"]
    return table.group_by(names).agg(pl.len().alias("files")).sort(names).to_dicts()


def _published(source: Source, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = [(row["split"], row["label"]) for row in rows]
    return [
        {"split": split, "label": label, "files": found.count((split, label)), "published": count}
        for (split, label), count in source.counts.items()
    ]


def _digest(rows: Sequence[Mapping[str, Any]], contents: Mapping[str, _Content]) -> str:
    told = ("dataset", "domain", "video", "split", "label", "attack", "subject")
    lines = sorted(
        "\t".join([*(row[name] or "" for name in told), contents[row["path"]].sha256]) for row in rows
    )
    return sha256("\n".join(lines).encode())
