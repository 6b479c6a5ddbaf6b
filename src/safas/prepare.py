"""From videos to square face crops and their rows: many small tasks, each done once.

A video's task writes its crops and then its row file, each atomically. The row file says "done" and carries
what the crops were made from, so a killed run goes on where it was, and a video that changed is done anew.

    OUT/prepare.json    the settings      OUT/crops/<dataset>/<video>/<frame>.png
    OUT/rows/           one file a video  OUT/samples.parquet, crops.parquet, failures.parquet
    OUT/generation      digest of what the crops are made from, written before they change: it tells outdated packs
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import cv2
import polars as pl
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from safas import __version__
from safas.boxes import faces_by_video
from safas.clip import Detector, faces_of_clip, turned
from safas.detectors import DETECTORS
from safas.errors import InputError, MediaError, TableError
from safas.faces import Face, Image, face_crop
from safas.files import sha256, write_file
from safas.frame_size import most_pixels
from safas.media import Frame, evenly_spaced
from safas.packing import GENERATION, discard
from safas.parallel import each
from safas.table import CROPS, SAMPLES, Schema, checked, write_table

Engine = Callable[[Callable[["_Task"], None], Sequence["_Task"]], Iterator[None]]
FAILURES: Schema = {name: pl.String() for name in ("dataset", "video", "label", "reason")}
_MOST = 10_000  # of any setting: beyond it is a slip
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # a third of the default's time for slightly larger files


@dataclass(frozen=True)
class PrepareConfig:
    """What the crops look like, and how many processes make them."""

    size: int = 128  # pixels: side of the crops
    frames: int = 4  # evenly spaced frames of each video
    margin: float = 0.15
    """added on each side of the box, as a share of its longer side; the tight box of the papers: 0, without align"""
    align: bool = False
    """turn the face until the eyes lie level (needs the eyes, from the detector or the table of boxes)"""
    detector: Literal["table", "yunet", "uniface"] = "table"
    """where the boxes come from; a detector also turns clips that are stored lying or on their heads"""
    workers: int | None = None  # processes; None: one a core that this process may use


@dataclass(frozen=True, eq=False)
class PrepareReport:
    """What is there now: videos with crops, crops, failures (columns: FAILURES).

    And what this run did: `done` videos (failures included; 0 when all had been there) in so many `seconds`.
    """

    videos: int
    crops: int
    failures: pl.DataFrame
    done: int
    seconds: float

    @property
    def videos_per_s(self) -> float:
        """Videos that this run did, by its seconds."""
        return self.done / self.seconds


@dataclass(frozen=True)
class _Task:
    """One video, its faces by frame where the table gives them, a digest of what its crops are made from."""

    dataset: str
    video: str
    path: Path
    faces: Mapping[int, Face]
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
    engine: Engine | None = None,
) -> PrepareReport:
    """Crop the faces of every sample (paths relative to the folder `root`) into the folder `out`.

    `boxes` has the columns of `safas.table.BOXES`, maybe `landmarks`, and is needed by the detector "table"; the
    largest box of a frame counts. A detector's face is one person's throughout the clip, in frames turned upright.
    A video that cannot be read or shows no face becomes a row of failures.parquet with the reason and never
    stops the run. `engine(work, tasks)` calls work(task) for each task and yields as they end, in order; None is
    `safas.parallel.each` with the configuration's workers. The result is the same by any.

    Raises InputError for impossible settings, a missing root, ids that cannot name a file, and a folder that
    was prepared with other settings (naming the setting) or is in other use; SafasError when a process dies.
    """
    start = time.perf_counter()
    weights = _checked(config, boxes)
    if not root.is_dir():
        raise InputError("not a folder", where=str(root))
    samples = checked(samples, SAMPLES, "the sample table")
    tasks = _tasks(samples, root, boxes if config.detector == "table" else None)
    version = _claim(out, config, weights, root)
    todo = [task for task in tasks if not _is_done(task, out)]
    if todo and version != __version__ and len(todo) < len(tasks):
        raise InputError(
            f"the folder was prepared by safas {version}, this is {__version__}, and {len(todo)} videos are left",
            where=str(out),
            remedy="Prepare into a new folder: crops of two versions are not mixed.",
        )
    if todo:  # crops are about to change
        discard(out)
        if version != __version__:
            _note_version(out)
        made_from = repr([(task.dataset, task.video, task.made_from) for task in tasks])
        write_file(out / GENERATION, sha256(made_from.encode()))
    work = functools.partial(_prepare_video, out=out, config=config, weights=weights)
    run = engine or functools.partial(each, workers=config.workers)
    with _bar(len(tasks), len(tasks) - len(todo), progress) as advance:
        for _ in run(work, todo) if todo else ():
            advance()
    crops, failures = _collect(samples, tasks, out)
    videos = crops.select("dataset", "video").n_unique()
    return PrepareReport(videos, len(crops), failures, len(todo), time.perf_counter() - start)


def _checked(config: PrepareConfig, boxes: pl.DataFrame | None) -> Path | None:
    """Refuse impossible settings before anything is written; the detector's weights, if it has any."""
    for name, least in (("size", 8), ("frames", 1), ("margin", 0.0), ("workers", 1)):
        value = getattr(config, name)
        if value is not None and not least <= value <= _MOST:
            raise InputError(f"{name} = {value}", where="prepare", remedy=f"From {least} to {_MOST}.")
    if config.detector != "table":
        find, _ = DETECTORS[config.detector]
        return find()
    if boxes is None:
        raise InputError("detector = table, and there is no table of boxes", remedy="Use detector = yunet.")
    if config.align and "landmarks" not in boxes.columns:
        raise InputError(
            "align = True needs the eyes, and the table gives boxes only", remedy="Use detector = yunet."
        )
    return None


def _tasks(samples: pl.DataFrame, root: Path, boxes: pl.DataFrame | None) -> list[_Task]:
    of_video = {} if boxes is None else faces_by_video(boxes)
    twice = samples.filter(pl.col("video").is_duplicated() & pl.col("video").is_in(list(of_video)))
    if not twice.is_empty():
        raise TableError(
            f"boxes are told for the video {twice['video'][0]!r}, which stands in more than one data set",
            where="the table of boxes",
            remedy="Prepare the data sets one by one.",
        )
    tasks = []
    for dataset, video, relative in samples.select("dataset", "video", "path").iter_rows():
        _refuse_odd_id(dataset)
        _refuse_odd_id(video)
        if "/" in dataset:  # "a/b" and "c" would be the files of "a" and "b/c"
            raise TableError(
                f"the data set's name {dataset!r} holds a '/'",
                where="the sample table",
                remedy="Leave it out.",
            )
        path, found = root / relative, of_video.get(video, {})
        tasks.append(_Task(dataset, video, path, found, _made_from(path, found)))
    return tasks


def _refuse_odd_id(name: str | None) -> None:
    """Ids become file names below the prepared folder, and must not lead out of it."""
    posix, windows = PurePosixPath(name or ""), PureWindowsPath(name or "")
    if str(posix) != name or name == "." or posix.anchor or windows.anchor or ".." in windows.parts:
        raise TableError(
            f"the id {name!r} cannot name a file",
            where="the sample table",
            remedy="Use ids like 'a' or 'a/b'.",
        )


def _made_from(path: Path, faces: Mapping[int, Face]) -> str:
    """A digest of the file's size and time of change, and of the boxes and landmarks."""
    try:
        state = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
    except (
        OSError
    ):  # in a folder that may not be entered, or a link to itself: told when the video's turn comes
        state = None
    given: tuple[Any, ...] = (state, [(frame, faces[frame].box) for frame in sorted(faces)])
    points = {frame: face.landmarks for frame, face in sorted(faces.items()) if face.landmarks is not None}
    if points:
        given += ([(frame, point.tolist()) for frame, point in points.items()],)
    return sha256(repr(given).encode())


def _claim(out: Path, config: PrepareConfig, weights: Path | None, root: Path) -> str:
    """Write the settings into a new folder, or compare them with those of a prepared one; by which safas that was."""
    settings = {**dataclasses.asdict(config), "detector_sha256": weights and sha256(weights.read_bytes())}
    del settings["workers"]  # changes nothing but the time
    note = out / "prepare.json"
    if note.is_file():
        before, version = _settings(note)
        for name, value in settings.items():
            if before.get(name) != value:
                raise InputError(
                    f"the folder was prepared with {name} = {before.get(name)}, not {value}",
                    where=str(out),
                    remedy="Use the same setting or another folder.",
                )
        return version
    if out.exists() and (not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())):
        raise InputError("neither a prepared folder nor empty", where=str(out), remedy="Use a new folder.")
    text = json.dumps({"settings": settings, "version": __version__, "source": str(root)}, indent=2)
    _write(note, text.encode())
    return __version__


def _note_version(out: Path) -> None:
    """All crops are made anew, so they will be this version's."""
    note = out / "prepare.json"
    said = json.loads(note.read_text(encoding="utf-8"))
    _write(note, json.dumps({**said, "version": __version__}, indent=2).encode())


def _settings(note: Path) -> tuple[dict[str, Any], str]:
    try:
        said = json.loads(note.read_text())
        return dict(said["settings"]), str(said["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "not the settings of a prepared folder", where=str(note), remedy="Prepare into a new folder."
        ) from error


def _is_done(task: _Task, out: Path) -> bool:
    ended = _ended(task, out)
    return (
        ended is not None
        and ended["made_from"] == task.made_from
        and ended.get("most_pixels", most_pixels()) == most_pixels()
        and all(_is_whole(out / row["crop"]) for row in ended["crops"])
    )


def _ended(task: _Task, out: Path) -> dict[str, Any] | None:
    """The video's row file, {made_from, reason, crops}, if there is one that a power cut has not emptied."""
    path = task.row_file(out)
    try:
        said: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return said if said.keys() >= {"made_from", "reason", "crops"} else None


def _is_whole(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _prepare_video(task: _Task, out: Path, config: PrepareConfig, weights: Path | None) -> None:
    """One idempotent task: crops first, then the row file that says that they are complete."""
    _forget(task, out)
    made_from: str | None = task.made_from
    try:
        crops, reason = _crops(task, config, weights)
    except MediaError as error:
        crops, reason = [], error.what  # without the path, which differs between machines
    except OSError as error:  # which may have passed when the next run comes
        crops, reason, made_from = [], f"cannot be read ({error.strerror})", None
    for row, image in crops:
        _write(out / row["crop"], cv2.imencode(".png", image[:, :, ::-1], _PNG)[1].tobytes())
    ended: dict[str, Any] = {"made_from": made_from, "reason": reason, "crops": [row for row, _ in crops]}
    if reason is not None:
        ended["most_pixels"] = most_pixels()  # with another limit it may be another
    _write(task.row_file(out), json.dumps(ended).encode())


def _forget(task: _Task, out: Path) -> None:
    """Remove what was made from an older state of the video; first the row file, which vouches for it."""
    ended = _ended(task, out)
    if ended is None or ended["made_from"] == task.made_from:
        return
    task.row_file(out).unlink()
    for row in ended["crops"]:
        (out / row["crop"]).unlink(missing_ok=True)


@functools.lru_cache(maxsize=1)
def _detector(name: str, weights: Path) -> Detector:
    """One network a process: loading it takes longer than a frame."""
    _, load = DETECTORS[name]
    return load(weights)


def _crops(
    task: _Task, config: PrepareConfig, weights: Path | None
) -> tuple[list[tuple[dict[str, Any], Image]], str | None]:
    """(row of CROPS, uint8 [size, size, 3] RGB) of each chosen frame that shows the face; without any, the reason."""
    frames = evenly_spaced(task.path, config.frames)
    degrees, faces = 0, [task.faces.get(frame.index) for frame in frames]
    if weights is not None:
        degrees, faces = faces_of_clip([frame.image for frame in frames], _detector(config.detector, weights))
    made, reason = [], f"no face in any of the frames chosen (boxes from: {config.detector})"
    for frame, face in zip(frames, faces, strict=True):
        if face is not None:
            row = _row(task, frame, face, config)
            upright = turned(frame.image, degrees)
            try:
                crop = face_crop(upright, face, margin=config.margin, size=config.size, align=config.align)
            except InputError as error:  # this box alone: the other frames' may be right
                reason = error.what
                continue
            made.append((row | {"rotation": degrees}, crop))
    return made, None if made else reason


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
        **{name: getattr(config, name) for name in ("size", "margin", "align")},
        "safas": __version__,
    }


def _write(path: Path, data: bytes) -> None:
    """Atomically; a file that holds these bytes already is left alone."""
    if path.is_file() and path.read_bytes() == data:
        return
    write_file(path, data)


@contextmanager
def _bar(total: int, done: int, shown: bool) -> Iterator[Callable[[], None]]:
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True), disable=not shown) as bar:
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
    crop_table = crop_table.with_columns(
        pl.col("rotation").fill_null(0)
    )  # rows from before there was this column
    failure_table = pl.DataFrame(failures, schema=dict(FAILURES), orient="row").sort("dataset", "video")
    write_table(samples, out / "samples.parquet")
    write_table(crop_table, out / "crops.parquet")
    write_table(failure_table, out / "failures.parquet")
    return crop_table, failure_table
