"""What a report shows, gathered from the folders of prepared crops and finished runs."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from safas.batches import CropStore
from safas.benchmark import evaluate_run, prepared_samples
from safas.errors import MediaError
from safas.evaluation import RUN_SCORES
from safas.protocols import Protocol, inside_rows, target_rows
from safas.report import Face, Features, MethodRun, ProtocolRuns
from safas.results import method_name
from safas.table import CROPS, read_table
from safas.training import features_of, load_scorer, read_records, read_run, scores_of

PACKAGES = (
    "safas",
    "torch",
    "torchvision",
    "lightning-fabric",
    "numpy",
    "opencv-python-headless",
    "av",
    "umap-learn",
)


def protocol_runs(run_dirs: Sequence[Path], prepared: Path) -> ProtocolRuns:
    """Evaluated runs of one protocol, one a method, in the order given."""
    said = read_run(run_dirs[0])["protocol"]
    methods = [method_run(run_dir, prepared) for run_dir in run_dirs]
    return ProtocolRuns(tuple(said["sources"]), said["target"], methods)


def method_run(run_dir: Path, prepared: Path) -> MethodRun:
    """A run's result, scores and records, and its features of the test people at the chosen epoch."""
    result = evaluate_run(run_dir, prepared, progress=False)
    return MethodRun(
        method=method_name(read_run(run_dir)["config"]["method"]["name"]),
        scores=read_table(run_dir / "scores.parquet", RUN_SCORES),
        result=result,
        records=read_records(run_dir),
        features=_features(run_dir, prepared, int(result["chosen"]["epoch"])),
    )


def faces(prepared: Path, each: int = 2) -> list[Face]:
    """Up to `each` crops of live faces and of every attack of every domain, of different test people if there are."""
    samples = prepared_samples(prepared)
    crops = read_table(prepared / "crops.parquet", CROPS).sort("dataset", "video", "frame")
    middle = crops.group_by("dataset", "video", maintain_order=True).agg(
        pl.col("crop").gather(pl.len() // 2).first()
    )
    rows = samples.join(middle, on=["dataset", "video"], how="inner")
    rows = rows.sort(pl.col("split") != "test", "domain", "subject", "video")
    rows = rows.unique(["domain", "attack", "subject"], keep="first", maintain_order=True)
    chosen = rows.group_by("domain", "attack", maintain_order=True).head(each)
    return [
        Face(domain, attack, subject, _read_crop(prepared / crop))
        for domain, attack, subject, crop in chosen.select("domain", "attack", "subject", "crop").iter_rows()
    ]


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _features(run_dir: Path, prepared: Path, epoch: int) -> Features:
    """The middle crop of every target video, and of every test video of the training domains."""
    said = read_run(run_dir)["protocol"]
    protocol = Protocol(tuple(said["sources"]), said["target"], said["splits"])
    samples = prepared_samples(prepared)
    rows = pl.concat([target_rows(protocol, samples), inside_rows(protocol, samples)])
    store = CropStore(prepared, rows, sorted(rows["domain"].unique()))
    net = load_scorer(run_dir, epoch)
    values = features_of(net, store.images[store.first + store.count // 2])
    table = store.videos.select("domain", "label", "attack").with_columns(
        pl.Series("score", scores_of(net, values).astype(np.float64)),
        (pl.col("domain") != protocol.target).alias("seen"),
    )
    return Features(values, table)


def _read_crop(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if image is None:
        raise MediaError("not a readable crop", where=str(path), remedy="Run `safas prepare` again.")
    return np.asarray(image)
