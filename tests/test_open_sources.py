"""CelebA-Spoof, SiW, ROSE-Youtu and WMCA from trees of the owners' shape; every expectation is written out by hand."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

from safas.errors import InputError, TableError
from safas.media import evenly_spaced
from safas.sources import SOURCES, read_boxes, read_source
from safas.sources.image_size import image_size
from safas.sources.tree import walk
from safas.table import BOXES

NAMES = ("celeba-spoof", "siw", "rose-youtu", "wmca")


def lay(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def by_video(samples: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["video"]: row for row in samples.iter_rows(named=True)}


def label(kind: int, light: int, place: int) -> list[int]:
    """40 face attributes, spoof type, illumination, environment, live or spoof."""
    return [1, -1] * 20 + [kind, light, place, int(kind > 0)]


CELEBA = {
    "train": {
        "Data/train/1/live/000184.jpg": label(0, 0, 0),
        "Data/train/1/spoof/000001.png": label(1, 1, 1),
        "Data/train/1/spoof/000002.png": label(6, 4, 2),
        "Data/train/27/spoof/000003.jpg": label(9, 2, 1),
    },
    "test": {
        "Data/test/4980/live/496184.png": label(0, 0, 0),
        "Data/test/4980/spoof/496185.png": label(10, 3, 2),
    },
}


def celeba(root: Path, lists: Mapping[str, Mapping[str, Sequence[int]]] = CELEBA) -> Path:
    for split, labels in lists.items():
        path = root / f"metas/intra_test/{split}_label.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(labels))
        lay(root, *labels)
    return root


WMCA_LIST = """,path,label,group
0,face-station/12.02.18/100_03_015_2_10,attack,train
1,face-station/12.02.18/005_03_000_0_01,real,train
2,face-station/31.01.18/514_01_035_1_05,attack,dev
3,face-station/31.01.18/012_01_000_3_05,attack,eval
4,face-station/31.01.18/019_01_000_4_02,attack,eval
"""
WMCA = (
    "face-station/12.02.18/100_03_015_2_10.mp4",
    "face-station/12.02.18/005_03_000_0_01.mp4",
    "face-station/31.01.18/514_01_035_1_05.mp4",
    "face-station/31.01.18/012_01_000_3_05.mp4",
    "face-station/31.01.18/019_01_000_4_02.mp4",
)


def wmca(root: Path, *names: str, text: str = WMCA_LIST) -> Path:
    lay(root, *(names or WMCA), "documentation/PROTOCOL-grandtest.csv")
    (root / "documentation/PROTOCOL-grandtest.csv").write_text(text)
    return root


SIW = (
    "Train/live/003/003-1-1-1-1.mov",
    "Train/spoof/003/003-1-2-1-2.mov",
    "Train/spoof/003/003-2-3-4-1.mov",
    "Test/live/165/165-2-1-2-2.mov",
)
ROSE = (
    "7/G_NT_HS_wg_E_7_6.mp4",
    "7/Vl_NT_HS_wg_E_7_120.mp4",
    "12/Pq_T_5s_g_E_12_3.mp4",
    "13/Mc_T_ZTE_wg_E_13_9.mp4",
)


def complete(name: str, root: Path) -> Path:
    """A small tree of the set as its owners deliver it."""
    if name == "celeba-spoof":
        return celeba(root)
    return wmca(root) if name == "wmca" else lay(root, *(SIW if name == "siw" else ROSE))


def test_a_list_of_wmca_with_a_byte_order_mark_and_no_header(tmp_path: Path) -> None:
    text = "".join(line.partition(",")[2] for line in WMCA_LIST.splitlines(keepends=True)[1:])
    root = wmca(tmp_path, text="\ufeff" + text)
    assert len(read_source("wmca", root)) == len(WMCA)


# every source


@pytest.mark.parametrize("name", NAMES)
def test_extra_files_are_passed_over(tmp_path: Path, name: str) -> None:
    root = complete(name, tmp_path)
    before = read_source(name, root)
    lay(
        root, "README.txt", "notes/7.mp4", "Train/live/003/notes.txt", "Data/train/1/live/holiday.jpg", "a.h5"
    )
    assert read_source(name, root).equals(before)
    assert set(before["dataset"]) == set(before["domain"]) == {name}
    assert all((root / path).is_file() for path in before["path"])


@pytest.mark.parametrize("name", NAMES)
def test_case_and_separators_do_not_matter(tmp_path: Path, name: str) -> None:
    """Every file as a careless copy may have it: upper case, and the other separator."""
    root, other = complete(name, tmp_path / "a"), tmp_path / "b"
    expected = read_source(name, root)
    swapped = str.maketrans("-_", "_-")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        copy = other / str(path.relative_to(root)).upper().translate(swapped)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    found = read_source(name, other)
    assert found.drop("path").equals(expected.drop("path"))
    assert all((other / path).is_file() for path in found["path"])


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_without_the_set(tmp_path: Path, name: str) -> None:
    root = complete(name, tmp_path)
    for path in sorted(path for path in root.rglob("*.*") if path.is_file()):
        if path.suffix not in (".json", ".csv"):
            path.unlink()
    lay(root, "elsewhere/clip.mp4")
    with pytest.raises(InputError, match="lies here") as caught:
        read_source(name, root)
    assert caught.value.where == str(root)
    assert "for example" in caught.value.remedy


@pytest.mark.parametrize("name", NAMES)
def test_nobody_trains_and_tests(name: str, tmp_path: Path) -> None:
    samples = read_source(name, complete(name, tmp_path))
    assert {"train", "test"} <= set(samples["split"])
    assert samples.group_by("subject").agg(pl.col("split").n_unique())["split"].max() == 1


@pytest.mark.parametrize("name", NAMES)
def test_no_boxes_where_there_are_no_sidecars(tmp_path: Path, name: str) -> None:
    root = complete(name, tmp_path)
    assert read_boxes(name, root, read_source(name, root)) is None


# CelebA-Spoof


def test_celeba_spoof(tmp_path: Path) -> None:
    samples = read_source("celeba-spoof", celeba(tmp_path))
    rows = by_video(samples)
    assert set(samples["media"]) == {"image"}
    columns = ("split", "label", "attack", "instrument", "subject", "session")
    assert {video: tuple(row[name] for name in columns) for video, row in rows.items()} == {
        "train/1/live/000184": ("train", "live", "none", "", "1", ""),
        "train/1/spoof/000001": ("train", "spoof", "print", "photo", "1", "normal/indoor"),
        "train/1/spoof/000002": ("train", "spoof", "cut", "region mask", "1", "dark/outdoor"),
        "train/27/spoof/000003": ("train", "spoof", "replay_photo", "phone", "27", "strong/indoor"),
        "test/4980/live/496184": ("test", "live", "none", "", "4980", ""),
        "test/4980/spoof/496185": ("test", "spoof", "mask", "3d mask", "4980", "back/outdoor"),
    }


@pytest.mark.parametrize(
    ("kind", "attack"),
    list(enumerate(["none", *["print"] * 3, *["cut"] * 3, *["replay_photo"] * 3, "mask"])),
)
def test_the_spoof_types_of_celeba_spoof(tmp_path: Path, kind: int, attack: str) -> None:
    folder = "spoof" if kind else "live"
    labels = {"train": {f"Data/train/2/{folder}/1.png": label(kind, 0, 0)}, "test": CELEBA["test"]}
    assert (
        by_video(read_source("celeba-spoof", celeba(tmp_path, labels)))[f"train/2/{folder}/1"]["attack"]
        == attack
    )


def test_an_image_that_the_lists_name_and_that_is_missing(tmp_path: Path) -> None:
    root = celeba(tmp_path)
    (root / "Data/train/27/spoof/000003.jpg").unlink()
    assert "train/27/spoof/000003" not in by_video(read_source("celeba-spoof", root))
    assert len(read_source("celeba-spoof", root)) == 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"Data/train/1/live/000184.jpg": [1, 0', "not readable as JSON"),
        ("\x00\xff", "not readable as JSON"),
        ("[1, 2]", "no labels by path"),
        ("{}", "no labels by path"),
        ('{"Data/train/1/live/000184.jpg": [0, 0, 0]}', "44 numbers"),
        ('{"Data/train/1/live/000184.jpg": 0}', "44 numbers"),
        (json.dumps({"Data/train/1/live/000184.jpg": label(11, 0, 0)}), "44 numbers"),
        (json.dumps({"Data/train/1/live/000184.jpg": label(-1, 0, 0)}), "44 numbers"),
        (json.dumps({"somewhere/000184.jpg": label(0, 0, 0)}), "'somewhere/000184.jpg', which is no path"),
    ],
)
def test_damaged_labels(tmp_path: Path, text: str, reason: str) -> None:
    root = celeba(tmp_path)
    file = root / "metas/intra_test/train_label.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=reason) as caught:
        read_source("celeba-spoof", root)
    assert caught.value.where == str(file)
    assert "Unpack it again" in caught.value.remedy


def test_a_list_of_labels_that_is_missing(tmp_path: Path) -> None:
    root = celeba(tmp_path)
    (root / "metas/intra_test/test_label.json").unlink()
    with pytest.raises(InputError, match="labels is missing") as caught:
        read_source("celeba-spoof", root)
    assert caught.value.where.endswith("test_label.json")
    assert "Data and metas" in caught.value.remedy


def paint(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def test_the_boxes_of_celeba_spoof_are_scaled_to_the_image(tmp_path: Path) -> None:
    """448 x 112 pixels: across 448 / 224 = 2, down 112 / 224 = 1/2."""
    root = celeba(tmp_path)
    paint(root / "Data/train/1/live/000184.jpg", 448, 112)
    paint(root / "Data/train/1/spoof/000001.png", 448, 112)
    paint(root / "Data/train/1/spoof/000002.png", 448, 112)
    (root / "Data/train/1/live/000184_BB.txt").write_text("61 45 61 112 0.9970805\n")
    (root / "Data/train/1/spoof/000001_BB.txt").write_text("10.0 20.0 30.0 40.0 0.5")
    (root / "Data/train/1/spoof/000002_BB.txt").write_text("0 0 0 0 0")  # no face
    (root / "Data/train/27/spoof/000003_BB.txt").write_text("1 2 3 4 0.5")  # its image is none
    (root / "Data/test/4980/live/496184_BB.txt").write_text("no numbers")
    found = read_boxes("celeba-spoof", root, read_source("celeba-spoof", root))
    assert found is not None
    assert found.schema == dict(BOXES)
    assert sorted(found.rows()) == [
        ("train/1/live/000184", 0, 122.0, 22.5, 122.0, 56.0),
        ("train/1/spoof/000001", 0, 20.0, 10.0, 60.0, 20.0),
    ]


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_the_size_of_an_image(tmp_path: Path, ending: str) -> None:
    paint(tmp_path / f"a.{ending}", 37, 21)
    assert image_size(tmp_path / f"a.{ending}") == (37, 21)


def test_the_size_of_an_image_that_is_stored_lying(tmp_path: Path) -> None:
    """EXIF orientation 6, a quarter turn: 37 x 21 stored pixels stand upright as 21 x 37."""
    paint(tmp_path / "a.jpg", 37, 21)
    plain = (tmp_path / "a.jpg").read_bytes()
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    (tmp_path / "a.jpg").write_bytes(
        plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
    )
    assert image_size(tmp_path / "a.jpg") == (21, 37)


def test_the_size_of_a_png_that_is_stored_lying(tmp_path: Path) -> None:
    """The same orientation in a chunk between those of the head and of the pixels."""
    paint(tmp_path / "a.png", 37, 21)
    plain = (tmp_path / "a.png").read_bytes()
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    chunk = b"eXIf" + tiff
    exif = len(tiff).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(plain[:33] + exif + plain[33:])
    assert image_size(tmp_path / "a.png") == (21, 37)
    (frame,) = evenly_spaced(tmp_path / "a.png", 1)
    assert frame.image.shape == (37, 21, 3)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\x89PNG\r\n\x1a\n"]
)
def test_no_size_of_what_is_no_image(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    assert image_size(tmp_path / "a.jpg") is None
    assert image_size(tmp_path / "nowhere.jpg") is None


def test_the_audit_learns_every_image_from_the_lists(tmp_path: Path) -> None:
    root = celeba(tmp_path)
    official = SOURCES["celeba-spoof"].official
    assert official is not None
    assert {row["path"] for row in official(walk(root))} == set(CELEBA["train"]) | set(CELEBA["test"])


# SiW


def test_siw(tmp_path: Path) -> None:
    rows = by_video(read_source("siw", lay(tmp_path, *SIW)))
    columns = ("split", "label", "attack", "instrument", "subject", "device", "session")
    assert {video: tuple(row[name] for name in columns) for video, row in rows.items()} == {
        "003-1-1-1-1": ("train", "live", "none", "", "003", "sensor/1", "1-1"),
        "003-1-2-1-2": ("train", "spoof", "print", "print/1", "003", "sensor/1", "2"),
        "003-2-3-4-1": ("train", "spoof", "replay_video", "replay/4", "003", "sensor/2", "1"),
        "165-2-1-2-2": ("test", "live", "none", "", "165", "sensor/2", "2-2"),
    }


def test_a_name_and_a_folder_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="'003-1-2-1-2' has label 'live' and attack 'print'"):
        read_source("siw", lay(tmp_path, "Train/live/003/003-1-2-1-2.mov"))


def test_a_person_of_siw_in_train_and_test(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="'003' of domain 'siw' stands in more"):
        read_source("siw", lay(tmp_path, *SIW, "Test/live/003/003-1-1-1-2.mov"))


def test_the_boxes_of_siw(tmp_path: Path) -> None:
    """A line's place is the frame's: the empty and the faceless lines still count."""
    root = lay(tmp_path, *SIW)
    (root / "Train/live/003/003-1-1-1-1.face").write_text(
        "10 20 110 220\n0 0 0 0\n\n11, 21, 111, 221\n1 2 3\n", encoding="utf-8-sig"
    )
    found = read_boxes("siw", root, read_source("siw", root))
    assert found is not None
    assert found.rows() == [
        ("003-1-1-1-1", 0, 10.0, 20.0, 100.0, 200.0),
        ("003-1-1-1-1", 3, 11.0, 21.0, 100.0, 200.0),
    ]


def test_siw_is_counted_as_published() -> None:
    counts = SOURCES["siw"].counts
    assert sum(counts.values()) == 4478
    assert sum(count for (split, _), count in counts.items() if split == "test") == 2061


# ROSE-Youtu


def test_rose_youtu(tmp_path: Path) -> None:
    rows = by_video(read_source("rose-youtu", lay(tmp_path, *ROSE)))
    columns = ("split", "label", "attack", "instrument", "subject", "device", "quality", "session")
    assert {video: tuple(row[name] for name in columns) for video, row in rows.items()} == {
        "G_NT_HS_wg_E_7_6": ("train", "live", "none", "", "07", "hasee", "640x480", "NT-wg-E"),
        "Vl_NT_HS_wg_E_7_120": (
            "train", "spoof", "replay_video", "display/lenovo", "07", "hasee", "640x480", "NT-wg-E",
        ),
        "Pq_T_5s_g_E_12_3": (
            "train", "spoof", "print", "print/quivering", "12", "iphone-5s", "1280x720", "T-g-E",
        ),
        "Mc_T_ZTE_wg_E_13_9": (
            "test", "spoof", "mask", "paper/eyes and mouth cut out", "13", "zte", "1280x720", "T-wg-E",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "attack"),
    [
        ("G", "none"),
        *((code, "print") for code in ("Ps", "Pq")),
        *((code, "replay_video") for code in ("Vl", "Vm")),
        *((code, "mask") for code in ("Mc", "Mf", "Mu", "Ml")),
    ],
)
def test_the_attacks_of_rose_youtu(tmp_path: Path, code: str, attack: str) -> None:
    samples = read_source("rose-youtu", lay(tmp_path, f"2/{code}_T_IP_g_E_2_1.mp4"))
    assert samples["attack"].to_list() == [attack]


def test_ten_people_train_and_ten_test(tmp_path: Path) -> None:
    people = (*range(2, 8), *range(9, 19), *range(20, 24))
    samples = read_source("rose-youtu", lay(tmp_path, *(f"{who}/G_T_HW_g_E_{who}_1.mp4" for who in people)))
    assert samples["split"].value_counts().sort("split").rows() == [("test", 10), ("train", 10)]


def test_the_folders_of_rose_youtu_do_not_matter(tmp_path: Path) -> None:
    samples = read_source(
        "rose-youtu", lay(tmp_path, "videos/7/Left/G_NT_HS_wg_E_7_6.mp4", "G_T_HS_wg_E_8_1.avi")
    )
    assert samples["video"].to_list() == ["G_NT_HS_wg_E_7_6", "G_T_HS_wg_E_8_1"]


# WMCA


def test_wmca(tmp_path: Path) -> None:
    rows = by_video(read_source("wmca", wmca(tmp_path)))
    columns = ("split", "label", "attack", "instrument", "subject", "session")
    assert {video: tuple(row[name] for name in columns) for video, row in rows.items()} == {
        "100_03_015_2_10": ("train", "spoof", "mask", "paper mask/10", "100", "03"),
        "005_03_000_0_01": ("train", "live", "none", "", "005", "03"),
        "514_01_035_1_05": ("dev", "spoof", "other", "glasses/05", "514", "01"),
        "012_01_000_3_05": ("test", "spoof", "replay_photo", "electronic photo/05", "012", "01"),
        "019_01_000_4_02": ("test", "spoof", "replay_photo", "paused video/02", "019", "01"),
    }


@pytest.mark.parametrize(
    ("kind", "attack", "instrument"),
    [
        ("0_02", "none", ""),
        ("1_02", "mask", "rigid mask/02"),
        ("1_09", "other", "wig/09"),
        ("1_00", "other", "disguise/00"),
        ("2_01", "other", "fake head/01"),
        ("2_12", "mask", "rigid mask/12"),
        ("2_18", "mask", "flexible mask/18"),
        ("2_87", "mask", "flexible mask/87"),
        ("2_00", "other", "fake face/00"),
        ("3_01", "print", "print/01"),
        ("4_01", "replay_video", "video/01"),
        ("5_139", "makeup", "makeup/139"),
    ],
)
def test_the_attacks_of_wmca(tmp_path: Path, kind: str, attack: str, instrument: str) -> None:
    root = wmca(tmp_path, f"001_01_000_{kind}.mp4", text=f"001_01_000_{kind},dev\n")
    (row,) = read_source("wmca", root).iter_rows(named=True)
    assert (row["attack"], row["instrument"]) == (attack, instrument)


@pytest.mark.parametrize(
    "text",
    [
        "path,a,b,group\nface-station/12.02.18/100_03_015_2_10,1,2,train\n",
        ",client_id,path,group,label\n0,100,face-station/12.02.18/100_03_015_2_10.hdf5,train,attack\n",
        '"train";"100_03_015_2_10"\n',
    ],
)
def test_the_columns_of_the_list_may_stand_in_any_order(tmp_path: Path, text: str) -> None:
    samples = read_source("wmca", wmca(tmp_path, text=text))
    assert samples.select("video", "split").rows() == [
        ("100_03_015_2_10", "train")
    ]  # the others are not listed


def test_wmca_without_its_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no PROTOCOL-grandtest\.csv") as caught:
        read_source("wmca", lay(tmp_path, *WMCA))
    assert "anywhere below the folder" in caught.value.remedy
    root = wmca(tmp_path, text="nothing of the kind\n\x00")
    with pytest.raises(InputError, match="names no recording") as caught:
        read_source("wmca", root)
    assert caught.value.where.endswith("PROTOCOL-grandtest.csv")


def test_hdf5_files_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video of WMCA"):
        read_source("wmca", wmca(tmp_path, "face-station/12.02.18/100_03_015_2_10.hdf5"))


def test_one_recording_in_two_videos(tmp_path: Path) -> None:
    """Say, the colour and the infrared channel side by side: only the user knows which one is meant."""
    with pytest.raises(TableError, match="'100_03_015_2_10' stands in more than one row"):
        read_source("wmca", wmca(tmp_path, "rgb/100_03_015_2_10.mp4", "infrared/100_03_015_2_10.mp4"))
