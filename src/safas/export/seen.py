"""What an export looks at: a finished run, its source validation, and some of its training faces. Never the target."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from safas.batches import CropStore
from safas.bundle import Training
from safas.errors import InputError
from safas.model import ScoringNet
from safas.prepared import is_simulated, prepared_samples
from safas.protocols import EPOCH_RULE, Protocol, source_data
from safas.results import method_name
from safas.run_evaluation import evaluate_run, validation_crops
from safas.table import PERSON
from safas.training import load_scorer, read_run

_VIDEOS = 200  # of each domain and label: more faces hardly move the clusters


@dataclass(frozen=True, eq=False)
class Seen:
    """A run at the epoch that source validation chose, and the crops of its sources."""

    run_dir: Path
    said: Mapping[str, Any]  # config.json
    evaluation: Mapping[str, Any]  # evaluation.json
    net: ScoringNet
    dev: CropStore
    train: CropStore  # some videos of each domain and label
    samples: pl.DataFrame  # of training, all of them
    settings: Mapping[str, Any]  # of the preparation

    def training(self) -> Training:
        """The statement of what the network has seen."""
        said, protocol = self.said, self.said["protocol"]
        both = pl.concat([self.samples, self.dev.videos.select(self.samples.columns)])
        return Training(
            method=said["config"]["method"]["name"],
            method_name=method_name(said["config"]["method"]["name"]),
            protocol=protocol["name"],
            unseen=protocol["target"],
            seed=said["config"]["seed"],
            epoch=self.evaluation["chosen"]["epoch"],
            epoch_rule=EPOCH_RULE,
            datasets=tuple(both["dataset"].unique().sort()),
            domains=self.dev.domains,
            simulated=is_simulated(both),
            counts={
                "train": _counts(self.samples, said["data"]["train"]["crops"]),
                "validation": _counts(self.dev.videos, said["data"]["dev"]["crops"]),
            },
        )


def look_at(run_dir: Path, prepared: Path, progress: bool = True) -> Seen:
    """Read all of it, evaluating the run first where that was not done.

    Raises InputError when a folder is not what it should be, or the run was trained on other crops than these.
    """
    evaluation, said = evaluate_run(run_dir, prepared, progress), read_run(run_dir)
    protocol = Protocol.of_json(said["protocol"])
    data, dev = source_data(protocol, prepared_samples(prepared)), validation_crops(run_dir, prepared)
    net = load_scorer(run_dir, evaluation["chosen"]["epoch"]).to(memory_format=torch.contiguous_format)
    train = CropStore(prepared, _some(data.train), protocol.sources)
    return Seen(run_dir, said, evaluation, net, dev, train, data.train, _settings(prepared))


def _some(rows: pl.DataFrame) -> pl.DataFrame:
    """At most _VIDEOS evenly spaced ones of each domain and label, in the order of the table."""
    place, count = pl.int_range(pl.len()), pl.len()
    step = pl.max_horizontal(1, (count + _VIDEOS - 1) // _VIDEOS)
    return rows.filter((place % step == 0).over("domain", "label"))


def _settings(prepared: Path) -> Mapping[str, Any]:
    note = prepared / "prepare.json"
    try:
        settings: Mapping[str, Any] = json.loads(note.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "not the settings of a prepared folder", where=str(note), remedy="Make one with `safas prepare`."
        ) from error
    return settings


def _counts(videos: pl.DataFrame, crops: int) -> dict[str, int]:
    live = int((videos["label"] == "live").sum())
    people = videos.select(PERSON).n_unique()
    return {
        "videos": len(videos),
        "live": live,
        "spoof": len(videos) - live,
        "people": people,
        "crops": crops,
    }
