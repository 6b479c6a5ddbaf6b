"""A prepared folder of tiny synthetic crops, and the source data that goes with it."""

from pathlib import Path

import cv2
import numpy as np
import polars as pl

from safas.protocols import Protocol, SourceData
from safas.table import CROPS, SAMPLES, checked, checked_samples, write_table

DOMAINS = ("a", "b", "c")


def samples(domains: tuple[str, ...] = DOMAINS, people: int = 4) -> pl.DataFrame:
    """One live and one spoof video a person and domain; the last person of each domain is of split dev."""
    rows = []
    for domain in domains:
        for person in range(people):
            for label, attack in (("live", "none"), ("spoof", "print")):
                row = dict.fromkeys(SAMPLES, "x")
                row |= {
                    "dataset": "toy",
                    "domain": domain,
                    "label": label,
                    "attack": attack,
                    "media": "video",
                }
                row |= {"video": f"{domain}/{person}-{label}", "subject": f"{domain}{person}"}
                rows.append(row | {"split": "dev" if person == people - 1 else "train"})
    return checked_samples(pl.DataFrame(rows), "toy")


def prepare(folder: Path, table: pl.DataFrame, size: int = 16, frames: int = 2, seed: int = 0) -> Path:
    """Write noisy crops: live ones darker to the right, spoof ones to the left; each domain has a tint."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(150, 0, size)[None, :, None]
    rows = []
    for video, domain, label in table.select("video", "domain", "label").rows():
        tint = np.zeros(3)
        tint[ord(domain[0]) % 3] = 60
        for frame in range(frames):
            ramped = ramp if label == "live" else ramp[:, ::-1]
            pixels = np.clip(ramped + tint + rng.normal(0, 15, (size, size, 3)) + 20, 0, 255).astype(np.uint8)
            crop = f"crops/toy/{video}/{frame}.png"
            (folder / crop).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / crop), pixels[:, :, ::-1])
            box = {f"box_{side}": float(size) for side in "xywh"}
            row = {
                "dataset": "toy",
                "video": video,
                "frame": frame,
                "timestamp_s": frame / 10,
                "crop": crop,
                **box,
            }
            rows.append(row | {"landmarks": None, "detector": "table", "detector_score": 1.0})
    write_table(checked(pl.DataFrame(rows), CROPS, "toy"), folder / "crops.parquet")
    return folder


def source_data(table: pl.DataFrame, domains: tuple[str, ...] = DOMAINS) -> SourceData:
    """All of the table's train and dev rows; the target is a domain that is not there."""
    protocol = Protocol(domains, "unseen")
    return SourceData(
        protocol, table.filter(pl.col("split") == "train"), table.filter(pl.col("split") == "dev")
    )


def prepared_folder(folder: Path, seed: int = 0, domains: tuple[str, ...] = DOMAINS) -> Path:
    """Eight people to train on, one to validate on and three to test on, in each domain."""
    table = samples(domains, people=12)
    number = pl.col("subject").str.extract(r"(\d+)$").cast(pl.Int64)
    split = (
        pl.when(number < 8)
        .then(pl.lit("train"))
        .when(number < 9)
        .then(pl.lit("dev"))
        .otherwise(pl.lit("test"))
    )
    table = table.with_columns(split.alias("split"))
    write_table(table, folder / "samples.parquet")
    return prepare(folder, table, seed=seed)
