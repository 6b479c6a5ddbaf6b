"""Real videos in, crops and rows out; broken ones are listed; killed or changed, it goes on where it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from skimage import data
from skimage.transform import rotate

from conftest import Write
from safas import __version__
from safas import prepare as module
from safas.errors import InputError, TableError
from safas.faces import Box, YuNet, aligned_crop, square_crop
from safas.media import evenly_spaced
from safas.prepare import PrepareConfig, prepare
from safas.table import CROPS, SAMPLES, read_table

SMALL = PrepareConfig(size=32, frames=2, margin=0.25, workers=1)


def sample(video: str, path: str, **changes: str) -> dict[str, str]:
    usual = {"dataset": "mine", "domain": "phone", "media": "video", "split": "train", "label": "live"}
    return {**dict.fromkeys(SAMPLES, ""), **usual, "attack": "none", "video": video, "path": path, **changes}


def box(video: str, frame: int, x: float, y: float, w: float, h: float) -> dict[str, object]:
    return {"video": video, "frame": frame, "box_x": x, "box_y": y, "box_w": w, "box_h": h}


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def times(root: Path, pattern: str = "*.png") -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob(pattern)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, write_video: Write) -> Path:
    """A good clip of each codec, an image, and everything that goes wrong."""
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(2)
    clip = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(8)]
    write_video(root / "phone" / "a.mp4", clip)
    write_video(root / "b.avi", clip, codec="mjpeg")
    (root / "c.png").write_bytes(cv2.imencode(".png", clip[0])[1].tobytes())
    (root / "cut.avi").write_bytes((root / "b.avi").read_bytes()[:9000])
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mov").write_text("no video")
    return root


@pytest.fixture(scope="module")
def samples() -> pl.DataFrame:
    print_attack = {"label": "spoof", "attack": "print"}
    return pl.DataFrame(
        [
            sample("phone/a", "phone/a.mp4"),
            sample("b", "b.avi", **print_attack),
            sample("c", "c.png", media="image"),
            sample("cut", "cut.avi"),
            sample("empty", "empty.mp4"),
            sample("gone", "gone.mp4"),
            sample("hidden", "b.avi", **print_attack),
            sample("off", "b.avi"),
            sample("text", "text.mov"),
            sample("unboxed", "b.avi"),
        ]
    )


@pytest.fixture(scope="module")
def boxes() -> pl.DataFrame:
    """A face that moves by a pixel a frame; `hidden` has empty boxes, `off` lies outside, `unboxed` has none."""
    rows = [box(video, i, 20.0 + i, 10, 16, 20) for video in ("phone/a", "b", "c", "cut") for i in range(8)]
    rows += [box("hidden", i, 0, 0, 0, 0) for i in range(8)] + [
        box("off", i, 640, 10, 16, 20) for i in range(8)
    ]
    return pl.DataFrame(rows, schema_overrides={f"box_{side}": pl.Float64 for side in "xywh"})


def test_crops_rows_and_reasons(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    """8 frames, 2 parts of 4: frames 2 and 6. Each crop is the square around that frame's own box."""
    report = prepare(samples, root, tmp_path / "out", SMALL, boxes, progress=False)
    crops = read_table(tmp_path / "out" / "crops.parquet", CROPS)
    assert (report.videos, report.crops) == (3, 5)
    assert report.done == 10
    assert report.videos_per_s == pytest.approx(10 / report.seconds)
    made = crops.select("detector", "size", "margin", "align", "safas").unique().rows()
    assert made == [("table", 32, 0.25, False, __version__)]
    where = crops.select("video", "frame", "crop").rows()
    assert where == [
        ("b", 2, "crops/mine/b/2.png"),
        ("b", 6, "crops/mine/b/6.png"),
        ("c", 0, "crops/mine/c/0.png"),
        ("phone/a", 2, "crops/mine/phone/a/2.png"),
        ("phone/a", 6, "crops/mine/phone/a/6.png"),
    ]
    for name, frame in (("b", 6), ("phone/a", 2)):
        path = root / {"b": "b.avi", "phone/a": "phone/a.mp4"}[name]
        image = next(item for item in evenly_spaced(path, 2) if item.index == frame).image
        expected = square_crop(image, Box(20.0 + frame, 10, 16, 20), margin=0.25, size=32)
        read = cv2.imread(str(tmp_path / "out" / "crops" / "mine" / name / f"{frame}.png"))[:, :, ::-1]
        assert np.array_equal(read, expected)
    row = crops.row(1, named=True)
    assert (row["box_x"], row["box_h"], row["detector"]) == (26.0, 20.0, "table")
    assert row["timestamp_s"] == pytest.approx(6 / 15)
    assert (row["landmarks"], row["detector_score"], row["rotation"]) == (None, None, 0)
    assert pl.read_parquet(tmp_path / "out" / "samples.parquet").equals(samples)


def test_failures_are_listed_with_the_reason(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    report = prepare(samples, root, tmp_path / "out", SMALL, boxes, progress=False)
    failures = pl.read_parquet(tmp_path / "out" / "failures.parquet")
    assert failures.equals(report.failures)
    assert failures.columns == ["dataset", "video", "label", "reason"]
    reasons = {row["video"]: row["reason"] for row in failures.iter_rows(named=True)}
    expected = {
        "cut": "cut off",
        "empty": "empty",
        "gone": "no such file",
        "hidden": "no face",
        "off": "outside the frame",
        "text": "not a readable video",
        "unboxed": "no face",
    }
    assert reasons.keys() == expected.keys()
    assert all(part in reasons[video] for video, part in expected.items())
    assert not any(str(root) in reason for reason in reasons.values())
    assert dict(failures.select("video", "label").rows())["hidden"] == "spoof"


def test_processes_give_the_same_bytes(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    prepare(samples, root, tmp_path / "one", SMALL, boxes, progress=False)
    prepare(samples, root, tmp_path / "two", replace(SMALL, workers=2), boxes, progress=False)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_second_run_reads_no_video(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(samples, root, tmp_path / "out", SMALL, boxes, progress=False)
    before = tree(tmp_path / "out"), times(tmp_path / "out"), times(tmp_path / "out", "*.json")
    monkeypatch.setattr(module, "evenly_spaced", lambda *_: pytest.fail("a video was read again"))
    second = prepare(samples, root, tmp_path / "out", SMALL, boxes, progress=False)
    assert before == (tree(tmp_path / "out"), times(tmp_path / "out"), times(tmp_path / "out", "*.json"))
    assert (second.videos, second.crops) == (first.videos, first.crops)
    assert (first.done, second.done, second.videos_per_s) == (10, 0, 0)
    assert second.failures.equals(first.failures)


def test_what_changed_is_done_anew(tmp_path: Path, write_video: Write) -> None:
    """A repaired file, other boxes, a crop that was deleted: each is seen; the rest is left alone."""
    frames = [np.full((48, 64, 3), 30 * i, np.uint8) for i in range(1, 5)]
    names = [f"v{i}" for i in range(4)]
    for name in names[1:]:
        write_video(tmp_path / "set" / f"{name}.mp4", frames)
    table = pl.DataFrame([sample(name, f"{name}.mp4") for name in names])
    boxes = pl.DataFrame([box(name, i, 8.0, 8.0, 16.0, 16.0) for name in names for i in range(4)])
    out = tmp_path / "out"
    assert prepare(table, tmp_path / "set", out, SMALL, boxes, progress=False).failures[
        "video"
    ].to_list() == ["v0"]
    before = times(out)
    write_video(tmp_path / "set" / "v0.mp4", frames)
    write_video(tmp_path / "set" / "v1.mp4", frames[:1])
    (out / "crops" / "mine" / "v2" / "1.png").unlink()
    moved = boxes.with_columns(box_x=pl.when(pl.col("video") == "v3").then(9.0).otherwise(pl.col("box_x")))
    report = prepare(table, tmp_path / "set", out, SMALL, moved, progress=False)
    assert (report.videos, report.crops, report.failures.height) == (4, 7, 0)
    after = times(out)
    assert sorted(after) == sorted(pl.read_parquet(out / "crops.parquet")["crop"])  # v1's old crops are gone
    assert after["crops/mine/v2/3.png"] == before["crops/mine/v2/3.png"]
    assert set(report_boxes(out, "v3")) == {9.0}


def test_the_largest_box_of_a_frame_counts(tmp_path: Path, root: Path) -> None:
    """By its area: there is a wider one, and a higher one."""
    faces = [box("c", 0, 5, 5, 20, 9), box("c", 0, 20, 10, 16, 20), box("c", 0, 50, 5, 8, 24)]
    table = pl.DataFrame([sample("c", "c.png", media="image")])
    for order in (faces, faces[::-1]):
        out = tmp_path / str(order[0]["box_x"])
        prepare(table, root, out, SMALL, pl.DataFrame(order), progress=False)
        assert report_boxes(out, "c") == [20.0]


def with_eyes(boxes: pl.DataFrame, eyes: list[float] | None) -> pl.DataFrame:
    """Boxes on whose upper edge the eyes lie, `eyes` x0 y0 x1 y1 counted from the box's corner."""
    points = [
        None if eyes is None else [x + eyes[0], y + eyes[1], x + eyes[2], y + eyes[3]]
        for x, y in boxes.select("box_x", "box_y").iter_rows()
    ]
    return boxes.with_columns(landmarks=pl.Series(points, dtype=pl.List(pl.Float64)))


def test_the_tables_eyes_level_the_face(tmp_path: Path, root: Path) -> None:
    """The eyes of two points, on a slope of 3 in 4, are carried into the row and level the crop."""
    table = pl.DataFrame([sample("b", "b.avi")])
    boxes = with_eyes(pl.DataFrame([box("b", i, 20.0, 10.0, 16.0, 20.0) for i in range(8)]), [4, 4, 12, 10])
    config = replace(SMALL, align=True)
    prepare(table, root, tmp_path / "out", config, boxes, progress=False)
    rows = read_table(tmp_path / "out" / "crops.parquet", CROPS)
    assert rows["landmarks"].to_list() == [[24, 14, 32, 20]] * 2
    image = evenly_spaced(root / "b.avi", 2)[0].image
    eyes = np.array([[24, 14], [32, 20]], float)
    expected = aligned_crop(image, Box(20, 10, 16, 20), eyes, margin=0.25, size=32)
    crop = cv2.imread(str(tmp_path / "out" / rows["crop"][0]))[:, :, ::-1]
    assert np.array_equal(crop, expected)
    assert not np.array_equal(crop, square_crop(image, Box(20, 10, 16, 20), margin=0.25, size=32))


def test_other_eyes_are_seen_as_a_change(tmp_path: Path, root: Path) -> None:
    table = pl.DataFrame([sample("b", "b.avi"), sample("c", "c.png", media="image")])
    boxes = pl.DataFrame([box(video, i, 20.0, 10.0, 16.0, 20.0) for video in "bc" for i in range(8)])
    boxes, config = with_eyes(boxes, [4, 4, 12, 10]), replace(SMALL, align=True)
    assert prepare(table, root, tmp_path, config, boxes, progress=False).done == 2
    assert prepare(table, root, tmp_path, config, boxes, progress=False).done == 0
    moved = pl.concat(
        [with_eyes(boxes.filter(video="b"), [4, 4, 12, 4]), boxes.filter(video="c")],
    )
    assert prepare(table, root, tmp_path, config, moved, progress=False).done == 1
    assert prepare(table, root, tmp_path, config, moved, progress=False).done == 0


def test_eyes_that_are_missing_or_wrong(tmp_path: Path, root: Path) -> None:
    table = pl.DataFrame([sample("b", "b.avi")])
    boxes = pl.DataFrame([box("b", i, 20.0, 10.0, 16.0, 20.0) for i in range(8)])
    config = replace(SMALL, align=True)
    blind = prepare(table, root, tmp_path / "a", config, with_eyes(boxes, None), progress=False)
    assert "needs the eyes" in blind.failures["reason"][0]
    for points in ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0, float("nan")], [1.0, 2.0, 3.0, None]):
        column = pl.Series([points] * 8, dtype=pl.List(pl.Float64))
        with pytest.raises(TableError, match=r"landmarks of video 'b', frame \d"):
            prepare(table, root, tmp_path / "b", SMALL, boxes.with_columns(landmarks=column), progress=False)
    assert not (tmp_path / "b").exists()


def test_a_folder_from_before_rotation_was_kept_goes_on(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    """Its row files have no rotation; nothing is done again, and the table says 0."""
    prepare(samples, root, tmp_path, SMALL, boxes, progress=False)
    before = tree(tmp_path)
    for path in (tmp_path / "rows").rglob("*.json"):
        ended = json.loads(path.read_text())
        ended["crops"] = [{k: v for k, v in row.items() if k != "rotation"} for row in ended["crops"]]
        path.write_text(json.dumps(ended))
    assert prepare(samples, root, tmp_path, SMALL, boxes, progress=False).done == 0
    assert (tmp_path / "crops.parquet").read_bytes() == before["crops.parquet"]


def report_boxes(out: Path, video: str) -> list[float]:
    return pl.read_parquet(out / "crops.parquet").filter(pl.col("video") == video)["box_x"].to_list()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size": 64}, "size = 32, not 64"),
        ({"frames": 3}, "frames = 2, not 3"),
        ({"margin": 0.3}, "margin = 0.25, not 0.3"),
    ],
)
def test_other_settings_are_refused(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame, changes: dict, reason: str
) -> None:
    prepare(samples, root, tmp_path / "out", SMALL, boxes, progress=False)
    before = tree(tmp_path / "out")
    with pytest.raises(InputError, match=reason):
        prepare(samples, root, tmp_path / "out", replace(SMALL, **changes), boxes, progress=False)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size": 0}, "size = 0"),
        ({"frames": 0}, "frames = 0"),
        ({"margin": -0.1}, "margin = -0.1"),
        ({"margin": float("nan")}, "margin = nan"),
        ({"workers": 0}, "workers = 0"),
        ({"align": True}, "needs the eyes"),
    ],
)
def test_impossible_settings(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame, changes: dict, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        prepare(samples, root, tmp_path / "out", replace(SMALL, **changes), boxes, progress=False)
    assert not (tmp_path / "out").exists()


def test_bad_input_writes_nothing(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no table of boxes"):
        prepare(samples, root, out, SMALL, None, progress=False)
    with pytest.raises(InputError, match="not a folder"):
        prepare(samples, root / "nowhere", out, SMALL, boxes, progress=False)
    with pytest.raises(TableError, match="label"):
        prepare(samples.drop("label"), root, out, SMALL, boxes, progress=False)
    with pytest.raises(TableError, match="box_w"):
        prepare(samples, root, out, SMALL, boxes.drop("box_w"), progress=False)
    assert not out.exists()


def test_a_folder_in_other_use_is_left_alone(
    root: Path, tmp_path: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    """The data set's own folder, whose samples.parquet would be lost, and a file."""
    before = tree(root)
    with pytest.raises(InputError, match="neither a prepared folder nor empty"):
        prepare(samples, root, root, SMALL, boxes, progress=False)
    assert tree(root) == before
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="neither a prepared folder nor empty"):
        prepare(samples, root, tmp_path / "file", SMALL, boxes, progress=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "prepare.json").write_text("{}")
    with pytest.raises(InputError, match="not the settings"):
        prepare(samples, root, tmp_path / "other", SMALL, boxes, progress=False)


@pytest.mark.parametrize("video", ["../a", "/a", "a/../../b", "", ".", "a//b", "C:\\a", "a\\..\\b", None])
def test_an_id_cannot_lead_out_of_the_folder(
    tmp_path: Path, root: Path, boxes: pl.DataFrame, video: str | None
) -> None:
    table = pl.DataFrame([{**sample("a", "b.avi"), "video": video}])
    with pytest.raises(TableError, match="cannot name a file"):
        prepare(table, root, tmp_path / "out", SMALL, boxes, progress=False)
    assert not list(tmp_path.iterdir())


def test_progress_goes_to_stderr(
    tmp_path: Path,
    root: Path,
    samples: pl.DataFrame,
    boxes: pl.DataFrame,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(samples, root, tmp_path / "out", SMALL, boxes)
    said = capsys.readouterr()
    assert said.out == ""
    assert "10/10" in said.err


def test_the_detector_finds_and_levels_the_face(
    tmp_path: Path, write_video: Write, yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crop is that of the frame which scikit-image turns until the found eyes lie level."""
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
    photo = np.ascontiguousarray(data.astronaut()[:320, 64:384])
    tilt = cv2.getRotationMatrix2D((160, 160), 20, 1)
    tilted = cv2.warpAffine(photo, tilt, (320, 320), borderMode=cv2.BORDER_REPLICATE)
    write_video(tmp_path / "set" / "face.mp4", [tilted] * 3)
    write_video(tmp_path / "set" / "wall.mp4", [np.full((240, 320, 3), 128, np.uint8)] * 3)
    table = pl.DataFrame([sample("face", "face.mp4"), sample("wall", "wall.mp4")])
    config = PrepareConfig(size=160, frames=1, margin=0.5, align=True, detector="yunet", workers=1)
    report = prepare(table, tmp_path / "set", tmp_path / "out", config, progress=False)
    assert (report.crops, report.failures["video"].to_list()) == (1, ["wall"])
    row = read_table(tmp_path / "out" / "crops.parquet", CROPS).row(0, named=True)
    assert row["detector"] == "yunet"
    assert 0.6 <= row["detector_score"] <= 1
    assert len(row["landmarks"]) == 10
    face = Box(*(row[f"box_{side}"] for side in "xywh"))
    across, down = np.subtract(row["landmarks"][2:4], row["landmarks"][:2])
    frame = evenly_spaced(tmp_path / "set" / "face.mp4", 1)[0].image
    centre = (face.x + face.w / 2 - 0.5, face.y + face.h / 2 - 0.5)
    degrees = np.degrees(np.arctan2(down, across))
    turned = rotate(frame, degrees, center=centre, mode="edge", preserve_range=True).round().astype(np.uint8)
    expected = square_crop(turned, face, margin=0.5, size=160)
    crop = evenly_spaced(tmp_path / "out" / row["crop"], 1)[0].image
    assert degrees < -5
    assert np.abs(crop.astype(int) - expected).mean() < 3
    assert np.abs(crop.astype(int) - square_crop(frame, face, margin=0.5, size=160)).mean() > 9


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("media", ["video", "image"])
def test_what_is_stored_the_wrong_way_up_comes_out_upright(
    tmp_path: Path,
    write_video: Write,
    yunet_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    degrees: int,
    media: str,
) -> None:
    """The stored picture, turned clockwise as the row says, is the photograph: so are box, landmarks and crop."""
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
    photo = np.ascontiguousarray(data.astronaut()[:320, 64:384])
    stored = np.ascontiguousarray(np.rot90(photo, degrees // 90))  # counter-clockwise
    path = tmp_path / "set" / ("face.mp4" if media == "video" else "face.png")
    if media == "video":
        write_video(path, [stored] * 4)
    else:
        path.parent.mkdir()
        path.write_bytes(cv2.imencode(".png", stored[:, :, ::-1])[1].tobytes())
    config = PrepareConfig(size=128, frames=2, detector="yunet", workers=1)
    table = pl.DataFrame([sample("face", path.name, media=media)])
    prepare(table, tmp_path / "set", tmp_path / "out", config, progress=False)
    rows = read_table(tmp_path / "out" / "crops.parquet", CROPS)
    assert rows["rotation"].to_list() == [degrees] * (2 if media == "video" else 1)
    row = rows.row(0, named=True)
    (face,) = YuNet(yunet_file).detect(photo)
    assert [row[f"box_{side}"] for side in "xywh"] == pytest.approx(
        [face.box.x, face.box.y, face.box.w, face.box.h], abs=3
    )
    assert row["landmarks"] == pytest.approx(face.landmarks.ravel().tolist(), abs=3)
    found = Box(*(row[f"box_{side}"] for side in "xywh"))
    crop = cv2.imread(str(tmp_path / "out" / row["crop"]))[:, :, ::-1]
    assert np.abs(crop.astype(int) - square_crop(photo, found, margin=0.15, size=128)).mean() < 4


def test_a_missing_detector_is_said_before_anything_is_written(
    tmp_path: Path, root: Path, samples: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(tmp_path / "none.onnx"))
    with pytest.raises(InputError, match="SAFAS_FACE_DETECTOR"):
        prepare(samples, root, tmp_path / "out", replace(SMALL, detector="yunet"), progress=False)
    assert not (tmp_path / "out").exists()


RUN = """
import sys, polars as pl
from pathlib import Path
from safas.prepare import PrepareConfig, prepare
here = Path(sys.argv[1])
prepare(pl.read_parquet(here / "samples.parquet"), here / "set", Path(sys.argv[2]),
        PrepareConfig(size=64, frames=4, workers=2), pl.read_parquet(here / "boxes.parquet"), progress=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_and_run_again(tmp_path: Path, write_video: Write) -> None:
    """SIGKILL in the middle, then the same command: the same bytes as in one go, finished crops untouched."""
    rng = np.random.default_rng(3)
    clip = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(20)]
    first = write_video(tmp_path / "set" / "0.avi", clip, codec="mjpeg")
    names = [str(i) for i in range(60)]
    for name in names[1:]:
        shutil.copy2(first, tmp_path / "set" / f"{name}.avi")
    pl.DataFrame([sample(name, f"{name}.avi") for name in names]).write_parquet(tmp_path / "samples.parquet")
    rows = [box(name, i, 90.0 + i, 60.0, 80.0, 100.0) for name in names for i in range(20)]
    pl.DataFrame(rows).write_parquet(tmp_path / "boxes.parquet")
    out, whole = tmp_path / "out", tmp_path / "whole"

    command = [sys.executable, "-c", RUN, str(tmp_path), str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:  # Python mourns the pool's semaphores
        while len(list(out.glob("rows/mine/*.json"))) < 10 and run.poll() is None:
            time.sleep(0.005)
        os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    written = times(out)
    done = [json.loads(path.read_text()) for path in out.glob("rows/mine/*.json")]
    assert 10 <= len(done) < 60
    assert not (out / "crops.parquet").exists()
    assert all((out / row["crop"]).is_file() for ended in done for row in ended["crops"])

    for target in (out, whole):
        subprocess.run([sys.executable, "-c", RUN, str(tmp_path), str(target)], check=True)
    assert tree(out) == tree(whole)
    assert len(times(out)) == 240
    assert written.items() <= times(out).items()


def test_what_a_power_cut_emptied_is_made_again(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    out = tmp_path / "out"
    prepare(samples, root, out, SMALL, boxes, progress=False)
    whole = tree(out)
    (out / "crops/mine/b/2.png").write_bytes(b"")
    (out / "rows/mine/c.json").write_bytes(b"")
    (out / "rows/mine/phone/a.json").write_text("{}")
    prepare(samples, root, out, SMALL, boxes, progress=False)
    assert tree(out) == whole


def test_a_file_that_may_not_be_read_is_listed(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal is made by hand."""

    def refuse(path: Path, k: int) -> list[object]:
        if path.name == "b.avi":
            raise PermissionError(13, "Permission denied", str(path))
        return list(evenly_spaced(path, k))

    monkeypatch.setattr(module, "evenly_spaced", refuse)
    one = replace(SMALL, workers=1)
    report = prepare(samples, root, tmp_path / "out", one, boxes, progress=False)
    reasons = dict(report.failures.select("video", "reason").rows())
    assert reasons["b"] == "cannot be read (Permission denied)"
    assert report.videos == 2
    monkeypatch.undo()  # permission is given, which changes neither size nor time
    again = prepare(samples, root, tmp_path / "out", one, boxes, progress=False)
    assert (again.videos, again.done) == (3, 4)  # the four rows that name this file


def test_a_video_is_tried_again_with_another_limit_of_pixels(
    tmp_path: Path, root: Path, boxes: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pl.DataFrame([sample("b", "b.avi"), sample("c", "c.png", media="image")])
    monkeypatch.setenv("SAFAS_MAX_PIXELS", "1000")
    report = prepare(rows, root, tmp_path / "out", SMALL, boxes, progress=False)
    assert (report.videos, report.done) == (0, 2)
    assert prepare(rows, root, tmp_path / "out", SMALL, boxes, progress=False).done == 0
    monkeypatch.delenv("SAFAS_MAX_PIXELS")
    report = prepare(rows, root, tmp_path / "out", SMALL, boxes, progress=False)
    assert (report.videos, report.done) == (2, 2)


def test_one_box_outside_costs_its_frame_alone(tmp_path: Path, root: Path, boxes: pl.DataFrame) -> None:
    """Frames 2 and 6 are taken; the second's box lies far outside."""
    moved = boxes.filter(video="b").with_columns(
        box_x=pl.when(pl.col("frame") == 6).then(900.0).otherwise(pl.col("box_x"))
    )
    rows = pl.DataFrame([sample("b", "b.avi")])
    report = prepare(rows, root, tmp_path / "out", SMALL, moved, progress=False)
    assert (report.videos, report.crops, len(report.failures)) == (1, 1, 0)


def test_a_folder_of_another_version_is_read_but_not_added_to(
    tmp_path: Path, root: Path, boxes: pl.DataFrame
) -> None:
    out, rows = tmp_path / "out", [sample("b", "b.avi"), sample("c", "c.png", media="image")]
    prepare(pl.DataFrame(rows[:1]), root, out, SMALL, boxes, progress=False)
    note = out / "prepare.json"
    note.write_text(note.read_text().replace(f'"version": "{__version__}"', '"version": "0.0.9"'))
    assert prepare(pl.DataFrame(rows[:1]), root, out, SMALL, boxes, progress=False).done == 0
    with pytest.raises(InputError, match=r"prepared by safas 0\.0\.9.* 1 videos are left.*into a new folder"):
        prepare(pl.DataFrame(rows), root, out, SMALL, boxes, progress=False)


def test_a_folder_that_is_made_anew_by_another_version_says_so(
    tmp_path: Path, root: Path, boxes: pl.DataFrame
) -> None:
    data, out, row = tmp_path / "data", tmp_path / "out", [sample("b", "b.avi")]
    shutil.copytree(root, data)
    prepare(pl.DataFrame(row), data, out, SMALL, boxes, progress=False)
    note = out / "prepare.json"
    before = json.loads(note.read_text())
    note.write_text(json.dumps({**before, "version": "0.0.9"}))
    os.utime(data / "b.avi", (0, 0))
    assert prepare(pl.DataFrame(row), data, out, SMALL, boxes, progress=False).done == 1
    assert json.loads(note.read_text()) == before


def test_a_link_to_itself_is_listed(tmp_path: Path, root: Path, boxes: pl.DataFrame) -> None:
    data = tmp_path / "data"
    shutil.copytree(root, data)
    (data / "loop").symlink_to(data / "loop")
    rows = pl.DataFrame([sample("b", "b.avi"), sample("loop", "loop/b.avi")])
    report = prepare(rows, data, tmp_path / "out", SMALL, boxes, progress=False)
    assert report.failures["video"].to_list() == ["loop"]


def test_a_name_may_be_as_long_as_the_file_system_allows(
    tmp_path: Path, root: Path, boxes: pl.DataFrame
) -> None:
    """250 bytes and ".json" are 255."""
    name = "n" * 250
    long = boxes.filter(video="b").with_columns(video=pl.lit(name))
    rows = pl.DataFrame([sample(name, "b.avi")])
    assert prepare(rows, root, tmp_path / "out", SMALL, long, progress=False).crops == 2


def test_names_that_would_be_mixed_up_are_refused(
    tmp_path: Path, root: Path, samples: pl.DataFrame, boxes: pl.DataFrame
) -> None:
    with pytest.raises(TableError, match="'x/y' holds a '/'"):
        prepare(
            samples.with_columns(dataset=pl.lit("x/y")), root, tmp_path / "o", SMALL, boxes, progress=False
        )
    both = pl.concat([samples, samples.with_columns(dataset=pl.lit("other"))])
    with pytest.raises(TableError, match="stands in more than one data set"):
        prepare(both, root, tmp_path / "o", SMALL, boxes, progress=False)
    for settings in ({"margin": float("inf")}, {"size": 100_000}, {"margin": float("nan")}):
        with pytest.raises(InputError, match=next(iter(settings))):
            prepare(samples, root, tmp_path / "o", replace(SMALL, **settings), boxes, progress=False)
    assert not (tmp_path / "o").exists()
