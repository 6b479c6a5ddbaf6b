"""A trained run -> its scores -> its evaluation.

Training sees source rows only; the target is scored here, afterwards, and nothing that is chosen looks at it except
in the rows marked oracle.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import torch
from rich.console import Console
from rich.progress import track

from safas.batches import CropStore
from safas.errors import InputError, RunError, TableError
from safas.evaluation import RUN_SCORES, choose, evaluate, score_videos
from safas.files import write_file
from safas.packing import open_pack
from safas.prepared import prepared_samples
from safas.protocols import (
    SOURCE_DEV,
    SOURCE_TEST,
    TARGET,
    Protocol,
    inside_rows,
    source_data,
    target_rows,
)
from safas.results import Result, method_name
from safas.table import CROPS, LABELS, checked, read_table, write_table
from safas.training import (
    candidate_epochs,
    claimed,
    drop_checkpoint,
    drop_weights,
    has_ended,
    has_weights,
    load_scorer,
    precision_of,
    read_dev_scores,
    read_run,
    scorer_of,
)
from safas.training.config import config_from_json

_KEYS = ["dataset", "video"]
_EVALUATION = "evaluation.json"
_TARGET = "target.json"  # in a run's folder: which presentations its scores are of


@dataclass(frozen=True)
class Outcome:
    """One run that was made and evaluated, or that has failed; then its result is empty."""

    protocol: str
    method: str  # a key of METHODS
    seed: int
    folder: Path
    result: Result
    name: str = ""  # of a variant of the method; none: the method's own
    failure: str = ""  # why there is no result
    kept: Path | None = (
        None  # where the run itself is elsewhere: the file with its scores at the chosen epoch
    )

    @property
    def scores(self) -> Path:
        """The file that has its scores, and perhaps those of other runs."""
        return self.kept or self.folder / "scores.parquet"

    @property
    def title(self) -> str:
        """What is printed above its numbers."""
        return self.name or method_name(self.method)


def keep_chosen_weights(run_dir: Path, result: Result) -> None:
    """Of an evaluated run keep the weights of the epoch that source validation chose; the checkpoint goes too.

    The scores of all epochs stay, and with them the run is known as complete.
    """
    drop_weights(run_dir, {int(result["chosen"]["epoch"])})
    if has_ended(run_dir):
        drop_checkpoint(run_dir)


def check_tested(protocol: Protocol, prepared: Path) -> None:
    """Raises InputError for what would stop the evaluation of a run after its training.

    That is a label of which no test video of the target has a crop, or a crop that is not there.
    """
    samples, crops = prepared_samples(prepared), read_table(prepared / "crops.parquet", CROPS)
    target, inside = (
        rows.join(crops, on=_KEYS, how="inner")
        for rows in (target_rows(protocol, samples), inside_rows(protocol, samples))
    )
    for label in LABELS:
        if label not in target["label"]:
            raise InputError(
                f"domain {protocol.target!r} has no {label} video with a crop in its test rows",
                where=str(prepared),
                remedy=f"{prepared / 'failures.parquet'} says what became of them.",
            )
    if open_pack(prepared, crops) is None:
        for crop in (*target["crop"], *inside["crop"]):
            if not (prepared / crop).is_file():
                raise InputError(
                    "no such crop", where=str(prepared / crop), remedy="Run `safas prepare` again."
                )


def evaluate_run(run_dir: Path, prepared: Path, progress: bool = True) -> Result:
    """Score what is not yet scored of a run, write scores.parquet and evaluation.json, return the result.

    Training has scored source validation already. Every epoch that may be chosen is scored on the target; the source
    domains' test people only at the epoch that source validation chose. Where these people's videos, labels or crops
    are no longer those that were scored, all are scored again. Raises InputError when one of the folders is not what it
    should be, or the run was trained on other crops, TrainingError when another process is at work on it.
    """
    named = read_run(run_dir)["run"]
    if named != run_dir.name:  # the scores say whose they are by the folder's name
        raise RunError(
            f"this is the folder of run {named}", where=str(run_dir), remedy="Give it that name again."
        )
    if (there := _whole(run_dir, prepared)) is not None:
        return there
    with claimed(run_dir):
        if (there := _whole(run_dir, prepared)) is not None:  # whoever had it has finished it
            return there
        result = {"about": _about(run_dir, prepared), **evaluate(score_run(run_dir, prepared, progress))}
        # Made safe on disk: weights may be deleted on the strength of it.
        write_file(run_dir / _EVALUATION, json.dumps(result, indent=2) + "\n", durable=True)
        return result


def _whole(run_dir: Path, prepared: Path) -> Result | None:
    """The evaluation, if it covers all epochs that may be chosen."""
    there = _evaluation(run_dir)
    if there is None or _scored(run_dir, prepared) != candidate_epochs(run_dir):
        return None
    return {**there, "about": {**there["about"], **_about(run_dir, prepared)}}  # an older safas noted less


def _evaluation(run_dir: Path) -> Result | None:
    """What evaluation.json says, unless it is missing or damaged: then it is made again of the scores."""
    try:
        result: Result = json.loads((run_dir / _EVALUATION).read_text(encoding="utf-8"))
        is_whole = is_headline(result) and all(
            isinstance(result.get(part), dict) and result[part] for part in ("last10", "oracle")
        )
        return result if is_whole else None
    except (OSError, ValueError):
        return None


def is_headline(said: Any) -> bool:
    """Whether `chosen` and `about` of a result are there, with what the headline and its run are told by."""
    try:
        chosen = said["chosen"]
        told = (chosen["epoch"], chosen["hter"], chosen["threshold"]["value"])
        return "commit" in said["about"] and all(isinstance(value, int | float) for value in told)
    except (KeyError, TypeError):
        return False


def _about(run_dir: Path, prepared: Path) -> dict[str, Any]:
    said = read_run(run_dir)
    config = config_from_json(said["config"])
    return {
        "run": run_dir.name,
        "protocol": said["protocol"]["name"],
        "method": config.method.name,
        "long_enough": config.is_long_enough,
        "seed": config.seed,
        "commit": said["environment"]["commit"],
        "crops": said["data"]["digest"],
        "precision": precision_of(run_dir),
        "without_crop": dict(_tested(run_dir, prepared).without_crop),
    }


def is_evaluated(run_dir: Path, prepared: Path) -> bool:
    """Whether a run has ended and its evaluation covers all of it; its weights may be gone then."""
    return _evaluation(run_dir) is not None and has_ended(run_dir) and not unscored_epochs(run_dir, prepared)


def unscored_epochs(run_dir: Path, prepared: Path) -> list[int]:
    """The epochs that may be chosen and at which the target, as it is now, was not scored yet."""
    return sorted(set(candidate_epochs(run_dir)) - set(_scored(run_dir, prepared)))


@dataclass(frozen=True)
class _Tested:
    """Whom a run is tested on, in a prepared folder as it is now."""

    digest: str  # of the test videos of target and sources: who, which label, and where in which frames the face is
    without_crop: Mapping[str, int]  # videos of the target that nothing can be scored of, by label


def _tested(run_dir: Path, prepared: Path) -> _Tested:
    stamps = tuple(
        (prepared / name).stat().st_mtime_ns if (prepared / name).is_file() else 0
        for name in ("samples.parquet", "crops.parquet")
    )
    return _tested_in(Protocol.of_json(read_run(run_dir)["protocol"]), prepared, stamps)


@lru_cache(maxsize=256)
def _tested_in(protocol: Protocol, prepared: Path, stamps: tuple[int, ...]) -> _Tested:
    """`stamps`: when the folder's tables were written, so that they are read again when they were."""
    samples, crops = prepared_samples(prepared), read_table(prepared / "crops.parquet", CROPS)
    target, digest = target_rows(protocol, samples), hashlib.sha256()
    found = crops.select(name for name in CROPS if name not in ("crop", "safas"))  # not where it lies
    for rows in (target, inside_rows(protocol, samples)):
        told = rows.select(*_KEYS, "domain", "subject", "label", "attack").join(found, on=_KEYS, how="inner")
        digest.update(told.sort(*_KEYS, "frame").write_json().encode())
    lost = target.join(crops, on=_KEYS, how="anti")["label"]
    return _Tested(digest.hexdigest(), {label: int((lost == label).sum()) for label in LABELS})


def _is_of_another_target(run_dir: Path, prepared: Path) -> bool:
    """Whether the scores are of other presentations than there are now; an older safas did not note of which."""
    try:
        noted = json.loads((run_dir / _TARGET).read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(noted != _tested(run_dir, prepared).digest)


def score_run(run_dir: Path, prepared: Path, progress: bool = True) -> pl.DataFrame:
    """The run's score table (columns RUN_SCORES), kept in scores.parquet; epochs that stand there are not redone.

    Raises InputError when no epoch was evaluated, RunError when weights that are needed are gone.
    """
    samples, epochs = prepared_samples(prepared), candidate_epochs(run_dir)
    if not epochs:
        raise InputError("no epoch of this run was evaluated yet", where=str(run_dir), remedy="Train it on.")
    validation_crops(run_dir, prepared)  # checked: scores on other crops would not belong to the others
    protocol = Protocol.of_json(read_run(run_dir)["protocol"])
    target = RoleCrops(TARGET, target_rows(protocol, samples), prepared)
    scores = read_scores(run_dir, prepared).filter(pl.col("epoch").is_in(epochs))
    todo = [epoch for epoch in epochs if epoch not in scores["epoch"]]
    if not all(has_weights(run_dir, epoch) for epoch in todo):
        raise RunError(
            "not all epochs are scored on the test videos as they are now, and their weights are gone",
            where=str(run_dir),
            remedy="Delete the folder and train again.",
        )
    (run_dir / _EVALUATION).unlink(missing_ok=True)  # it would vouch for scores that are about to change
    write_table(scores, run_dir / "scores.parquet")  # without those of another target, before it is noted
    note = {"digest": _tested(run_dir, prepared).digest}
    write_file(run_dir / _TARGET, json.dumps(note) + "\n")
    for epoch in track(todo, "scoring epochs", disable=not progress, console=Console(stderr=True)):
        scores = pl.concat([scores, read_dev_scores(run_dir, epoch), target.scores(run_dir, epoch)])
        write_table(scores, run_dir / "scores.parquet")
    chosen = choose(scores.filter(pl.col("role") == SOURCE_DEV)).epoch
    inside = inside_rows(protocol, samples)
    there = scores.filter(role=SOURCE_TEST, epoch=chosen)
    if there.is_empty() and not inside.is_empty():
        kept = scores.filter(pl.col("role") != SOURCE_TEST)
        scores = pl.concat([kept, RoleCrops(SOURCE_TEST, inside, prepared).scores(run_dir, chosen)])
    write_table(scores, run_dir / "scores.parquet")
    return scores


def validation_crops(run_dir: Path, prepared: Path) -> CropStore:
    """The crops of a run's source validation. Raises InputError when it was validated on others than the folder's."""
    said = read_run(run_dir)
    protocol = Protocol.of_json(said["protocol"])
    dev = CropStore(prepared, source_data(protocol, prepared_samples(prepared)).dev, protocol.sources)
    if dev.digest()[:32] != said["data"]["digest"].split("-")[-1]:
        raise InputError(
            "the run was trained on other crops than these",
            where=f"{run_dir} and {prepared}",
            remedy="Give the folder that it was trained on.",
        )
    return dev


class RoleCrops:
    """The crops of one role's videos, read once and scored by many states of a run."""

    def __init__(self, role: str, rows: pl.DataFrame, prepared: Path) -> None:
        """`rows`: of the sample table, the role's videos."""
        self.role = role
        self.store = CropStore(prepared, rows, sorted(rows["domain"].unique()))
        self.crops = read_table(prepared / "crops.parquet", CROPS).join(rows, on=_KEYS, how="inner")

    def scores(self, run_dir: Path, epoch: int, crops: pl.DataFrame | None = None) -> pl.DataFrame:
        """Columns RUN_SCORES. `crops`: some of `self.crops`; None: all."""
        net = load_scorer(run_dir, epoch).to("cuda" if torch.cuda.is_available() else "cpu")
        seed = int(read_run(run_dir)["config"]["seed"])
        scores = score_videos(
            scorer_of(net),
            self.crops if crops is None else crops,
            self.store.read,
            run=run_dir.name,
            seed=seed,
        )
        told = scores.with_columns(pl.lit(epoch).alias("epoch"), pl.lit(self.role).alias("role"))
        return checked(told, RUN_SCORES, "scores")


def read_scores(run_dir: Path, prepared: Path) -> pl.DataFrame:
    """The scores that are there already, of this run and target. Raises RunError when they can't be read."""
    path = run_dir / "scores.parquet"
    if not path.is_file() or _is_of_another_target(run_dir, prepared):
        return pl.DataFrame(schema=dict(RUN_SCORES))
    try:
        return read_table(path, RUN_SCORES).filter(pl.col("run") == run_dir.name)
    except TableError as error:
        raise RunError(error.what, where=error.where, remedy=error.remedy) from error


def _scored(run_dir: Path, prepared: Path) -> list[int]:
    rows = read_scores(run_dir, prepared).filter(pl.col("role") == TARGET)
    return sorted(rows["epoch"].unique().to_list())
