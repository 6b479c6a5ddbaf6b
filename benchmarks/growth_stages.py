"""The stages whose growth is measured, each on made-up data of n rows, crops, people, domains or views."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import polars as pl
import torch

from growing import Stage, Work
from growth_steps import D, objective, projection, step
from safas.assessment.assess import Settings, assess
from safas.assessment.presentations import Inputs
from safas.assessment.reading import read
from safas.assessment_page import write_page
from safas.audit import audit
from safas.batches import CropStore, Sampler
from safas.benchmark.comparison import errors, trial
from safas.capture.domains import DOMAINS
from safas.capture.simulate import SimulateConfig, Task, simulate_person
from safas.evaluation import RUN_SCORES, evaluate, score_videos
from safas.export import ExportConfig, export
from safas.figures.embedding import pca, umap
from safas.figures.scores import roc
from safas.losses import supervised_contrastive, triplet
from safas.methods import METHODS
from safas.prepare import PrepareConfig, prepare
from safas.protocols import SOURCE_DEV, TARGET, Protocol, source_data, target_rows
from safas.run_evaluation import evaluate_run
from safas.table import BOXES, CROPS, SAMPLES, checked_samples, is_live, read_table, write_table
from safas.training import preset, train
from safas.training.scoring import alignment, features_of, scores_of, separability

DOMAIN_NAMES = tuple("abcd")
PROTOCOL = Protocol(("a", "b", "c"), "d")


def samples(n: int, people_each: int = 10) -> pl.DataFrame:
    """n rows of four domains: half of them live; ten of each person, of whom half train, a sixth is dev."""
    place = np.arange(n)
    person = place // 8 % max(6, n // (4 * people_each))
    live = place // 4 % 2 == 1
    columns: dict[str, Any] = dict.fromkeys(SAMPLES, "x")
    columns |= {"dataset": "made", "domain": np.array(DOMAIN_NAMES)[place % 4], "media": "image"}
    columns |= {"video": [f"v{i}" for i in range(n)], "path": [f"{i % 4}/{i}.png" for i in range(n)]}
    columns |= {"split": np.array(["train", "train", "train", "dev", "test", "test"])[person % 6]}
    columns |= {"label": np.where(live, "live", "spoof"), "attack": np.where(live, "none", "print")}
    columns |= {"subject": person.astype(str)}
    return pl.select(**{k: pl.Series(v) if not isinstance(v, str) else pl.lit(v) for k, v in columns.items()})


def pictures(n: int, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """n PNGs of 96 pixels, live ones brighter above, with their sample table and boxes."""
    table, rng = samples(n), np.random.default_rng(0)
    shade = np.linspace(0, 120, 96)[:, None, None]
    for path, live in zip(table["path"], is_live(table), strict=True):
        noise = rng.integers(0, 100, (96, 96, 3))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / path), (noise + (shade[::-1] if live else shade)).astype(np.uint8))
    box = {"frame": 0, "box_x": 8.0, "box_y": 8.0, "box_w": 80.0, "box_h": 80.0}
    boxes = table.select("video", *(pl.lit(v).alias(k) for k, v in box.items()))
    write_table(table, folder / "samples.parquet")
    return table, boxes.select(pl.col(name).cast(kind) for name, kind in BOXES.items())


def prepared(n: int, folder: Path) -> Path:
    """A prepared folder of n crops of 80 pixels."""
    table, boxes = pictures(n, folder / "set")
    prepare(
        table,
        folder / "set",
        folder / "out",
        PrepareConfig(size=80, frames=1, workers=1),
        boxes,
        progress=False,
    )
    return folder / "out"


def scores(n: int, epochs: int = 1) -> pl.DataFrame:
    """RUN_SCORES: n presentations of the target and as many of source validation, at each epoch."""
    table, rng, parts = samples(2 * n), np.random.default_rng(0), []
    for epoch, (role, rows) in ((e, part) for e in range(epochs) for part in _roles(table)):
        score = 1 / (1 + np.exp(-rng.normal(2.0 * is_live(rows) - 1, 1.2)))
        about = {"frames": 4, "run": "made", "seed": 0, "epoch": epoch, "role": role}
        parts.append(
            rows.with_columns(pl.Series("score", score), *(pl.lit(v).alias(k) for k, v in about.items()))
        )
    return pl.concat(parts).select(pl.col(name).cast(kind) for name, kind in RUN_SCORES.items())


def _roles(table: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    half = table.with_columns(pl.lit("a").alias("domain"))
    yield SOURCE_DEV, half[::2]
    yield TARGET, table.with_columns(pl.lit("d").alias("domain"))[1::2]


def tables(n: int, folder: Path) -> Work:
    """Write, read and check a sample table."""
    table = samples(n)

    def work() -> None:
        write_table(table, folder / "t.parquet")
        checked_samples(read_table(folder / "t.parquet", SAMPLES), "made")

    return work


def protocols(n: int, folder: Path) -> Work:
    """Split a table by a protocol, validation people held out."""
    table, without_dev = samples(n), Protocol(PROTOCOL.sources, PROTOCOL.target, "all")
    return lambda: (source_data(without_dev, table), target_rows(without_dev, table))


def preparation(n: int, folder: Path, again: bool = False) -> Work:
    """Crop n images; `again`: find that all is done."""
    table, boxes = pictures(n, folder / "set")
    config, calls = PrepareConfig(size=80, frames=1, workers=1), iter(range(99))

    def work(out: Path) -> None:
        prepare(table, folder / "set", out, config, boxes, progress=False)

    if again:
        work(folder / "out")
        return partial(work, folder / "out")
    return lambda: work(folder / f"out{next(calls)}")


def clips(n: int, folder: Path) -> Work:
    """Four crops of each of n / 4 clips of 640x480 and five seconds, the face found by YuNet."""
    from preparation import make_clips, ours

    (folder / "set").mkdir()
    make_clips(folder / "set", (640, 480), n // 4)
    calls = iter(range(99))
    return lambda: ours(folder / "set", folder / f"out{next(calls)}", 1)


def audits(n: int, folder: Path) -> Work:
    """Read every file of a set of n images."""
    pictures(n, folder / "set")
    calls = iter(range(99))
    return lambda: audit("table", folder / "set", folder / f"out{next(calls)}", workers=1, progress=False)


def opening(n: int, folder: Path) -> Work:
    """Find the source crops of a prepared folder and read them."""
    out = prepared(n, folder)
    table = read_table(out / "samples.parquet", SAMPLES)
    return lambda: CropStore(out, table, DOMAIN_NAMES)


def sampling(n: int, folder: Path, domains: int = 4) -> Work:
    """All batches of 256 of a balanced epoch of n videos."""
    place = np.arange(n)
    store: Any = SimpleNamespace(domain=place % domains, live=place // domains % 2 == 1)
    store.count, store.first = np.full(n, 4), 4 * place

    def work() -> None:
        sampler = Sampler(store, 256, "balanced", 0)
        for number in range(sampler.steps_per_epoch):
            sampler.crops(number)

    return work


def sampling_of_domains(E: int, folder: Path) -> Work:
    """An epoch of 65,536 videos of E domains."""
    return sampling(65_536, folder, E)


def _trained(n: int, folder: Path, runs: Path) -> tuple[Path, Path]:
    out = prepared(n, folder)
    config = replace(preset("demo", "sa-fas"), epochs=1, threads=1)
    data = source_data(PROTOCOL, read_table(out / "samples.parquet", SAMPLES))
    return train(config, data, out, runs, progress=False), out


def training(n: int, folder: Path) -> Work:
    """An epoch of SA-FAS, ResNet-18 at 80 pixels, on a set of n crops, of which three eighths are trained on."""
    out, calls = prepared(n, folder), iter(range(99))
    config = replace(preset("demo", "sa-fas"), epochs=1, threads=1)
    data = source_data(PROTOCOL, read_table(out / "samples.parquet", SAMPLES))
    return lambda: train(config, data, out, folder / f"runs{next(calls)}", progress=False)


def scoring(n: int, folder: Path) -> Work:
    """Read n crops and score each by a ResNet-18 at 80 pixels."""
    from safas.methods.sa_fas import SaFas, SaFasConfig
    from safas.model import backbone

    torch.set_num_threads(1)
    out = prepared(n, folder)
    net = SaFas(*backbone("resnet18"), 3, SaFasConfig(), 80, 1).scoring_net().eval()
    table = read_table(out / "samples.parquet", SAMPLES)
    return lambda: scores_of(net, features_of(net, CropStore(out, table, DOMAIN_NAMES).images))


def exporting(n: int, folder: Path) -> Work:
    """Export a run of a set of n crops: fp32, int8, thresholds, clusters."""
    torch.set_num_threads(1)
    run, out = _trained(n, folder, folder / "runs")
    evaluate_run(run, out, progress=False)
    return lambda: export(run, out, folder / "bundle", ExportConfig(detector="yunet"), progress=False)


def averaging(n: int, folder: Path) -> Work:
    """From the scores of n frames, four of each video, to those of the videos; the network does nothing."""
    table = samples(n // 4)
    frames = table.select(pl.all().repeat_by(4)).explode(pl.all())
    columns: dict[str, Any] = dict.fromkeys(CROPS, 0) | {"crop": "x"}
    new = {name: pl.lit(value).alias(name) for name, value in columns.items() if name not in SAMPLES}
    crops = frames.with_columns(**new).with_columns(frame=pl.int_range(pl.len()) % 4)
    one = np.zeros((64, 1, 1, 3), np.uint8)
    return lambda: score_videos(lambda x: np.full(len(x), 0.5), crops, lambda paths: one[: len(paths)])


def evaluating(n: int, folder: Path) -> Work:
    """Every number of a run, with its intervals of 1,000 replicates, from n target scores of one epoch."""
    table = scores(n)
    return lambda: evaluate(table)


def evaluating_epochs(n: int, folder: Path) -> Work:
    """Every number of a run of n / 2,000 epochs, 2,000 target scores each, with 20 replicates."""
    table = scores(2000, n // 2000)
    return lambda: evaluate(table, replicates=20)


def comparing(n: int, folder: Path) -> Work:
    """2,000 replicates of people for one run on n target scores, n / 10 people."""
    table = scores(n)
    one = trial(table, {"epoch": 0, "threshold": {"value": 0.5}})
    return lambda: errors([one])


def reporting(n: int, folder: Path) -> Work:
    """`safas report`: n scores to the JSON and the page, 1,000 replicates."""
    path = folder / "scores.parquet"
    write_table(scores(n).filter(role=TARGET).drop("epoch", "role"), path)

    def work() -> None:
        test, _ = read(path)
        write_page(assess(Inputs(test), Settings()), test.table, folder / "page.html")

    return work


def drawing(n: int, folder: Path) -> Work:
    """The ROC of n scores as a figure of a page."""
    table = scores(n).filter(role=TARGET)
    curve = (table["score"].to_numpy(), is_live(table), 0.5)
    return lambda: roc("roc", "d", {"made": curve})


def planes(n: int, folder: Path, way: Callable[[np.ndarray], object]) -> Work:
    """Features of n videos brought into the plane. (UMAP compares all pairs up to 4,096, then only neighbours.)"""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, D)).astype(np.float32) + 8 * rng.normal(size=(8, D))[rng.integers(0, 8, n)]
    return lambda: way(features.astype(np.float32))


def geometry(n: int, folder: Path) -> Work:
    """Separability and alignment of the features of n crops of validation."""
    rng = np.random.default_rng(0)
    features, live, domain = (
        rng.normal(size=(n, D)).astype(np.float32),
        np.arange(n) % 2 == 1,
        np.arange(n) // 2 % 3,
    )
    return lambda: (separability(features, 2 * domain + live), alignment(features, live, domain, features[0]))


def simulating(n: int, folder: Path) -> Work:
    """n / 32 people of the domain phone: of each eight clips, which are four crops each."""
    config, calls = SimulateConfig(people=6), iter(range(99))

    def work() -> None:
        out = folder / f"out{next(calls)}"
        for person in range(n // 32):
            simulate_person(Task(out, config, next(iter(DOMAINS)), person))

    return work


def series(first: int, count: int, factor: int = 4) -> tuple[int, ...]:
    """first, first * factor, ..."""
    return tuple(first * factor**i for i in range(count))


SIMULATE, PREPARE, TRAIN, SCORE = "simulate", "prepare clips", "train an epoch", "score"
AGAIN, OPEN = "prepare again", "open crops"
METRICS, REPORT, EXPORT = "evaluate, 1,000 draws", "report and page", "export"

METHODS_ALONE = [name for name in METHODS if name != "distill"]  # which needs a trained teacher
ROWS = series(1000, 6)  # to 1,024,000
STAGES: tuple[Stage, ...] = (
    Stage("sample table", "videos", tables, ROWS),
    Stage("protocol", "videos", protocols, ROWS),
    Stage("sampler, an epoch", "videos", sampling, series(4096, 5)),
    Stage(METRICS, "videos", evaluating, series(250, 8)),
    Stage("evaluate, by epochs", "videos", evaluating_epochs, series(8000, 5)),
    Stage("compare, 2,000 draws", "videos", comparing, series(250, 8)),
    Stage(REPORT, "videos", reporting, ROWS),
    Stage("ROC figure", "videos", drawing, ROWS),
    Stage("PCA", "videos", partial(planes, way=lambda x: pca(x, x[:, 0])), series(500, 5)),
    Stage("UMAP", "videos", partial(planes, way=lambda x: umap(x, 0)), series(4500, 4, 2)),
    Stage(SIMULATE, "crops", simulating, series(32, 10, 2)),
    Stage(PREPARE, "crops", clips, series(16, 12, 2)),
    Stage("prepare images", "crops", preparation, series(250, 6)),
    Stage(AGAIN, "crops", partial(preparation, again=True), series(250, 3)),
    Stage("audit", "crops", audits, series(250, 3)),
    Stage(OPEN, "crops", opening, series(250, 3)),
    Stage(TRAIN, "crops", training, series(192, 9, 2)),
    Stage("features' geometry", "crops", geometry, series(1000, 5)),
    Stage(SCORE, "crops", scoring, series(64, 9, 2)),
    Stage("average frames", "crops", averaging, ROWS),
    Stage(EXPORT, "crops", exporting, series(96, 8, 2)),
    *(Stage(name, "domains", partial(step, name=name), (4, 16, 64)) for name in METHODS_ALONE),
    Stage("projection", "domains", projection, (4, 16, 64)),
    Stage("sampler", "domains", sampling_of_domains, (4, 16, 64)),
    Stage("SupCon", "views", partial(objective, loss=supervised_contrastive), series(256, 7, 2)),
    Stage("triplets", "views", partial(objective, loss=triplet), series(64, 8, 2)),
)
