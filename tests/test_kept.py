"""Finished cells that travel: tabulated elsewhere without a run, added to, and refused where they don't fit."""

import json
from pathlib import Path

import polars as pl
import pytest

import many
import toy
from cellwork import QUICK, benchmark_command
from safas.cell_index import read_cells
from safas.cli import main
from safas.evaluation import RUN_SCORES
from safas.kept import read_kept
from safas.pages import as_markdown, compose
from safas.table import read_table, write_table
from safas.training.config import PRESETS
from test_cells import spoil

GRID = """
protocols: ["a,b->c"]
seeds: [0, 1]
methods: [erm, {name: slower, method: erm, training: {lr: 0.001}, seeds: [0]}]
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def command(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The toy set's benchmark, with a preset that takes a second, into a folder that travels."""
    monkeypatch.setitem(PRESETS, "demo", QUICK)  # type: ignore[arg-type]
    return [*benchmark_command(prepared, tmp_path, GRID), "--kept", str(tmp_path / "kept"), "--runs"]


def tables(runs: Path) -> str:
    """The page from its first heading on: above it stand the command and where it was run."""
    return (runs / "benchmark.md").read_text().partition("\n## ")[2]


def test_another_machine_prints_the_same_tables_without_a_run_and_makes_what_is_missing(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert main([*command, str(here), "--seeds", "0"]) == 0
    with monkeypatch.context() as broken:
        spoil(broken)  # no run would come through
        assert main([*command, str(there), "--seeds", "0"]) == 0
    assert "2 of 2 runs are kept" in capsys.readouterr().out
    assert tables(there) == tables(here)
    assert not list(there.glob("*/config.json"))
    assert main([*command, str(there), "--list"]) == 0
    assert "2 kept, 1 to do" in " ".join(capsys.readouterr().out.split())
    assert main([*command, str(there)]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 runs are kept" in out
    assert "[1/1] a&b->c, ERM, seed 1: HTER" in out
    assert len(list(there.glob("*/config.json"))) == 1
    kept = read_kept(tmp_path / "kept")
    assert kept.rows.select("name", "seed").rows() == [("ERM", 0), ("ERM", 1), ("slower", 0)]
    assert kept.rows["crops"].n_unique() == kept.rows["precision"].n_unique() == 1
    assert set(kept.scores["run"]) == set(kept.rows["run"]) == set(read_cells(there)["run"])
    alone = tmp_path / "alone"
    assert main([*command[:4], "--runs", str(alone)]) == 0  # all three by itself: nothing was kept
    assert tables(alone).replace(str(alone), "") == tables(there).replace(str(there), "")


def test_a_smaller_grid_takes_nothing_away(command: list[str], tmp_path: Path) -> None:
    assert main([*command, str(tmp_path / "runs")]) == 0
    before = [path.read_bytes() for path in sorted((tmp_path / "kept").iterdir())]
    assert main([*command, str(tmp_path / "runs"), "--methods", "slower"]) == 0
    assert [path.read_bytes() for path in sorted((tmp_path / "kept").iterdir())] == before


def test_a_failure_is_kept_until_it_is_asked_for_again(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        spoil(broken)
        main([*command, str(tmp_path / "here"), "--seeds", "0"])
    there = str(tmp_path / "there")
    assert main([*command, there, "--seeds", "0"]) == 1
    assert "diverged: the loss is not finite" in capsys.readouterr().out
    assert not list((tmp_path / "there").glob("*/config.json"))
    assert main([*command, there, "--seeds", "0", "--retry-failed"]) == 0
    assert read_kept(tmp_path / "kept").rows["state"].to_list() == ["done", "done"]
    assert main([*command, str(tmp_path / "third"), "--seeds", "0"]) == 0


def test_what_does_not_fit_is_refused_by_name(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    assert main([*command, str(tmp_path / "runs"), "--trials", "2"]) == 2
    assert "--kept: a search is not kept" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "runs"), "--seeds", "0"]) == 0
    scores = read_table(kept / "scores.parquet", RUN_SCORES)
    write_table(scores.with_columns(video=pl.col("video") + "x"), kept / "scores.parquet")
    assert main([*command, str(tmp_path / "runs"), "--seeds", "0"]) == 2
    assert "was tested on other videos than these" in capsys.readouterr().err
    lines = (kept / "results.jsonl").read_text().splitlines()
    (kept / "results.jsonl").write_text(lines[0] + "\n")
    assert main([*command, str(tmp_path / "runs"), "--seeds", "0"]) == 2
    err = capsys.readouterr().err
    assert str(kept) in err
    assert f"no result of run {json.loads(lines[1])['run']}" in err


def test_cells_whose_other_epochs_were_not_kept_have_no_oracle(tmp_path: Path) -> None:
    """ERM's rows are empty there and say so; the headline has both."""
    made = many.grid(tmp_path, ("a&b->c", "a&c->b"), ("erm", "sa-fas"), seeds=(0, 1))
    for one in made[::4]:
        for pick in ("last10", "oracle"):
            del one.result[pick]  # type: ignore[attr-defined]
    page = as_markdown(compose(made, command="safas benchmark", simulated=True, replicates=50))
    headline, oracle = (page.split(title)[1].split("\n## ")[0] for title in ("## Error on", "## As papers"))
    assert "| ERM |" in headline
    assert "| ERM | 2 | – | " in oracle or "| ERM |" not in oracle
    assert "only the scores at the chosen epoch were kept" in oracle
    assert "not noted (8)" in page
