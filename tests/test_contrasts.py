import numpy as np
import pytest

from safas.benchmark.comparison import Errors, compare, holm
from safas.benchmark.contrasts import contrast_table, protocol_contrast_table, rank_note, rank_table
from safas.benchmark.ranks import ranking
from safas.tables import Cell


def made(
    values: list[float], seeds: tuple[int, ...] = (0, 1), spread: float = 0.01, people: int = 0
) -> Errors:
    """One value a seed, with normal replicates around it; `people` = 0 for what all methods have in common."""
    common = np.random.default_rng(people).normal(0, spread, (500, 1))
    own = np.random.default_rng(round(1000 * sum(values))).normal(0, spread / 2, (500, len(values)))
    return Errors(seeds, np.array(values), np.array(values) + common + own, "same")


ERRORS = {
    "a&b->c": {"one": made([0.30, 0.32]), "two": made([0.20, 0.21]), "three": made([0.31, 0.30])},
    "a&c->b": {"one": made([0.40, 0.42]), "two": made([0.41, 0.42]), "three": made([0.39, 0.42])},
}
METHODS = ["one", "two", "three"]


def test_the_reference_is_subtracted_and_has_no_row() -> None:
    """two - one: (0.205 - 0.31 + 0.415 - 0.41) / 2 = -0.05; three - one: (0.305 - 0.31 + 0.405 - 0.41) / 2 = -0.005."""
    table = contrast_table("C", ERRORS, "one", METHODS)
    rows = table.groups[0].rows
    assert [(row[0].text, row[1].text) for row in rows] == [("two", "−5.0"), ("three", "−0.5")]
    told = compare([of["two"] for of in ERRORS.values()], [of["one"] for of in ERRORS.values()])
    assert told.interval is not None
    assert rows[0][2].text == " to ".join(f"{100 * end:+.1f}".replace("-", "−") for end in told.interval)
    assert rows[0][3].text == "100 %"
    assert told.better == 1
    assert "minus that of one" in table.note


def test_bold_means_p_below_five_percent() -> None:
    rows = contrast_table("C", ERRORS, "one", METHODS).groups[0].rows
    assert [row[1].best for row in rows] == [True, False]


def test_one_seed_proves_nothing_whatever_p_is() -> None:
    errors = {p: {**of, "two": made([0.2], (0,))} for p, of in ERRORS.items()}
    for table in (
        contrast_table("C", errors, "one", METHODS), protocol_contrast_table("C", errors, "one", METHODS)
    ):  # fmt: skip
        row = table.groups[0].rows[0]
        assert "0.00" in f"{row[-1].text} {row[-1].detail}"
        assert not any(cell.best for cell in row)
        assert "one seed" in table.note


def test_each_protocol_is_corrected_for_their_number() -> None:
    rows = protocol_contrast_table("C", ERRORS, "one", METHODS).groups[0].rows
    raw = [compare([of["two"]], [of["one"]]).p for of in ERRORS.values()]
    shown = [cell.detail.split("; p ")[1] for cell in rows[0][1:]]
    assert shown == [f"{p:.3f}" if p < 0.1 else f"{p:.2f}" for p in holm(raw)]
    assert [cell.best for cell in rows[0][1:]] == [True, False]


def test_a_method_that_failed_somewhere_is_compared_where_it_can_be() -> None:
    errors = {"a&b->c": ERRORS["a&b->c"], "a&c->b": {m: e for m, e in ERRORS["a&c->b"].items() if m != "two"}}
    assert contrast_table("C", errors, "one", METHODS).groups[0].rows[0] == (Cell("two"), *[Cell("–")] * 4)
    row = protocol_contrast_table("C", errors, "one", METHODS).groups[0].rows[0]
    assert row[1].text == "−10.5"
    assert row[2] == Cell("–")
    table = rank_table("R", errors, METHODS)
    assert table is not None
    assert [row[0].text for row in table.groups[0].rows] == ["one", "three"]
    assert "no number somewhere: two" in table.note


def test_one_person_leaves_the_difference_alone() -> None:
    alone = {"a->b": {m: Errors((0,), np.array([v]), None, "same") for m, v in (("one", 0.3), ("two", 0.1))}}
    row = contrast_table("C", alone, "one", ["one", "two"]).groups[0].rows[0]
    assert [cell.text for cell in row] == ["two", "−20.0", "–", "–", "–"]
    assert "one seed" in contrast_table("C", alone, "one", ["one", "two"]).note
    assert "one seed" not in contrast_table("C", ERRORS, "one", METHODS).note
    assert protocol_contrast_table("C", alone, "one", ["one", "two"]).groups[0].rows[0][1] == Cell("−20.0")


def test_ranks_by_hand() -> None:
    """Means 0.31, 0.205, 0.305: ranks 3, 1, 2; then 0.41, 0.415, 0.405: 2, 3, 1. By seed 2 1 3, 3 1 2, 2 3 1, and
    2 2 2: all alike."""
    table = rank_table("R", ERRORS, METHODS)
    assert table is not None
    assert [[cell.text for cell in row] for row in table.groups[0].rows] == [
        ["one", "2.50", "2.25"],
        ["two", "2.00", "1.75"],
        ["three", "1.50", "2.00"],
    ]


def test_other_seeds_leave_the_ranks_over_seeds_out() -> None:
    errors = {p: {**of, "two": made([0.2, 0.2, 0.2], (0, 1, 2))} for p, of in ERRORS.items()}
    table = rank_table("R", errors, METHODS)
    assert table is not None
    assert table.columns == ("method", "average rank")
    assert rank_table("R", {"a&b->c": ERRORS["a&b->c"]}, METHODS) is None


def test_the_note_says_what_ranks_can_prove() -> None:
    """Two methods, 2 blocks: 1.960 sqrt(2 x 3 / 12) = 1.39 of 1 at most. Three, 10: 2.343 sqrt(12 / 60) = 1.05."""
    assert (
        "1.39 or more apart (Nemenyi, 5 %), of 1 at most: with so few protocols no two can be"
        in rank_note(ranking([[0.1, 0.2]] * 2), ["a", "b"])
    )
    clear = rank_note(ranking([[0.1, 0.2, 0.3]] * 10), ["a", "b", "c"])
    assert "1.05 or more apart (Nemenyi, 5 %), of 2 at most: so are a and c." in clear
    assert "p < 0.001" in clear
    alike = rank_note(ranking([[0.1, 0.1, 0.1]] * 10), ["a", "b", "c"])
    assert "no two are" in alike
    assert "p = 1.00" in alike


@pytest.mark.parametrize(
    ("worse", "words"), [(0, "100 %"), (1, "> 99 %"), (60, "88 %"), (499, "< 1 %"), (500, "0 %")]
)
def test_the_share_of_draws_is_not_rounded_to_certainty(worse: int, words: str) -> None:
    drawn = np.where(np.arange(500) < worse, 0.4, 0.2)[:, None]
    line = {"one": Errors((0,), np.array([0.3]), np.full((500, 1), 0.3), "same")}
    line["two"] = Errors((0,), np.array([0.2]), drawn, "same")
    assert contrast_table("C", {"a->b": line}, "one", ["one", "two"]).groups[0].rows[0][3].text == words


def test_the_sign_of_nothing() -> None:
    same = {"a->b": {"one": made([0.3]), "two": made([0.3])}}
    row = contrast_table("C", same, "one", ["one", "two"]).groups[0].rows[0]
    assert [cell.text for cell in row] == ["two", "0.0", "0.0 to 0.0", "50 %", "1.00"]


@pytest.mark.parametrize("reference", ["one", "two"])
def test_swapping_the_reference_swaps_the_sign(reference: str) -> None:
    other = {"one": "two", "two": "one"}[reference]
    row = contrast_table("C", ERRORS, reference, ["one", "two"]).groups[0].rows[0]
    assert (row[0].text, row[1].text) == (other, {"one": "−5.0", "two": "+5.0"}[reference])
