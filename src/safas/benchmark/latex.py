"""Tables as LaTeX with the rules of booktabs: each a float to copy into a paper, all together a file that compiles."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from safas.tables import Cell, Table, heading, rows_of, split_columns

PREAMBLE = r"""\documentclass[a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs}
\usepackage[margin=15mm]{geometry}
\setcounter{topnumber}{9}
\setcounter{totalnumber}{9}
\renewcommand{\topfraction}{0.95}
\renewcommand{\textfraction}{0.05}
\sloppy
"""

_BREAK = "\ue000"  # between two hyphens, which would else be a dash
_GREEK = {
    unicodedata.name(sign).rpartition(" ")[2].lower().replace("lamda", "lambda"): sign
    for sign in "αβγδεζηθικλμνξπρστυφχψω"
}
_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\to$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\dots{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    _BREAK: "{}",
    **{sign: rf"$\{name}$" for name, sign in _GREEK.items()},
}
_ROOM = 112  # characters of \footnotesize on a line of A4 with narrow margins
_HEAD = 12  # characters, after which the title of a column is broken


def to_latex(table: Table, label: str = "") -> str:
    """A `table` float, the best number of a group bold, details small; needs the package booktabs.

    Columns that do not fit a page's width follow in a block below.
    """
    parts = split_columns(table, _widths(table), _ROOM, gap=2)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escape(table.caption)}}}" + (rf"\label{{{label}}}" if label else ""),
        "\n\\par\\medskip\n".join(_tabular(part) for part in parts),
    ]
    if table.note:
        lines.append(rf"\par\smallskip\parbox{{\linewidth}}{{\scriptsize {escape(table.note)}}}")
    return "\n".join([*lines, r"\end{table}", ""])


def document(title: str, paragraphs: Sequence[str], tables: Sequence[Table]) -> str:
    """A file that compiles by itself; `paragraphs` are plain text, which stands before the tables."""
    floats = [to_latex(table, label=f"tab:safas-{i}") for i, table in enumerate(tables, start=1)]
    head = [PREAMBLE + r"\begin{document}", rf"\section*{{{escape(title)}}}"]
    return "\n\n".join([*head, *map(escape, paragraphs), *floats, r"\end{document}"]) + "\n"


def escape(text: str) -> str:
    """Plain text with every sign that TeX reads as something else written out; "?" for what its fonts lack.

    A bracket or star in front would be taken for an option of the command before it.
    """
    text = re.sub("-(?=-)", f"-{_BREAK}", text)
    written = "".join(_SIGNS.get(sign) or (sign if sign < "\u0180" else "?") for sign in text)
    return "{}" + written if written.startswith(("[", "*")) else written


def _tabular(table: Table) -> str:
    count = len(table.columns)
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (count - 1)}}}",
        r"\toprule",
        _line([_title(name, first=i == 0) for i, name in enumerate(table.columns)]),
        r"\midrule",
    ]
    for i, (group, row) in enumerate(rows_of(table)):
        if row is not None:
            lines.append(_line([_cell(cell) for cell in row]))
        else:
            above = [r"\addlinespace"] if i else []
            lines += [
                *above,
                _line([rf"\multicolumn{{{count}}}{{l}}{{\textit{{{escape(heading(group))}}}}}"]),
            ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _title(name: str, *, first: bool) -> str:
    lines = textwrap.wrap(name, _HEAD, break_long_words=False, break_on_hyphens=False)
    if len(lines) < 2:
        return escape(name)
    return rf"\shortstack[{'l' if first else 'r'}]{{" + r"\\".join(map(escape, lines)) + "}"


def _cell(cell: Cell) -> str:
    text = rf"\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)
    return rf"{text} {{\tiny {escape(cell.detail)}}}" if cell.detail else text


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _widths(table: Table) -> list[int]:
    """Characters that each column takes; details are set smaller."""
    columns = zip(*(row for group in table.groups for row in group.rows), strict=True)
    return [
        max(
            *(len(line) for line in textwrap.wrap(title, _HEAD) or [""]),
            *(len(cell.text) + round(0.65 * len(cell.detail)) for cell in column),
        )
        for title, column in zip(table.columns, columns, strict=True)
    ]
