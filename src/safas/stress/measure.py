"""Scores of the same presentations under each perturbation, and what becomes of the errors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import track

from safas.clip import turned
from safas.errors import InputError, MediaError
from safas.faces import face_crop
from safas.media import evenly_spaced
from safas.metrics import FloatArray, apcer, bootstrap_interval, bpcer, hter
from safas.policy import fused
from safas.predictor import Predictor
from safas.stress.perturb import PERTURBATIONS, Perturbation, View
from safas.table import LABELS, PERSON, is_live

_SEED = 0
_REPLICATES = 400
AS_IT_IS = "as it is"


@dataclass(frozen=True, eq=False)
class Stressed:
    """What was measured, ready for JSON; `levels` are in the order of PERTURBATIONS."""

    about: Mapping[str, Any]
    baseline: Mapping[str, Any]
    curves: Sequence[Mapping[str, Any]]


def stress(
    predictor: Predictor, samples: pl.DataFrame, root: Path, videos: int = 120, progress: bool = True
) -> Stressed:
    """Judge up to `videos` samples, evenly spaced and half of them live, as they are and perturbed.

    The face box is found once, in the frames as they are, so that the curves show what the network itself bears.
    `samples`: columns SAMPLES, paths relative to `root`. Errors are at the bundle's threshold, of the presentations
    that show a face. Raises InputError when a label has none.
    """
    chosen = some(samples, videos)
    scores: dict[tuple[str, float], list[float]] = {}
    kept, lost = [], []
    rows = list(chosen.iter_rows(named=True))
    for number, row in enumerate(
        track(rows, "stressing", console=Console(stderr=True), disable=not progress)
    ):
        views, reason = _views(predictor, root / row["path"])
        if not views:
            lost.append({"video": row["video"], "label": row["label"], "reason": reason})
            continue
        kept.append(number)
        for key, value in _scores(predictor, views, number):
            scores.setdefault(key, []).append(value)
    table = chosen[kept]
    if table["label"].n_unique() < len(LABELS):
        raise InputError("live faces and attacks are needed, each with a face in it", where=str(root))
    before = np.asarray(scores[AS_IT_IS, 0.0])
    point = partial(_point, table=table, before=before, threshold=predictor.model.threshold)
    curves = [
        _curve(
            perturbation,
            [point(np.asarray(_at(scores, perturbation, level))) for level in perturbation.levels],
        )
        for perturbation in PERTURBATIONS
    ]
    return Stressed(_about(predictor, table, lost), point(before), curves)


def some(samples: pl.DataFrame, count: int) -> pl.DataFrame:
    """At most `count` rows, evenly spaced in the table's order, as many live as attacks where there are so many.

    Raises InputError for less than two.
    """
    if count < 2:
        raise InputError(f"videos = {count}", remedy="Give at least 2: a live one and an attack.")
    picked = [samples.clear()]
    for label in LABELS:
        part = samples.filter(pl.col("label") == label)
        if len(part):
            picked.append(part[np.unique(np.linspace(0, len(part) - 1, count // 2).round().astype(int))])
    return pl.concat(picked)


def _views(predictor: Predictor, path: Path) -> tuple[list[View], str]:
    """The frames that show the face, turned upright; or none and why."""
    try:
        frames = [frame.image for frame in evenly_spaced(path, predictor.bundle.policy.frames)]
    except MediaError as error:
        return [], error.what
    found = predictor.crops(frames)
    views = [
        View(turned(frame, found.rotation), face)
        for frame, face in zip(frames, found.faces, strict=True)
        if face is not None
    ]
    return views, "" if views else "no face"


def _scores(
    predictor: Predictor, views: Sequence[View], number: int
) -> Iterator[tuple[tuple[str, float], float]]:
    """((perturbation, level), score) of one presentation; the neutral levels are scored once, as AS_IT_IS."""
    yield (AS_IT_IS, 0.0), _score(predictor, views)
    for place, perturbation in enumerate(PERTURBATIONS):
        for level in perturbation.levels:
            if level != perturbation.neutral:
                rng = np.random.default_rng([_SEED, number, place])  # the same direction at every level
                changed = perturbation.change(views, level, rng)
                yield (perturbation.name, level), _score(predictor, changed)


def _score(predictor: Predictor, views: Sequence[View]) -> float:
    how = predictor.bundle.crop
    crops = [
        face_crop(view.image, view.face, margin=how.margin, size=how.size, align=how.align) for view in views
    ]
    return fused(predictor.score(np.stack(crops)).scores)


def _at(
    scores: Mapping[tuple[str, float], list[float]], perturbation: Perturbation, level: float
) -> list[float]:
    neutral = level == perturbation.neutral
    return scores[AS_IT_IS, 0.0] if neutral else scores[perturbation.name, level]


def _point(now: FloatArray, *, table: pl.DataFrame, before: FloatArray, threshold: float) -> dict[str, Any]:
    """Errors at the threshold, and by how much the mean score of live faces and of attacks moved."""
    live, species = is_live(table), table["attack"].to_numpy()
    people = table.select(pl.concat_str(PERSON, separator="\n")).to_series()
    interval = None
    if people.n_unique() > 1:
        statistic = partial(hter, threshold=threshold)
        interval = bootstrap_interval(
            statistic, scores=now, live=live, groups=people.to_numpy().astype(str), replicates=_REPLICATES
        )
    rates = apcer(scores=now[~live], species=species[~live], threshold=threshold)
    worst = max(rates, key=lambda name: rates[name])
    return {
        "hter": hter(scores=now, live=live, threshold=threshold),
        "interval": interval,
        "apcer": rates[worst],
        "worst_species": worst,
        "bpcer": bpcer(scores=now[live], threshold=threshold),
        "live_shift": float((now - before)[live].mean()),
        "spoof_shift": float((now - before)[~live].mean()),
    }


def _curve(perturbation: Perturbation, points: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": perturbation.name,
        "title": perturbation.title,
        "axis": perturbation.axis,
        "neutral": perturbation.neutral,
        "points": [
            {"level": level, **point} for level, point in zip(perturbation.levels, points, strict=True)
        ],
    }


def _about(predictor: Predictor, table: pl.DataFrame, lost: list[dict[str, str]]) -> dict[str, Any]:
    training, live = predictor.bundle.training, int(is_live(table).sum())
    return {
        "run": predictor.bundle.origin.run,
        "precision": predictor.precision,
        "threshold": predictor.model.threshold,
        "chosen_on": predictor.model.operating_points[0].chosen_on,
        "datasets": table["dataset"].unique().sort().to_list(),
        "domains": table["domain"].unique().sort().to_list(),
        "known_domains": sorted(set(table["domain"]) & set(training.domains)),
        "live": live,
        "spoof": len(table) - live,
        "people": table.select(PERSON).n_unique(),
        "without_a_face": lost,
        "simulated": training.simulated or bool((table["dataset"] == "simulated").any()),
        "seed": _SEED,
    }
