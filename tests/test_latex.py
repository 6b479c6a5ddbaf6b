import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from safas.benchmark.latex import document, escape, to_latex
from safas.results import Number
from safas.tables import Cell, Group, Table, grid_table

SMALL = Table(
    "Errors in % (simulated)",
    ("method", "HTER", "HTER at target EER (oracle)"),
    [
        Group("Fair", [(Cell("a_1"), Cell("1.0", "± 0.5; 0.5–1.5", best=True), Cell("99.0"))], headline=True),
        Group("Peeking", [(Cell("b & c"), Cell("−2.0"), Cell("–"))], oracle=True),
    ],
    "p < 0.05",
)


def test_a_table_by_hand() -> None:
    assert to_latex(SMALL, label="tab:x").splitlines() == [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        r"\caption{Errors in \% (simulated)}\label{tab:x}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"method & HTER & \shortstack[r]{HTER at\\target EER\\(oracle)} \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\textit{Fair}} \\",
        r"a\_1 & \textbf{1.0} {\tiny $\pm$ 0.5; 0.5--1.5} & 99.0 \\",
        r"\addlinespace",
        r"\multicolumn{3}{l}{\textit{Peeking -- oracle}} \\",
        r"b \& c & $-$2.0 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip\parbox{\linewidth}{\scriptsize p \textless{} 0.05}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("50 % of a_b & {c} #1 $x", r"50 \% of a\_b \& \{c\} \#1 \$x"),
        (r"C:\x^2~y", r"C:\textbackslash{}x\textasciicircum{}2\textasciitilde{}y"),
        ("a<b>c|d", r"a\textless{}b\textgreater{}c\textbar{}d"),
        ("OCI→M", r"OCI$\to$M"),
        ("safas x --a-b ---", r"safas x -{}-a-b -{}-{}-"),
        ("SA-FAS (α=0.5), é, 日", r"SA-FAS ($\alpha$=0.5), é, ?"),
        ("[ours] 'q' `", r"{}[ours] \textquotesingle{}q\textquotesingle{} \textasciigrave{}"),
        ("*", "{}*"),
    ],
)
def test_escaping(text: str, written: str) -> None:
    assert escape(text) == written


def structure_holds(text: str) -> None:
    """Environments nest, braces and dollars are paired, every row of a tabular has as many cells as it declares."""
    plain = re.sub(r"\\[&%$#_{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert not re.search(r"[^\x00-\x7f]", plain)
    opened: list[str] = []
    for verb, name in re.findall(r"\\(begin|end)\{(\w+)\}", plain):
        if verb == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", plain, re.S):
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert rows
        for row in rows:
            spanned = re.match(r"\\multicolumn\{(\d+)\}", row)
            assert (int(spanned[1]) if spanned else row.count("&") + 1) == len(columns)


def test_a_document_holds_together_whatever_is_in_it() -> None:
    nasty = r"\input{x} 100% & $5 #1 a_b {c} ~ ^ | < >"
    rows = [(Cell(nasty), Cell(nasty, nasty, best=True))]
    table = Table(nasty, (nasty, nasty), [Group(nasty, rows, oracle=True)], nasty)
    text = document(nasty, [nasty], [table, SMALL])
    assert text.startswith(r"\documentclass")
    assert text.rstrip().endswith(r"\end{document}")
    assert r"\usepackage{booktabs}" in text
    assert r"\input{" not in text
    structure_holds(text)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX with booktabs")
def test_a_document_compiles_whatever_is_in_it(tmp_path: Path) -> None:
    nasty = r"[ours] *SA-FAS* α=0.5 ≈ 日 é -- --- 'q' `q` \input{x} 100% & $5 #1 a_b {c} ~ ^ | < > ωπλ"
    rows = [
        (Cell("ERM"), Cell("1", "± 2", best=True)),
        (Cell(nasty), Cell("[x]", "[y]")),
        (Cell("* *"), Cell("1")),
    ]
    table = Table(nasty, (nasty, "[a] number"), [Group("[b]", rows), Group(nasty, rows, oracle=True)], nasty)
    (tmp_path / "x.tex").write_text(document(nasty, [nasty], [table, SMALL]), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "x.pdf").stat().st_size > 10_000


def test_what_is_wider_than_a_page_goes_on_below() -> None:
    numbers = {f"s->target{i}": {"m": Number(0.1, (0.05, 0.15), 0.01)} for i in range(12)}
    table = grid_table("HTER", numbers)
    text = to_latex(table)
    assert text.count(r"\begin{tabular}") > 1
    assert text.count(r"\begin{table}") == 1
    assert all(f"target{i} " in text for i in range(12))
    structure_holds(text)
    six = replace(
        table, columns=table.columns[:6], groups=[Group("", [row[:6] for row in table.groups[0].rows])]
    )
    assert to_latex(six).count(r"\begin{tabular}") == 1
