import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

import safas
import tiny
from safas.benchmark.pages import NAMES
from safas.cli import COMMANDS, main
from safas.exhibits import method_run
from safas.training import TrainConfig
from safas.training.config import PRESETS

SMALL = ["--image-size", "32", "--epochs", "2", "--batch", "6", "--threads", "1", "--evaluate-every", "1"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    root = tiny.data_set(tmp_path_factory.mktemp("data"), write_video)
    out = tmp_path_factory.mktemp("out") / "prepared"
    assert main(["prepare", str(root), str(out), "--size", "32", "--frames", "2", "--workers", "1"]) == 0
    return out


@pytest.fixture(scope="module")
def run_dir(prepared: Path) -> Path:
    runs = prepared.parent / "runs"
    train = ["train", str(prepared), "--protocol", "north,south->west", "--runs", str(runs), *SMALL]
    assert main(train) == 0
    (folder,) = runs.glob("[!.]*")
    return folder


def test_help_lists_the_commands_without_waking_torch() -> None:
    script = (
        "import sys; from safas.cli import main; code = main(['--help'])\n"
        "assert not {'torch', 'polars', 'cv2'} & set(sys.modules), 'slow to import'; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert f"• {command}" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: safas {command}" in text
    assert "--help" in text


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "start here" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"safas {safas.__version__}\n"


@pytest.mark.parametrize("command", ["nonsense", "--nonsense"])
def test_an_unknown_command_is_an_error(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    assert command in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "out"],
        ["prepare", "root", "out"],
        ["pack", "prepared"],
        ["train", "prepared", "--protocol", "a->b"],
        ["evaluate", "run", "prepared"],
        ["benchmark", "prepared"],
        ["export", "run", "prepared"],
        ["predict", "bundle", "clip.mp4"],
        ["stress", "bundle", "table"],
        ["doctor"],
        ["demo"],
    ],
)
def test_an_unknown_setting_is_an_error(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--colour", "blue"]) == 2
    assert "--colour" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_value_of_the_wrong_type_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "prepared", "--protocol", "a->b", "--epochs", "many"]) == 2
    assert "many" in capsys.readouterr().err


@pytest.mark.parametrize("name", PRESETS)
def test_every_training_setting_can_be_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its default is the preset's."""
    assert main(["train", "--preset", name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for field in dataclasses.fields(TrainConfig):
        option = field.name.replace("_", "-")
        assert f"--{option}" in text, field.name
    assert f"default: {PRESETS[name].lr}" in text
    assert "--method.alpha FLOAT in (0, 1]" in text
    assert f"default: {PRESETS[name].method.alpha}" in text  # type: ignore[union-attr]  # both presets are SA-FAS's


def test_settings_follow_the_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--method", "erm-supcon", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--method.temperature" in text
    assert "--method.alpha" not in text


def test_prepare_says_what_it_left_out_and_what_there_is(
    tmp_path: Path, write_video: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = tiny.data_set(tmp_path / "data", write_video)
    (root / "west" / "west-dan-0.mp4").unlink()
    arguments = [
        "prepare",
        str(root),
        str(tmp_path / "out"),
        "--size",
        "16",
        "--frames",
        "1",
        "--workers",
        "1",
    ]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert main(arguments) == 0
    again = capsys.readouterr().out
    for text in (first, again):
        assert "59 crops of 59 videos" in text
        assert "1 of 60 videos left out" in text
        assert "west-dan-0 (live): " in text
    assert re.search(r"^60 videos in \d+ s, \d+\.\d videos/s$", first, re.MULTILINE)
    assert "nothing to do: 59 videos are prepared already" in again


def test_an_address_is_for_ray(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], write_video: Callable[..., Path]
) -> None:
    root = tiny.data_set(tmp_path / "data", write_video)
    assert main(["prepare", str(root), str(tmp_path / "out"), "--address", "auto"]) == 2
    assert "--engine ray" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_typed_settings_reach_the_run(run_dir: Path) -> None:
    said = json.loads((run_dir / "config.json").read_text())
    expected = {"image_size": 32, "epochs": 2, "batch": 6, "threads": 1, "evaluate_every": 1, "lr": 0.01}
    assert {name: said["config"][name] for name in expected} == expected
    assert said["config"]["method"]["name"] == "sa-fas"
    assert said["protocol"]["name"] == "north&south->west"


def test_evaluate_prints_the_numbers_and_their_rules(
    run_dir: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run_dir), str(prepared)]) == 0
    text = capsys.readouterr().out
    result = json.loads((run_dir / "evaluation.json").read_text())
    assert f"{100 * result['chosen']['hter']:.1f}" in text
    assert "Epoch and threshold from source validation" in text
    assert "pooled EER of source validation (north, south)" in text
    assert "Best epoch on the target, as published – oracle" in text
    assert "simulated" not in text
    assert main(["evaluate", str(run_dir), str(prepared), "--markdown"]) == 0
    assert "| SA-FAS | " in capsys.readouterr().out


def test_evaluate_writes_a_page_of_the_run(
    run_dir: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The heads are those of the source domains, and the decision is the logit of the score."""
    command = ["evaluate", str(run_dir), str(prepared), "--page"]
    assert main(command) == 0
    page = run_dir / "evaluation.html"
    assert f"page: {page.resolve().as_uri()}" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    for words in ("the cut through the feature space (PCA)", "Does alignment go with", "fall in line?"):
        assert words in text
    assert shlex.join(["safas", *command]) in text
    assert "<caption>Where the time went" not in text
    features = method_run(run_dir, prepared).features
    assert features is not None
    assert set(features.heads) == {"north", "south"}
    decision = features.table["decision"].to_numpy()
    np.testing.assert_allclose(np.mean(list(features.heads.values()), axis=0), decision, atol=1e-9)
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), features.table["score"].to_numpy(), atol=1e-5)


def test_simulated_numbers_are_called_so(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same crops, their data set renamed to that of `safas simulate`."""
    for name in ("samples", "crops"):
        table = pl.read_parquet(prepared / f"{name}.parquet")
        table.with_columns(pl.lit("simulated").alias("dataset")).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "crops").symlink_to(prepared / "crops")
    train = [
        "train",
        str(tmp_path),
        "--protocol",
        "north,south->west",
        "--runs",
        str(tmp_path / "runs"),
        *SMALL,
    ]
    assert main(train) == 0
    assert "(simulated faces): HTER" in capsys.readouterr().out
    (folder,) = (tmp_path / "runs").glob("[!.]*")
    assert main(["evaluate", str(folder), str(tmp_path), "--page"]) == 0
    assert "Everything here is simulated" in (folder / "evaluation.html").read_text(encoding="utf-8")
    assert "errors in percent (simulated faces, seed 0, commit" in " ".join(capsys.readouterr().out.split())
    other = shutil.copytree(tmp_path, tmp_path / "other", ignore=shutil.ignore_patterns("runs"))
    for path in other.rglob("*.png"):
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    assert main(["evaluate", str(folder), str(other)]) == 2  # though all of it is evaluated already
    assert "the run was trained on other crops than these" in capsys.readouterr().err


def test_benchmark_prints_and_writes_one_table(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's batch of 32 is more than there is here, so a smaller preset takes its place."""
    small = dataclasses.replace(PRESETS["demo"], image_size=32, batch=6, evaluate_every=1)
    monkeypatch.setitem(PRESETS, "demo", small)  # type: ignore[arg-type]
    arguments = ["benchmark", str(prepared), "--protocols", "north,south->west", "--methods", "erm"]
    arguments += ["--seeds", "0", "1", "--epochs", "1", "--threads", "1", "--runs", str(tmp_path / "runs")]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "[2/2] north&south->west, ERM, seed 1: HTER" in text
    assert "(2 seeds)" in text
    assert {path.name for path in (tmp_path / "runs").glob("benchmark.*")} == set(NAMES)
    page = (tmp_path / "runs" / "benchmark.md").read_text()
    assert f"safas benchmark {prepared}" in page
    assert page.count("**north&south->west: errors in percent") == 1


def test_stopping_by_hand_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("safas.commands.evaluate.unscored_epochs", stop)
    assert main(["evaluate", str(tmp_path), str(tmp_path)]) == 130
    assert capsys.readouterr().err == "safas: stopped; the same command goes on where it was\n"


def test_a_folder_that_cannot_be_written_is_one_line(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    runs = str(tmp_path / "file" / "runs")
    assert main(["train", str(prepared), "--protocol", "north,south->west", "--runs", runs, *SMALL]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("safas: error: ")
    assert "file" in error
