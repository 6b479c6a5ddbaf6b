"""A graph and the crops of the sources -> everything that this graph's own scores decide."""

import numpy as np
from sklearn.covariance import ledoit_wolf

from safas import metrics
from safas.assessment.rates import bpcer_at_apcer
from safas.assessment.risk import Risks
from safas.assessment.scored import Scored, scored
from safas.batches import CropStore
from safas.bundle import Cluster, FileName, Model
from safas.export.fixing import band, calibration, operating_points, presentations
from safas.export.graph import Run
from safas.familiarity import Clusters
from safas.policy import fused

QUANTILE = 0.99  # share of source validation that is familiar


def model_of(file: FileName, dev: CropStore, run: Run, clusters: Clusters, risks: Risks) -> Model:
    """Thresholds, calibration and distance limit of one graph, fixed on source validation."""
    scores, _, features = run(dev.images)
    videos = [slice(first, first + count) for first, count in zip(dev.first, dev.count, strict=True)]
    table = presentations(dev.videos, np.array([fused(scores[video]) for video in videos]))
    means = presentations(dev.videos, np.array([scores[video].mean() for video in videos]))
    distances = [clusters.nearest(features[video])[1] for video in videos]
    points = operating_points(table)
    return Model(
        file=file,
        threshold=points[0].threshold,
        operating_points=points,
        band=band(table, risks),
        calibration=calibration(table),
        distance_limit=float(np.quantile(distances, QUANTILE, method="higher")),
        source_validation={
            **_numbers(scored(table)),
            "hter_mean_of_scores": _hter(scored(means)),
        },
    )


def clusters_of(train: CropStore, run: Run) -> tuple[Clusters, tuple[Cluster, ...]]:
    """Mean of each (domain, label) and the one shrunk covariance around them, of one frame of each training video."""
    features = run(train.images[train.first + train.count // 2])[2].astype(np.float64)
    kind = 2 * train.domain + train.live
    present, which = np.unique(kind, return_inverse=True)
    means = np.stack([features[kind == k].mean(axis=0) for k in present])
    covariance, _ = ledoit_wolf(features - means[which], assume_centered=True)
    least = (
        1e-9 * np.trace(covariance) * np.eye(len(covariance))
    )  # a feature may be dead, the same for every face
    whitening = np.linalg.inv(np.linalg.cholesky(covariance + least))
    names = tuple(Cluster(domain=train.domains[k // 2], label="live" if k % 2 else "spoof") for k in present)
    return Clusters(means, whitening, tuple(name.domain for name in names)), names


def _numbers(data: Scored) -> dict[str, float]:
    """Shares in [0, 1]; BPCER10, 20 and 100 hold the worst species' APCER and are read off these very scores."""
    scores, live = data.both
    at = {name: value for name, value in bpcer_at_apcer(data).items() if value is not None}
    return {
        "auc": metrics.auc(scores=scores, live=live),
        "eer": metrics.eer(scores=scores, live=live)[0],
        "hter": _hter(data),
        **{f"bpcer_at_apcer_{name}": value for name, value in at.items()},
    }


def _hter(data: Scored) -> float:
    scores, live = data.both
    return metrics.hter_at_eer(scores=scores, live=live)
