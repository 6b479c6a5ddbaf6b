"""From a run's kept weights to a scoring net; features and scores of crops; how far a run has come."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float

from safas.batches import CropStore
from safas.errors import DivergenceError, RunError, TrainingError
from safas.evaluation import RUN_SCORES, Scorer
from safas.methods import METHODS
from safas.model import ScoringNet, backbone
from safas.packing import Crops
from safas.protocols import SOURCE_DEV, dev_record
from safas.table import checked, read_table, write_table
from safas.training.checkpoint import load
from safas.training.config import config_from_json
from safas.training.environment import whole_float32
from safas.training.folder import CHECKPOINT, read_run
from safas.training.records import read_records


def weights_path(run_dir: Path, epoch: int) -> Path:
    """Where the weights at the end of an epoch (from 0) are kept."""
    return run_dir / "weights" / f"epoch-{epoch:04d}.safetensors"


def _dev_scores_path(run_dir: Path, epoch: int) -> Path:
    return run_dir / "dev" / f"epoch-{epoch:04d}.parquet"


def read_dev_scores(run_dir: Path, epoch: int) -> pl.DataFrame:
    """What training scored source validation with at the end of an evaluated epoch: columns RUN_SCORES."""
    return read_table(_dev_scores_path(run_dir, epoch), RUN_SCORES)


def keep_dev_scores(scores: pl.DataFrame, run_dir: Path, seed: int, epoch: int) -> None:
    """Keep the scores that `validate` returned for `read_dev_scores`."""
    about = {"run": run_dir.name, "seed": seed, "epoch": epoch, "role": SOURCE_DEV}
    rows = scores.with_columns(pl.lit(value).alias(name) for name, value in about.items())
    path = _dev_scores_path(run_dir, epoch)
    path.parent.mkdir(exist_ok=True)
    write_table(checked(rows.select(*RUN_SCORES), RUN_SCORES, "scores"), path)


def evaluated_epochs(run_dir: Path) -> list[int]:
    """The epochs at whose end source validation was scored, ascending."""
    return _epochs(run_dir / "dev")


def candidate_epochs(run_dir: Path) -> list[int]:
    """The evaluated epochs that may be chosen, ascending: those at whose end all of the method was at work.

    While none is so late, the last one. An earlier state would often be ERM, stopped early, under the method's name.
    """
    first = config_from_json(read_run(run_dir)["config"]).first_candidate
    epochs = evaluated_epochs(run_dir)
    return [epoch for epoch in epochs if epoch >= first] or epochs[-1:]


def has_ended(run_dir: Path) -> bool:
    """Whether the last epoch was scored and logged: then all that training leaves is there but a last checkpoint."""
    last = int(read_run(run_dir)["config"]["epochs"]) - 1
    logged = (record["epoch"] for record in read_records(run_dir, "epoch"))
    return last in evaluated_epochs(run_dir) and last in logged


def has_weights(run_dir: Path, epoch: int) -> bool:
    """Whether the weights at the end of an epoch (from 0) are kept."""
    return weights_path(run_dir, epoch).is_file()


def progress_of(run_dir: Path) -> tuple[int, int]:
    """(steps done as far as the log tells, steps in all) of a run that may be under way."""
    said = read_run(run_dir)
    config, videos = config_from_json(said["config"]), int(said["data"]["train"]["videos"])
    classes = 2 * len(said["protocol"]["sources"]) if config.sampling == "balanced" else 1
    batch = config.batch // classes * classes  # as `safas.batches.Sampler` rounds it
    steps = [record["step"] + 1 for record in read_records(run_dir) if record["kind"] != "resumed"]
    return max(steps, default=0), config.epochs * (videos // batch)


def precision_of(run_dir: Path) -> str:
    """What a run was trained in: fp32, bf16, or "bf16 and fp32" where it went on in the other one."""
    resumed = [record["environment"] for record in read_records(run_dir, "resumed")]
    return " and ".join(sorted({one["precision"] for one in (read_run(run_dir)["environment"], *resumed)}))


def drop_checkpoint(run_dir: Path) -> None:
    """Delete what only a run that is not complete needs: the weights once more, and as much again of momentum."""
    (run_dir / CHECKPOINT).unlink(missing_ok=True)


def drop_weights(run_dir: Path, keep: Collection[int]) -> None:
    """Delete the weights of all other epochs: a network for each of them is most of what a run takes on disk."""
    for epoch in set(_epochs(run_dir / "weights")) - set(keep):
        weights_path(run_dir, epoch).unlink(missing_ok=True)


def _epochs(folder: Path) -> list[int]:
    names = (re.fullmatch(r"epoch-(\d+)\.\w+", path.name) for path in folder.glob("epoch-*"))
    return sorted(int(name.group(1)) for name in names if name)


def load_scorer(run_dir: Path, epoch: int) -> ScoringNet:
    """The scoring net at the end of an evaluated epoch, on the CPU, ready to score.

    Raises RunError when the folder is no run's or the epoch's weights are not there.
    """
    said = read_run(run_dir)
    path = weights_path(run_dir, epoch)
    if not path.is_file():
        known = ", ".join(map(str, _epochs(run_dir / "weights"))) or "none"
        raise RunError(f"no weights of epoch {epoch}", where=str(run_dir), remedy=f"There are: {known}.")
    config = config_from_json(said["config"])
    trunk, dim = backbone(config.backbone, "none")
    method_class: Any = METHODS[config.method.name]  # each takes its own kind of settings
    method = method_class(trunk, dim, len(said["protocol"]["sources"]), config.method, config.image_size, 1)
    net: ScoringNet = method.scoring_net()
    try:
        net.load_state_dict(load(path)[0])
    except RuntimeError as error:
        raise TrainingError("the weights are of another network", where=str(path)) from error
    return net.to(memory_format=torch.channels_last).eval()


@torch.inference_mode()
@whole_float32()
def features_of(
    net: ScoringNet, crops: Crops, batch: int = 64, rows: slice | None = None
) -> Float[np.ndarray, "k D"]:
    """phi of each crop, or of some rows, not normalised, in 32 bits; on the net's device, the net being in evaluation
    mode.
    """
    asked = range(len(crops))[rows or slice(None)]
    device = net.heads.weight.device
    parts = []
    for start in range(asked.start, asked.stop, batch):
        pixels = (
            torch.from_numpy(crops[start : min(start + batch, asked.stop)]).to(device).permute(0, 3, 1, 2)
        )  # channels last, as it lies in memory
        parts.append(net.features(pixels).float().cpu())
    return torch.cat(parts).numpy()


def scores_of(net: ScoringNet, features: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n"]:
    """P(live) of each row of features, by the net's rule."""
    with torch.inference_mode():
        phi = torch.from_numpy(features).to(net.heads.weight.device)
        return net.heads.score(phi, net.rule).cpu().numpy()


def scorer_of(net: ScoringNet) -> Scorer:
    """The net as evaluation wants it: uint8 crops [N, S, S, 3] to P(live) [N]."""
    return lambda crops: scores_of(net, features_of(net, np.ascontiguousarray(crops)))


def validate(
    net: ScoringNet, store: CropStore, features: Float[np.ndarray, "n D"], epoch: int
) -> tuple[dict[str, float], pl.DataFrame]:
    """HTER and AUC over the videos of source validation, separability and alignment of the features, by name.

    features: of all crops of the store, in its order. The second result is the videos with their `score` (the mean over
    their crops) and number of `frames`. Raises DivergenceError when a feature is not finite.
    """
    if not np.isfinite(features).all():
        raise DivergenceError(
            f"the features are not finite at the end of epoch {epoch}", remedy="Lower the learning rate."
        )
    scores = np.add.reduceat(scores_of(net, features).astype(np.float64), store.first) / store.count
    videos = store.videos.with_columns(score=scores, frames=store.count)
    record = dev_record(epoch, videos)
    owner = np.repeat(np.arange(len(store.count)), store.count)
    live, domain = store.live[owner], store.domain[owner]
    mean_weight = net.heads.weight.detach().mean(dim=0).cpu().numpy()
    numbers = {
        "source_dev_hter": record.hter,
        "source_dev_auc": record.auc,
        "separability": separability(features, 2 * domain + live),
        "alignment": alignment(features, live, domain, mean_weight),
    }
    return numbers, videos


def separability(features: Float[np.ndarray, "n D"], classes: np.ndarray) -> float:
    """Mean distance, in [0, 2], of the centres of the classes (label, domain) of the normalised features."""
    z = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    centres = np.stack([z[classes == c].mean(axis=0) for c in np.unique(classes)])
    first, second = np.triu_indices(len(centres), k=1)
    return float(np.linalg.norm(centres[first] - centres[second], axis=1).mean())


def alignment(
    features: Float[np.ndarray, "n D"],
    live: np.ndarray,
    domain: np.ndarray,
    mean_weight: Float[np.ndarray, "D"],
) -> float:
    """Mean over the domains of cos(mean w, centre of live - centre of spoof), in [-1, 1]; 1 = one for all."""
    cosines = []
    for e in np.unique(domain):
        of = domain == e
        gap = features[of & live].mean(axis=0) - features[of & ~live].mean(axis=0)
        lengths = float(np.linalg.norm(gap) * np.linalg.norm(mean_weight))
        cosines.append(float(gap @ mean_weight) / max(lengths, 1e-12))
    return float(np.mean(cosines))
