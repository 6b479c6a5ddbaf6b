"""A data set of tiny real videos with its tables, as a user would bring it, and runs of made-up scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from safas.evaluation import RUN_SCORES
from safas.table import BOXES, SAMPLES, checked, write_table

DOMAINS = ("north", "south", "west")
PEOPLE = {"ann": "train", "ben": "train", "cat": "dev", "dan": "test"}
SIDE, FRAMES = 64, 3  # pixels, frames of a video


def data_set(root: Path, write_video: Callable[..., Path]) -> Path:
    """Two live and two spoof videos of each of four people in each of three domains, with samples.csv and boxes.

    Live faces get brighter to the right, spoof ones to the left.
    """
    rng = np.random.default_rng(0)
    rows, boxes = [], []
    for domain in DOMAINS:
        for person, split in PEOPLE.items():
            for number, (label, attack) in enumerate(
                (("live", "none"), ("spoof", "print"), ("spoof", "cut")) * 2
            ):
                if number == 5:
                    continue
                video = f"{domain}-{person}-{number}"
                frames = [_frame(rng, label, 40 * DOMAINS.index(domain)) for _ in range(FRAMES)]
                write_video(root / domain / f"{video}.mp4", frames)
                row = dict.fromkeys(SAMPLES, "x") | {"dataset": "tiny", "domain": domain, "video": video}
                row |= {"path": f"{domain}/{video}.mp4", "media": "video", "split": split, "label": label}
                rows.append(row | {"attack": attack, "subject": person})
                boxes += [(video, frame, 8.0, 8.0, 48.0, 48.0) for frame in range(FRAMES)]
    pl.DataFrame(rows).write_csv(root / "samples.csv")
    write_table(pl.DataFrame(boxes, schema=dict(BOXES), orient="row"), root / "boxes.parquet")
    return root


def run_scores(shift: float = 0.0, epochs: int = 3, seed: int = 0) -> pl.DataFrame:
    """Scores of a made-up run: sources north and south, target west, whose scores are shifted in the logit."""
    rng = np.random.default_rng(seed)
    rows = []
    for epoch in range(epochs):
        for role, domain in (
            ("source-dev", "north"), ("source-dev", "south"), ("source-test", "north"), ("source-test", "south"),
            ("target", "west"),
        ):  # fmt: skip
            for person in range(6):
                for label, attack in (("live", "none"), ("spoof", "print"), ("spoof", "replay_video")):
                    logit = (epoch + 1) * (1 if label == "live" else -1) + rng.normal()
                    score = 1 / (1 + np.exp(-logit - (shift if role == "target" else 0)))
                    video, subject = f"{role}-{domain}-{person}-{attack}", f"{role}-{person}"
                    split = "dev" if role == "source-dev" else "test"
                    who = ("tiny", video, subject, domain, split, label, attack)
                    rows.append((*who, score, 4, "run", 0, epoch, role))
    return checked(pl.DataFrame(rows, schema=list(RUN_SCORES), orient="row"), RUN_SCORES, "made up")


def records(epochs: int = 3, heads: bool = True) -> list[dict[str, object]]:
    """A made-up log: four logged steps an epoch, the loss falling, the heads falling in line."""
    lines: list[dict[str, object]] = []
    for epoch in range(epochs):
        for step in range(4 * epoch, 4 * epoch + 4):
            line = {"kind": "step", "step": step, "epoch": epoch, "loss": 2 / (step + 1)}
            if heads:
                line |= {"head_cosine": 1 - 1 / (step + 1), "bias_spread": 0.1 / (step + 1)}
                line |= {"head_biases": [0.1 / (step + 1), 0.0], "head_norms": [1.0, 1.0 + step]}
            lines.append(line)
        lines.append(
            {"kind": "epoch", "epoch": epoch, "step": 4 * epoch + 3, "source_dev_hter": 0.3 / (epoch + 1)}
            | {"source_dev_auc": 0.9, "separability": 0.5 + epoch / 10, "alignment": epoch / 10}
        )
    return lines


def values_of(node: object, key: str) -> list[object]:
    """Every value under `key` in nested dictionaries and lists."""
    if isinstance(node, dict):
        own = [value for name, value in node.items() if name == key]
        return own + [found for value in node.values() for found in values_of(value, key)]
    return [found for item in node for found in values_of(item, key)] if isinstance(node, list) else []


def _frame(rng: np.random.Generator, label: str, tint: int) -> np.ndarray:
    ramp = np.linspace(0, 150, SIDE)[None, :, None]
    ramp = ramp if label == "live" else ramp[:, ::-1]
    return np.clip(ramp + tint + rng.normal(0, 10, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
