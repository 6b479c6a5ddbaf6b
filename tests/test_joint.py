"""Several data sets at once, from their owners' folders to a table."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import official
import toy
from safas.batches import CropStore
from safas.cli import main
from safas.errors import InputError
from safas.joint import join_prepared
from safas.table import CROPS, read_table, write_table


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    table = toy.samples(people=8)
    made = []
    for domain in toy.DOMAINS:
        part = toy.prepare(tmp_path / domain, table.filter(domain=domain), size=16)
        write_table(table.filter(domain=domain), part / "samples.parquet")
        (part / "prepare.json").write_text(json.dumps({"settings": {"size": 16}, "version": "1"}))
        failed = {"dataset": "toy", "video": f"{domain}-wall", "label": "live", "reason": "no face"}
        pl.DataFrame([failed]).write_parquet(part / "failures.parquet")
        made.append(part)
    return made


def test_the_joint_folder_has_every_crop(parts: list[Path], tmp_path: Path) -> None:
    join_prepared(parts, tmp_path / "joint")
    samples = pl.read_parquet(tmp_path / "joint/samples.parquet")
    joint = CropStore(tmp_path / "joint", samples, toy.DOMAINS)
    alone = [CropStore(part, samples, toy.DOMAINS) for part in parts]
    assert set(joint.videos["video"]) == set(samples["video"])
    assert (joint.images == np.concatenate([store.images for store in alone])).all()
    failures = pl.read_parquet(tmp_path / "joint/failures.parquet")
    assert failures["video"].to_list() == [f"{domain}-wall" for domain in toy.DOMAINS]


def test_the_joint_folder_may_be_moved_with_its_parts(parts: list[Path], tmp_path: Path) -> None:
    join_prepared(parts, tmp_path / "joint")
    samples = pl.read_parquet(tmp_path / "joint/samples.parquet")
    before = CropStore(tmp_path / "joint", samples, toy.DOMAINS).images
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.move(tmp_path, moved)
    assert (CropStore(moved / "joint", samples, toy.DOMAINS).images == before).all()


def test_what_was_prepared_differently_is_not_mixed(parts: list[Path], tmp_path: Path) -> None:
    (parts[1] / "prepare.json").write_text(json.dumps({"settings": {"size": 24}, "version": "1"}))
    with pytest.raises(InputError, match=r"size = 24, but .* with size = 16"):
        join_prepared(parts, tmp_path / "joint")
    assert not (tmp_path / "joint").exists()
    with pytest.raises(InputError, match="not a prepared folder"):
        join_prepared([parts[0], tmp_path / "nowhere"], tmp_path / "joint")


def test_from_the_owners_folders_to_the_table(
    tmp_path: Path, yunet_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four sets of a few people, real clips of a real photograph, the real detector; one epoch."""
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
    data = official.four_small_sets(tmp_path / "d")
    command = ["benchmark", "--data", *(f"{name}={root}" for name, root in data.items())]
    command += ["--protocols", "ocim", "--methods", "erm", "--seeds", "0", "--epochs", "1"]
    command += ["--runs", str(tmp_path / "runs"), "--data-out", str(tmp_path / "data")]
    command += ["--prepare.size", "32", "--prepare.frames", "1"]
    assert main(command) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "oulu-npu: 40 of 4950 videos are there" in said
    page = (tmp_path / "runs/benchmark.md").read_text()
    assert all(f"->{target}" in page for target in data)
    assert "imulated" not in page
    crops = read_table(tmp_path / "data/joint/crops.parquet", CROPS)
    assert crops.group_by("dataset").len().sort("dataset")["len"].to_list() == [48, 24, 40, 72]
    assert pl.read_parquet(tmp_path / "data/joint/failures.parquet").is_empty()
    assert main(command) == 0  # all is there: nothing is done again
    capsys.readouterr()
    note = tmp_path / "data/joint/prepare.json"
    written = note.stat().st_mtime_ns
    assert main([*command, "--list"]) == 0
    assert "4 done" in capsys.readouterr().out
    assert note.stat().st_mtime_ns == written  # a list prepares nothing


def test_data_that_is_not_named_like_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given, words in (
        (["--data", "oulu-npu"], "'oulu-npu' is not SOURCE=FOLDER"),
        (["--data", "oulu-npu=a", "oulu-npu=b"], "'oulu-npu' is named twice"),
        (["--data", f"oulu=={tmp_path}"], "unknown source 'oulu'"),
        ([], "either a prepared folder or --data"),
    ):
        assert main(["benchmark", *given]) == 2
        assert words in capsys.readouterr().err
