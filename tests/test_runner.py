"""Many cells: by one process, several, a Ray cluster or two benchmarks at once the same; and the search."""

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import toy
from cellwork import cell, desk, grid, variant
from safas.benchmark import cells, runner
from safas.benchmark.cell_index import CELLS, add_cells, read_cells
from safas.benchmark.cells import Desk, Elsewhere, Validated, do_cell
from safas.benchmark.grid import Cell, Grid
from safas.benchmark.runner import (
    CHOICE_RULE,
    Search,
    best_trial,
    chosen_cells,
    failure_of,
    run_cells,
    search,
)
from safas.benchmark.standing import searches_table, states_table
from safas.errors import InputError
from safas.evaluation import RUN_SCORES
from safas.parallel import each
from safas.run_evaluation import Outcome
from safas.table import read_table
from safas.tables import to_markdown
from test_cells import spoil

TWO = (cell(), cell(name="faster", lr=0.02))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def made(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return outcomes(run_cells(TWO, desk(prepared, tmp_path_factory.mktemp("runs"))))


def outcomes(made: Iterable[Any]) -> list[Outcome]:
    return [one for one in made if isinstance(one, Outcome)]


def numbers(made: Iterable[Any]) -> list[Any]:
    return [json.loads(json.dumps({**one.result, "about": None})) for one in made]


def test_several_processes_make_what_one_makes(made: list[Outcome], prepared: Path, tmp_path: Path) -> None:
    engine = functools.partial(each, workers=2, chunk=1)
    again = list(run_cells(TWO, desk(prepared, tmp_path, threads=1), engine))
    assert numbers(again) == numbers(made)


def test_a_ray_cluster_makes_what_one_process_makes(
    made: list[Outcome], prepared: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    from safas.cluster import each_on_ray

    engine = functools.partial(each_on_ray, workers=1, chunk=1)
    again = list(run_cells(TWO[:1], desk(prepared, tmp_path, threads=1), engine))
    assert numbers(again) == numbers(made[:1])


CHILD = """
import sys
from pathlib import Path
from cellwork import cell, desk
from safas.run_evaluation import Outcome
from safas.benchmark.runner import run_cells

cells = [cell(name=str(lr), lr=lr) for lr in (0.01, 0.02, 0.03, 0.04)]
made = list(run_cells(cells, desk(Path(sys.argv[1]), Path(sys.argv[2]))))
print(sum(isinstance(one, Outcome) for one in made))
"""


def test_two_benchmarks_at_once_share_the_work(prepared: Path, tmp_path: Path) -> None:
    """Two processes begin together: every run is made by one of them, and the last to end has all four."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent / "src")])}
    command = [sys.executable, "-c", CHILD, str(prepared), str(tmp_path)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert max(int(out) for out, _ in told) == 4
    runs = sorted(path.parent for path in tmp_path.glob("*/config.json"))
    assert len(runs) == 4
    for run in runs:  # each step once, none resumed: nobody wrote into another's run
        lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
        assert [(r["kind"], r["step"]) for r in lines] == [
            ("step", 0), ("epoch", 0), ("step", 1), ("epoch", 1),
        ]  # fmt: skip
    assert sorted(read_cells(tmp_path)["run"]) == [run.name for run in runs]


def test_a_busy_cell_is_come_back_to(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy at first, free when the others are done; a cell that stays busy is told as such."""
    tried: list[str] = []

    def busy_once(one: Cell, desk: Desk) -> Any:
        tried.append(one.name)
        return Elsewhere(one, tmp_path) if tried == ["ERM"] else do_cell(one, desk)

    monkeypatch.setattr(runner, "do_cell", busy_once)
    assert [one.title for one in outcomes(run_cells(TWO, desk(prepared, tmp_path)))] == ["faster", "ERM"]
    assert tried == ["ERM", "faster", "ERM"]
    monkeypatch.setattr(runner, "do_cell", lambda one, desk: Elsewhere(one, tmp_path))
    assert list(run_cells(TWO[:1], desk(prepared, tmp_path))) == [Elsewhere(TWO[0], tmp_path)]


def test_the_grid_goes_on_after_a_failure(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch)
    (failed,) = outcomes(run_cells(TWO[:1], desk(prepared, tmp_path)))
    monkeypatch.undo()
    first, second = outcomes(run_cells(TWO, desk(prepared, tmp_path)))
    assert first == failed
    index = read_cells(tmp_path)
    assert index["state"].to_list() == ["failed", "done"]
    assert index["hter"].to_list() == [None, second.result["chosen"]["hter"]]


def test_the_index_leads_to_the_scores(made: list[Outcome]) -> None:
    runs = made[1].folder.parent
    assert read_cells(runs)["name"].to_list() == ["ERM", "faster"]
    row = read_cells(runs).row(1, named=True)
    assert set(row) == set(CELLS)
    assert (row["protocol"], row["name"], row["method"], row["seed"], row["run"]) == (
        "a&b->c", "faster", "erm", 0, made[1].folder.name,
    )  # fmt: skip
    scores = read_table(runs / row["scores"], RUN_SCORES)
    assert scores["run"].unique().to_list() == [row["run"]]
    assert row["hter"] == made[1].result["chosen"]["hter"]
    assert row["commit"] == made[1].result["about"]["commit"]


def test_rows_of_other_grids_stay_in_the_index(tmp_path: Path) -> None:
    def outcome(seed: int, hter: float) -> Outcome:
        result = {"chosen": {"hter": hter}, "about": {"commit": "abc"}}
        return Outcome("a->b", "erm", seed, tmp_path / f"run{seed}", result)

    add_cells(tmp_path, [outcome(0, 0.5), outcome(1, 0.25)])
    add_cells(tmp_path, [outcome(1, 0.125), replace(outcome(2, 0.75), name="mine")])
    assert read_cells(tmp_path).select("name", "seed", "hter").rows() == [
        ("ERM", 0, 0.5), ("ERM", 1, 0.125), ("mine", 2, 0.75),
    ]  # fmt: skip
    (tmp_path / "cells.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"cells\.csv: not a table of cells"):
        read_cells(tmp_path)


def validated(hter: float, auc: float) -> Validated:
    return Validated(TWO[0], Path("run"), 0, hter, auc)


def test_the_best_trial_by_hand() -> None:
    """The lowest HTER; of equal ones the higher AUC; of equal ones again the earlier, the defaults being first."""
    failed = Outcome("a->b", "erm", 0, Path("run"), {}, failure="diverged")
    assert best_trial([validated(0.2, 0.9), validated(0.1, 0.5), validated(0.3, 1)]) == 1
    assert best_trial([validated(0.1, 0.8), validated(0.1, 0.9), validated(0.1, 0.9)]) == 1
    assert best_trial([validated(0.1, 0.9), validated(0.1, 0.9)]) == 0
    assert best_trial([failed, validated(0.5, 0.5)]) == 1
    assert best_trial([failed, failed]) is None


def test_a_search_scores_the_target_of_the_winner_alone(prepared: Path, tmp_path: Path) -> None:
    """Three trials of one seed, two seeds of the winner: 2 + 2 runs, of which the two losers know no target."""
    searched, at = grid(variant(seeds=(0, 1)), trials=3), desk(prepared, tmp_path)
    assert states_table(searched, at).caption.endswith(": 3 to do")
    (found,) = search(searched, at)
    assert isinstance(found, Search)
    assert not list(tmp_path.rglob("scores.parquet"))
    assert not list(tmp_path.rglob("evaluation.json"))
    trials = [one for one in found.trials if isinstance(one, Validated)]
    assert found.chosen == min(range(3), key=lambda k: (trials[k].hter, -trials[k].auc, k))
    winners = chosen_cells([found])
    assert [one.config.seed for one in winners] == [0, 1]
    assert winners[0] == trials[found.chosen].cell
    made = outcomes(run_cells(winners, at))
    assert made[0].folder == trials[found.chosen].folder
    losers = [one.folder for number, one in enumerate(trials) if number != found.chosen]
    assert len({*losers, *(one.folder for one in made)}) == 4
    for folder in losers:
        kept = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
        assert kept == {"config.json", "records.jsonl", "log.csv", "tensorboard", "dev"}
        for table in folder.rglob("*.parquet"):
            assert pl.read_parquet(table)["role"].unique().to_list() == ["source-dev"]
    check_what_is_told(searched, found, at)


def check_what_is_told(searched: Grid, found: Search, at: Desk) -> None:
    """Every trial in the file, the winner in the table, and all runs in the list; a second search changes nothing."""
    assert search(searched, at) == [found]
    table = pl.read_csv(at.runs / "trials.csv")
    assert table["trial"].to_list() == [0, 1, 2]
    assert table["chosen"].to_list() == [number == found.chosen for number in range(3)]
    hters = [one.hter for one in found.trials if isinstance(one, Validated)]
    assert table["source_dev_hter"].to_list() == hters
    assert "lr=0.0498" in table["settings"][1]
    page = to_markdown(searches_table([found], " (simulated faces)"))
    assert CHOICE_RULE in page
    assert f"| a&b->c | ERM | {found.chosen} of 0 to 2 |" in page
    states = states_table(searched, at)
    lines = [row[2].text for row in states.groups[0].rows]
    assert lines == ["trial 0", "trial 1", "trial 2", "0", "1"]
    assert states.caption.endswith(": 5 done")


def test_a_trial_whose_folder_is_broken_stops_the_choice_and_nothing_is_dropped(
    prepared: Path, tmp_path: Path
) -> None:
    """It might be the best: no other is chosen in its place, and once it is made again all is as it was."""
    searched, at = grid(variant(), trials=3), desk(prepared, tmp_path)
    (found,) = search(searched, at)
    assert isinstance(found, Search)
    assert found.chosen is not None
    damaged = found.trials[found.chosen].folder
    (damaged / "records.jsonl").write_text("garbage\n")
    (broken,) = search(searched, at)
    assert isinstance(broken, Search)
    assert broken.chosen is None
    failed = failure_of(broken)
    assert failed is not None
    assert failed.folder == damaged
    assert "Delete the folder to make the run again" in failed.failure
    assert chosen_cells([broken]) == []
    states = states_table(searched, at).groups[0].rows
    assert [row[2].text for row in states] == ["trial 0", "trial 1", "trial 2"]
    assert [row[3].text for row in states].count("failed: not the log of a run") == 1
    shutil.rmtree(damaged)
    (again,) = search(searched, at)
    assert isinstance(again, Search)
    assert again.chosen == found.chosen


def test_the_page_says_how_many_trials_diverged() -> None:
    failed = Outcome("a->b", "erm", 0, Path("run"), {}, failure="diverged")
    one = Search(TWO[0].protocol, variant(), (failed, validated(0.2, 0.9), failed), 1)
    assert "| 1 of 0 to 2 (2 diverged) |" in to_markdown(searches_table([one]))


def test_where_every_trial_diverges_there_is_nothing_to_choose(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch)
    (found,) = search(grid(variant(), trials=2), desk(prepared, tmp_path))
    assert isinstance(found, Search)
    assert found.chosen is None
    assert chosen_cells([found]) == []
    failed = failure_of(found)
    assert failed is not None
    assert "diverged" in failed.failure
    assert pl.read_csv(tmp_path / "trials.csv")["chosen"].to_list() == [False, False]
    assert "| none | failed | failed |" in to_markdown(searches_table([found]))


def test_a_search_waits_for_trials_under_way_elsewhere(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "do_trial", lambda one, desk: Elsewhere(one, tmp_path))
    found = search(grid(variant(), trials=2), desk(prepared, tmp_path))
    assert [type(one) for one in found] == [Elsewhere]
    assert not (tmp_path / "trials.csv").exists()


def test_the_list_tells_every_state(
    made: list[Outcome], prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = desk(prepared, made[0].folder.parent)
    several = grid(
        variant(), variant(name="faster", lr=0.02), variant(name="new", lr=0.03), variant("sa-fas")
    )
    monkeypatch.setattr(cells, "train", lambda *_, **__: pytest.fail("it trains"))
    table = states_table(several, at)
    assert table.caption == f"4 runs in {at.runs}: 2 done, 2 to do"
    rows = [[one.text for one in row] for row in table.groups[0].rows]
    assert rows[0] == ["a&b->c", "ERM", "0", "done", made[0].folder.name]
    assert rows[1] == ["a&b->c", "faster", "0", "done", made[1].folder.name]
    assert rows[2][3] == "to do"
