"""Each perturbation by hand, and the whole command on real videos with a real bundle."""

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from skimage import data

import safas
import safas.errors
from safas.bundle import open_bundle
from safas.cli import main
from safas.errors import InputError
from safas.faces import Box, Face, aligned_crop
from safas.signing import new_key, sign
from safas.stress import PERTURBATIONS, Stressed, into_card, put_into_card, stress, write_card, writing
from safas.stress.measure import _point, some
from safas.stress.perturb import View, blurred, brightened, compressed, dropped, rotated, scaled, shifted
from safas.table import SAMPLES

PHOTO = np.ascontiguousarray(data.astronaut()[:320, 60:380])
BOX = Box(110, 60, 100, 80)
VIEW = View(PHOTO, Face(BOX, np.array([[130.0, 90.0], [180.0, 90.0]]), 0.9))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_box_moves_by_its_share_and_grows_about_its_centre() -> None:
    """20 % of the longer side, 100, is 20 pixels; 1.5 times as large about (160, 100) is 150 x 120 at (85, 40)."""
    moved = shifted([VIEW, VIEW], 20, rng())
    for view in moved:
        assert np.hypot(view.face.box.x - 110, view.face.box.y - 60) == pytest.approx(20)
        assert view.image is PHOTO
    assert moved[0].face.box != moved[1].face.box
    assert scaled([VIEW], 1.5, rng())[0].face.box == Box(85, 40, 150, 120)


def test_a_tilt_is_undone_by_alignment() -> None:
    """Turned by 25 degrees with its eyes, the face comes back level: nearly the crop of the upright picture."""
    (tilted,) = rotated([VIEW], 25, rng())
    assert tilted.face.landmarks is not None
    assert VIEW.face.landmarks is not None
    across, down = tilted.face.landmarks[1] - tilted.face.landmarks[0]
    assert np.degrees(np.arctan2(down, across)) == pytest.approx(25)
    wanted = aligned_crop(PHOTO, BOX, VIEW.face.landmarks, margin=0, size=64).astype(float)
    crop = aligned_crop(tilted.image, BOX, tilted.face.landmarks, margin=0, size=64).astype(float)
    assert np.abs(crop - wanted).mean() < 3


def test_pictures_get_worse_as_said() -> None:
    """Twice as bright doubles 60 and cuts 200 off at 255; a blur keeps the mean; JPEG loses more at 15 than at 90."""
    flat = View(np.full((40, 40, 3), 60, np.uint8), VIEW.face)
    light = View(np.full((40, 40, 3), 200, np.uint8), VIEW.face)
    two = brightened([flat, light], 2, rng())
    assert [int(view.image[0, 0, 0]) for view in two] == [120, 255]
    (soft,) = blurred([VIEW], 3, rng())
    assert soft.image.mean() == pytest.approx(PHOTO.mean(), abs=1)
    assert np.diff(soft.image.astype(int), axis=1).std() < 0.6 * np.diff(PHOTO.astype(int), axis=1).std()
    losses = [np.abs(compressed([VIEW], q, rng())[0].image.astype(int) - PHOTO).mean() for q in (90, 50, 15)]
    assert losses == sorted(losses)
    assert losses[0] > 0
    red = View(np.full((40, 40, 3), (200, 30, 30), np.uint8), VIEW.face)
    assert compressed([red], 90, rng())[0].image[0, 0, 0] > 150  # red stays red


def test_frames_are_lost_but_never_all() -> None:
    views = [View(PHOTO, Face(BOX, None, 0.1 * i)) for i in range(4)]
    assert [len(dropped(views, level, rng())) for level in (0, 25, 50, 75, 100)] == [4, 3, 2, 1, 1]
    kept = [view.face.score for view in dropped(views, 50, rng())]
    assert kept == sorted(kept)


def test_every_neutral_level_is_on_the_axis_and_changes_nothing() -> None:
    """But for JPEG's and the blur's, whose neutral level stands for the picture as it is."""
    for one in PERTURBATIONS:
        assert one.neutral in one.levels
        if one.name not in ("jpeg", "blur"):
            (view,) = one.change([VIEW], one.neutral, rng())
            assert np.array_equal(view.image, PHOTO)
            assert (view.face.box, view.face.score) == (BOX, 0.9)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    """Two people's live clips and darker "prints" of them, and one clip without a face."""
    folder, rows = tmp_path_factory.mktemp("field"), []
    for person in ("ann", "ben"):
        picture = PHOTO if person == "ann" else np.ascontiguousarray(PHOTO[:, ::-1])
        for label, attack, image in (("live", "none", picture), ("spoof", "print", picture // 2)):
            name = f"{person}-{label}"
            write_video(folder / f"{name}.mp4", [image] * 3)
            row = dict.fromkeys(SAMPLES, "x") | {"video": name, "path": f"{name}.mp4", "media": "video"}
            rows.append(row | {"split": "test", "label": label, "attack": attack, "subject": person})
    write_video(folder / "wall.mp4", [np.full((90, 120, 3), 90, np.uint8)] * 3)
    wall = {"video": "wall", "path": "wall.mp4", "label": "live", "attack": "none", "subject": "cat"}
    rows.append(rows[0] | wall)
    pl.DataFrame(rows).write_csv(folder / "samples.csv")
    return folder


def test_the_card_and_its_numbers(
    bundle: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert main(["stress", str(bundle), str(root), "--out", str(tmp_path)]) == 0
    assert "Out of focus" in capsys.readouterr().out
    said = json.loads((tmp_path / "stress.json").read_text())
    assert (said["about"]["live"], said["about"]["spoof"], said["about"]["people"]) == (2, 2, 2)
    assert said["about"]["without_a_face"] == [{"video": "wall", "label": "live", "reason": "no face"}]
    assert not said["about"]["simulated"]
    for curve in said["curves"]:
        (neutral,) = (point for point in curve["points"] if point["level"] == curve["neutral"])
        assert neutral["hter"] == said["baseline"]["hter"]
        assert (neutral["live_shift"], neutral["spoof_shift"]) == (0, 0)
    page = (tmp_path / "stress.html").read_text()
    assert page.count("<svg") == 2 * len(PERTURBATIONS)
    assert "http" not in page.replace("http-equiv", "")
    assert "Simulated" not in page
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_the_errors_and_shifts_of_a_level_by_hand() -> None:
    """At 0.5: one of two live rejected, of the prints one of two accepted, of the replays both: APCER 100 %.

    Pooled 3 of 4. Live faces fell by 0.2 and 0.3, attacks rose by 0.1, 0, 0.4 and 0.1.
    """
    table = pl.DataFrame(
        {
            "dataset": "x", "domain": "x", "subject": list("aabbab"), "label": ["live"] * 2 + ["spoof"] * 4,
            "attack": ["none", "none", "print", "print", "replay_video", "replay_video"],
        }
    )  # fmt: skip
    before = np.array([0.9, 0.7, 0.2, 0.6, 0.3, 0.6])
    now = np.array([0.7, 0.4, 0.3, 0.6, 0.7, 0.7])
    made = _point(now, table=table, before=before, threshold=0.5)
    assert (made["apcer"], made["worst_species"], made["bpcer"]) == (1, "replay_video", 0.5)
    assert made["hter"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert (made["live_shift"], made["spoof_shift"]) == pytest.approx((-0.25, 0.15))
    low, high = made["interval"]
    assert low <= made["hter"] <= high
    alone = table.with_columns(pl.lit("a").alias("subject"))
    assert _point(now, table=alone, before=before, threshold=0.5)["interval"] is None


def test_the_unperturbed_scores_are_the_predictors(bundle: Path, root: Path) -> None:
    """HTER as it is, from the scores that the predictor gives the same files, counted by hand."""
    predictor = safas.Predictor(bundle)
    samples = pl.read_csv(root / "samples.csv", infer_schema=False)
    found = stress(predictor, samples, root, progress=False).baseline
    scores = {
        name: predictor(root / f"{name}.mp4").score or 0.0 for name in samples["video"] if name != "wall"
    }
    rejected = sum(scores[name] < predictor.model.threshold for name in ("ann-live", "ben-live"))
    accepted = sum(scores[name] >= predictor.model.threshold for name in ("ann-spoof", "ben-spoof"))
    assert found["hter"] == (rejected / 2 + accepted / 2) / 2


@pytest.fixture(scope="module")
def stressed(bundle: Path, root: Path) -> Stressed:
    samples = pl.read_csv(root / "samples.csv", infer_schema=False)
    return stress(safas.Predictor(bundle), samples, root, progress=False)


@pytest.fixture
def mine(bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle, tmp_path / "mine")


def test_the_plots_are_one_drawing_that_needs_nothing(stressed: Stressed, tmp_path: Path) -> None:
    """Two drawings each, none beside or over another's place, and no reference but to the namespace of SVG."""
    write_card(stressed, tmp_path)
    text = (tmp_path / "stress.svg").read_text()
    top = ET.fromstring(text)
    assert len(top.findall(".//{*}svg")) == 2 * len(PERTURBATIONS)
    places = [panel.attrib["transform"] for panel in top.findall("{*}g")]
    assert len(set(places)) == len(PERTURBATIONS)
    assert text.count("http") == 1
    assert "prefers-color-scheme: dark" in text


def test_the_bundles_card_shows_them_and_its_contract_vouches(
    mine: Path, root: Path, stressed: Stressed, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command, with other numbers, and with the first again: one section, and the bundle is whole each time."""
    before = (mine / "MODEL_CARD.md").read_text()
    for videos in ("120", "4", "120"):
        assert main(["stress", str(mine), str(root), "--videos", videos]) == 0
        assert "shows the plots now" in " ".join(capsys.readouterr().out.split())
        card = (mine / "MODEL_CARD.md").read_text()
        assert card.startswith(before.rstrip())
        assert card.count("## What it bears") == card.count("](stress.svg)") == 1
        assert {"stress.svg", "stress.json"} <= set(open_bundle(mine).contract.files)
    worst = max(point["hter"] for point in stressed.curves[3]["points"])
    assert f"| Out of focus | {100 * stressed.baseline['hter']:.1f} | {100 * worst:.1f} |" in card
    safas.Predictor(mine)
    with (mine / "stress.svg").open("a") as file:
        file.write("<!-- -->")
    with pytest.raises(safas.errors.BundleError, match=r"stress.svg.*was changed"):
        open_bundle(mine)


def test_a_signed_bundle_is_changed_by_its_signer_alone(
    mine: Path, stressed: Stressed, tmp_path: Path
) -> None:
    """Without the key, and with another one, not a byte of what is signed changes; with it the signature fits again.

    Then the plots are signed too, and are not replaced by others without it.
    """
    key, other = tmp_path / "key.pem", tmp_path / "other.pem"
    public = new_key(key)
    new_key(other)
    (mine / "bundle.sig").write_text(sign((mine / "bundle.json").read_bytes(), key) + "\n")
    write_card(stressed, mine)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    assert not put_into_card(stressed, mine)
    with pytest.raises(InputError, match="signed with another key"):
        put_into_card(stressed, mine, other)
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
    open_bundle(mine, public)
    assert put_into_card(stressed, mine, key)
    assert "](stress.svg)" in (mine / "MODEL_CARD.md").read_text()
    assert "stress.svg" in open_bundle(mine, public).contract.files
    later = replace(stressed, about={**stressed.about, "seed": 1})
    with pytest.raises(InputError, match="its plots are signed too"):
        put_into_card(later, mine)
    open_bundle(mine, public)
    assert put_into_card(later, mine, key)
    assert open_bundle(mine, public)


@pytest.mark.parametrize("signed", [False, True])
def test_a_bundle_opens_wherever_the_writing_stops(
    mine: Path, stressed: Stressed, tmp_path: Path, signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the first, second ... file, for the second card; the same command then makes it whole."""
    key = tmp_path / "key.pem" if signed else None
    public = None if key is None else new_key(key)
    if key is not None:
        (mine / "bundle.sig").write_text(sign((mine / "bundle.json").read_bytes(), key) + "\n")
    put_into_card(stressed, mine, key)
    later = replace(stressed, about={**stressed.about, "seed": 1})
    for allowed in range(20):
        left = iter([None] * allowed)

        def full(path: Path, data: bytes | str, left: Iterator[None] = left) -> None:
            if next(left, path) is path:
                raise InputError("cannot be written (No space left on device)", where=str(path))
            path.write_bytes(data.encode() if isinstance(data, str) else data)

        with monkeypatch.context() as patch:
            for module in (into_card, writing):
                patch.setattr(module, "write_file", full)
            try:
                put_into_card(later, mine, key)
                break
            except InputError:
                open_bundle(mine)
    assert allowed == (7 if signed else 6)
    assert put_into_card(later, mine, key)
    assert {"stress.svg", "stress.json"} <= set(open_bundle(mine, public).contract.files)


def test_rows_are_taken_evenly_of_both_labels() -> None:
    """10 live, 3 attacks, 6 wanted: live 0, 4 or 5, 9 (evenly) and all three attacks."""
    table = pl.DataFrame({"label": ["live"] * 10 + ["spoof"] * 3, "n": range(13)})
    assert some(table, 6)["n"].to_list() in ([0, 4, 9, 10, 11, 12], [0, 5, 9, 10, 11, 12])
    with pytest.raises(InputError, match=r"videos = 1\. Give at least 2"):
        some(table, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "all"], "no split is called 'all'"),
        (["--domains", "mars"], "no test row of domain 'mars'"),
        (["--split", "dev"], "live faces and attacks are needed"),
    ],
)
def test_what_cannot_be_stressed(
    bundle: Path, root: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stress", str(bundle), str(root), *options]) == 2
    assert message in capsys.readouterr().err
