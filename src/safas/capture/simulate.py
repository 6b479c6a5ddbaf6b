"""`safas simulate`: a licence-free benchmark of four domains, as video files with their sample table.

Layout: `<out>/<domain>/<split>/<video>.<ending>`, `samples.parquet`, `boxes.parquet` (the face in every frame),
`simulation.json` (what made it). One person of one domain is a task: seeded by (seed, domain, person) alone, so
the result does not depend on the number of workers, and finished people are kept when the run is killed.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from rich.progress import track

from safas.capture.camera import Camera
from safas.capture.clips import Clip, attack_clip, live_clip, source_clip, write_video
from safas.capture.domains import DOMAINS
from safas.capture.head import Person, make_person
from safas.errors import InputError
from safas.files import write_file
from safas.parallel import each
from safas.table import BOXES, SAMPLES, checked, checked_samples, read_table, write_table

VERSION = 3  # of the simulation: raised when the same seed gives other pixels


@dataclass(frozen=True)
class SimulateConfig:
    """What to simulate; four domains, each with its own people."""

    seed: int = 0
    people: int = 52  # in each domain: half train, a sixth dev, the rest test
    size: int = 240  # pixels on the shorter side of a frame (tablet: a little more)
    frames: int = 5  # of each clip
    live_clips: int = 3  # of each person; attacks are one clip for each instrument of the domain


@dataclass(frozen=True)
class Task:
    """One person, by number, of one domain of the simulation that `config` describes, written below `out`."""

    out: Path
    config: SimulateConfig
    domain: str
    person: int


def simulate(
    out: Path, config: SimulateConfig, workers: int | None = None, progress: bool = True
) -> pl.DataFrame:
    """Write the benchmark below `out` and return its sample table.

    Goes on where a killed run was. Raises InputError when `out` holds something else, or was made with other
    settings.
    """
    _check(config)
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}", remedy="Give at least 1.")
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, config)
    tasks = [Task(out, config, domain, person) for person in range(config.people) for domain in DOMAINS]
    todo = [task for task in tasks if not _is_done(task)]
    done = each(simulate_person, todo, workers)
    for _ in track(done, "simulating people", total=len(todo), disable=not progress):
        pass
    samples = pl.concat(rows_of(task) for task in tasks)
    boxes = pl.concat(read_table(_boxes_file(task), BOXES) for task in tasks)
    samples = checked_samples(samples, str(out))
    write_table(boxes, out / "boxes.parquet")
    write_table(samples, out / "samples.parquet")
    return samples


def simulate_person(task: Task) -> None:
    """All clips of one person: live ones, and one for every instrument of the domain's attackers."""
    domain, config = DOMAINS[task.domain], task.config
    split = split_of(task.person, config.people)
    rng = np.random.default_rng([VERSION, config.seed, list(DOMAINS).index(task.domain), task.person])
    person, attacker = make_person(rng), _attacker(config.seed, task.domain, split)
    camera = _scaled(domain.camera, config.size)
    source = source_clip(person, domain, config.frames, rng)
    rows: list[dict[str, str]] = []
    boxes: list[pl.DataFrame] = []
    for number in range(config.live_clips):
        clip = live_clip(person, domain, camera, config.frames, rng)
        _keep(task, camera, clip, f"live{number + 1}", rows, boxes)
    for number, attack in enumerate(domain.attacks):
        clip = attack_clip(source, attack, domain, camera, attacker, rng)
        about = {"label": "spoof", "attack": attack.species, "instrument": attack.instrument.name}
        _keep(task, camera, clip, f"{attack.species}{number + 1}", rows, boxes, about)
    write_table(checked(pl.concat(boxes), BOXES, task.domain), _boxes_file(task))
    write_table(checked(pl.DataFrame(rows), SAMPLES, task.domain), _rows_file(task))


@lru_cache
def _attacker(seed: int, domain: str, split: str) -> Person:
    """Who holds the pages and screens: one person of each domain and split, so that splits share nobody."""
    return make_person(np.random.default_rng([VERSION, seed, 1, *f"{domain}/{split}".encode()]))


def split_of(person: int, people: int) -> str:
    """The split of a person by number: the first half trains, the next sixth is dev, the rest test."""
    train = people // 2
    dev = max(people // 6, 1)
    return "train" if person < train else "dev" if person < train + dev else "test"


def _keep(
    task: Task,
    camera: Camera,
    clip: Clip,
    name: str,
    rows: list[dict[str, str]],
    boxes: list[pl.DataFrame],
    about: dict[str, str] | None = None,
) -> None:
    split = split_of(task.person, task.config.people)
    other = f"s{task.config.seed}-" if task.config.seed else ""  # other people have other names
    subject = f"{task.domain}-{other}{task.person + 1:03d}"
    video = f"{task.domain}/{subject}_{name}"
    path = Path(task.domain) / split / f"{subject}_{name}.{camera.container}"
    (task.out / path).parent.mkdir(parents=True, exist_ok=True)
    write_video(task.out / path, clip.frames, camera, clip.compression)
    row = dict(zip(SAMPLES, [""] * len(SAMPLES), strict=True)) | {
        "dataset": "simulated", "domain": task.domain, "video": video, "path": path.as_posix(), "media": "video",
        "split": split, "label": "live", "attack": "none", "subject": subject, "device": task.domain,
        "session": name, "quality": f"{camera.width}x{camera.height}",
    }  # fmt: skip
    rows.append(row | (about or {}))
    frame = pl.DataFrame(clip.boxes, schema=["box_x", "box_y", "box_w", "box_h"], orient="row")
    boxes.append(frame.with_row_index("frame").with_columns(pl.lit(video).alias("video")))


def _scaled(camera: Camera, size: int) -> Camera:
    """The camera with `size` pixels where the nominal one has 240; even sides, as the codecs want them."""
    width, height = (2 * round(side * size / 480) for side in (camera.width, camera.height))
    return replace(camera, width=width, height=height)


def _check(config: SimulateConfig) -> None:
    for name, least in (("seed", 0), ("people", 4), ("size", 96), ("frames", 2), ("live_clips", 1)):
        if getattr(config, name) < least:
            raise InputError(f"{name} is {getattr(config, name)}", remedy=f"Give at least {least}.")


def _claim(out: Path, config: SimulateConfig) -> None:
    """Note the settings in the folder, or compare with those that are there."""
    note = out / "simulation.json"
    mine = {"version": VERSION, **asdict(config)}
    if note.exists():
        try:
            theirs = dict(json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            remedy = "Delete the folder, or name a new one."
            raise InputError("not the settings of a simulation", where=str(note), remedy=remedy) from error
        other = [key for key in mine if theirs.get(key) != mine[key]]
        if other:
            raise InputError(
                f"was simulated with {other[0]} = {theirs.get(other[0])!r}, now asked for {mine[other[0]]!r}",
                where=str(out),
                remedy="Use another folder, or the same settings to go on.",
            )
        return
    if any(out.iterdir()):
        raise InputError(
            "the folder is not empty and holds no simulation", where=str(out), remedy="Name a new folder."
        )
    free = shutil.disk_usage(out).free
    if free < 200e6:
        raise InputError(f"only {free / 1e6:.0f} MB free", where=str(out), remedy="Make room first.")
    write_file(note, json.dumps(mine, indent=2) + "\n")


def rows_of(task: Task) -> pl.DataFrame:
    """The clips of a person who was simulated; columns SAMPLES."""
    return read_table(_rows_file(task), SAMPLES)


def _is_done(task: Task) -> bool:
    """Whether both tables of the person are there; a power cut may have emptied them."""
    try:
        rows_of(task)
        read_table(_boxes_file(task), BOXES)
    except InputError:
        return False
    return True


def _rows_file(task: Task) -> Path:
    return task.out / ".people" / f"{task.domain}-{task.person:04d}.rows.parquet"


def _boxes_file(task: Task) -> Path:
    return task.out / ".people" / f"{task.domain}-{task.person:04d}.boxes.parquet"
