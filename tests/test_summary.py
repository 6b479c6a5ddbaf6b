from pathlib import Path

import numpy as np
import pytest

import many
from safas.benchmark.comparison import interval
from safas.benchmark.gathering import gather
from safas.benchmark.summary import headline_table, sections
from safas.protocols import LETTERS, protocols_named
from safas.published import PUBLISHED
from safas.run_evaluation import Outcome
from safas.tables import Cell, Table


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Two protocols, two methods, three seeds."""
    return many.grid(tmp_path_factory.mktemp("runs"), ("a&b->c", "a&c->b"), ("erm", "sa-fas"))


@pytest.fixture(scope="module")
def tables(outcomes: list[Outcome]) -> list[Table]:
    return summary(outcomes, simulated=True)


def summary(outcomes: list[Outcome], *, simulated: bool) -> list[Table]:
    """All tables, the headline first."""
    return [table for section in sections(gather(outcomes), simulated=simulated) for table in section.tables]


def named(tables: list[Table], words: str) -> Table:
    return next(table for table in tables if words in table.caption)


def test_headline_is_mean_and_std_over_seeds_and_the_interval_over_people(outcomes: list[Outcome]) -> None:
    of = gather(outcomes)
    table = headline_table(of)
    assert table.columns == ("method", "seeds", "c", "b", "mean")
    assert "source validation" in table.caption
    by_protocol = [
        [100 * o.result["chosen"]["hter"] for o in outcomes if (o.method, o.protocol) == ("sa-fas", protocol)]
        for protocol in ("a&b->c", "a&c->b")
    ]
    errors = [line["SA-FAS"].errors for line in of.runs.values()]
    cells = table.groups[0].rows[1]
    assert [cell.text for cell in cells[:2]] == ["SA-FAS", "3"]
    for cell, values, drawn in zip(cells[2:4], by_protocol, errors, strict=True):
        assert drawn is not None
        low, high = interval([drawn]) or (0, 0)
        assert cell.text == f"{np.mean(values):.1f}"
        assert cell.detail == f"± {np.std(values, ddof=1):.1f}; {100 * low:.1f}–{100 * high:.1f}"
    per_seed = np.mean(by_protocol, axis=0)
    assert cells[4].text == f"{np.mean(per_seed):.1f}"
    assert cells[4].detail.startswith(f"± {np.std(per_seed, ddof=1):.1f}; ")


def test_sections_come_in_order_and_the_terminal_gets_the_main_ones(outcomes: list[Outcome]) -> None:
    told = sections(gather(outcomes, replicates=20), simulated=True)
    assert [(section.title, section.main) for section in told] == [
        ("Error on the unseen domain", True),
        ("Which differences are more than chance", True),
        ("As papers report it: oracle", True),
        ("Further numbers", False),
        ("Every protocol by itself", False),
        ("What was run", True),
    ]


def test_others_are_compared_with_sa_fas_or_else_with_the_first(tmp_path: Path, tables: list[Table]) -> None:
    assert [row[0].text for row in named(tables, "Difference to SA-FAS, mean").groups[0].rows] == ["ERM"]
    assert named(tables, "Difference to SA-FAS in each protocol").columns == ("method", "c", "b")
    assert named(tables, "Average rank over 2 protocols")
    others = summary(many.grid(tmp_path, ("x->y",), ("irm", "vrex"), (0,)), simulated=True)
    assert named(others, "Difference to IRMv1, x->y")
    assert not [table for table in others if "rank" in table.caption or "each protocol" in table.caption]


def test_only_what_the_target_chose_is_marked_oracle(tables: list[Table]) -> None:
    for table in tables:
        if table.caption.startswith("Oracle"):
            assert all(group.oracle for group in table.groups)
        elif len(table.groups) == 1:
            assert not table.groups[0].oracle, table.caption
    assert sum(table.caption.startswith("Oracle") for table in tables) == 1


def test_every_measured_table_says_simulated_if_it_is(outcomes: list[Outcome], tables: list[Table]) -> None:
    assert all("simulated faces" in table.caption for table in tables[:-1])
    assert tables[-1].caption == "Who was tested"
    real = summary(outcomes, simulated=False)
    assert not any("imulated" in table.caption + table.note for table in real)


def test_variants_stand_beside_their_method_in_a_section_of_their_own(tmp_path: Path) -> None:
    """A variant takes no rank and no place among the methods; where its method did not run, it is one of them."""
    plain = many.grid(tmp_path, ("x->y", "y->x"), ("erm", "sa-fas"), (0, 1))
    variants = [
        many.outcome(tmp_path, protocol, "sa-fas", seed, shift=1.0, name="SA-FAS without SupCon")
        for seed in (0, 1)
        for protocol in ("x->y", "y->x")
    ]
    told = {
        section.title: section
        for section in sections(gather(plain + variants, replicates=20), simulated=True)
    }
    methods = told["Error on the unseen domain"].tables[0]
    beside, difference, *_ = told["Variants of SA-FAS"].tables
    assert [row[0].text for row in methods.groups[0].rows] == ["ERM", "SA-FAS"]
    assert [row[0].text for row in beside.groups[0].rows] == ["SA-FAS", "SA-FAS without SupCon"]
    texts = [
        [cell.words() for cell in table.groups[0].rows[row]] for table, row in ((methods, 1), (beside, 0))
    ]
    assert texts[0] == texts[1]
    assert difference.caption.startswith("Difference to SA-FAS, mean over the protocols")
    assert [row[0].text for row in difference.groups[0].rows] == ["SA-FAS without SupCon"]
    assert not [t for t in told["Variants of SA-FAS"].tables if "rank" in t.caption]
    alone = summary([o for o in plain if o.method == "erm"] + variants, simulated=True)[0]
    assert [row[0].text for row in alone.groups[0].rows] == ["ERM", "SA-FAS without SupCon"]


def test_failures_are_printed_where_the_number_would_stand(tmp_path: Path) -> None:
    outcomes = [
        *many.grid(tmp_path, ("a&b->c", "a&c->b"), ("sa-fas", "vrex"), (0, 1)),
        many.outcome(tmp_path, "a&b->c", "irm", 0, 0.3),
        many.failed("a&b->c", "irm", 1),
        many.failed("a&c->b", "irm", 0),
    ]
    tables = summary(outcomes, simulated=True)
    headline, oracle = tables[0].groups[0].rows[2], named(tables, "Oracle").groups[0].rows[2]
    assert [cell.text for cell in headline[:2]] == ["IRMv1", "0–1"]
    assert [cell.text for cell in headline[3:]] == [cell.text for cell in oracle[3:]] == ["failed", "–"]
    failures = named(tables, "Runs that failed").groups[0].rows
    assert [[cell.text for cell in row] for row in failures] == [
        ["IRMv1", "c", "1", "diverged"],
        ["IRMv1", "b", "0", "diverged"],
    ]
    assert [row[0].text for row in named(tables, "a&c->b: errors").groups[0].rows] == ["SA-FAS", "V-REx"]
    for table in (tables[0], named(tables, "Oracle"), named(tables, "AUC")):
        assert "Without the seeds that failed, and so too favourable: IRMv1 on c (1 of 2)." in table.note


def test_a_note_tells_only_what_stands_beside_the_numbers(tmp_path: Path) -> None:
    def notes(methods: tuple[str, ...], seeds: tuple[int, ...]) -> tuple[str, str]:
        told = summary(many.grid(tmp_path, ("a&b->c", "a&c->b"), methods, seeds), simulated=False)
        return told[0].note, named(told, "AUC").note

    single, several = notes(("erm", "irm"), (0,)), notes(("erm", "irm"), (0, 1))
    assert single[0].startswith("95 % interval over people: ")
    assert single[1].startswith("The 95 % interval over the target's people. ")
    assert several[0].startswith("Mean ± std over the seeds; 95 % interval over people: ")
    assert several[1].startswith("Mean ± std over the seeds. ")
    assert not any("failed" in note for note in (*single, *several))


def test_folds_have_their_deviation_over_folds(tmp_path: Path) -> None:
    """OULU-NPU's protocols 3 and 4 are reported as mean and std over their folds."""
    outcomes = many.grid(tmp_path, ("oulu-3.1", "oulu-3.2", "oulu-3.3"), ("erm",), (0,))
    tables = summary(outcomes, simulated=False)
    errors = [100 * outcome.result["chosen"]["hter"] for outcome in outcomes]
    assert tables[0].groups[0].rows[0][-1].detail.startswith(f"± {np.std(errors, ddof=1):.1f}; ")
    assert tables[0].note.startswith(
        "In the last column mean ± std over the folds; 95 % interval over people: "
    )
    assert "unseen domain" not in tables[0].caption
    acer = named(tables, "ACER in percent")
    shares = [100 * outcome.result["chosen"]["acer"] for outcome in outcomes]
    assert [cell.text for cell in acer.groups[0].rows[0][2:]] == [
        f"{one:.1f}" for one in (*shares, np.mean(shares))
    ]
    mixed = summary([*outcomes, *many.grid(tmp_path / "other", ("a&b->c",), ("erm",), (0,))], simulated=False)
    acer = named(mixed, "ACER in percent")
    assert [*acer.columns] == ["method", "seeds", "oulu-3.1", "oulu-3.2", "oulu-3.3", "mean"]


def test_different_questions_have_no_mean(tmp_path: Path) -> None:
    """OULU-NPU's protocols 1 and 3 ask about new sessions and new phones; a session is no unseen domain."""
    told = summary(
        many.grid(tmp_path, ("oulu-1", "oulu-3.1", "oulu-3.2"), ("erm", "sa-fas", "irm"), (0, 1)),
        simulated=False,
    )
    assert all("mean" not in table.columns for table in told)
    assert not [table for table in told if "mean over" in table.caption or "rank" in table.caption]
    assert named(told, "in each protocol")
    inside = summary(many.grid(tmp_path, ("casia-fasd->casia-fasd",), ("erm",), (0,)), simulated=False)
    assert not [table for table in (*told, *inside) if "unseen" in table.caption]


@pytest.fixture(scope="module")
def ocim(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    names = tuple(protocol.name for protocol in protocols_named("ocim", LETTERS.values()))
    return many.grid(tmp_path_factory.mktemp("ocim"), names, ("erm", "sa-fas"), (0,))


def test_published_figures_stand_beside_the_oracle_on_the_same_sets_and_are_never_the_best(
    ocim: list[Outcome],
) -> None:
    told = summary(ocim, simulated=False)
    hter, auc = (table for table in told if table.caption.startswith("Oracle"))
    assert hter.columns == ("method", "seeds", "ICM→O", "OMI→C", "OCM→I", "OCI→M", "mean")
    assert [group.oracle for group in hter.groups] == [True, True, False]
    assert all(group.title.startswith("Theirs, from the papers") for group in hter.groups[1:])
    assert "threshold from source validation" in hter.groups[2].title
    assert not any(cell.best for group in hter.groups[1:] for row in group.rows for cell in row)
    row = next(row for row in hter.groups[1].rows if row[0].text == "SA-FAS (CVPR 2023)")
    values = dict(zip(hter.columns, (cell.text for cell in row), strict=True))
    assert (values["OCI→M"], values["ICM→O"], values["mean"]) == ("6.0", "10.0", "7.8")
    partial = next(row for row in hter.groups[1].rows if "authors' weights" in row[0].text)
    assert partial[-1] == Cell("–")
    assert len(auc.groups) == 2
    assert len(auc.groups[1].rows) == sum(bool(line.auc) for line in PUBLISHED)


def test_published_figures_never_stand_beside_simulated_faces_or_other_sets(
    ocim: list[Outcome], outcomes: list[Outcome]
) -> None:
    for told in (summary(ocim, simulated=True), summary(outcomes, simulated=False)):
        assert not any("Theirs" in group.title for table in told for group in table.groups)
        assert not any("CVPR" in cell.text for t in told for g in t.groups for row in g.rows for cell in row)
