"""`safas simulate` on a tiny set of real files."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from safas.capture.domains import DOMAINS
from safas.capture.simulate import SimulateConfig, simulate, split_of
from safas.errors import InputError
from safas.media import evenly_spaced
from safas.sources import read_boxes, read_source

TINY = SimulateConfig(seed=5, people=4, size=96, frames=2, live_clips=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    simulate(out, TINY, workers=1, progress=False)
    return out


def test_every_file_of_the_table_plays_and_has_a_box_in_each_frame(tiny: Path) -> None:
    samples = read_source("table", tiny)
    boxes = read_boxes("table", tiny, samples)
    assert boxes is not None
    assert len(samples) == 4 * 4 * 5  # domains x people x (one live clip + four instruments)
    assert len(boxes) == 2 * len(samples)
    for row in samples.gather_every(7).iter_rows(named=True):
        frames = evenly_spaced(tiny / row["path"], 2)
        assert f"{frames[0].image.shape[1]}x{frames[0].image.shape[0]}" == row["quality"]


def test_people_stay_in_one_split_and_each_split_has_both_labels(tiny: Path) -> None:
    samples = read_source("table", tiny)
    assert samples.group_by("subject").agg(pl.col("split").n_unique())["split"].max() == 1
    assert samples.group_by("domain", "split").agg(pl.col("label").n_unique())["label"].min() == 2
    assert samples.filter(label="spoof")["attack"].n_unique() >= 3
    assert [split_of(i, 12) for i in range(12)] == ["train"] * 6 + ["dev"] * 2 + ["test"] * 4


def test_people_of_another_seed_have_other_names(tiny: Path, tmp_path: Path) -> None:
    """So that nobody's scores pass for those of somebody else."""
    simulate(tmp_path, replace(TINY, seed=0), workers=1, progress=False)
    ours, theirs = (read_source("table", root) for root in (tiny, tmp_path))
    assert ours.join(theirs, on="subject").is_empty()
    assert ours.join(theirs, on="video").is_empty()


def test_same_seed_gives_the_same_pixels_with_any_number_of_workers(tiny: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", TINY, workers=2, progress=False)
    for row in read_source("table", tiny).gather_every(5).iter_rows(named=True):
        first, again = (evenly_spaced(root / row["path"], 1)[0].image for root in (tiny, tmp_path / "again"))
        assert np.array_equal(first, again), row["video"]


def test_a_second_run_goes_on_and_other_settings_are_refused(tiny: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in tiny.rglob("*.mp4")}
    simulate(tiny, TINY, workers=1, progress=False)
    assert times == {path: path.stat().st_mtime_ns for path in tiny.rglob("*.mp4")}
    with pytest.raises(InputError, match="seed = 5, now asked for 6"):
        simulate(tiny, SimulateConfig(seed=6, people=4, size=96, frames=2, live_clips=1))
    assert json.loads((tiny / "simulation.json").read_text())["seed"] == 5


def test_a_folder_with_something_else_and_too_few_people_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        simulate(tmp_path, TINY)
    with pytest.raises(InputError, match="people is 2"):
        simulate(tmp_path / "new", SimulateConfig(people=2))


def test_what_a_power_cut_emptied_is_made_again_or_named(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "simulated"
    shutil.copytree(tiny, out)
    wanted = (out / "samples.parquet").read_bytes()
    next(iter(sorted((out / ".people").glob("*.rows.parquet")))).write_bytes(b"")
    simulate(out, TINY, workers=1, progress=False)
    assert (out / "samples.parquet").read_bytes() == wanted
    (out / "simulation.json").write_bytes(b"")
    with pytest.raises(InputError, match=r"simulation\.json: not the settings of a simulation"):
        simulate(out, TINY, workers=1, progress=False)
    with pytest.raises(InputError, match="workers is -1"):
        simulate(tmp_path / "new", TINY, workers=-1)
    assert not (tmp_path / "new").exists()


def test_each_accident_points_one_way_in_two_domains_and_the_other_way_in_two() -> None:
    for habit in ("blur_px", "exposure_ev", "face_px", "flare", "clutter"):
        signs = [np.sign(getattr(d.attack, habit)[0] - getattr(d.live, habit)[0]) for d in DOMAINS.values()]
        assert sorted(signs) == [-1, -1, 1, 1], habit


# One person at full size in a process of its own, whose heap holds what the argument filled it with: an encoder that
# looks at memory it has not written gives other bytes then.
ONE_PERSON = """
import sys
from pathlib import Path
import numpy as np
from safas.capture.simulate import SimulateConfig, Task, simulate_person
rng = np.random.default_rng(int(sys.argv[2]))
filled = [rng.integers(0, 255, size, dtype=np.uint8) for size in rng.integers(1_000, 400_000, 200)]
del filled
simulate_person(Task(Path(sys.argv[1]), SimulateConfig(people=28), "laptop", 14))
"""


def test_one_person_is_the_same_to_the_byte_in_any_process(tmp_path: Path) -> None:
    digests = []
    for filling in (1, 2, 3):
        out = tmp_path / str(filling)
        subprocess.run([sys.executable, "-c", ONE_PERSON, str(out), str(filling)], check=True)
        files = sorted(out.rglob("*.mov"))
        assert len(files) == 7
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1] == digests[2]
