"""How processes become a group: started by torchrun or srun, or several at once on this machine."""

import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from safas.errors import InputError, SafasError, TrainingError
from safas.parallel import cores
from safas.training.group import ALONE, Group, LostError, lost

PATIENCE = timedelta(minutes=30)  # for each other: longer than one may take to read all crops, or to write
_TOLD, _LINGER_S = "safas/told", 2.0  # the counter of those who have met an error
_SUPERVISED = "SAFAS_SUPERVISED"  # set where the process that has started us says what becomes of us
FAILED, STOPPED = 2, 130  # exit codes of the command line


def is_started_together() -> bool:
    """Whether torchrun (or what speaks its language) or srun has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 or _is_srun()


@contextmanager
def joined() -> Iterator[Group]:
    """The group of the processes that were started together with this one; ALONE where there are no others.

    An error ends all of them, and the first to meet one speaks for all: the others leave with an exit code and
    without a word. Raises InputError when the variables of torchrun or srun are incomplete, LostError when the others
    do not come.
    """
    if not is_started_together():
        yield ALONE
        return
    group = _place()
    store = _meet(group)
    try:
        yield group
    except (SafasError, KeyboardInterrupt, distributed.DistError) as error:
        # torch's own batch norm, on CUDA, talks to the others without `in_touch`
        told = lost() if isinstance(error, distributed.DistError) else error
        if not _speaks(told, group, store):
            raise SystemExit(STOPPED if isinstance(told, KeyboardInterrupt) else FAILED) from error
        # Without taking leave: the others wait no longer when the connection breaks.
        if told is error:
            raise
        raise told from error
    distributed.destroy_process_group()


def _is_srun() -> bool:
    """Not in a batch script that does without srun: there is one process then, whatever was asked for."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1


def _place() -> Group:
    try:
        if "WORLD_SIZE" not in os.environ:
            slurm = SLURMEnvironment()
            os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = slurm.main_address, str(slurm.main_port)
            return Group(slurm.global_rank(), slurm.world_size(), slurm.local_rank())
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        return Group(rank, size, int(os.environ.get("LOCAL_RANK", rank)))
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"one of several processes, but its place is not known ({error})",
            where="variables of torchrun or srun",
            remedy="Start it by torchrun, or by srun with --ntasks-per-node.",
        ) from error


def _meet(group: Group) -> Any:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, _, _ = next(rendezvous("env://", rank=group.rank, world_size=group.size, timeout=PATIENCE))
        distributed.init_process_group(
            backend, store=store, rank=group.rank, world_size=group.size, timeout=PATIENCE
        )
    except (ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        where = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
        what = f"process {group.rank} of {group.size} did not meet the others ({first})"
        raise LostError(what, where=where) from error
    return store


def _speaks(error: BaseException, group: Group, store: Any) -> bool:
    """Whether the error is this process's to tell."""
    if isinstance(error, LostError) and _SUPERVISED in os.environ:
        return False
    try:
        with socket.create_connection((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])), _LINGER_S):
            is_ours = bool(store.add(_TOLD, 1) == 1)
    except (OSError, RuntimeError):  # the first process kept the store and is gone
        return True
    if group.is_first and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        _keep_open(store, group.size)
    return is_ours


def _keep_open(store: Any, size: int) -> None:
    """Until all have asked who speaks; not for long, since who was killed never asks."""
    end = time.monotonic() + _LINGER_S
    while store.add(_TOLD, 0) < size and time.monotonic() < end:
        time.sleep(0.05)


def run_together(devices: int, arguments: Sequence[str]) -> int:
    """Run `safas` with these arguments in several processes of this machine at once; returns the exit code.

    Raises TrainingError naming the process that was killed, after the others have been ended.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # what torch says here at length, we say below in one line
    os.environ[_SUPERVISED] = "1"
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // devices)))
    with tempfile.TemporaryDirectory(prefix="safas-") as logs:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=devices, max_restarts=0, run_id="safas",
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", logs_specs=DefaultLogsSpecs(logs),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "safas", *arguments)
        except SignalException:
            return STOPPED
        except ChildFailedError as failed:
            rank, failure = failed.get_first_failure()
            return _told(rank, failure.exitcode, devices)
    return 0


def _told(rank: int, code: int, devices: int) -> int:
    if code in (FAILED, STOPPED):  # it has said why
        return code
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    raise TrainingError(
        f"process {rank} of {devices} {how}",
        remedy="The same command goes on from the last checkpoint, on any number of devices.",
    )
