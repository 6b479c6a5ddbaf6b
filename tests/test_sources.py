"""Tables and trees of the real shape; every mistake is named."""

from pathlib import Path

import polars as pl
import pytest

from safas.errors import InputError, TableError
from safas.sources import SOURCES, media_root, read_boxes, read_source
from safas.table import BOXES, SAMPLES, write_table

TREE = (
    "phone/train/live/anna/1.mp4",
    "phone/train/spoof_print/anna/2.MP4",
    "phone/test/live/bert/a.png",
    "phone/test/spoof_replay_video/bert/b.avi",
    "webcam/dev/spoof/carla/c.mov",
    "webcam/dev/live/anna/d.mov",  # another domain's anna is another person
)


def lay(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def row(**changes: str) -> dict[str, str]:
    usual = {"dataset": "mine", "domain": "phone", "video": "v1", "path": "v1.mp4", "media": "video"}
    people = {"split": "train", "label": "live", "attack": "none", "subject": "anna"}
    return {**dict.fromkeys(SAMPLES, "x"), **usual, **people, **changes}


@pytest.fixture
def table() -> pl.DataFrame:
    return pl.DataFrame([row(video="b"), row(video="a", label="spoof", attack="print")])


def test_a_tree_of_files(tmp_path: Path) -> None:
    root = lay(tmp_path / "mine", *TREE, "README.txt", "phone/notes.md", ".cache/x/y/z/t.mp4")
    samples = read_source("folder", root)
    assert samples.equals(read_source("folder", str(root)))
    assert samples.columns == list(SAMPLES)
    assert set(samples["video"]) == set(TREE) == set(samples["path"])
    assert samples["dataset"].unique().to_list() == ["mine"]
    by_video = {row["video"]: row for row in samples.iter_rows(named=True)}
    image, attack, plain = (by_video[TREE[i]] for i in (2, 3, 4))
    assert (image["media"], image["split"], image["label"], image["attack"]) == (
        "image",
        "test",
        "live",
        "none",
    )
    assert (attack["media"], attack["label"], attack["attack"]) == ("video", "spoof", "replay_video")
    assert (plain["domain"], plain["subject"], plain["attack"]) == ("webcam", "carla", "other")
    assert all((root / path).is_file() for path in samples["path"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("phone/train/live/1.mp4", "wrong depth"),
        ("phone/train/live/anna/more/1.mp4", "wrong depth"),
        ("phone/devel/live/anna/1.mp4", "'devel' is no split"),
        ("phone/train/real/anna/1.mp4", "'real' is no label"),
        ("phone/train/spoof_none/anna/1.mp4", "'spoof_none' is no label"),
        ("phone/train/spoofprint/anna/1.mp4", "'spoofprint' is no label"),
    ],
)
def test_a_file_at_the_wrong_place(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_source("folder", lay(tmp_path, TREE[0], name))
    assert Path(caught.value.where) == tmp_path / name
    assert caught.value.remedy


def test_a_person_in_two_splits(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="'anna' of domain 'phone'"):
        read_source("folder", lay(tmp_path, TREE[0], "phone/test/live/anna/9.mp4"))


def test_no_video_below_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video and no image"):
        read_source("folder", lay(tmp_path, "a/b.txt"))


@pytest.mark.parametrize("name", ["samples.parquet", "samples.csv"])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_table(tmp_path: Path, table: pl.DataFrame, name: str, as_file: bool) -> None:
    path = tmp_path / name
    write_table(table, path) if path.suffix == ".parquet" else table.write_csv(path)
    root = path if as_file else tmp_path
    samples = read_source("table", root)
    assert samples["video"].to_list() == ["a", "b"]
    assert samples["attack"].to_list() == ["print", "none"]
    assert media_root(root) == tmp_path


def test_a_missing_column(tmp_path: Path, table: pl.DataFrame) -> None:
    table.drop("subject").write_csv(tmp_path / "samples.csv")
    with pytest.raises(TableError, match="subject"):
        read_source("table", tmp_path)


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"samples\.parquet or samples\.csv"):
        read_source("table", lay(tmp_path, "x.mp4"))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_refuses_alike(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such"):
        read_source(name, tmp_path / "nowhere")
    with pytest.raises(InputError, match="empty"):
        read_source(name, tmp_path)


def test_an_unknown_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="table, folder"):
        read_source("casia", tmp_path)


def test_boxes_beside_the_table(tmp_path: Path) -> None:
    assert read_boxes("table", tmp_path, pl.DataFrame()) is None
    boxes = pl.DataFrame({"video": ["a"], "frame": [0], **{f"box_{side}": [1.5] for side in "xywh"}})
    boxes.write_csv(tmp_path / "boxes.csv")
    found = read_boxes("table", tmp_path, pl.DataFrame())
    assert found is not None
    assert found.schema == dict(BOXES)
    assert found.row(0) == ("a", 0, 1.5, 1.5, 1.5, 1.5)
    boxes.drop("box_h").write_parquet(tmp_path / "boxes.parquet")
    with pytest.raises(TableError, match="box_h"):
        read_boxes("table", tmp_path, pl.DataFrame())
