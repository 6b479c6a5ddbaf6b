import io
from dataclasses import replace

import pytest
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
    strange = Table("", ("", "x"), [Group("", [(Cell("a<i>*b*`c`_d_[e](f)"), Cell("1"))], headline=True)])
    assert r"| a\<i>\*b\*\`c\`_d_\[e\](f) | 1 |" in to_markdown(strange)


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
    text = plain(result_table("a->b", "Errors", {"ERM + SupCon": run, "SA-FAS": run}))
    assert "…" not in text
    assert "ERM + SupCon" in text


def test_result_table_marks_the_best_by_the_columns_direction() -> None:
    better, worse = rows(evaluate(tiny.run_scores())), rows(evaluate(tiny.run_scores(shift=4)))
    headline = result_table("a->b", "Errors", {"better": better, "worse": worse}).groups[0]
    assert headline.headline
    assert [cell.best for cell in headline.rows[0][:3]] == [False, True, True]  # name, HTER, AUC
    assert not headline.rows[1][1].best


def test_oulu_npus_own_protocols_have_their_own_columns_first() -> None:
    run = evaluate(tiny.run_scores())
    usual, own = (result_table(name, "Errors", {"ERM": rows(run)}) for name in ("a->b", "oulu-3.2"))
    assert own.columns == ("", "APCER (worst)", "BPCER", "ACER", *usual.columns[1:])
    worst, rejected = max(run["chosen"]["apcer"].values()), run["chosen"]["bpcer"]
    shares = (worst, rejected, (worst + rejected) / 2)
    assert [cell.text for cell in own.groups[0].rows[0][1:4]] == [f"{100 * share:.1f}" for share in shares]
    assert [cell.text for cell in own.groups[1].rows[0][1:4]] == [
        "–"
    ] * 3  # a mean over epochs has none of them


@pytest.mark.parametrize("width", [22, 21])
def test_a_table_as_wide_as_the_terminal_keeps_every_sign_and_a_wider_one_repeats_its_keys(
    width: int,
) -> None:
    """4 + 1 + 2 + 1 + 7 + 1 + 6 = 22 signs a line; at 21 the last column goes below, beside what names its row."""
    rows = [("a->b", "m1", "trained", "c0ffee"), ("a->b", "m2", "to do", "bad0ff")]
    lines = plain(plain_table("", ("p", "m", "s", "run"), rows, keys=2), width).splitlines()
    told = [line.split() for line in lines if line.startswith("a->b")]
    if width == 22:
        assert told == [["a->b", "m1", "trained", "c0ffee"], ["a->b", "m2", "to", "do", "bad0ff"]]
    else:
        assert told[2:] == [["a->b", "m1", "c0ffee"], ["a->b", "m2", "bad0ff"]]


def test_what_is_equal_is_best_together() -> None:
    """0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 to the last bit."""
    numbers = {"one": Number((0.1 + 0.2 + 0.3) / 3), "other": Number((0.3 + 0.2 + 0.1) / 3)}
    table = grid_table("", {"a&b->c": numbers, "a&c->b": numbers})
    assert to_markdown(table).count("**20.0**") == 6


def test_nothing_is_best_alone() -> None:
    table = result_table("a->b", "Errors", {"only": rows(evaluate(tiny.run_scores()))})
    assert not any(cell.best for group in table.groups for row in group.rows for cell in row)


NUMBERS = {
    "x->y": {"a": Number(0.1), "b": Number(0.2)},
    "y->x": {"a": Number(0.3), "b": Number(0.2)},
}


def test_grid_by_hand() -> None:
    """Means over the protocols: (10 + 30) / 2 = 20 for a and (20 + 20) / 2 = 20 for b: both are best."""
    table = grid_table("HTER", NUMBERS)
    assert table.columns == ("method", "y", "x", "mean")
    rows = table.groups[0].rows
    assert [[cell.text for cell in row] for row in rows] == [
        ["a", "10.0", "30.0", "20.0"],
        ["b", "20.0", "20.0", "20.0"],
    ]
    assert [[cell.best for cell in row[1:]] for row in rows] == [[True, False, True], [False, True, True]]
    upward = grid_table("AUC", NUMBERS, lower=False).groups[0].rows
    assert [row[1].best for row in upward] == [False, True]


def test_a_failed_cell_says_so_and_has_no_mean() -> None:
    """b failed in the second protocol, c was run in the first alone: neither can be the mean's best."""
    numbers = {
        "x->y": {"a": Number(0.3), "b": Number(0.1), "c": Number(0.2)},
        "y->x": {"a": Number(0.3), "b": None},
    }
    rows = grid_table("HTER", numbers, seeds={"a": "3", "b": "2–3", "c": "1"}).groups[0].rows
    assert [[cell.text for cell in row] for row in rows] == [
        ["a", "3", "30.0", "30.0", "30.0"],
        ["b", "2–3", "10.0", "failed", "–"],
        ["c", "1", "20.0", "–", "–"],
    ]
    assert [row[-1].best for row in rows] == [False] * 3


def test_grid_of_one_protocol_has_no_mean() -> None:
    assert grid_table("HTER", {"x->y": {"a": Number(0.1)}}).columns == ("method", "y")


def test_means_of_folds_have_a_deviation_and_given_means_are_taken() -> None:
    """10 and 30: mean 20, std 10 sqrt 2 = 14.1."""
    assert grid_table("HTER", NUMBERS, folds=True).groups[0].rows[0][-1] == Cell("20.0", "± 14.1", best=True)
    given = grid_table("HTER", NUMBERS, means={"a": Number(0.2, (0.1, 0.3), 0.01)}).groups[0].rows
    assert [row[-1] for row in given] == [Cell("20.0", "± 1.0; 10.0–30.0"), Cell("–")]


def test_the_terminal_sets_deviations_beside_and_intervals_below() -> None:
    text = plain(grid_table("HTER", NUMBERS, means={"a": Number(0.2, (0.1, 0.3), 0.01)}))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[2:4] == ["a      10.0 30.0 20.0 ± 1.0", "10.0–30.0"]


@pytest.mark.parametrize("width", [40, 80])
def test_columns_that_do_not_fit_follow_below_with_the_names_again(width: int) -> None:
    numbers = {f"s->{i:0>12}": {"method one": Number(i / 100), "two": Number(i / 50)} for i in range(12)}
    text = plain(grid_table("HTER", numbers), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert all(f"{i:0>12}" in text for i in range(12))
    assert text.count("method one") == text.count("two") > 1


def test_long_names_are_broken_not_cut() -> None:
    table = grid_table("HTER", {"x->y": {"a method with a very long name indeed": Number(0.1)}})
    assert "…" not in plain(table)
    assert "indeed" in plain(table)


def test_notes_stand_below() -> None:
    table = replace(SMALL, note="What to know.")
    assert to_markdown(table).endswith("| b\\|c | – | 98.0 |\n\nWhat to know.\n")
    assert plain(table).rstrip().endswith("What to know.")


def test_plain_table_and_durations() -> None:
    assert to_markdown(plain_table("Time", ("stage", "time"), [("train", "1 s")])).count("\n") == 5
    assert [duration(s) for s in (0.04, 59.94, 59.96, 184.4, 3600)] == [
        "0.0 s",
        "59.9 s",
        "1 min 00 s",
        "3 min 04 s",
        "60 min 00 s",
    ]
