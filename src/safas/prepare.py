"""From videos to square face crops and their rows: many small tasks, each done once.

A video's task writes its crops and then its row file, each atomically. The row file says "done" and carries
what the crops were made from, so a killed run goes on where it was, and a video that changed is done anew.

    OUT/prepare.json    the settings      OUT/crops/<dataset>/<video>/<frame>.png
    OUT/rows/           one file a video  OUT/samples.parquet, crops.parquet, failures.parquet
"""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import cv2
import polars as pl
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from safas.errors import InputError, MediaError, TableError
from safas.faces import Box, Face, Image, YuNet, aligned_crop, square_crop, yunet_weights
from safas.media import Frame, evenly_spaced
from safas.parallel import each
from safas.table import BOXES, CROPS, SAMPLES, Schema, checked, write_table

FAILURES: Schema = {name: pl.String() for name in ("dataset", "video", "label", "reason")}
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # a third of the default's time for slightly larger files

Find = Callable[[Frame], Face | None]


@dataclass(frozen=True)
class PrepareConfig:
    """What the crops look like, and how many processes make them."""

    size: int = 128  # pixels: side of the crops
    frames: int = 4  # evenly spaced frames of each video
    margin: float = 0.15  # added on each side, as a share of the box's longer side
    align: bool = False  # turn the face until the eyes lie level (needs a detector that finds the eyes)
    detector: Literal["table", "yunet"] = "table"  # where the boxes come from
    workers: int | None = None  # processes; None: one a core that this process may use


@dataclass(frozen=True, eq=False)
class PrepareReport:
    """What is there now: videos with crops, crops, failures (columns: FAILURES); the seconds that it took."""

    videos: int
    crops: int
    failures: pl.DataFrame
    seconds: float


@dataclass(frozen=True)
class _Task:
    """One video, its boxes by frame where the table gives them, a digest of what its crops are made from."""

    dataset: str
    video: str
    path: Path
    boxes: Mapping[int, Box]
    made_from: str

    def row_file(self, out: Path) -> Path:
        return out / "rows" / self.dataset / f"{self.video}.json"


def prepare(
    samples: pl.DataFrame,
    root: Path,
    out: Path,
    config: PrepareConfig,
    boxes: pl.DataFrame | None = None,
    progress: bool = True,
) -> PrepareReport:
    """Crop the faces of every sample (paths relative to the folder `root`) into the folder `out`.

    `boxes` has the columns of `safas.table.BOXES` and is needed by the detector "table". A video that cannot
    be read or shows no face becomes a row of failures.parquet with the reason and never stops the run.

    Raises InputError for impossible settings, a missing root, ids that cannot name a file, and a folder that
    was prepared with other settings (naming the setting) or is in other use; SafasError when a process dies.
    """
    start = time.perf_counter()
    weights = _checked(config, boxes)
    if not root.is_dir():
        raise InputError("not a folder", where=str(root))
    samples = checked(samples, SAMPLES, "the sample table")
    tasks = _tasks(samples, root, boxes if config.detector == "table" else None)
    _claim(out, config, weights, root)
    todo = [task for task in tasks if not _is_done(task, out)]
    work = functools.partial(_prepare_video, out=out, config=config, weights=weights)
    with _bar(len(tasks), len(tasks) - len(todo), progress) as advance:
        for _ in each(work, todo, config.workers):
            advance()
    crops, failures = _collect(samples, tasks, out)
    videos = crops.select("dataset", "video").n_unique()
    return PrepareReport(videos, len(crops), failures, time.perf_counter() - start)


def _checked(config: PrepareConfig, boxes: pl.DataFrame | None) -> Path | None:
    """Refuse impossible settings before anything is written; the detector's weights, if it has any."""
    for name, least in (("size", 8), ("frames", 1), ("margin", 0.0), ("workers", 1)):
        value = getattr(config, name)
        if value is not None and not value >= least:
            raise InputError(f"{name} = {value}", where="prepare", remedy=f"The least is {least}.")
    if config.detector == "yunet":
        return yunet_weights()
    if config.align:
        raise InputError(
            "align = True needs the eyes, and the table gives boxes only", remedy="Use detector = yunet."
        )
    if boxes is None:
        raise InputError("detector = table, and there is no table of boxes", remedy="Use detector = yunet.")
    return None


def _tasks(samples: pl.DataFrame, root: Path, boxes: pl.DataFrame | None) -> list[_Task]:
    of_video = {} if boxes is None else _boxes_by_video(boxes)
    tasks = []
    for dataset, video, relative in samples.select("dataset", "video", "path").iter_rows():
        _refuse_odd_id(dataset)
        _refuse_odd_id(video)
        path, found = root / relative, of_video.get(video, {})
        tasks.append(_Task(dataset, video, path, found, _made_from(path, found)))
    return tasks


def _boxes_by_video(boxes: pl.DataFrame) -> dict[str, dict[int, Box]]:
    """The largest box of each frame; boxes without area (some sets' way to say "no face") are dropped."""
    boxes = checked(boxes, BOXES, "the table of boxes").select(*BOXES)
    boxes = boxes.filter((pl.col("box_w") > 0) & (pl.col("box_h") > 0))
    found: dict[str, dict[int, Box]] = {}
    for video, frame, x, y, w, h in boxes.sort(pl.col("box_w") * pl.col("box_h")).iter_rows():
        found.setdefault(video, {})[frame] = Box(x, y, w, h)
    return found


def _refuse_odd_id(name: str | None) -> None:
    """Ids become file names below the prepared folder, and must not lead out of it."""
    posix, windows = PurePosixPath(name or ""), PureWindowsPath(name or "")
    if str(posix) != name or name == "." or posix.anchor or windows.anchor or ".." in windows.parts:
        raise TableError(
            f"the id {name!r} cannot name a file",
            where="the sample table",
            remedy="Use ids like 'a' or 'a/b'.",
        )


def _made_from(path: Path, boxes: Mapping[int, Box]) -> str:
    """A digest of the file's size and time of change and of the boxes."""
    state = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
    return hashlib.sha256(repr((state, sorted(boxes.items(), key=lambda item: item[0]))).encode()).hexdigest()


def _claim(out: Path, config: PrepareConfig, weights: Path | None, root: Path) -> None:
    """Write the settings into a new folder, or compare them with those of a prepared one."""
    settings = {**dataclasses.asdict(config), "detector_sha256": weights and _sha256(weights)}
    del settings["workers"]  # changes nothing but the time
    note = out / "prepare.json"
    if note.is_file():
        before = _settings(note)
        for name, value in settings.items():
            if before.get(name) != value:
                raise InputError(
                    f"the folder was prepared with {name} = {before.get(name)}, not {value}",
                    where=str(out),
                    remedy="Use the same setting or another folder.",
                )
        return
    if out.exists() and (not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())):
        raise InputError("neither a prepared folder nor empty", where=str(out), remedy="Use a new folder.")
    text = json.dumps({"settings": settings, "version": version("safas"), "source": str(root)}, indent=2)
    _write(note, text.encode())


def _settings(note: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(note.read_text())["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("not the settings of a prepared folder", where=str(note)) from error


def _is_done(task: _Task, out: Path) -> bool:
    ended = _ended(task, out)
    return (
        ended is not None
        and ended["made_from"] == task.made_from
        and all((out / row["crop"]).is_file() for row in ended["crops"])
    )


def _ended(task: _Task, out: Path) -> dict[str, Any] | None:
    """The video's row file, {made_from, reason, crops}, if there is one."""
    path = task.row_file(out)
    return json.loads(path.read_text()) if path.is_file() else None


def _prepare_video(task: _Task, out: Path, config: PrepareConfig, weights: Path | None) -> None:
    """One idempotent task: crops first, then the row file that says that they are complete."""
    _forget(task, out)
    find = _finder(task, weights)
    reason: str | None = None
    try:
        crops = list(_crops(task, config, find))
    except (MediaError, InputError) as error:
        crops, reason = [], error.what  # without the path, which differs between machines
    if not crops and reason is None:
        reason = f"no face in any of the frames chosen (boxes from: {config.detector})"
    for row, image in crops:
        _write(out / row["crop"], cv2.imencode(".png", image[:, :, ::-1], _PNG)[1].tobytes())
    ended = {"made_from": task.made_from, "reason": reason, "crops": [row for row, _ in crops]}
    _write(task.row_file(out), json.dumps(ended).encode())


def _forget(task: _Task, out: Path) -> None:
    """Remove what was made from an older state of the video; first the row file, which vouches for it."""
    ended = _ended(task, out)
    if ended is None or ended["made_from"] == task.made_from:
        return
    task.row_file(out).unlink()
    for row in ended["crops"]:
        (out / row["crop"]).unlink(missing_ok=True)


def _finder(task: _Task, weights: Path | None) -> Find:
    """How the face of a frame is found: the largest one of the detector's, or the table's."""
    if weights is None:
        return lambda frame: Face(task.boxes[frame.index], None, 1.0) if frame.index in task.boxes else None
    detector = _yunet(weights)
    return lambda frame: next(iter(detector.detect(frame.image)), None)


@functools.lru_cache(maxsize=1)
def _yunet(weights: Path) -> YuNet:
    """One network a process: loading it takes longer than a frame."""
    return YuNet(weights)


def _crops(task: _Task, config: PrepareConfig, find: Find) -> Iterator[tuple[dict[str, Any], Image]]:
    """(row of CROPS, uint8 [size, size, 3] RGB) of each chosen frame that shows a face."""
    for frame in evenly_spaced(task.path, config.frames):
        face = find(frame)
        if face is None:
            continue
        yield _row(task, frame, face, config), _crop(frame.image, face, config)


def _crop(image: Image, face: Face, config: PrepareConfig) -> Image:
    if config.align and face.landmarks is not None:
        return aligned_crop(image, face.box, face.landmarks, margin=config.margin, size=config.size)
    return square_crop(image, face.box, margin=config.margin, size=config.size)


def _row(task: _Task, frame: Frame, face: Face, config: PrepareConfig) -> dict[str, Any]:
    return {
        "dataset": task.dataset,
        "video": task.video,
        "frame": frame.index,
        **{f"box_{side}": value for side, value in dataclasses.asdict(face.box).items()},
        "timestamp_s": frame.timestamp_s,
        "landmarks": None if face.landmarks is None else face.landmarks.ravel().tolist(),
        "detector": config.detector,
        "detector_score": None if config.detector == "table" else face.score,
        "crop": f"crops/{task.dataset}/{task.video}/{frame.index}.png",
    }


def _write(path: Path, data: bytes) -> None:
    """Atomically; a file that holds these bytes already is left alone."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


@contextmanager
def _bar(total: int, done: int, shown: bool) -> Iterator[Callable[[], None]]:
    columns = (
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task("preparing videos", total=total, completed=done)
        yield lambda: bar.advance(task)


def _collect(samples: pl.DataFrame, tasks: Sequence[_Task], out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write the three tables from the row files; (crops, failures)."""
    crops, failures = [], []
    for task, label in zip(tasks, samples["label"], strict=True):
        ended = _ended(task, out) or {"crops": [], "reason": "its row file has vanished"}
        crops += ended["crops"]
        if ended["reason"]:
            failures.append((task.dataset, task.video, label, ended["reason"]))
    crop_table = pl.DataFrame(crops, schema=dict(CROPS)).sort("dataset", "video", "frame")
    failure_table = pl.DataFrame(failures, schema=dict(FAILURES), orient="row").sort("dataset", "video")
    write_table(samples, out / "samples.parquet")
    write_table(crop_table, out / "crops.parquet")
    write_table(failure_table, out / "failures.parquet")
    return crop_table, failure_table


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
