"""Tables that people read, made once and written three ways: to a terminal, as Markdown, into the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import rich.console
import rich.table
from rich.text import Text

from safas.results import COLUMNS, LOWER_IS_BETTER, PICKS, Number, Row


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
    """A caption, the columns' titles, and groups of rows."""

    caption: str
    columns: Sequence[str]
    groups: Sequence[Group]


def result_table(caption: str, by_method: Mapping[str, Sequence[Row]]) -> Table:
    """All numbers on one target: a group for each way to choose the epoch, the headline first, a row a method."""
    groups = []
    for i, pick in enumerate(PICKS):
        lines = {method: rows[i] for method, rows in by_method.items()}
        columns = [[row.numbers.get(name) for row in lines.values()] for name in COLUMNS]
        best = [
            _best(column, lower=name in LOWER_IS_BETTER)
            for name, column in zip(COLUMNS, columns, strict=True)
        ]
        rows = [
            (Cell(method), *map(_cell, numbers, best), Cell("–" if row.epoch is None else str(row.epoch)))
            for (method, row), *numbers in zip(lines.items(), *columns, strict=True)
        ]
        groups.append(Group(PICKS[pick], rows, headline=i == 0, oracle=pick == "oracle"))
    return Table(caption, ("", *COLUMNS.values(), "epoch"), groups)


def grid_table(
    caption: str,
    numbers: Mapping[str, Mapping[str, Number]],
    *,
    lower: bool = True,
    oracle: bool = False,
    folds: bool = False,
) -> Table:
    """One number for each protocol (a row) and method (a column), and its mean over the protocols.

    With `folds` the protocols are folds of one: the mean has its standard deviation over them (divisor n - 1).
    """
    methods = list(next(iter(numbers.values())))
    rows = []
    for protocol, line in numbers.items():
        best = _best(list(line.values()), lower=lower)
        rows.append((Cell(protocol), *(_cell(line[method], best) for method in methods)))
    if len(numbers) > 1:
        values = {m: [line[m].value for line in numbers.values()] for m in methods}
        std = (lambda of: float(np.std(of, ddof=1))) if folds else (lambda _: None)
        means = [Number(float(np.mean(of)), std=std(of)) for of in values.values()]
        best = _best(means, lower=lower)
        rows.append((Cell("mean"), *(_cell(mean, best) for mean in means)))
    return Table(caption, ("", *methods), [Group("", rows, headline=not oracle, oracle=oracle)])


def plain_table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of words without groups."""
    return Table(caption, columns, [Group("", [[Cell(text) for text in row] for row in rows])])


def duration(seconds: float) -> str:
    """12.3 s, or 3 min 04 s."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def to_markdown(table: Table) -> str:
    """A caption in bold and a table of pipes; the best number of a group is bold."""
    lines = [
        f"**{table.caption}**",
        "",
        _piped(table.columns),
        _piped([":--", *["--:"] * (len(table.columns) - 1)]),
    ]
    for group, row in _rows(table):
        if row is None:
            lines.append(_piped([f"*{_heading(group)}*", *[""] * (len(table.columns) - 1)]))
        else:
            lines.append(_piped([f"**{cell.words()}**" if cell.best else cell.words() for cell in row]))
    return "\n".join(lines) + "\n"


def to_rich(table: Table) -> rich.console.Group:
    """For a terminal: details stand below their numbers, so that the table fits 80 columns."""
    rows = [row for group in table.groups for row in group.rows]
    widths = [
        max(len(word) for cell in column for word in (cell.text, cell.detail, *title.split()))
        for title, column in zip(table.columns, zip(*rows, strict=True), strict=True)
    ]
    parts: list[rich.console.RenderableType] = [Text(table.caption, style="bold")]
    for i, group in enumerate(table.groups):
        if group.title:
            parts.append(Text(_heading(group), style="italic"))
        parts.append(_block(table.columns, widths, group, header=i == 0))
    return rich.console.Group(*parts)


def _block(titles: Sequence[str], widths: Sequence[int], group: Group, *, header: bool) -> rich.table.Table:
    """One group; every group of a table gets the same widths, so that the columns stand below each other."""
    drawn = rich.table.Table(box=None, padding=(0, 1, 0, 0), show_header=header, header_style="dim")
    for i, (title, width) in enumerate(zip(titles, widths, strict=True)):
        drawn.add_column(title, justify="left" if i == 0 else "right", width=width)
    for row in group.rows:
        drawn.add_row(*map(_styled, row))
    return drawn


def _styled(cell: Cell) -> Text:
    text = Text(cell.text, style="bold" if cell.best else "")
    return text.append(f"\n{cell.detail}", style="dim not bold") if cell.detail else text


def _rows(table: Table) -> Iterator[tuple[Group, Sequence[Cell] | None]]:
    """The rows with their groups; before the first of a titled group, the group with None."""
    for group in table.groups:
        if group.title:
            yield group, None
        for row in group.rows:
            yield group, row


def _heading(group: Group) -> str:
    return f"{group.title} – oracle" if group.oracle else group.title


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(number: Number | None, best: float | None) -> Cell:
    return Cell("–") if number is None else Cell(number.text(), number.detail(), number.value == best)


def _best(column: Sequence[Number | None], *, lower: bool) -> float | None:
    """The best value where there are two or more to compare."""
    values = [number.value for number in column if number is not None]
    if len(values) < 2:
        return None
    return min(values) if lower else max(values)
