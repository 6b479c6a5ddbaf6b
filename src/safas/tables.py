"""Tables that people read, made once and written to a terminal and as Markdown; further ways in `latex` and `pages`."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import rich.table
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from safas.results import LOWER_IS_BETTER, PICKS, Number, Row, columns_of, protocol_titles

_NAME = 24  # characters in a terminal: a longer name of a row is broken


@dataclass(frozen=True)
class Cell:
    """What stands in a cell; `detail` is an interval or a deviation, `best` the best of its column and group."""

    text: str
    detail: str = ""
    best: bool = False

    def words(self) -> str:
        """Text and detail in one line."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Group:
    """Rows under one heading (none if `title` is empty); the first cell of each names the row."""

    title: str
    rows: Sequence[Sequence[Cell]]
    headline: bool = False
    oracle: bool = False  # the target itself chose something here


@dataclass(frozen=True)
class Table:
    """A caption, the columns' titles, groups of rows, and what must be known to read them."""

    caption: str
    columns: Sequence[str]
    groups: Sequence[Group]
    note: str = ""  # a sentence or more that stands below
    words: Collection[int] = ()  # the columns of text beyond the first: a page sets them to the left
    keys: int = 1  # so many columns, from the first on, name a row


def result_table(
    protocol: str, caption: str, by_method: Mapping[str, Sequence[Row]], note: str = ""
) -> Table:
    """All numbers in one protocol: a group for each way to choose the epoch, the headline first, a row a method."""
    titles, groups = columns_of(protocol), []
    for i, pick in enumerate(PICKS):
        lines = {method: row for method, rows in by_method.items() for row in rows if row.pick == pick}
        if not lines:
            continue
        columns = [[row.numbers.get(name) for row in lines.values()] for name in titles]
        best = [
            _best(column, lower=name in LOWER_IS_BETTER) for name, column in zip(titles, columns, strict=True)
        ]
        rows = [
            (Cell(method), *map(_cell, numbers, best), Cell("–" if row.epoch is None else str(row.epoch)))
            for (method, row), *numbers in zip(lines.items(), *columns, strict=True)
        ]
        groups.append(Group(PICKS[pick], rows, headline=i == 0, oracle=pick == "oracle"))
    return Table(caption, ("", *titles.values(), "epoch"), groups, note)


def grid_table(
    caption: str,
    numbers: Mapping[str, Mapping[str, Number | None]],
    *,
    lower: bool = True,
    oracle: bool = False,
    averaged: bool = True,
    folds: bool = False,
    means: Mapping[str, Number] | None = None,
    seeds: Mapping[str, str] | None = None,
    note: str = "",
) -> Table:
    """One number for each method (a row) and protocol (a column), and its mean over the protocols.

    `numbers` by protocol, then method: a method that is missing has not been run, one whose number is None has
    failed; neither gets a mean. Unless `averaged` there are no means at all. With `folds` the protocols are folds of
    one: the mean has its standard deviation over them (divisor n - 1). `means` are taken instead of the plain ones;
    `seeds` says of each method how many.
    """
    methods = list(dict.fromkeys(method for of in numbers.values() for method in of))
    if means is None:
        means = {m: mean for m in methods if (mean := _mean([of.get(m) for of in numbers.values()], folds))}
    columns: dict[str, Mapping[str, Number | None]] = {}
    for protocol, title in protocol_titles(list(numbers)).items():
        columns[title] = numbers[protocol]
    if averaged and len(numbers) > 1:
        columns["mean"] = means
    cells = [_column(of, methods, lower=lower) for of in columns.values()]
    said = [] if seeds is None else [[Cell(seeds[method]) for method in methods]]
    rows = list(zip(map(Cell, methods), *said, *cells, strict=True))
    titles = ("method", *(["seeds"] if said else []), *columns)
    return Table(caption, titles, [Group("", rows, headline=not oracle, oracle=oracle)], note)


def plain_table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    note: str = "",
    words: Collection[int] = (),
    keys: int = 1,
) -> Table:
    """A table of texts without groups."""
    cells = [[Cell(text) for text in row] for row in rows]
    return Table(caption, columns, [Group("", cells)], note, words, keys)


def duration(seconds: float) -> str:
    """12.3 s, or 3 min 04 s."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def to_markdown(table: Table) -> str:
    """A caption in bold and a table of pipes; the best number of a group is bold."""
    lines = [
        f"**{_plain(table.caption)}**",
        "",
        _piped([_plain(column) for column in table.columns]),
        _piped([":--", *["--:"] * (len(table.columns) - 1)]),
    ]
    for group, row in rows_of(table):
        if row is None:
            lines.append(_piped([f"*{_plain(heading(group))}*", *[""] * (len(table.columns) - 1)]))
        else:
            words = [(cell, _plain(cell.words())) for cell in row]
            lines.append(_piped([f"**{text}**" if cell.best else text for cell, text in words]))
    return "\n".join([*lines, *(["", table.note] if table.note else [])]) + "\n"


def to_rich(table: Table) -> RenderableType:
    """For a terminal: intervals stand below their numbers, and columns that do not fit follow in a block below."""
    return _Drawn(table)


@dataclass(frozen=True)
class _Drawn:
    """A table that learns the terminal's width when it is printed."""

    table: Table

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(self.table.caption, style="bold")
        for part in split_columns(self.table, _widths(self.table), options.max_width):
            widths = _widths(part)
            for i, group in enumerate(part.groups):
                if group.title:
                    yield Text(heading(group), style="italic")
                yield _block(part.columns, widths, group, header=i == 0)
        if self.table.note:
            yield Text(self.table.note, style="dim")


def split_columns(table: Table, widths: Sequence[int], room: int, gap: int = 1) -> list[Table]:
    """The table, or if it is wider than `room` several that have the columns in common which name a row."""
    keys = range(table.keys)
    first = sum(widths[i] for i in keys) + gap * (table.keys - 1)
    parts, used = [[*keys]], first
    for i, width in enumerate(widths[table.keys :], start=table.keys):
        if len(parts[-1]) > table.keys and used + gap + width > room:
            parts.append([*keys])
            used = first
        parts[-1].append(i)
        used += gap + width
    return [_only(table, of) for of in parts] if len(parts) > 1 else [table]


def rows_of(table: Table) -> Iterator[tuple[Group, Sequence[Cell] | None]]:
    """The rows with their groups; before the first of a titled group, the group with None."""
    for group in table.groups:
        if group.title:
            yield group, None
        for row in group.rows:
            yield group, row


def heading(group: Group) -> str:
    """A group's title, with the word oracle where it belongs."""
    return f"{group.title} – oracle" if group.oracle and "oracle" not in group.title else group.title


def _only(table: Table, places: Sequence[int]) -> Table:
    """The columns at these places."""
    groups = [replace(of, rows=[[row[i] for i in places] for row in of.rows]) for of in table.groups]
    return replace(table, columns=[table.columns[i] for i in places], groups=groups)


def _block(titles: Sequence[str], widths: Sequence[int], group: Group, *, header: bool) -> rich.table.Table:
    """One group; every group of a table gets the same widths, so that the columns stand below each other."""
    drawn = rich.table.Table(
        box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=header, header_style="dim"
    )
    for i, (title, width) in enumerate(zip(titles, widths, strict=True)):
        drawn.add_column(title, justify="left" if i == 0 else "right", width=width, vertical="top")
    for row in group.rows:
        drawn.add_row(*map(_styled, row))
    return drawn


def _widths(table: Table) -> list[int]:
    """Characters that each column needs; titles are broken at blanks, and so are long names in the first column."""
    names, *columns = zip(*(row for group in table.groups for row in group.rows), strict=True)
    words = [
        len(word) for text in (table.columns[0], *(cell.text for cell in names)) for word in text.split()
    ]
    first = max(*words, min(_NAME, max(len(cell.text) for cell in names)))
    return [first] + [
        max(len(word) for word in (*title.split(), *(line for cell in column for line in _lines(cell))))
        for title, column in zip(table.columns[1:], columns, strict=True)
    ]


def _lines(cell: Cell) -> list[str]:
    """A deviation stands beside its number, anything else below."""
    text, details = cell.text, cell.detail.split("; ") if cell.detail else []
    if len(details) > 1 and details[0].startswith("±"):
        text = f"{text} {details.pop(0)}"
    return [text, *details]


def _styled(cell: Cell) -> Text:
    first, *details = _lines(cell)
    text = Text(cell.text, style="bold" if cell.best else "")
    text.append(first.removeprefix(cell.text), style="dim not bold")
    return text.append("".join(f"\n{detail}" for detail in details), style="dim not bold")


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(text: str) -> str:
    """As Markdown that shows these very characters in a cell of a table."""
    return re.sub(r"([\\`*|\[\]]|<(?! ))", r"\\\1", text)


def _column(numbers: Mapping[str, Number | None], methods: Sequence[str], *, lower: bool) -> list[Cell]:
    best = _best([numbers.get(method) for method in methods], lower=lower)
    return [
        Cell("failed") if method in numbers and numbers[method] is None else _cell(numbers.get(method), best)
        for method in methods
    ]


def _mean(numbers: Sequence[Number | None], folds: bool) -> Number | None:
    values = [number.value for number in numbers if number is not None]
    if len(values) < len(numbers):
        return None
    return Number(
        float(np.mean(values)), std=float(np.std(values, ddof=1)) if folds and len(values) > 1 else None
    )


def _cell(number: Number | None, best: float | None) -> Cell:
    return Cell("–") if number is None else Cell(number.text(), number.detail(), _rounded(number) == best)


def _best(column: Sequence[Number | None], *, lower: bool) -> float | None:
    """The best value where there are two or more to compare."""
    values = [_rounded(number) for number in column if number is not None]
    if len(values) < 2:
        return None
    return min(values) if lower else max(values)


def _rounded(number: Number) -> float:
    """Equal for equal numbers whose means were added up in another order."""
    return round(number.value, 9)
