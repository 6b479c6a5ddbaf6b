"""Training: one loop for every method, resumable bit for bit, that sees source domains only."""

from safas.training.claim import claimed, lock_of, try_claim
from safas.training.config import PRESETS, TrainConfig, preset
from safas.training.folder import digest_of, holds, read_run
from safas.training.group import ALONE, Group
from safas.training.loop import read_crops, train
from safas.training.naming import run_hash
from safas.training.records import read_records
from safas.training.scoring import (
    candidate_epochs,
    drop_checkpoint,
    drop_weights,
    evaluated_epochs,
    features_of,
    has_ended,
    has_weights,
    load_scorer,
    precision_of,
    progress_of,
    read_dev_scores,
    scorer_of,
    scores_of,
)
from safas.training.teaching import Teacher, read_teacher, validated

__all__ = [
    "ALONE",
    "PRESETS",
    "Group",
    "Teacher",
    "TrainConfig",
    "candidate_epochs",
    "claimed",
    "digest_of",
    "drop_checkpoint",
    "drop_weights",
    "evaluated_epochs",
    "features_of",
    "has_ended",
    "has_weights",
    "holds",
    "load_scorer",
    "lock_of",
    "precision_of",
    "preset",
    "progress_of",
    "read_crops",
    "read_dev_scores",
    "read_records",
    "read_run",
    "read_teacher",
    "run_hash",
    "scorer_of",
    "scores_of",
    "train",
    "try_claim",
    "validated",
]
