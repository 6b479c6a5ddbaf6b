"""Finished cells that travel: tabulated elsewhere without a run, added to, and refused where they don't fit."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import polars as pl
import pytest

import many
import toy
from cellwork import PROTOCOL, QUICK, benchmark_command
from safas.benchmark.cell_index import read_cells
from safas.benchmark.cells import Desk
from safas.benchmark.grid import Cell
from safas.benchmark.kept import NAMES, read_kept
from safas.benchmark.pages import as_markdown, compose
from safas.benchmark.runner import Engine, run_cells
from safas.cli import main
from safas.evaluation import RUN_SCORES
from safas.files import write_file
from safas.protocols import SOURCE_DEV, target_rows
from safas.table import CROPS, SAMPLES, read_table, write_table
from safas.training import read_run
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
    out = capsys.readouterr().out
    assert "diverged: the loss is not finite" in out
    assert "kept in" in out
    assert main([*command, there, "--seeds", "0", "--list"]) == 0
    assert "kept: diverged" in capsys.readouterr().out
    assert not list((tmp_path / "there").glob("*/config.json"))
    assert main([*command, there, "--seeds", "0", "--retry-failed"]) == 0
    assert read_kept(tmp_path / "kept").rows["state"].to_list() == ["done", "done"]
    assert main([*command, str(tmp_path / "third"), "--seeds", "0"]) == 0


def test_a_process_adds_to_what_another_has_kept_meanwhile_and_keeps_each_cell_at_once(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first one works at its only run, a second keeps two others (both are of ERM)."""
    here = [*command, str(tmp_path / "here"), "--methods", "slower"]
    other = [*command, str(tmp_path / "there"), "--methods", "erm", "--seeds", "1"]

    def do_both(cells: Sequence[Cell], desk: Desk, engine: Engine) -> Iterator[Any]:
        if desk.runs.name == "here":
            assert main(other) == 0
        yield from run_cells(cells, desk, engine)

    monkeypatch.setattr("safas.commands.benchmark.run_cells", do_both)
    assert main(here) == 0
    kept = read_kept(tmp_path / "kept")
    assert kept.rows.select("name", "seed").rows() == [("ERM", 1), ("slower", 0), ("slower", 1)]

    def stop(cells: Sequence[Cell], desk: Desk, engine: Engine) -> Iterator[Any]:
        yield from run_cells(cells[:1], desk, engine)
        raise KeyboardInterrupt

    monkeypatch.setattr("safas.commands.benchmark.run_cells", stop)
    third = [*command, str(tmp_path / "third"), "--methods", "slower", "--seeds", "5", "6"]
    assert main(third) == 130
    assert len(read_kept(tmp_path / "kept").rows) == 4


def test_killed_between_its_files_the_folder_still_fits(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        spoil(broken)
        main([*command, str(tmp_path / "here"), "--seeds", "0"])
    old = (tmp_path / "kept" / "cells.csv").read_bytes()
    retry = [*command, str(tmp_path / "here"), "--seeds", "0", "--retry-failed"]
    assert main(retry) == 0
    (tmp_path / "kept" / "cells.csv").write_bytes(old)  # it is written last
    assert main([*command, str(tmp_path / "there"), "--seeds", "0"]) == 0
    assert read_kept(tmp_path / "kept").rows["state"].to_list() == ["done", "done"]


def test_killed_while_a_cell_is_replaced_the_folder_still_fits(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the scores, before the result: of the run there are two epochs' scores, until the next time."""
    Path(command[3]).write_text('{protocols: ["a,b->c"], seeds: [0], methods: [vrex]}')
    assert main([*command, str(tmp_path / "here")]) == 0
    results, scores = (tmp_path / "kept" / name for name in NAMES[1:])
    said = json.loads(results.read_text())
    said["result"]["chosen"]["epoch"] = 0
    results.write_text(json.dumps(said) + "\n")
    table = read_table(scores, RUN_SCORES)
    write_table(table.with_columns(pl.lit(0).cast(pl.Int64).alias("epoch")), scores)
    old = results.read_bytes()

    def killed(path: Path, data: str) -> None:
        if path == results and data.encode() != old:
            raise KeyboardInterrupt
        write_file(path, data)

    with monkeypatch.context() as broken:
        broken.setattr("safas.benchmark.kept.write_file", killed)
        assert main([*command, str(tmp_path / "there")]) == 130
    assert set(read_kept(tmp_path / "kept").scores["epoch"]) == {0, 1}
    assert main([*command, str(tmp_path / "there")]) == 0
    assert set(read_kept(tmp_path / "kept").scores["epoch"]) == {1}


def test_two_cells_that_exchange_their_names_are_told_by_the_new_ones(
    command: list[str], tmp_path: Path
) -> None:
    for names in ("AB", "BA"):
        Path(command[3]).write_text(
            'protocols: ["a,b->c"]\nseeds: [0]\nmethods:\n'
            f"  - {{method: erm, name: {names[0]}}}\n  - {{method: erm, name: {names[1]}, training: {{lr: 0.001}}}}\n"
        )
        assert main([*command, str(tmp_path / "runs")]) == 0
    index, kept = read_cells(tmp_path / "runs"), read_kept(tmp_path / "kept").rows
    assert index.select("name", "run").rows() == kept.select("name", "run").rows()
    slow = read_run(tmp_path / "runs" / index.filter(name="A")["run"][0])
    assert slow["config"]["lr"] == 0.001
    assert (tmp_path / "runs" / index["scores"][0]).is_file()


def test_killed_at_the_first_cell_the_folder_still_is_one_of_these(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(table: pl.DataFrame, path: Path) -> None:
        write_table(table, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("safas.benchmark.kept.write_table", killed)
        assert main([*command, str(tmp_path / "runs"), "--seeds", "0"]) not in (0, 2)
    assert (tmp_path / "kept" / "scores.parquet").is_file()
    assert not (tmp_path / "kept" / "results.jsonl").exists()
    assert main([*command, str(tmp_path / "runs"), "--seeds", "0"]) == 0
    assert read_kept(tmp_path / "kept").rows["state"].to_list() == ["done", "done"]


def test_videos_without_a_face_judge_nobody(
    command: list[str], prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They stand in the table of samples and have no crop, so no score; one of another label is another video."""
    copy = tmp_path / "prepared"
    shutil.copytree(prepared, copy)
    crops = read_table(copy / "crops.parquet", CROPS)
    samples = read_table(copy / "samples.parquet", SAMPLES)
    faceless = target_rows(PROTOCOL, samples)["video"][0]
    write_table(crops.filter(pl.col("video") != faceless), copy / "crops.parquet")
    again = [command[0], str(copy), *command[2:], str(tmp_path / "runs"), "--seeds", "0"]
    assert main(again) == main(again) == 0
    assert "2 of 2 runs are kept" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "runs"), "--seeds", "0"]) == 2
    assert "was judged by other videos, people or labels than these (target)" in capsys.readouterr().err


def test_what_does_not_fit_is_refused_by_name_before_any_work(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, runs = tmp_path / "kept", str(tmp_path / "runs")
    for wrong, words in (
        ([*command, runs, "--trials", "2"], "--kept: a search is not kept"),
        ([*command, str(kept)], "--kept: this is the folder of all runs"),
    ):
        assert main(wrong) == 2
        assert words in capsys.readouterr().err
        assert not kept.exists()
    kept.write_text("not a folder")
    assert main([*command, runs]) == 2
    assert f"{kept}: a file, not a folder" in capsys.readouterr().err
    kept.unlink()
    assert main([*command, runs, "--seeds", "0"]) == 0
    files = {name: (kept / name).read_bytes() for name in NAMES}
    cells, results = (files[name].splitlines(keepends=True) for name in NAMES[:2])
    run = json.loads(results[1])["run"]
    other = read_table(kept / "scores.parquet", RUN_SCORES).filter(pl.col("run") != run)
    for name, wrong, words in (
        ("results.jsonl", results[0], f"no result of run {run}"),
        ("cells.csv", b"".join([*cells, cells[1]]), "stands there twice"),
        ("cells.csv", None, "cells.csv"),
        ("scores.parquet", None, "scores.parquet"),
    ):
        (kept / name).unlink()
        if wrong is not None:
            (kept / name).write_bytes(wrong)
        assert main([*command, runs, "--seeds", "0"]) == 2
        err = capsys.readouterr().err
        assert str(kept) in err
        assert words in err
        (kept / name).write_bytes(files[name])
    write_table(other, kept / "scores.parquet")
    assert main([*command, runs, "--seeds", "0"]) == 2
    assert f"no scores of run {run}" in capsys.readouterr().err
    (kept / "scores.parquet").write_bytes(files["scores.parquet"])
    (kept / "results.jsonl").write_bytes(files["results.jsonl"].replace(b'"chosen"', b'"choice"', 1))
    assert main([*command, runs, "--seeds", "0"]) == 2
    assert "not kept cells (the result of run" in capsys.readouterr().err
    (kept / "results.jsonl").write_bytes(files["results.jsonl"])
    scores = read_table(kept / "scores.parquet", RUN_SCORES)
    told = (pl.col("label") == "live").cast(pl.Float64)
    turned = pl.when(pl.col("run") == run).then(told).otherwise(pl.col("score"))
    for wrong_scores, words in (
        (scores.with_columns(turned.alias("score")), f"the scores of run {run} give an HTER of"),
        (
            pl.concat([scores, scores.filter(run=run, role=SOURCE_DEV).head(1)]),
            "was judged by other videos",
        ),
        (scores.with_columns(pl.lit(float("nan")).alias("score")), "is nan"),
        (
            scores.with_columns(
                pl.when(role=SOURCE_DEV).then(pl.col("score") / 2).otherwise("score").alias("score")
            ),
            "give the threshold",
        ),
    ):
        write_table(wrong_scores, kept / "scores.parquet")
        assert main([*command, runs, "--seeds", "0"]) == 2
        err = capsys.readouterr().err
        assert str(kept) in err
        assert words in err
    (kept / "scores.parquet").write_bytes(files["scores.parquet"])
    (kept / "results.jsonl").write_bytes(
        files["results.jsonl"].replace(b'"method": "erm"', b'"method": "irm"')
    )
    assert main([*command, runs, "--seeds", "0"]) == 2
    assert "has the method irm, and stands where erm belongs" in capsys.readouterr().err


def test_a_cell_whose_settings_are_no_longer_known_is_made_again_in_its_own_place(
    command: list[str], tmp_path: Path
) -> None:
    kept, runs = tmp_path / "kept", str(tmp_path / "runs")
    assert main([*command, runs, "--seeds", "0"]) == 0
    before = (kept / "cells.csv").read_text()
    settings = before.splitlines()[1].split(",")[-3]
    (kept / "cells.csv").write_text(before.replace(settings, "0" * len(settings)))
    assert main([*command, runs, "--seeds", "0"]) == 0
    assert (kept / "cells.csv").read_text() == before


def test_what_was_trained_on_other_crops_is_told(
    command: list[str], prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another simulation of the same people, as it is on another processor: the cells count, and the line says so."""
    command = [*command, str(tmp_path / "runs"), "--seeds", "0"]
    assert main(command) == 0
    other = tmp_path / "other"
    shutil.copytree(prepared, other)
    for path in other.rglob("*.png"):
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    assert main(["benchmark", str(other), *command[2:]]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        f"2 of 2 runs are kept in {tmp_path / 'kept'}, 2 of them made of other crops than {other} has" in out
    )


def test_networks_that_cannot_be_had_are_told_before_any_run(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '{protocols: ["a,b->c"], seeds: [0], methods: [erm, {method: erm, training: {weights: /no.pt}}]}'
    Path(command[3]).write_text(text)
    assert main([*command, str(tmp_path / "runs")]) == 2
    assert "/no.pt" in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("*/config.json"))


def test_cells_whose_other_epochs_were_not_kept_have_no_oracle(tmp_path: Path) -> None:
    """They are left out there, which is told; the headline has them."""
    made = many.grid(tmp_path, ("a&b->c", "a&c->b"), ("erm", "sa-fas"), seeds=(0, 1))
    for one in made[::4]:
        for pick in ("last10", "oracle"):
            del one.result[pick]  # type: ignore[attr-defined]
    page = as_markdown(compose(made, command="safas benchmark", simulated=True, replicates=50))
    headline, oracle = (page.split(title)[1].split("\n## ")[0] for title in ("## Error on", "## As papers"))
    assert "| ERM |" in headline
    assert "Left out: methods of which" in oracle
    assert "| SA-FAS |" in oracle
    assert "| ERM | 2 | – |" in oracle
    assert "training's precision: not noted" in page
    assert "crops: not noted for 8 runs" in page


def test_the_page_says_whose_crops_are_not_known_and_whether_the_others_are_the_same(tmp_path: Path) -> None:
    made = many.grid(tmp_path, ("a&b->c", "a&c->b"), ("erm", "sa-fas"), seeds=(0, 1))
    made.sort(key=lambda one: one.protocol)  # four runs each

    def told(crops: list[str]) -> str:
        for one, digest in zip(made, crops, strict=True):
            one.result["about"] |= {"crops": digest}
        page = as_markdown(compose(made, command="safas benchmark", simulated=True, replicates=50))
        return page.split("- crops: ")[1].split("\n")[0]

    assert told(["x"] * 4 + ["y"] * 4) == "the same for all runs of a protocol"
    assert told(["x"] * 3 + ["z"] + ["y"] * 4) == "not the same bytes for all runs of a protocol"
    assert (
        told(["x"] * 3 + ["", *"yyyy"])
        == "not noted for 1 run; of the others the same for all runs of a protocol"
    )
    assert told(["x", "z", "", "", *"yyyy"]).startswith(
        "not noted for 2 runs; of the others not the same bytes for"
    )


def test_a_cell_that_chose_its_epoch_before_the_method_was_at_work_is_made_again(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """V-REx's penalty sets in at the last of two epochs; an older safas has chosen the first."""
    Path(command[3]).write_text('{protocols: ["a,b->c"], seeds: [0], methods: [vrex]}')
    assert main([*command, str(tmp_path / "here")]) == 0
    results, scores = (tmp_path / "kept" / name for name in NAMES[1:])
    said = json.loads(results.read_text())
    assert said["result"]["chosen"]["epoch"] == 1
    said["result"]["chosen"]["epoch"] = 0
    results.write_text(json.dumps(said) + "\n")
    early = read_table(scores, RUN_SCORES).with_columns(pl.lit(0).cast(pl.Int64).alias("epoch"))
    write_table(early, scores)
    assert main([*command, str(tmp_path / "there")]) == 0
    assert "[1/1] a&b->c, V-REx, seed 0: HTER" in capsys.readouterr().out.rpartition("HTER in")[0]
    kept = read_kept(tmp_path / "kept")
    assert [one["result"]["chosen"]["epoch"] for one in kept.results.values()] == [1]
    assert set(kept.scores["epoch"]) == {1}
