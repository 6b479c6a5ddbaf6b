"""The four licensed sets, complete and damaged in every way that happens to a data set on its way to a disk."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import official
from safas import audit as auditing
from safas.audit import Audit, audit
from safas.cli import main
from safas.errors import InputError
from safas.sources import read_boxes, read_source
from safas.table import SAMPLES

Make = Callable[[Path], Path]
WHOLE: dict[str, tuple[Make, int, int]] = {
    "oulu-npu": (official.oulu, 4950, 55),
    "casia-fasd": (official.casia, 600, 50),
    "replay-attack": (official.replay, 1200, 50),
    "msu-mfsd": (official.msu, 280, 35),
}
PUBLISHED = {  # (train, dev, test) live and spoof, from the sets' papers
    "oulu-npu": ((360, 270, 360), (1440, 1080, 1440)),
    "casia-fasd": ((60, 0, 90), (180, 0, 270)),
    "replay-attack": ((60, 60, 80), (300, 300, 400)),
    "msu-mfsd": ((30, 0, 40), (90, 0, 120)),
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("sets")
    return {name: make(top / name) for name, (make, _, _) in WHOLE.items()}


def look(name: str, root: Path, out: Path) -> Audit:
    return audit(name, root, out, workers=1, progress=False)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_set_audits_clean(name: str, trees: dict[str, Path], tmp_path: Path) -> None:
    found = look(name, trees[name], tmp_path)
    assert found.complete
    silent = ("missing", "unreadable", "crossing", "problems", "copies", "renamed", "extra")
    assert {kind: list(getattr(found, kind)) for kind in silent} == {kind: [] for kind in silent}
    assert sum(row["files"] for row in found.counts) == WHOLE[name][1]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_set_is_read_with_the_published_counts(name: str, trees: dict[str, Path]) -> None:
    samples = read_source(name, trees[name])
    _, videos, people = WHOLE[name]
    assert len(samples) == samples["path"].n_unique() == videos
    assert samples["subject"].n_unique() == people
    assert samples["domain"].unique().to_list() == [name]
    for label, counts in zip(("live", "spoof"), PUBLISHED[name], strict=True):
        of = samples.filter(label=label)["split"]
        assert tuple((of == split).sum() for split in ("train", "dev", "test")) == counts
    assert all((trees[name] / path).is_file() for path in samples["path"])


def test_what_the_owners_call_it_becomes_the_fields_terms(trees: dict[str, Path]) -> None:
    """One video of each kind, read by hand from the sets' descriptions."""

    def one(name: str, video: str) -> tuple[str, ...]:
        samples = read_source(name, trees[name]).filter(pl.col("video") == video)
        columns = ("split", "label", "attack", "instrument", "subject", "device", "session", "quality")
        return samples.select(columns).row(0)

    assert one("oulu-npu", "3_2_36_5") == (
        "test", "spoof", "replay_video", "display/2", "36", "phone/3", "2", "",
    )  # fmt: skip
    assert one("casia-fasd", "test/1/HR_3") == (
        "test", "spoof", "cut", "photo/cut", "test-01", "camera/high", "", "high",
    )  # fmt: skip
    assert one("replay-attack", "devel/attack/hand/attack_mobile_client016_session01_mobile_photo_adverse") == (
        "dev", "spoof", "replay_photo", "mobile/hand", "016", "webcam", "adverse", "320x240",
    )  # fmt: skip
    assert one("msu-mfsd", "real/real_client002_android_SD_scene01") == (
        "train", "live", "none", "", "002", "android_SD", "scene01", "720x480",
    )  # fmt: skip


SPECIES: dict[str, dict[str, tuple[str, str]]] = {  # as the owners name a file, by datasets' descriptions
    "oulu-npu": {
        r"_1\.avi$": ("none", ""), r"_2\.avi$": ("print", "print/1"), r"_3\.avi$": ("print", "print/2"),
        r"_4\.avi$": ("replay_video", "display/1"), r"_5\.avi$": ("replay_video", "display/2"),
    },
    "casia-fasd": {
        r"/(1|2|HR_1)\.avi$": ("none", ""), r"/(3|4|HR_2)\.avi$": ("print", "photo/warped"),
        r"/(5|6|HR_3)\.avi$": ("cut", "photo/cut"), r"/(7|8|HR_4)\.avi$": ("replay_video", "tablet"),
    },
    "replay-attack": {
        r"/real/": ("none", ""),
        r"/fixed/attack_print_.*_highdef_photo_": ("print", "print/fixed"),
        r"/hand/attack_print_.*_highdef_photo_": ("print", "print/hand"),
        r"/fixed/attack_mobile_.*_mobile_photo_": ("replay_photo", "mobile/fixed"),
        r"/hand/attack_mobile_.*_mobile_photo_": ("replay_photo", "mobile/hand"),
        r"/fixed/attack_mobile_.*_mobile_video_": ("replay_video", "mobile/fixed"),
        r"/hand/attack_mobile_.*_mobile_video_": ("replay_video", "mobile/hand"),
        r"/fixed/attack_highdef_.*_highdef_photo_": ("replay_photo", "highdef/fixed"),
        r"/hand/attack_highdef_.*_highdef_photo_": ("replay_photo", "highdef/hand"),
        r"/fixed/attack_highdef_.*_highdef_video_": ("replay_video", "highdef/fixed"),
        r"/hand/attack_highdef_.*_highdef_video_": ("replay_video", "highdef/hand"),
    },
    "msu-mfsd": {
        r"/real/": ("none", ""), r"_printed_photo_": ("print", "printed_photo"),
        r"_ipad_video_": ("replay_video", "ipad_video"), r"_iphone_video_": ("replay_video", "iphone_video"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIES)
def test_every_file_is_of_the_species_that_its_name_says(name: str, trees: dict[str, Path]) -> None:
    for path, label, *told in (
        read_source(name, trees[name]).select("path", "label", "attack", "instrument").rows()
    ):
        (expected,) = (kind for pattern, kind in SPECIES[name].items() if re.search(pattern, path))
        assert tuple(told) == expected, path
        assert label == ("live" if expected[0] == "none" else "spoof"), path


@pytest.fixture
def small(tmp_path: Path, trees: dict[str, Path]) -> Path:
    """CASIA-FASD again, to be damaged: links of its own."""
    return Path(shutil.copytree(trees["casia-fasd"], tmp_path / "casia", copy_function=os.link))


def replace_by(path: Path, data: bytes) -> None:
    path.unlink()  # the hard links share their content
    path.write_bytes(data)


def test_a_missing_file(small: Path, tmp_path: Path) -> None:
    (small / "test_release/7/HR_2.avi").unlink()
    found = look("casia-fasd", small, tmp_path / "out")
    assert (found.missing, found.complete) == (["test_release/7/HR_2.avi"], False)
    assert {"split": "test", "label": "spoof", "files": 269, "published": 270} in found.published


def test_a_renamed_file_is_missing_and_extra(small: Path, tmp_path: Path) -> None:
    (small / "train_release/3/4.avi").rename(small / "train_release/3/four.avi")
    found = look("casia-fasd", small, tmp_path / "out")
    assert found.missing == ["train_release/3/4.avi"]
    assert found.extra == ["train_release/3/four.avi"]
    assert not found.complete


def test_an_extra_file_is_told_and_passed_over(small: Path, tmp_path: Path) -> None:
    official.clip(small / "train_release/21/1.avi")
    found = look("casia-fasd", small, tmp_path / "out")
    assert (found.extra, found.complete) == (["train_release/21/1.avi"], True)
    assert len(read_source("casia-fasd", small)) == 600


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("train_release/5/HR_1.avi", "train_release/5/hr_1.AVI"),
        ("train_release/5/HR_1.avi", "train_release/5/HR-1.avi"),
        ("train_release", "Train-Release"),
    ],
)
def test_wrong_case_and_separators_are_read_and_told(
    small: Path, tmp_path: Path, before: str, after: str
) -> None:
    (small / before).rename(small / after)
    found = look("casia-fasd", small, tmp_path / "out")
    assert found.complete
    assert any(ours.startswith(before) and theirs.startswith(after) for ours, theirs in found.renamed)
    assert not found.missing
    assert not found.extra
    assert len(read_source("casia-fasd", small)) == 600


def test_another_ending_is_read_and_told(small: Path, tmp_path: Path) -> None:
    (small / "test_release/2/5.avi").unlink()
    official.clip(small / "test_release/2/5.mp4", seed=5)
    found = look("casia-fasd", small, tmp_path / "out")
    assert found.renamed == [("test_release/2/5.avi", "test_release/2/5.mp4")]
    assert len(read_source("casia-fasd", small)) == 600


def test_broken_files_are_named_with_the_reason(small: Path, tmp_path: Path) -> None:
    whole = (small / "train_release/1/1.avi").read_bytes()
    replace_by(small / "train_release/1/1.avi", whole[: len(whole) // 2])
    replace_by(small / "train_release/1/2.avi", b"")
    replace_by(small / "train_release/1/3.avi", b"<html>404</html>" * 50)
    found = look("casia-fasd", small, tmp_path / "out")
    assert [path for path, _ in found.unreadable] == [f"train_release/1/{n}.avi" for n in (1, 2, 3)]
    reasons = [reason for _, reason in found.unreadable]
    assert "cut off" in reasons[0]
    assert "empty" in reasons[1]
    assert "not a readable video" in reasons[2]
    assert not found.complete


def test_a_file_without_permission(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything: there the refusal is made by hand."""
    locked = small / "train_release/1/4.avi"
    replace_by(locked, locked.read_bytes())
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        opened = Path.open

        def refuse(self: Path, *args: object, **kwargs: object) -> object:
            if self == locked:
                raise PermissionError(13, "Permission denied", str(self))
            return opened(self, *args, **kwargs)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", refuse)
    found = look("casia-fasd", small, tmp_path / "out")
    assert found.unreadable == [("train_release/1/4.avi", "Permission denied")]
    monkeypatch.undo()
    locked.chmod(0o644)  # which changes neither size nor time: what could not be read is tried again
    assert look("casia-fasd", small, tmp_path / "out").unreadable == []


def test_a_folder_without_permission_is_no_smaller_set(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything: the refusal is made by hand."""
    scan = os.scandir

    def refuse(path: Path) -> object:
        if path == small / "train_release/1":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"train_release/1: the folder cannot be read \(Permission denied\)"):
        read_source("casia-fasd", small)


def test_a_loop_of_links_and_a_link_to_nowhere(small: Path, tmp_path: Path) -> None:
    (small / "train_release/1/again").symlink_to(small)
    (small / "train_release/1/itself").symlink_to(small / "train_release/1/itself")
    (small / "train_release/2/1.avi").unlink()
    (small / "train_release/2/1.avi").symlink_to(small / "gone.avi")
    found = look("casia-fasd", small, tmp_path / "out")
    assert dict(found.problems)["train_release/1/again"].startswith("a link that leads back")
    assert dict(found.problems)["train_release/2/1.avi"].startswith("a link to nowhere")
    assert dict(found.problems)["train_release/1/itself"].startswith("a link ")
    assert found.missing == ["train_release/2/1.avi"]


def test_a_folder_that_is_a_link_is_followed(small: Path, tmp_path: Path) -> None:
    (small / "train_release").rename(tmp_path / "elsewhere")
    (small / "train_release").symlink_to(tmp_path / "elsewhere")
    assert look("casia-fasd", small, tmp_path / "out").complete


def test_a_copy_under_another_name(small: Path, tmp_path: Path) -> None:
    for name in ("1", "2"):
        replace_by(small / f"test_release/9/{name}.avi", official.clip(tmp_path / "x.avi", 9).read_bytes())
    found = look("casia-fasd", small, tmp_path / "out")
    assert found.copies == [("test_release/9/1.avi", "test_release/9/2.avi")]


def test_one_file_in_two_rows_that_contradict_each_other(tmp_path: Path) -> None:
    """It would be trained on as one person's and tested on as another's; rows that agree are nothing to tell."""
    official.clip(tmp_path / "1.avi", 1)
    official.clip(tmp_path / "2.avi", 2)
    usual = {"dataset": "m", "domain": "d", "media": "video", "label": "live", "attack": "none"}
    rows = [
        {**usual, "video": "a", "path": "1.avi", "split": "train", "subject": "anna"},
        {**usual, "video": "b", "path": "2.avi", "split": "train", "subject": "anna"},
        {**usual, "video": "c", "path": "2.avi", "split": "train", "subject": "anna"},
        {**usual, "video": "d", "path": "./1.avi", "split": "test", "subject": "bert"},
    ]
    pl.DataFrame([{**dict.fromkeys(SAMPLES, ""), **row} for row in rows]).write_csv(tmp_path / "samples.csv")
    found = look("table", tmp_path, tmp_path / "out")
    assert found.copies == [("1.avi as video a", "./1.avi as video d")]


def test_damaged_lists_of_a_protocol(tmp_path: Path, trees: dict[str, Path]) -> None:
    root = Path(shutil.copytree(trees["oulu-npu"], tmp_path / "oulu", copy_function=os.link))
    unharmed = root / "Protocols/Protocol_1/Dev.txt"
    text = unharmed.read_text()
    unharmed.unlink()
    unharmed.write_text(f"{text}\n\n")
    turned = root / "Protocols/Protocol_3/Train_2.txt"
    text = turned.read_text()
    turned.unlink()
    turned.write_text(text.replace("+1,1_1_01_1\n", "-1,1_1_01_1\n"))
    for name, text in {"1/Train": "", "2/Test": "+1,1_1_36_1\n", "3/Dev_4": None}.items():
        path = root / f"Protocols/Protocol_{name}.txt"
        path.unlink()
        if text is not None:
            path.write_text(text)
    found = dict(look("oulu-npu", root, tmp_path / "out").problems)
    assert found["Protocols/Protocol_1/Train.txt"] == "the protocol's list is empty"
    assert (
        found["Protocols/Protocol_2/Test.txt"] == "the protocol's list differs in 1079 videos, lacks 1_1_36_3"
    )
    assert found["Protocols/Protocol_3/Dev_4.txt"] == "the protocol's list is missing"
    wrong = "the protocol's list has other labels of 1 videos: -1 of 1_1_01_1, which is +1"
    assert found["Protocols/Protocol_3/Train_2.txt"] == wrong
    assert len(found) == 4


def test_a_person_in_both_lists_of_msu(tmp_path: Path, trees: dict[str, Path]) -> None:
    root = Path(shutil.copytree(trees["msu-mfsd"], tmp_path / "msu"))
    with (root / "test_sub_list.txt").open("a") as lines:
        lines.write("02\n")
    found = look("msu-mfsd", root, tmp_path / "out")
    assert found.crossing == [("msu-mfsd/002", "test, train")]
    assert found.problems == [("test_sub_list.txt", "names 21 people instead of 20")]


def test_msu_without_its_lists(tmp_path: Path, trees: dict[str, Path]) -> None:
    root = Path(shutil.copytree(trees["msu-mfsd"], tmp_path / "msu"))
    (root / "train_sub_list.txt").unlink()
    found = look("msu-mfsd", root, tmp_path / "out")
    assert ("train_sub_list.txt", "the list of people is missing") in found.problems
    assert not found.complete


def test_a_person_is_missing_from_replay_attack(tmp_path: Path, trees: dict[str, Path]) -> None:
    root = Path(shutil.copytree(trees["replay-attack"], tmp_path / "replay", copy_function=os.link))
    for path in (root / "devel").rglob("*client020*"):
        path.unlink()
    found = look("replay-attack", root, tmp_path / "out")
    assert found.problems == [("devel", "14 people instead of 15")]
    assert not found.complete


def test_equal_data_has_an_equal_digest_whatever_its_names(small: Path, tmp_path: Path) -> None:
    first = look("casia-fasd", small, tmp_path / "a").digest
    (small / "test_release").rename(small / "TEST_RELEASE")
    assert look("casia-fasd", small, tmp_path / "b").digest == first
    replace_by(small / "train_release/1/1.avi", official.clip(tmp_path / "y.avi", 3).read_bytes())
    assert look("casia-fasd", small, tmp_path / "b").digest != first


def test_other_labels_of_the_same_files_have_another_digest(tmp_path: Path, trees: dict[str, Path]) -> None:
    """Who is in which list of MSU-MFSD is told by no file's name."""
    first = look("msu-mfsd", trees["msu-mfsd"], tmp_path / "a").digest
    root = Path(shutil.copytree(trees["msu-mfsd"], tmp_path / "msu"))
    train, test = (root / f"{name}_sub_list.txt" for name in ("train", "test"))
    one, other = train.read_text().split(), test.read_text().split()
    one[0], other[0] = other[0], one[0]
    train.write_text("\n".join(one))
    test.write_text("\n".join(other))
    assert look("msu-mfsd", root, tmp_path / "b").digest != first


def test_a_second_audit_reads_only_what_changed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look("casia-fasd", small, tmp_path / "out")
    with (tmp_path / "out/.audit-casia-fasd.jsonl").open("a") as log:
        log.write('{"path": "tor')  # as a killed audit leaves it
    replace_by(small / "train_release/1/1.avi", official.clip(tmp_path / "y.avi", 3).read_bytes())
    looked: list[str] = []
    look_at = auditing._look
    monkeypatch.setattr(
        auditing, "_look", lambda state, folder: looked.append(state.path) or look_at(state, folder)
    )
    look("casia-fasd", small, tmp_path / "out")
    assert looked == ["train_release/1/1.avi"]


def test_the_command_says_by_its_exit_code(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["audit", "casia-fasd", str(small), *out]) == 0
    (small / "test_release/30/8.avi").unlink()
    assert main(["audit", "casia-fasd", str(small), *out]) == 1
    said = capsys.readouterr().out
    assert "missing: test_release/30/8.avi" in said
    assert "casia-fasd: NOT complete" in said
    saved = json.loads((tmp_path / "out/audit-casia-fasd.json").read_text())
    assert saved["missing"] == ["test_release/30/8.avi"]
    assert saved["complete"] is False
    assert main(["audit", "no-such-set", str(small), *out]) == 2
    assert main(["audit", "oulu-npu", str(small), *out]) == 2


def test_sidecars(tmp_path: Path) -> None:
    """Boxes and eyes in the units of the sample table, worked by hand."""
    oulu = official.link_all(tmp_path / "oulu", ["Train_files/1_1_01_1.avi"])
    (oulu / "Train_files/1_1_01_1.txt").write_text("0,60,40,40,40\n1,0,0,0,0\n")
    samples = read_source("oulu-npu", oulu)
    boxes = read_boxes("oulu-npu", oulu, samples)
    assert boxes is not None
    assert boxes.rows() == [("1_1_01_1", 0, 27.0, 16.0, 46.0, 60.0, [40.0, 40.0, 60.0, 40.0])]

    name = "train/real/client001_session01_webcam_authenticate_adverse_1"
    replay = official.link_all(tmp_path / "replay", [f"{name}.mov"])
    faces = replay / f"Face-Locations/{name.title()}.face"
    faces.parent.mkdir(parents=True)
    faces.write_text("1 10 11 30 31\n2 0 0 0 0\n")
    boxes = read_boxes("replay-attack", replay, read_source("replay-attack", replay))
    assert boxes is not None
    assert boxes.rows() == [(name, 1, 10.0, 11.0, 30.0, 31.0)]

    stem = "scene01/real/real_client002_laptop_SD_scene01"
    msu = official.link_all(tmp_path / "msu", [f"{stem}.mov"])
    (msu / "train_sub_list.txt").write_text("02\n")
    (msu / "test_sub_list.txt").write_text("03\n")
    (msu / f"{stem}.face").write_text("0, 5, 6, 25, 36, 20, 12, 10, 12\n1, 5, 6, 25, 36\n")
    boxes = read_boxes("msu-mfsd", msu, read_source("msu-mfsd", msu))
    assert boxes is not None
    assert boxes.rows() == [
        (stem.removeprefix("scene01/"), 0, 5.0, 6.0, 20.0, 30.0, [10.0, 12.0, 20.0, 12.0]),
        (stem.removeprefix("scene01/"), 1, 5.0, 6.0, 20.0, 30.0, None),
    ]


def test_sidecars_are_found_as_the_videos_are(tmp_path: Path) -> None:
    """Upper case and the other separator; and a file of the same name with another ending is no sidecar."""
    root = official.link_all(tmp_path / "oulu", ["TRAIN-FILES/1-1-01-1.AVI", "TRAIN-FILES/1-1-02-1.AVI"])
    (root / "TRAIN-FILES/1-1-01-1.TXT").write_text("0,60,40,40,40\n")
    boxes = read_boxes("oulu-npu", root, read_source("oulu-npu", root))
    assert boxes is not None
    assert boxes["video"].to_list() == ["1_1_01_1"]

    stem = "scene01/real/real_client002_laptop_SD_scene01"
    msu = official.link_all(tmp_path / "msu", [f"{stem}.mov"])
    for name, client in (("train", "02"), ("test", "03")):
        (msu / f"{name}_sub_list.txt").write_text(f"{client}\n")
    (msu / f"{stem.upper()}.FACE").parent.mkdir(parents=True)
    (msu / f"{stem.upper()}.FACE").write_text("1, 5, 6, 25, 36\n")
    boxes = read_boxes("msu-mfsd", msu, read_source("msu-mfsd", msu))
    assert boxes is not None
    assert boxes["frame"].to_list() == [1]


def test_another_copy_of_the_set_is_looked_at_for_itself(small: Path, tmp_path: Path) -> None:
    """Same names, sizes and times of change: what was read elsewhere must not vouch for it."""
    copy = Path(shutil.copytree(small, tmp_path / "copy"))
    broken = copy / "train_release/1/1.avi"
    times = broken.stat()
    broken.write_bytes(b"\0" * times.st_size)
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look("casia-fasd", small, tmp_path / "out").complete
    assert [path for path, _ in look("casia-fasd", copy, tmp_path / "out").unreadable] == [
        "train_release/1/1.avi"
    ]


def test_a_table_of_ones_own_is_held_to_its_rules(tmp_path: Path) -> None:
    usual = {
        "dataset": "m",
        "domain": "d",
        "media": "video",
        "split": "train",
        "label": "live",
        "attack": "none",
    }
    rows = [
        {**usual, "video": "1", "path": "1.avi", "subject": "anna"},
        {**usual, "video": "1", "path": "gone.avi", "subject": "bert"},
    ]
    official.clip(tmp_path / "1.avi")
    pl.DataFrame([{**dict.fromkeys(SAMPLES, ""), **row} for row in rows]).write_csv(tmp_path / "samples.csv")
    found = look("table", tmp_path, tmp_path / "out")
    assert found.missing == ["gone.avi"]
    assert found.problems == [("the sample table", "the video id '1' stands in more than one row")]
    assert not found.complete
    rows = [{**rows[0], "subject": None}]
    (tmp_path / "samples.csv").unlink()
    pl.DataFrame([{**dict.fromkeys(SAMPLES, ""), **row} for row in rows]).write_parquet(
        tmp_path / "samples.parquet"
    )
    ((where, words),) = look("table", tmp_path, tmp_path / "out").problems
    assert where == "the sample table"
    assert "subject" in words
    with pytest.raises(InputError, match="workers = 0"):
        audit("table", tmp_path, tmp_path / "out", workers=0)


def test_a_name_that_is_no_text(small: Path, tmp_path: Path) -> None:
    """A name in Latin-1 that is no part of the set is told; in a tree of one's own it would be a lost video."""
    (small / "train_release/1/\udcfcml.avi").write_bytes(b"x")
    assert look("casia-fasd", small, tmp_path / "out").problems == [
        ("train_release/1/?ml.avi", "the name is no text in UTF-8")
    ]
    own = tmp_path / "own/phone/train/live/anna"
    own.mkdir(parents=True)
    (own / "\udcfcml.mp4").write_bytes(b"x")
    with pytest.raises(InputError, match="the name is no text in UTF-8"):
        read_source("folder", tmp_path / "own")


def test_a_list_with_a_byte_order_mark_and_a_slip(tmp_path: Path) -> None:
    stem = "scene01/real/real_client002_laptop_SD_scene01"
    msu = official.link_all(tmp_path / "msu", [f"{stem}.mov"])
    (msu / "train_sub_list.txt").write_text("\ufeff02\nnan\n", encoding="utf-8")
    (msu / "test_sub_list.txt").write_text("03\n")
    assert read_source("msu-mfsd", msu)["subject"].to_list() == ["002"]
