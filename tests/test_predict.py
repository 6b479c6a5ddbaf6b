"""safas predict and safas doctor, as typed."""

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from skimage import data

from safas import cli, doctor
from safas.camera import camera_frames
from safas.cli import main
from safas.errors import MediaError


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    """A face, a wall, half a file."""
    folder = tmp_path_factory.mktemp("clips")
    photo = np.ascontiguousarray(data.astronaut()[:320, 60:380])
    whole = write_video(folder / "a_face.mp4", [photo] * 5)
    cv2.imwrite(str(folder / "b_wall.png"), np.full((90, 120, 3), 120, np.uint8))
    (folder / "c_cut.mp4").write_bytes(whole.read_bytes()[:-3000])
    return folder


def test_into_a_pipe_one_object_a_line(bundle: Path, clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The broken one is named at the end, with exit code 1, and stops nobody."""
    assert main(["predict", str(bundle), str(clips)]) == 1
    told = capsys.readouterr()
    face, wall, cut = (json.loads(line) for line in told.out.splitlines())
    assert [Path(row["input"]).name for row in (face, wall, cut)] == ["a_face.mp4", "b_wall.png", "c_cut.mp4"]
    assert 0 <= face["score"] <= 1
    assert face["reasons"][0]["code"] in ("above_pass", "below_deny", "between_thresholds", "unfamiliar")
    assert (wall["label"], wall["score"]) == ("no_face", None)
    assert cut["label"] == "unreadable"
    assert "1 of 3 could not be read" in told.err
    assert "c_cut.mp4: cut off" in told.err


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_into_a_file(
    bundle: Path, clips: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"verdicts{suffix}"
    assert (
        main(["predict", str(bundle), str(clips / "*.png"), str(clips / "a_face.mp4"), "--out", str(out)])
        == 0
    )
    rows = pl.read_parquet(out) if suffix == ".parquet" else pl.read_ndjson(out)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows["input"].to_list() == [line["input"] for line in lines]
    assert rows["score"].to_list() == [line["score"] for line in lines]
    assert rows["label"][0] == "no_face"
    assert set(rows.columns) >= set(lines[1])  # the table leaves out nothing


def test_on_a_terminal_a_table(
    bundle: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    main(["predict", str(bundle), str(clips / "b_wall.png")])
    text = capsys.readouterr().out
    assert "no face" in text
    assert "{" not in text


def test_a_table_of_files_without_a_folder_in_common(
    bundle: Path,
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    shutil.copy(clips / "b_wall.png", "here.png")
    assert main(["predict", str(bundle), str(clips / "b_wall.png"), "here.png", "--out", "o.jsonl"]) == 0
    assert "here.png" in capsys.readouterr().out
    assert len(Path("o.jsonl").read_text().splitlines()) == 2


def test_where_nothing_can_be_written_nothing_is_judged(
    bundle: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "verdicts.jsonl"
    assert main(["predict", str(bundle), str(clips / "b_wall.png"), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no folder to write to" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a file or --camera 0"),
        (["x.mp4", "--out", "x.csv"], "neither .parquet nor .jsonl"),
        (["nothing/*.mp4"], "no image and no video"),
    ],
)
def test_what_cannot_be_done(
    bundle: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(bundle), *arguments]) == 2
    assert message in capsys.readouterr().err


class FakeCamera:
    """Ten frames of rising brightness, blue in OpenCV's order of colours."""

    def __init__(self, index: int) -> None:
        self.left = 10 if index == 0 else 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.left > 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.left:
            return False, None
        self.left -= 1
        image = np.zeros((8, 8, 3), np.uint8)
        image[:, :, 0] = 10 - self.left
        return True, image

    def release(self) -> None:
        self.left = 0


def test_a_camera_gives_rgb_after_it_has_warmed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten frames the first five are passed over; OpenCV's blue is the third colour of ours."""
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    frames = camera_frames(0)
    assert [int(frame[0, 0, 2]) for frame in frames] == [6, 7, 8, 9, 10]
    assert frames[0][0, 0, 0] == 0
    with pytest.raises(MediaError, match="camera 1: no frame came from it"):
        camera_frames(1)


def test_the_doctor_finds_this_machine_well(
    yunet_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("onnxruntime", "CPUExecutionProvider", "h264", str(yunet_file)):
        assert word in text.replace("\n", "").replace(" ", "") or word in text


def test_the_doctor_knows_every_extra() -> None:
    """But for that of safas' own developers."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - {"dev"} == set(doctor.EXTRAS)


def test_the_doctor_finds_what_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.onnx").write_text("no network")
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(tmp_path / "odd.onnx"))
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("av", "torch") else "1")
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "missing: av" in text
    assert 'pip install "safas[train]"' in text
    assert "Set SAFAS_FACE_DETECTOR to a copy" in text


def test_a_command_whose_packages_are_missing_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if torch were not installed: its import fails with the name that Python gives."""

    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="torch._C")

    monkeypatch.setattr(cli.importlib, "import_module", fail)
    assert main(["train", "prepared"]) == 2
    assert "safas train: needs the package torch, which is not installed" in capsys.readouterr().err
