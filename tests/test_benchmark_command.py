"""`safas benchmark` as it is typed: a YAML grid, the list, failures and their exit code, and slips before any work."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import official
import toy
from cellwork import QUICK, benchmark_command
from safas.benchmark.cell_index import read_cells
from safas.benchmark.grid_file import read_grid
from safas.cli import main
from safas.evaluation import RUN_SCORES
from safas.metrics import eer, hter
from safas.prepared import prepared_samples
from safas.protocols import SOURCE_DEV, TARGET
from safas.table import CROPS, is_live, read_table, write_table
from safas.training.config import PRESETS
from test_cells import spoil

GRID = """
protocols: ["a,b->c"]
seeds: [0]
methods:
  - erm
  - {name: slower, method: erm, training: {lr: 0.001}, seeds: [0, 1]}
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def command(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The toy set's benchmark, with a preset that takes a second."""
    monkeypatch.setitem(PRESETS, "demo", QUICK)  # type: ignore[arg-type]
    return [*benchmark_command(prepared, tmp_path, GRID), "--runs", str(tmp_path / "runs")]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def parts(scores: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Those of source validation and those of the target."""
    return scores.filter(role=SOURCE_DEV), scores.filter(role=TARGET)


def test_a_grid_is_listed_run_and_listed_again(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    assert main([*command, "--list"]) == 0
    assert f"3 runs in {runs}: 3 to do" in said(capsys)
    assert not list(runs.glob("*/config.json"))
    assert main([*command, "--methods", "erm", "--seeds", "0"]) == 0
    assert "[2/2] a&b->c, slower, seed 0: HTER" in said(capsys)  # both are of that method
    assert main([*command, "--list"]) == 0
    assert f"3 runs in {runs}: 2 done, 1 to do" in said(capsys)
    assert main(command) == 0
    out = said(capsys)
    assert "[3/3] a&b->c, slower, seed 1: HTER" in out
    assert f"{runs / 'cells.csv'}" in out
    assert read_cells(runs).select("name", "seed", "state").rows() == [
        ("ERM", 0, "done"), ("slower", 0, "done"), ("slower", 1, "done"),
    ]  # fmt: skip
    scores = read_table(runs / "scores.parquet", RUN_SCORES)
    for row in read_cells(runs).iter_rows(named=True):  # what is kept of a cell is enough for its number
        of = scores.filter(run=row["run"])
        dev, target = ({"scores": r["score"].to_numpy(), "live": is_live(r)} for r in parts(of))
        assert of["epoch"].n_unique() == 1
        assert hter(**target, threshold=eer(**dev)[1]) == pytest.approx(row["hter"])
    page = (runs / "benchmark.md").read_text()
    assert "slower" in page
    assert "--grid" in page
    assert (runs / "benchmark.yaml").read_text() == GRID


def test_a_failure_is_told_and_is_the_exit_code(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ERM diverges; what else there is to run is run, and a second start tries it again only when asked."""
    with monkeypatch.context() as broken:
        spoil(broken)
        assert main([*command, "--methods", "ERM", "erm", "--seeds", "0"]) == 1
    out = said(capsys)
    assert "[2/2] a&b->c, slower, seed 0: diverged: the loss is not finite at step 1" in out
    assert "failed: a&b->c, ERM, seed 0: diverged" in out
    assert "--retry-failed" in out
    assert main(command) == 1
    out = said(capsys)
    assert "[3/3] a&b->c, slower, seed 1: HTER" in out
    assert "diverged" in out
    assert main([*command, "--list"]) == 0
    out = said(capsys)
    assert "2 failed, 1 done" in out
    assert "failed: diverged" in out
    assert "not finite" not in out
    assert main([*command, "--retry-failed"]) == 0
    assert read_cells(tmp_path / "runs")["state"].unique().to_list() == ["done"]


def test_a_search_says_what_it_chose(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--trials", "2", "--seeds", "0"]) == 0
    out = said(capsys)
    assert "Settings chosen by lowest HTER on source validation" in out
    assert re.search(r"a&b->c ERM [01] of 0 to 1", out)
    assert "Settings chosen by" in (tmp_path / "runs" / "benchmark.md").read_text()
    assert len((tmp_path / "runs" / "trials.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("what", ["label", "file"])
def test_what_would_stop_the_evaluation_is_told_before_the_training(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No crop of a label of the target, or one that is named and not there."""
    monkeypatch.setitem(PRESETS, "demo", QUICK)  # type: ignore[arg-type]
    prepared = toy.prepared_folder(tmp_path / "prepared")
    table = read_table(prepared / "crops.parquet", CROPS)
    samples = prepared_samples(prepared)
    live = samples.filter(domain="c", split="test", label="live")
    gone = table.join(live, on=["dataset", "video"], how="semi")
    if what == "label":
        write_table(table.join(gone, on=["dataset", "video"], how="anti"), prepared / "crops.parquet")
        words = "domain 'c' has no live video with a crop in its test rows"
    else:
        (prepared / gone["crop"][0]).unlink()
        words = f"{prepared / gone['crop'][0]}: no such crop"
    command = [*benchmark_command(prepared, tmp_path, GRID), "--runs", str(tmp_path / "runs")]
    assert main(command) == 2
    assert words in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("*/config.json"))


def test_networks_that_cannot_be_had_are_told_before_any_trial(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        '{protocols: ["a,b->c"], methods: [erm, {method: irm, training: {weights: /no.pt}}], trials: 2}'
    )
    assert main(["benchmark", command[1], "--grid", str(grid), "--runs", str(tmp_path / "new")]) == 2
    assert "/no.pt" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_what_a_run_asks_of_a_cluster(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many cores as it has threads, and its GPUs; one cell at once."""
    asked: dict[str, Any] = {}

    def each_on_ray(work: Callable[[Any], Any], tasks: Sequence[Any], **how: Any) -> Iterator[Any]:
        asked.update(how)
        return map(work, tasks)

    monkeypatch.setattr("safas.commands.benchmark.each_on_ray", each_on_ray)
    more = ["--methods", "slower", "--seeds", "0", "--threads", "2", "--engine", "ray"]
    assert main([*command, *more, "--address", "head:6379", "--gpus-per-run", "0.5"]) == 0
    assert asked == {"workers": None, "address": "head:6379", "chunk": 1, "cpus": 2, "gpus": 0.5}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--methods", "coral"], "none of its methods is 'coral'"),
        (["--protocols", "a,b->z"], "unknown domain 'z'"),
        (["--splits", "odd"], "unknown splits 'odd'"),
        (["--jobs", "0"], "--jobs: jobs = 0 is below 1"),
        (["--trials", "-1"], "trials"),
        (["--trials", "0"], "--trials: trials = 0 is below 1"),
        (["--protocols", "a,b->c", "b,a->c"], "b&a->c: stands there twice"),
        (["--address", "auto"], "Add --engine ray"),
        (["--gpus-per-run", "1"], "Add --engine ray"),
        (["--gpus-per-run", "-1"], "--gpus-per-run: -1.0 GPUs"),
    ],
)
def test_a_slip_is_told_before_anything_is_written(
    more: list[str], words: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *more]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_protocols_are_checked_before_data_are_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours of preparation must not end with a slip in a name, or a method that is given too few sources."""
    data = official.four_small_sets(tmp_path / "d")
    command = ["benchmark", "--data", *(f"{name}={root}" for name, root in data.items())]
    command += ["--data-out", str(tmp_path / "out")]
    for more, words in (
        (["--protocols", "O,C->siw"], "unknown domain 'siw'"),
        (["--protocols", "single"], "needs at least 2 source domains"),
        (["--list"], "nothing is prepared yet"),
    ):
        assert main([*command, *more]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_documented_grid_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The YAML of the page on benchmarks, one epoch of one seed, over domains of these names."""
    page = (Path(__file__).parents[1] / "docs" / "benchmarking.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    command = benchmark_command(tmp_path / "prepared", tmp_path, text)
    variants = read_grid(tmp_path / "grid.yaml").variants
    assert [(v.name, len(v.seeds), v.config.epochs) for v in variants] == [
        ("ERM", 3, 20), ("SA-FAS", 3, 20), ("SA-FAS without SupCon", 5, 25),
    ]  # fmt: skip
    toy.prepared_folder(tmp_path / "prepared", domains=("laptop", "phone", "tablet", "webcam"))
    command += ["--runs", str(tmp_path / "runs")]
    assert main([*command, "--seeds", "0", "--epochs", "1", "--threads", "1"]) == 0
    assert "[3/3] laptop&phone&tablet->webcam, SA-FAS without SupCon, seed 0: HTER" in said(capsys)
    configs = [json.loads(path.read_text())["config"] for path in (tmp_path / "runs").glob("*/config.json")]
    assert sorted(c["method"].get("contrastive_weight", -1) for c in configs) == [-1, 0, 0.1]
    assert {c["augment"]["flip"] for c in configs} == {False}
