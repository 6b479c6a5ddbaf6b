import io

from rich.console import Console

import tiny
from safas.evaluation import evaluate
from safas.results import Number, rows
from safas.tables import (
    Cell,
    Group,
    Table,
    duration,
    grid_table,
    plain_table,
    result_table,
    to_markdown,
    to_rich,
)

SMALL = Table(
    "Errors (simulated)",
    ("", "HTER", "AUC"),
    [
        Group("Fair", [(Cell("a"), Cell("1.0", "± 0.5", best=True), Cell("99.0"))], headline=True),
        Group("Peeking", [(Cell("b|c"), Cell("–"), Cell("98.0"))], oracle=True),
    ],
)


def plain(table: Table, width: int = 80) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(to_rich(table))
    return text.getvalue()


def test_markdown_by_hand() -> None:
    assert to_markdown(SMALL) == (
        "**Errors (simulated)**\n"
        "\n"
        "|  | HTER | AUC |\n"
        "| :-- | --: | --: |\n"
        "| *Fair* |  |  |\n"
        "| a | **1.0 (± 0.5)** | 99.0 |\n"
        "| *Peeking – oracle* |  |  |\n"
        "| b\\|c | – | 98.0 |\n"
    )


def test_terminal_keeps_captions_details_and_the_oracle_mark() -> None:
    text = plain(SMALL)
    assert (
        text.index("Errors (simulated)")
        < text.index("Fair")
        < text.index("± 0.5")
        < text.index("Peeking – oracle")
    )


def test_result_table_fits_eighty_columns_without_a_cut() -> None:
    run = rows(evaluate(tiny.run_scores()))
    text = plain(result_table("Errors", {"ERM + SupCon": run, "SA-FAS": run}))
    assert "…" not in text
    assert "ERM + SupCon" in text


def test_result_table_marks_the_best_by_the_columns_direction() -> None:
    better, worse = rows(evaluate(tiny.run_scores())), rows(evaluate(tiny.run_scores(shift=4)))
    headline = result_table("Errors", {"better": better, "worse": worse}).groups[0]
    assert headline.headline
    assert [cell.best for cell in headline.rows[0][:3]] == [False, True, True]  # name, HTER, AUC
    assert not headline.rows[1][1].best


def test_nothing_is_best_alone() -> None:
    table = result_table("Errors", {"only": rows(evaluate(tiny.run_scores()))})
    assert not any(cell.best for group in table.groups for row in group.rows for cell in row)


def test_grid_by_hand() -> None:
    """Means over the protocols: (10 + 30) / 2 = 20 for a and (20 + 20) / 2 = 20 for b: both are best."""
    numbers = {
        "x->y": {"a": Number(0.1), "b": Number(0.2)},
        "y->x": {"a": Number(0.3), "b": Number(0.2)},
    }
    rows_of = grid_table("HTER", numbers).groups[0].rows
    assert [[cell.text for cell in row] for row in rows_of] == [
        ["x->y", "10.0", "20.0"],
        ["y->x", "30.0", "20.0"],
        ["mean", "20.0", "20.0"],
    ]
    assert [[cell.best for cell in row[1:]] for row in rows_of] == [
        [True, False],
        [False, True],
        [True, True],
    ]
    upward = grid_table("AUC", numbers, lower=False).groups[0].rows
    assert [cell.best for cell in upward[0][1:]] == [False, True]


def test_grid_of_one_protocol_has_no_mean() -> None:
    assert len(grid_table("HTER", {"x->y": {"a": Number(0.1)}}).groups[0].rows) == 1


def test_plain_table_and_durations() -> None:
    assert to_markdown(plain_table("Time", ("stage", "time"), [("train", "1 s")])).count("\n") == 5
    assert [duration(s) for s in (0.04, 59.94, 59.96, 184.4, 3600)] == [
        "0.0 s",
        "59.9 s",
        "1 min 00 s",
        "3 min 04 s",
        "60 min 00 s",
    ]
