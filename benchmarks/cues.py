"""Do trivial cues solve the simulated benchmark? A logistic regression on colour, contrast, sharpness, file size.

    python benchmarks/cues.py DATA PREPARED

Trained on three domains, tested on the fourth, each in turn; prints the AUC of each and their mean.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from safas.metrics import auc
from safas.table import CROPS, SAMPLES, is_live, read_table

LIMIT = 0.75


def cues(image: np.ndarray) -> list[float]:
    """Mean R, G, B, contrast (std of grey), sharpness (log variance of the Laplacian) of a crop [S, S, 3]."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float64)
    blue, green, red = image.reshape(-1, 3).mean(axis=0)
    return [red, green, blue, grey.std(), float(np.log(cv2.Laplacian(grey, cv2.CV_64F).var() + 1e-6))]


def cue_table(data: Path, prepared: Path) -> pl.DataFrame:
    """One row a video: domain, label and the cues, the mean over its crops, plus the log of the file's size."""
    samples = read_table(prepared / "samples.parquet", SAMPLES)
    crops = read_table(prepared / "crops.parquet", CROPS)
    values = np.array([cues(cv2.imread(str(prepared / path))) for path in crops["crop"]])
    names = ["red", "green", "blue", "contrast", "sharpness"]
    frame = crops.select("dataset", "video").hstack(pl.DataFrame(values, schema=names))
    means = frame.group_by("dataset", "video").agg(pl.col(names).mean())
    sizes = [float(np.log((data / path).stat().st_size)) for path in samples["path"]]
    return (
        samples.with_columns(pl.Series("size", sizes))
        .join(means, on=["dataset", "video"])
        .sort("domain", "video")
    )


def across_domains(table: pl.DataFrame) -> dict[str, float]:
    """AUC on each domain of a logistic regression trained on the others."""
    names = ["red", "green", "blue", "contrast", "sharpness", "size"]
    result = {}
    for target in sorted(table["domain"].unique()):
        source, unseen = table.filter(pl.col("domain") != target), table.filter(pl.col("domain") == target)
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(source.select(names).to_numpy(), is_live(source))
        scores = model.predict_proba(unseen.select(names).to_numpy())[:, 1]
        result[target] = auc(scores=scores, live=is_live(unseen))
    return result


def main() -> int:
    table = cue_table(Path(sys.argv[1]), Path(sys.argv[2]))
    result = across_domains(table)
    mean = float(np.mean(list(result.values())))
    print("trivial cues (simulated data), AUC:", {name: round(value, 3) for name, value in result.items()})
    print(f"mean {mean:.3f}, must stay under {LIMIT}: {'yes' if mean < LIMIT else 'NO'}")
    return 0 if mean < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
