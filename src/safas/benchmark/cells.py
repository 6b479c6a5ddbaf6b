"""One cell of a benchmark: claimed by one process at a time, trained, evaluated, tidied up; and how far it has come.

What is there is never done again, and a process may be killed at any moment: the next one goes on from what it left.
A cell that diverges has its reason written into failed.json and is left alone until it is asked for again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import torch
from filelock import Timeout

from safas.benchmark.grid import Cell
from safas.digests import digest, known_digest
from safas.errors import DivergenceError, InputError, RunError, TrainingError
from safas.files import write_file
from safas.prepared import prepared_samples
from safas.protocols import DevRecord, Protocol, SourceData, select_epoch, source_data
from safas.run_evaluation import Outcome, evaluate_run, is_evaluated, keep_chosen_weights, unscored_epochs
from safas.training import (
    candidate_epochs,
    drop_checkpoint,
    drop_weights,
    has_ended,
    has_weights,
    holds,
    lock_of,
    progress_of,
    read_records,
    run_hash,
    train,
    try_claim,
)

_Done = TypeVar("_Done")


@dataclass(frozen=True)
class Desk:
    """Where and how cells are done. Sent to other processes, so it holds plain values only."""

    prepared: Path
    runs: Path
    retry: bool = False  # do cells again that have failed
    threads: int | None = None  # of this process, where the settings leave them open
    progress: bool = True

    @property
    def notes(self) -> Path:
        """Where locks and digests are kept."""
        return self.runs / ".benchmark"


@dataclass(frozen=True)
class Elsewhere:
    """A cell that a live process is busy with."""

    cell: Cell
    folder: Path


@dataclass(frozen=True)
class Validated:
    """A run of which nothing but source validation is known: the epoch chosen there, and its numbers."""

    cell: Cell
    folder: Path
    epoch: int
    hter: float
    auc: float


Word = Literal["kept", "done", "trained", "under way", "stopped", "failed", "to do"]


@dataclass(frozen=True)
class State:
    """How far a cell has come: `step` of `total`, both 0 where they are not known."""

    word: Word
    folder: Path | None
    step: int = 0
    total: int = 0
    reason: str = ""


def do_cell(cell: Cell, desk: Desk) -> Outcome | Elsewhere:
    """The cell trained and evaluated, its chosen weights kept; or what there is of it already.

    A run that diverges or whose folder is broken is an Outcome that says so. Raises what else training raises.
    """
    return _claimed(cell, desk, _outcome)


def do_trial(cell: Cell, desk: Desk) -> Validated | Outcome | Elsewhere:
    """The cell trained and no more: nothing of its target is read. An Outcome tells why the run has failed."""
    return _claimed(cell, desk, _validated)


def drop_trial(trial: Validated, desk: Desk) -> None:
    """Of a trial that was not chosen keep the records and the scores of source validation."""
    with try_claim(trial.folder) as is_ours:
        if is_ours and not is_evaluated(trial.folder, desk.prepared):
            drop_weights(trial.folder, ())
            drop_checkpoint(trial.folder)


def state(cell: Cell, desk: Desk) -> State:
    """What the disk says of a cell; crops are read only where runs are there and their digest was never made."""
    known = _remembered(cell.protocol, desk, is_any=any(desk.runs.glob("*/config.json")))
    folder = None if known is None else desk.runs / run_hash(cell.config, cell.protocol, known)
    if folder is None or not (folder / "config.json").is_file():
        return State("to do", folder)
    try:
        return _state_of(folder, desk)
    except RunError as error:
        return State("failed", folder, reason=f"{error.what}: {error.where}")


def _state_of(folder: Path, desk: Desk) -> State:
    reason, (step, total) = _failed(folder), progress_of(folder)
    if reason is not None:
        return State("failed", folder, step, total, reason)
    if is_evaluated(folder, desk.prepared):
        return State("done", folder, total, total)
    if _is_claimed(folder):
        return State("under way", folder, step, total)
    return State("trained" if has_ended(folder) else "stopped", folder, step, total)


def _claimed(
    cell: Cell, desk: Desk, finish: Callable[[Cell, Path, Desk], _Done]
) -> _Done | Outcome | Elsewhere:
    if desk.threads is not None:
        torch.set_num_threads(desk.threads)
    folder = _folder(cell, desk)
    with try_claim(folder) as is_ours:
        if not is_ours:
            return Elsewhere(cell, folder)
        reason = _failed(folder)
        if reason is not None and not desk.retry:
            return _failure(cell, folder, reason)
        try:
            if reason is not None or not _is_trained(cell, folder, desk, for_target=finish is _outcome):
                _train(cell, folder, desk, resume=reason is None and not _is_spent(folder, desk))
            return finish(cell, folder, desk)
        except DivergenceError as error:
            reason = f"diverged: {error.what}"
            write_file(folder / "failed.json", json.dumps({"reason": reason}) + "\n")
            return _failure(cell, folder, reason)
        except TrainingError as error:  # something is wrong with this folder alone
            return _failure(cell, folder, str(error))
        except RunError as error:
            return _failure(cell, folder, f"{error} Delete the folder to make the run again.")


def _train(cell: Cell, folder: Path, desk: Desk, *, resume: bool) -> None:
    data = _data(cell.protocol, desk)
    made = train(cell.config, data, desk.prepared, desk.runs, resume=resume, progress=desk.progress)
    if made != folder:
        raise InputError("the crops have changed meanwhile", where=str(desk.prepared), remedy="Start again.")


def _is_trained(cell: Cell, folder: Path, desk: Desk, *, for_target: bool) -> bool:
    """Whether all is there that the cell needs of training; to score the target that is the weights too."""
    there = (folder / "config.json").is_file() and has_ended(folder) and holds(folder, cell.config)
    return there and not (for_target and _is_spent(folder, desk))


def _is_spent(folder: Path, desk: Desk) -> bool:
    """Whether the target can't be scored any more, since weights were dropped.

    Those of a trial that was not chosen, or those of a finished run whose target has changed.
    """
    there = (
        (folder / "config.json").is_file() and has_ended(folder) and not is_evaluated(folder, desk.prepared)
    )
    return there and not all(has_weights(folder, epoch) for epoch in unscored_epochs(folder, desk.prepared))


def _outcome(cell: Cell, folder: Path, desk: Desk) -> Outcome:
    result = evaluate_run(folder, desk.prepared, desk.progress)
    keep_chosen_weights(folder, result)
    method, seed = cell.config.method.name, cell.config.seed
    return Outcome(cell.protocol.name, method, seed, folder, result, cell.name)


def _validated(cell: Cell, folder: Path, desk: Desk) -> Validated:
    records = {
        record["epoch"]: DevRecord(record["epoch"], record["source_dev_hter"], record["source_dev_auc"])
        for record in read_records(folder, "epoch")
    }
    best = records[select_epoch([records[epoch] for epoch in candidate_epochs(folder)])]
    return Validated(cell, folder, best.epoch, best.hter, best.auc)


def _failure(cell: Cell, folder: Path, why: str) -> Outcome:
    method, seed = cell.config.method.name, cell.config.seed
    return Outcome(cell.protocol.name, method, seed, folder, {}, cell.name, failure=why)


def has_diverged(folder: Path) -> bool:
    """Whether the run failed by its own settings."""
    return _failed(folder) is not None


def _failed(folder: Path) -> str | None:
    """Why the cell has failed, if it has."""
    try:
        return str(json.loads((folder / "failed.json").read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folder(cell: Cell, desk: Desk) -> Path:
    return desk.runs / run_hash(cell.config, cell.protocol, protocol_digest(cell.protocol, desk))


def protocol_digest(protocol: Protocol, desk: Desk) -> str:
    """What tells the crops of a protocol's sources apart; read once, then remembered."""
    return digest(_data(protocol, desk), desk.prepared, desk.notes / "digests")


@lru_cache(maxsize=256)
def _remembered(protocol: Protocol, desk: Desk, *, is_any: bool) -> str | None:
    """A protocol's digest for those who only look; where there is no run at all it isn't worth reading the crops."""
    data, memory = _data(protocol, desk), desk.notes / "digests"
    return (digest if is_any else known_digest)(data, desk.prepared, memory)


def _data(protocol: Protocol, desk: Desk) -> SourceData:
    return source_data(protocol, prepared_samples(desk.prepared))


def _is_claimed(folder: Path) -> bool:
    lock = lock_of(folder, is_shared=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that may only be read: nobody works there
        return False
    lock.release()
    return False
