"""What a report shows, gathered from the folders of prepared crops and finished runs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit, logit

from safas.batches import CropStore
from safas.evaluation import RUN_SCORES
from safas.figures.learning import head_names
from safas.model import ScoreRule, ScoringNet
from safas.prepared import is_simulated, prepared_samples
from safas.protocols import Protocol, inside_rows, target_rows
from safas.results import method_name
from safas.run_evaluation import evaluate_run
from safas.run_page import Face, Features, MethodRun, ProtocolRuns, Provenance, ReportInput
from safas.table import read_table
from safas.thumbnails import middle_crops, read_crop
from safas.training import features_of, load_scorer, read_records, read_run, scores_of

NOT_REAL = (
    "Faces, rooms, cameras, prints and screens were made by a program; nobody was filmed. The numbers compare "
    "methods under a change of place and camera. They are no evidence about real attacks and can't be set beside "
    "published tables."
)


def protocol_runs(run_dirs: Sequence[Path], prepared: Path) -> ProtocolRuns:
    """Evaluated runs of one protocol, one a method, in the order given."""
    said = read_run(run_dirs[0])["protocol"]
    methods = [method_run(run_dir, prepared) for run_dir in run_dirs]
    return ProtocolRuns(Protocol.of_json(said), methods)


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


def faces(prepared: Path) -> list[Face]:
    """Up to two crops of live faces and of every attack of every domain, of different test people if there are."""
    samples = prepared_samples(prepared)
    rows = samples.join(middle_crops(prepared), on=["dataset", "video"], how="inner")
    rows = rows.sort(pl.col("split") != "test", "domain", "subject", "video")
    rows = rows.unique(["domain", "attack", "subject"], keep="first", maintain_order=True)
    chosen = rows.group_by("domain", "attack", maintain_order=True).head(2)
    return [
        Face(domain, attack, subject, read_crop(prepared / crop))
        for domain, attack, subject, crop in chosen.select("domain", "attack", "subject", "crop").iter_rows()
    ]


def run_page(run_dir: Path, prepared: Path, command: str) -> ReportInput:
    """A page about one run: its result, its picture of the method, its settings. Evaluates what is not yet."""
    said = read_run(run_dir)
    provenance = Provenance(
        command=command,
        commit=str(said["environment"]["commit"]),
        seed=int(said["config"]["seed"]),
        created=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
        versions=said["environment"]["versions"],
        configurations={"The run": {key: said[key] for key in ("run", "config", "protocol")}},
    )
    simulated = NOT_REAL if is_simulated(prepared_samples(prepared)) else ""
    return ReportInput([protocol_runs([run_dir], prepared)], provenance, faces(prepared), simulated)


def _features(run_dir: Path, prepared: Path, epoch: int) -> Features:
    """The middle crop of every target video, and of every test video of the training domains."""
    protocol = Protocol.of_json(read_run(run_dir)["protocol"])
    samples = prepared_samples(prepared)
    rows = pl.concat([target_rows(protocol, samples), inside_rows(protocol, samples)])
    store = CropStore(prepared, rows, sorted(rows["domain"].unique()))
    net = load_scorer(run_dir, epoch)
    values = features_of(net, store.images[store.first + store.count // 2])
    logits = _logits(net, values)
    table = store.videos.select("domain", "label", "attack").with_columns(
        pl.Series("score", scores_of(net, values).astype(np.float64)),
        pl.Series("decision", _decision(logits, net.rule)),
        (pl.col("domain") != protocol.target).alias("seen"),
    )
    names = head_names(protocol.sources, logits.shape[1])
    return Features(values, table, dict(zip(names, logits.T, strict=True)))


def _logits(net: ScoringNet, features: np.ndarray) -> np.ndarray:
    """Of every row of features [N, D] under every head [N, E], in 64 bits."""
    weight, bias = (tensor.detach().cpu().double().numpy() for tensor in (net.heads.weight, net.heads.bias))
    logits: np.ndarray = features @ weight.T + bias
    return logits


def _decision(logits: np.ndarray, rule: ScoreRule) -> np.ndarray:
    """The logit [N] of the score: of `DomainHeads.score`'s two rules, from the logits [N, E]."""
    mean: np.ndarray = logits.mean(axis=1) if rule == "hyperplane" else logit(expit(logits).mean(axis=1))
    return mean
