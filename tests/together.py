"""Processes that train together, each a fork of one that has imported everything already; and what they train."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import conftest  # noqa: F401 - shapes are checked in these processes too
import toy
from safas.augment import AugmentConfig
from safas.batches import Sampler
from safas.errors import SafasError
from safas.methods import CONFIGS
from safas.methods.fishr import FishrConfig
from safas.methods.gac_fas import GacFasConfig
from safas.methods.irm import IrmConfig
from safas.methods.refilm import RefilmConfig
from safas.methods.sa_fas import SaFasConfig
from safas.methods.vrex import VRexConfig
from safas.training import ALONE, Group, TrainConfig, loop, train
from safas.training.environment import make_fabric, reproducible
from safas.training.joining import joined
from safas.training.step import make_batch

SIZE, STEPS = 16, 5
# What sets in late by default does so early here: the penalties in the second epoch, the rest at once.
METHODS = {name: CONFIGS[name]() for name in CONFIGS}
METHODS["sa-fas"] = SaFasConfig(align_epoch=0, alpha=0.9)
METHODS["gac-fas"] = GacFasConfig(ascent_epoch=0)
METHODS["irm"] = IrmConfig(penalty_epoch=1)
METHODS["vrex"] = VRexConfig(penalty_epoch=1)
METHODS["fishr"] = FishrConfig(penalty_weight=1, penalty_epoch=1)
METHODS["refilm"] = RefilmConfig(average_epoch=0)
# 18 videos: 3 steps an epoch, 6 in all, checkpoints at 2, 4 and 6.
CONFIG = TrainConfig(
    method=METHODS["sa-fas"], weights="none", image_size=SIZE, epochs=2, batch=6, lr=0.01, checkpoint_every=2,
    log_every=1, accelerator="cpu", precision="fp32", threads=1,
    augment=AugmentConfig(rotation_deg=10, scale=(0.7, 1)),
)  # fmt: skip
_STARTED = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")


class TinyNet(nn.Module):
    """Two convolutions, each with a batch norm, and the mean over the image: 8 features, some of them dropped."""

    def __init__(self, dropped: float) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())
        self.dropout = nn.Dropout(dropped)
        self.layer2 = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, 8]."""
        return self.dropout(self.layer2(self.layer1(images - 0.5)).mean(dim=(2, 3)))


def config_of(method: str, **changes: Any) -> TrainConfig:
    """The tests' settings for a method."""
    return replace(CONFIG, method=METHODS[method], **changes)


def use_tiny_net() -> None:
    """Train TinyNet from now on, which drops features where the settings name the backbone "dropping"."""
    loop.backbone = lambda name, weights: (TinyNet(0.5 if name == "dropping" else 0.0), 8)


def import_once() -> None:
    """Start the process that the others are forks of, with this module in it."""
    if hasattr(os, "fork"):
        _STARTED.set_forkserver_preload(["together"])
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # which Python 3.11 does not hand on
        forkserver.ensure_running()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def in_processes(count: int, work: Callable[..., Any], *arguments: Any) -> tuple[list[Any], list[int]]:
    """work(*arguments) in `count` processes that find each other as torchrun's do: results (or none), exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = [_STARTED.Pipe(duplex=False) for _ in range(count)]
    processes = [
        _STARTED.Process(target=_child, args=(sender, rank, count, port, work, arguments))
        for rank, (_, sender) in enumerate(pipes)
    ]
    for process, (_, sender) in zip(processes, pipes, strict=True):
        process.start()
        sender.close()
    results = []
    for receiver, _ in pipes:
        try:
            results.append(receiver.recv())
        except EOFError:
            results.append(None)
    for process in processes:
        process.join(60)
    return results, [process.exitcode for process in processes]


def _child(sender: Any, rank: int, size: int, port: int, work: Callable[..., Any], arguments: Any) -> None:
    torch.set_num_threads(1)
    use_tiny_net()
    place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    try:
        with joined() as group:
            sender.send(work(*arguments, group=group))
    except SafasError as error:
        sender.send(str(error))
        sys.exit(2)


def steps(
    prepared: Path, configs: Sequence[TrainConfig], group: Group = ALONE
) -> list[dict[str, np.ndarray]]:
    """For each of the settings, gradients and all that the method keeps after each of STEPS steps."""
    return [_steps(prepared, config, group) for config in configs]


def _steps(prepared: Path, config: TrainConfig, group: Group) -> dict[str, np.ndarray]:
    fabric = make_fabric(config, group)
    kept = {}
    with reproducible(config, fabric.device):
        stores = loop.read_crops(toy.source_data(toy.samples()), prepared)
        trainer = loop._set_up(fabric, group, config, stores, prepared)
        trainer.method.train()
        for step in range(STEPS):
            loop._step(trainer, step)
            for parameter, name in trainer.names.items():
                if parameter.grad is not None:
                    kept[f"{step} gradient of {name}"] = parameter.grad.numpy().copy()
            for name, tensor in trainer.method.state_dict().items():
                kept[f"{step} {name}"] = tensor.numpy().copy()
    return kept


def run(prepared: Path, runs: Path, config: TrainConfig, kill: tuple[int, int], group: Group = ALONE) -> str:
    """Train; `kill` (rank, step) is where a process ends itself by SIGKILL. Returns the run's name."""

    def killing(sampler: Sampler, config: TrainConfig, count: int, step: int, *more: Any) -> Any:
        if (group.rank, step) == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return make_batch(sampler, config, count, step, *more)

    loop.make_batch = killing
    return train(config, toy.source_data(toy.samples()), prepared, runs, progress=False, group=group).name


def run_each_its_own(prepared: Path, runs: Path, config: TrainConfig, group: Group) -> str:
    """Each process with a seed of its own, as if they had been started by different commands."""
    return run(prepared, runs, replace(config, seed=group.rank), (-1, -1), group)


def fail_as_torch_does(group: Group) -> None:
    """What torch's own synchronised batch norm raises when another process is gone."""
    raise torch.distributed.DistBackendError(f"NCCL communicator was aborted on rank {group.rank}")
