"""Everything that a user can get wrong: one line on stderr, exit code 2, no traceback, nothing written half."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import tiny
from safas.cli import main
from safas.table import read_table
from safas.training import evaluated_epochs

SMALL = ["--image-size", "32", "--epochs", "1", "--batch", "6", "--threads", "1"]
PREPARE = ["--size", "32", "--frames", "2", "--workers", "1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    return tiny.data_set(tmp_path_factory.mktemp("data"), write_video)


@pytest.fixture(scope="module")
def prepared(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    assert main(["prepare", str(root), str(out), *PREPARE]) == 0
    return out


def copied_table(prepared: Path, out: Path, rows: pl.Expr) -> Path:
    """A prepared folder with some of the rows: what a user has whose data set is like this."""
    out.mkdir()
    pl.read_parquet(prepared / "samples.parquet").filter(rows).write_parquet(out / "samples.parquet")
    (out / "crops.parquet").symlink_to(prepared / "crops.parquet")
    (out / "crops").symlink_to(prepared / "crops")
    return out


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """refused(arguments, leaving=...) -> the line; checks the code, that it is one line, and what is there after."""

    def run(*arguments: object, leaving: tuple[str, ...] = ()) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        line = capsys.readouterr().err
        assert line.startswith("safas: error: ")
        assert line.count("\n") == 1
        assert tuple(sorted(path.name for path in tmp_path.iterdir())) == leaving
        return line

    return run


@pytest.mark.parametrize("source", ["table", "folder"])
def test_wrong_path_to_prepare(source: str, refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused("prepare", tmp_path / "nowhere", tmp_path / "out", "--source", source)
    assert f"{tmp_path / 'nowhere'}: no such file or folder" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("train", "NOWHERE", "--protocol", "a->b"),
            "NOWHERE: no such folder. Make one with `safas prepare`.",
        ),
        (("evaluate", "NOWHERE", "NOWHERE"), "NOWHERE: not a run's folder. It needs a config.json."),
        (("benchmark", "NOWHERE"), "NOWHERE: no such folder. Make one with `safas prepare`."),
        (("pack", "NOWHERE"), "NOWHERE: no such folder. Make one with `safas prepare`."),
    ],
)
def test_wrong_path_to_the_other_commands(
    arguments: tuple[str, ...],
    told: str,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(*arguments) == f"safas: error: {told}\n"


@pytest.mark.parametrize("source", ["table", "folder"])
def test_empty_folder(source: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    line = refused("prepare", tmp_path / "empty", tmp_path / "out", "--source", source, leaving=("empty",))
    assert f"{tmp_path / 'empty'}: the folder is empty" in line


def test_not_one_video_that_can_be_read(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list of reasons stays; the exit code is not that of a success."""
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(root, data)
    for video in data.rglob("*.mp4"):
        video.write_text("a text")
    assert main(["prepare", str(data), str(out), *PREPARE]) == 2
    said = capsys.readouterr()
    assert "60 of 60 videos left out" in said.out
    assert f"{out}: not one crop of any video. {out / 'failures.parquet'} says of each video why." in said.err
    assert len(pl.read_parquet(out / "failures.parquet")) == 60


def test_empty_folder_to_train_on(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    line = refused("train", tmp_path / "empty", "--protocol", "a->b", leaving=("empty",))
    assert "not a prepared folder. Make one with `safas prepare`." in line


@pytest.mark.parametrize("column", ["label", "subject"])
def test_table_with_a_missing_column(
    column: str, root: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    table = tmp_path / "samples.csv"
    pl.read_csv(root / "samples.csv").drop(column).write_csv(table)
    line = refused("prepare", table, tmp_path / "out", leaving=("samples.csv",))
    assert f"{table}: a column is missing: {column}. The table needs: dataset, domain," in line


def test_table_of_boxes_with_a_missing_column(
    root: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "samples.csv").write_text((root / "samples.csv").read_text())
    pl.read_parquet(root / "boxes.parquet").drop("box_w").write_parquet(tmp_path / "boxes.parquet")
    line = refused("prepare", tmp_path, tmp_path / "out", leaving=("boxes.parquet", "samples.csv"))
    assert "boxes.parquet: a column is missing: box_w" in line


@pytest.mark.parametrize("command", ["train", "benchmark"])
@pytest.mark.parametrize("domain", ["south", "west"])
def test_domain_with_one_label_only(
    command: str, domain: str, prepared: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    """south is a source, west the target: both commands must say so before hours of training are spent."""
    folder = copied_table(
        prepared, tmp_path / "prepared", (pl.col("domain") != domain) | (pl.col("label") == "live")
    )
    protocol = "--protocol" if command == "train" else "--protocols"
    line = refused(
        command, folder, protocol, "north,south->west", "--runs", tmp_path / "runs", leaving=("prepared",)
    )
    assert f"north&south->west: domain '{domain}' has no spoof row" in line


@pytest.mark.parametrize("command", ["train", "benchmark"])
@pytest.mark.parametrize("protocol", ["north,moon->west", "north,south->moon"])
def test_protocol_naming_an_unknown_domain(
    command: str, protocol: str, prepared: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    option = "--protocol" if command == "train" else "--protocols"
    line = refused(command, prepared, option, protocol, "--runs", tmp_path / "runs")
    assert "unknown domain 'moon'. Known: north, south, west." in line


@pytest.mark.parametrize("protocol", ["north,south", "north,south->north", "->west"])
def test_protocol_that_is_none(
    protocol: str, prepared: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    refused("train", prepared, "--protocol", protocol, "--runs", tmp_path / "runs")


def test_truncated_video_is_listed_and_stops_nothing(
    tmp_path: Path, write_video: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tiny.data_set(tmp_path / "data", write_video), tmp_path / "out"
    video = root / "north" / "north-ann-0.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    assert main(["prepare", str(root), str(out), *PREPARE]) == 0
    told = capsys.readouterr()
    assert "left out: tiny north-ann-0 (live): " in told.out
    assert "Traceback" not in told.out + told.err
    failures = pl.read_parquet(out / "failures.parquet")
    assert failures["video"].to_list() == ["north-ann-0"]
    assert len(failures["reason"][0]) > 10
    crops = pl.read_parquet(out / "crops.parquet")
    assert crops["video"].n_unique() == 59
    assert "north-ann-0" not in crops["video"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["simulate", "out", "--seed", "-1"], "seed is -1"),
        (["train", "prepared", "--protocol", "a,b->c", "--devices", "0"], "devices = 0 is below 1"),
        (["train", "prepared", "--protocol", "a,b->c", "--lr-factor", "-1"], "lr_factor = -1.0 is below 0"),
        (["train", "prepared", "--protocol", "a,b->c", "--lr-factor", "nan"], "lr_factor = nan is below 0"),
        (["distill", "run", "prepared", "--image-size", "0"], "image_size = 0 is below 8"),
    ],
)
def test_numbers_out_of_range(arguments: list[str], what: str, refused: Callable[..., str]) -> None:
    """Before any folder is looked at or made."""
    assert what in refused(*arguments)


@pytest.mark.parametrize("method", ["erm", "sa-fas"])
def test_loss_that_is_not_finite(
    method: str, prepared: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    """A learning rate of 1e30 sends the weights, and with them the loss, to infinity within two steps."""
    runs = tmp_path / "runs"
    train = ("train", prepared, "--protocol", "north,south->west", "--method", method, "--runs", runs, *SMALL)
    line = refused(*train, "--lr", "1e30", "--log-every", "1", leaving=("runs",))
    assert "the loss is not finite at step" in line
    assert "Lower the learning rate (now 1e+30)" in line
    (folder,) = runs.glob("[!.]*")
    assert evaluated_epochs(folder) == []
    assert not [path for path in folder.rglob("*") if path.name.endswith(".partial")]
    line = refused("evaluate", folder, prepared, leaving=("runs",))
    assert "no epoch of this run was evaluated yet" in line


def test_a_real_process_prints_one_line_and_ends_with_two(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "safas", "prepare", str(tmp_path / "nowhere"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"safas: error: {tmp_path / 'nowhere'}: no such file or folder\n"
    assert not (tmp_path / "out").exists()


def test_the_whole_set_is_untouched_by_a_refusal(
    prepared: Path, root: Path, refused: Callable[..., str]
) -> None:
    """Another size is refused, and what was prepared before is as it was."""
    before = read_table(prepared / "crops.parquet", {})
    line = refused("prepare", root, prepared, "--size", "16", "--frames", "2")
    assert "the folder was prepared with size = 32, not 16" in line
    assert read_table(prepared / "crops.parquet", {}).equals(before)
