"""Training: one loop for every method, resumable bit for bit, that sees source domains only."""

from safas.training.config import PRESETS, TrainConfig, preset
from safas.training.folder import read_run
from safas.training.loop import train
from safas.training.naming import run_hash
from safas.training.records import read_records
from safas.training.scoring import (
    drop_checkpoint,
    drop_weights,
    evaluated_epochs,
    features_of,
    has_ended,
    load_scorer,
    read_dev_scores,
    scorer_of,
    scores_of,
)

__all__ = [
    "PRESETS",
    "TrainConfig",
    "drop_checkpoint",
    "drop_weights",
    "evaluated_epochs",
    "features_of",
    "has_ended",
    "load_scorer",
    "preset",
    "read_dev_scores",
    "read_records",
    "read_run",
    "run_hash",
    "scorer_of",
    "scores_of",
    "train",
]
