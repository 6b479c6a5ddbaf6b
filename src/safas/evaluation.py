"""Any scorer -> a score table -> the four numbers, each with the rule that chose its epoch and threshold.

The published tables choose the best epoch and the threshold on the target itself. Here both are chosen on
source validation (the headline), and the published way is given beside it under its own name: oracle.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from safas.errors import InputError, MetricError, ProtocolError, TableError
from safas.metrics import Statistic, apcer, auc, bootstrap_interval, bpcer, eer, hter, hter_at_eer, tpr_at_fpr
from safas.protocols import (
    EPOCH_RULE,
    ORACLE_RULE,
    ROLES,
    SOURCE_DEV,
    SOURCE_TEST,
    TARGET,
    Threshold,
    dev_record,
    select_epoch,
    source_threshold,
)
from safas.table import LABELS, PERSON, SCORES, Schema, check_attacks, checked, is_live

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.floating]]  # uint8 RGB [N, S, S, 3] -> P(live) [N]
ReadCrops = Callable[[list[str]], NDArray[np.uint8]]  # N values of CROPS' `crop` -> uint8 RGB [N, S, S, 3]

# All scores of a run in one table: each presentation once for every epoch and role.
RUN_SCORES: Schema = {**SCORES, "epoch": pl.Int64(), "role": pl.String()}

FPRS = (0.05, 0.01)  # TPR is reported at these

Result = dict[str, Any]  # what json.dumps takes


def score_videos(
    scorer: Scorer, crops: pl.DataFrame, read: ReadCrops, batch: int = 64, *, run: str = "", seed: int = 0
) -> pl.DataFrame:
    """One row of SCORES a presentation, sorted by data set, domain and video: the mean score of its frames.

    `crops`: rows of CROPS joined to SAMPLES by (dataset, video). `run` and `seed` fill their columns. No
    random number: the same crops give the same scores. Raises MetricError when the scorer returns something
    else than a number in [0, 1] for each crop.
    """
    crops = crops.sort("dataset", "domain", "video", "frame")
    paths = crops["crop"].to_list()
    parts = [_scored(scorer, read(paths[i : i + batch])) for i in range(0, len(paths), batch)]
    values = np.concatenate(parts) if parts else np.empty(0)
    per_video = (
        crops.with_columns(pl.Series("score", values, dtype=pl.Float64))
        .group_by("dataset", "domain", "video", "subject", "split", "label", "attack", maintain_order=True)
        .agg(pl.col("score").mean(), pl.len().cast(pl.Int64).alias("frames"))
        .with_columns(pl.lit(run).alias("run"), pl.lit(seed).alias("seed"))
    )
    return checked(per_video, SCORES, "scores")


@dataclass(frozen=True)
class Choice:
    """What source validation decides: the epoch, and the threshold of every epoch scored there."""

    epoch: int
    thresholds: Mapping[int, Threshold]


def choose(dev: pl.DataFrame) -> Choice:
    """Choose epoch and thresholds from the rows of role "source-dev", by EPOCH_RULE and `source_threshold`.

    Raises ProtocolError when a row of any other role is among them: the target can't be seen from here.
    """
    per_epoch = {int(epoch): dev.filter(pl.col("epoch") == epoch) for epoch in dev["epoch"].unique().sort()}
    records = [dev_record(epoch, rows) for epoch, rows in per_epoch.items()]
    return Choice(select_epoch(records), {epoch: source_threshold(rows) for epoch, rows in per_epoch.items()})


def evaluate(
    scores: pl.DataFrame,
    last: int = 10,
    seed: int = 0,
    *,
    replicates: int = 1000,
    tpr: Statistic = tpr_at_fpr,
) -> Result:
    """All numbers of one run; `scores` has the columns RUN_SCORES. Rates are shares in [0, 1].

    The result, ready for JSON, has three parts:

    chosen: the epoch chosen on source validation. `epoch`; `rule` (in words); `threshold` {value, chosen_on};
    `hter` (at that threshold: the headline); `target_threshold` {value, chosen_on}; `hter_target_eer` (at
    that one, fixed on the target); `eer`; `auc`; `tpr_at_fpr` {"0.05", "0.01"}; `apcer` {species: rate} and
    `bpcer` at `threshold`, `acer`, the mean of that and the worst species' rate; `counts` {live, spoof,
    subjects}; `intervals` of hter, hter_target_eer, eer, auc
    and tpr_at_fpr: 95 % [low, high] by bootstrap over the target's people (`replicates` draws from `seed`),
    null with fewer than two of them; the source threshold stays fixed, the target's EER threshold is derived
    anew in each; `inside` {hter, auc, domains {name: {hter, auc}}}: the sources' test people at `threshold`,
    null where a label or everything is missing.

    last10: `rule`; `epochs`, the last `last` evaluated; `mean` and `std` over them (the std divides by their
    number) of hter, hter_target_eer, eer, auc and tpr_at_fpr, each epoch at its own source threshold.

    oracle: as chosen, without `inside`, for the epoch that is best on the target; `oracle`: true.

    `tpr` gives tpr_at_fpr of (scores, live, fpr).

    Raises TableError when the table does not hold one whole run, ProtocolError when a role is missing or the
    target is among the sources, InputError when `last` is less than 1.
    """
    if last < 1:
        raise InputError(f"the mean of the last {last} epochs is not defined", remedy="Take at least one.")
    scores = _checked_run(scores)
    choice = choose(scores.filter(pl.col("role") == SOURCE_DEV))
    target = _by_epoch(scores, TARGET)
    row = partial(_row, choice=choice, seed=seed, replicates=replicates, tpr=tpr)
    _check_epochs(choice, target)
    rule = f"epoch: {EPOCH_RULE}; threshold: {choice.thresholds[choice.epoch].chosen_on}"
    chosen = {"rule": rule, **row(choice.epoch, target[choice.epoch])}
    inside = _by_epoch(scores, SOURCE_TEST).get(choice.epoch)
    best = min(target, key=lambda epoch: _oracle_order(epoch, target[epoch]))
    rule = (
        f"epoch: {ORACLE_RULE}; threshold: {_target_threshold(target[best]).chosen_on};"
        f" of the column HTER: {choice.thresholds[best].chosen_on}"
    )
    return {
        "chosen": {**chosen, "inside": _inside(inside, choice.thresholds[choice.epoch])},
        "last10": _last(target, choice, last, tpr),
        "oracle": {"oracle": True, "rule": rule, **row(best, target[best])},
    }


def _row(
    epoch: int, rows: pl.DataFrame, choice: Choice, seed: int, replicates: int, tpr: Statistic
) -> Result:
    threshold = choice.thresholds[epoch]
    values, live = rows["score"].to_numpy(), is_live(rows)
    people = _people(rows)
    statistics = _statistics(threshold.value, tpr)
    interval = partial(
        bootstrap_interval, scores=values, live=live, groups=people, seed=seed, replicates=replicates
    )
    enough = np.unique(people).size > 1
    numbers = _flat_numbers(rows, threshold, tpr)
    species = rows["attack"].to_numpy()[~live]
    accepted = apcer(scores=values[~live], species=species, threshold=threshold.value)
    rejected = bpcer(scores=values[live], threshold=threshold.value)
    return {
        "epoch": epoch,
        "threshold": asdict(threshold),
        "target_threshold": asdict(_target_threshold(rows)),
        **_nested(numbers),
        "intervals": _nested({name: list(interval(s)) if enough else None for name, s in statistics.items()}),
        "apcer": accepted,
        "bpcer": rejected,
        "acer": (max(accepted.values()) + rejected) / 2,
        "counts": {
            "live": int(live.sum()),
            "spoof": int((~live).sum()),
            "subjects": int(np.unique(people).size),
        },
    }


def _statistics(threshold: float, tpr: Statistic) -> dict[str, Statistic]:
    """What is reported of a set of scores; a name "tpr_at_fpr/0.05" stands one level deeper in the result."""
    return {
        "hter": partial(hter, threshold=threshold),
        "hter_target_eer": hter_at_eer,
        "eer": _eer_rate,
        "auc": auc,
        **{f"tpr_at_fpr/{fpr}": partial(tpr, fpr=fpr) for fpr in FPRS},
    }


def _eer_rate(*, scores: NDArray[np.float64], live: NDArray[np.bool_]) -> float:
    return eer(scores=scores, live=live)[0]


def _flat_numbers(rows: pl.DataFrame, threshold: Threshold, tpr: Statistic) -> dict[str, float]:
    values, live = rows["score"].to_numpy(), is_live(rows)
    return {name: s(scores=values, live=live) for name, s in _statistics(threshold.value, tpr).items()}


def _nested(flat: Mapping[str, object]) -> Result:
    nested: Result = {}
    for name, value in flat.items():
        outer, slash, inner = name.partition("/")
        if slash:
            nested.setdefault(outer, {})[inner] = value
        else:
            nested[outer] = value
    return nested


def _last(target: Mapping[int, pl.DataFrame], choice: Choice, last: int, tpr: Statistic) -> Result:
    epochs = sorted(target)[-last:]
    numbers = [_flat_numbers(target[epoch], choice.thresholds[epoch], tpr) for epoch in epochs]
    columns = {name: [number[name] for number in numbers] for name in numbers[0]}
    return {
        "rule": f"mean and std of the last {len(epochs)} evaluated epochs, each at its own threshold: "
        f"{choice.thresholds[epochs[-1]].chosen_on}",
        "epochs": epochs,
        "mean": _nested({name: float(np.mean(column)) for name, column in columns.items()}),
        "std": _nested({name: float(np.std(column)) for name, column in columns.items()}),
    }


def _inside(rows: pl.DataFrame | None, threshold: Threshold) -> Result | None:
    pooled = _hter_and_auc(rows, threshold) if rows is not None else None
    if rows is None or pooled is None:
        return None
    domains = {
        name: _hter_and_auc(rows.filter(pl.col("domain") == name), threshold)
        for name in rows["domain"].unique().sort()
    }
    return {**pooled, "domains": domains}


def _hter_and_auc(rows: pl.DataFrame, threshold: Threshold) -> Result | None:
    if rows["label"].n_unique() < len(LABELS):
        return None
    values, live = rows["score"].to_numpy(), is_live(rows)
    return {
        "hter": hter(scores=values, live=live, threshold=threshold.value),
        "auc": auc(scores=values, live=live),
    }


def _target_threshold(rows: pl.DataFrame) -> Threshold:
    _, value = eer(scores=rows["score"].to_numpy(), live=is_live(rows))
    return Threshold(value, f"oracle: EER of the target itself ({', '.join(rows['domain'].unique().sort())})")


def _oracle_order(epoch: int, rows: pl.DataFrame) -> tuple[float, float, int]:
    values, live = rows["score"].to_numpy(), is_live(rows)
    return hter_at_eer(scores=values, live=live), -auc(scores=values, live=live), -epoch


def _people(rows: pl.DataFrame) -> NDArray[np.str_]:
    """Who each row shows [N]: the unit of the bootstrap. The same name in two domains is two people."""
    keys = rows.select(pl.concat_str(PERSON, separator="\n")).to_series()
    return keys.to_numpy().astype(str)


def _by_epoch(scores: pl.DataFrame, role: str) -> dict[int, pl.DataFrame]:
    rows = scores.filter(pl.col("role") == role)
    return {int(epoch): rows.filter(pl.col("epoch") == epoch) for epoch in rows["epoch"].unique().sort()}


def _scored(scorer: Scorer, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = np.asarray(scorer(images), dtype=np.float64)
    if values.shape != images.shape[:1]:
        raise MetricError(f"the scorer returned shape {values.shape} for {len(images)} crops")
    if not ((values >= 0) & (values <= 1)).all():  # false for NaN too
        raise MetricError("the scorer returned a value that is not in [0, 1]")
    return values


def _checked_run(scores: pl.DataFrame) -> pl.DataFrame:
    """The table, if it holds one whole run: leftovers of another would enter the mean over epochs unseen."""
    where = "scores"
    scores = checked(scores, RUN_SCORES, where)
    for name in ("dataset", "domain", "video", "subject", "score", "epoch", "role"):
        if scores[name].has_nulls():
            raise TableError(f"column {name!r} has an empty value", where=where)
    strange = scores.filter(~pl.col("role").is_in(ROLES))
    if not strange.is_empty():
        raise TableError(
            f"unknown role {strange['role'][0]!r}", where=where, remedy=f"Allowed: {', '.join(ROLES)}."
        )
    check_one_run(scores, where)
    twice = scores.filter(pl.struct("role", "epoch", "dataset", "video").is_duplicated())
    if not twice.is_empty():
        raise TableError(
            f"video {twice['video'][0]!r} is scored twice in epoch {twice['epoch'][0]}", where=where
        )
    _check_values(scores, where)
    _check_videos(scores, where)
    _check_roles(scores)
    return scores


def check_one_run(scores: pl.DataFrame, where: str) -> None:
    """Raises TableError when there are rows (columns RUN_SCORES) of several runs, whose scores have no common scale."""
    if scores.select("run", "seed").n_unique() > 1:
        remedy = (
            "Take each run by itself: the scores.parquet of its folder, or its rows alone (column `run`)."
        )
        raise TableError("rows of more than one run", where=where, remedy=remedy)


def _check_values(scores: pl.DataFrame, where: str) -> None:
    wrong = scores.filter(~pl.col("score").is_between(0, 1))
    if not wrong.is_empty():
        raise TableError(
            f"video {wrong['video'][0]!r} has the score {wrong['score'][0]}",
            where=where,
            remedy="A score is P(live), from 0 to 1.",
        )
    check_attacks(scores, where)


def _check_videos(scores: pl.DataFrame, where: str) -> None:
    """Every epoch of a role has the same videos, of the same people, labels and attacks."""
    epochs = scores.group_by("role").agg(epochs=pl.col("epoch").n_unique())
    videos = scores.group_by("role", "video", *PERSON, "label", "attack", maintain_order=True).len()
    uneven = videos.join(epochs, on="role").filter(pl.col("len") != pl.col("epochs"))
    if not uneven.is_empty():
        row = uneven.row(0, named=True)
        raise TableError(
            f"{row['role']} video {row['video']!r} stands in {row['len']} of {row['epochs']} epochs as {row['label']} "
            f"({row['attack']}) of person {row['subject']!r}",
            where=where,
            remedy="Every epoch needs the same videos, each with the same person, label and attack.",
        )


def _check_roles(scores: pl.DataFrame) -> None:
    domains = {role: set(scores.filter(pl.col("role") == role)["domain"]) for role in ROLES}
    for role in (SOURCE_DEV, TARGET):
        if not domains[role]:
            raise ProtocolError(f"no row of role {role!r}", where="scores", remedy="Score these videos too.")
    if domains[TARGET] == domains[SOURCE_DEV] and not domains[SOURCE_TEST]:  # one domain, tested on itself
        people = {role: set(scores.filter(role=role).select(PERSON).rows()) for role in (SOURCE_DEV, TARGET)}
        both = sorted(f"person {who[-1]!r}" for who in people[TARGET] & people[SOURCE_DEV])
    else:
        both = [
            f"domain {d!r}" for d in sorted(domains[TARGET] & (domains[SOURCE_DEV] | domains[SOURCE_TEST]))
        ]
    if both:
        raise ProtocolError(f"{both[0]} is a source and the target", where="scores")


def _check_epochs(choice: Choice, target: Mapping[int, pl.DataFrame]) -> None:
    if choice.epoch not in target:
        raise ProtocolError(
            f"the target is not scored at epoch {choice.epoch}, which source validation chose", where="scores"
        )
    without = [epoch for epoch in target if epoch not in choice.thresholds]
    if without:
        raise ProtocolError(
            f"epoch {without[0]} has scores of the target but none of source validation", where="scores"
        )
