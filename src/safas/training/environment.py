"""What a run ran on: device, precision, threads, versions, commit."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from safas.errors import InputError
from safas.methods import METHODS
from safas.training.config import TrainConfig
from safas.training.group import ALONE, Group

PACKAGES = (
    "safas",
    "torch",
    "torchvision",
    "lightning-fabric",
    "numpy",
    "polars",
    "opencv-python-headless",
    "av",
)


def make_fabric(config: TrainConfig, group: Group = ALONE) -> Fabric:
    """This process's device, and bfloat16 for what is set up through it where that is chosen. Raises InputError."""
    plugins: list[Any] = [LightningEnvironment()]  # one device; who the others are is the group's to know
    devices: Any = _device_number(config, group)
    try:
        fabric = Fabric(accelerator=config.accelerator, devices=devices, plugins=plugins)
        if uses_bf16(config, fabric.device):
            plugins.append(MixedPrecision("bf16-mixed", fabric.device.type))
            fabric = Fabric(accelerator=config.accelerator, devices=devices, plugins=plugins)
    except (RuntimeError, ValueError) as error:  # Fabric's ways to say that there is no such device
        first = str(error).splitlines()[0]
        what = f"no accelerator {config.accelerator!r} here ({first})"
        raise InputError(what, remedy="Use auto.") from error
    if group.size > 1 and fabric.device.type not in ("cpu", "cuda"):
        raise InputError(
            f"several processes cannot train on {fabric.device.type}", remedy="Use `--accelerator cpu`."
        )
    if group.size > 1 and fabric.device.type == "cuda":
        torch.cuda.set_device(fabric.device)
    return fabric


def check_devices(devices: int, accelerator: str) -> None:
    """Raises InputError when so many processes of this machine cannot have a device each."""
    if devices < 1:
        raise InputError(f"devices = {devices} is below 1", where="--devices")
    if _takes_cuda(accelerator) and devices > torch.cuda.device_count():
        raise InputError(
            f"{devices} devices, but {torch.cuda.device_count()} GPUs here",
            where="--devices",
            remedy="Start one a GPU, or train with --accelerator cpu.",
        )


def _takes_cuda(accelerator: str) -> bool:
    return accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()


def _device_number(config: TrainConfig, group: Group) -> int | list[int]:
    """How many devices, or the number of this process's GPU; a process that is shown one alone takes that."""
    if group.size == 1 or not _takes_cuda(config.accelerator):
        return 1
    shown = torch.cuda.device_count()
    if shown == 1:
        return [0]
    if group.local_rank >= shown:
        raise InputError(
            f"process {group.local_rank} of this machine has no GPU of its own: there are {shown}",
            remedy="Start one process a GPU.",
        )
    return [group.local_rank]


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether the backbone runs in bfloat16: as told, or where the processor multiplies it natively.

    By itself none does whose method needs 32 bits.
    """
    if config.precision != "auto":
        return config.precision == "bf16"
    if METHODS[config.method.name].needs_fp32:
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False


@contextmanager
def whole_float32() -> Iterator[None]:
    """Convolutions of 32-bit numbers keep all 32 within: CUDA's leave 13 of them out by default (TF32)."""
    cudnn: Any = torch.backends.cudnn  # a module with properties, which mypy does not know
    before = cudnn.conv.fp32_precision
    cudnn.conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        cudnn.conv.fp32_precision = before


@contextmanager
def reproducible(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Deterministic algorithms, whole 32-bit numbers and a fixed number of threads within; then all is as before.

    On CUDA an operation without a deterministic version warns and goes on.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # a module with a property, which mypy does not know
    fill = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    try:
        torch.set_num_threads(config.threads or threads)
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
        # Filling fresh memory is for finding reads of what was never written, and costs time.
        memory.fill_uninitialized_memory = False
        with torch.random.fork_rng([device] if device.type == "cuda" else []), whole_float32():
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        memory.fill_uninitialized_memory = fill


def environment(fabric: Fabric, config: TrainConfig, group: Group = ALONE) -> dict[str, Any]:
    """Versions, commit, device, precision, threads and processes, for config.json."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": commit(),
        "machine": f"{platform.system()} {platform.machine()}",
        "device": str(fabric.device),
        "precision": "bf16" if uses_bf16(config, fabric.device) else "fp32",
        "threads": torch.get_num_threads(),
        "processes": group.size,
        "seed": config.seed,
    }


def commit() -> str | None:
    """The commit of the checkout that tracks this file, with "-dirty" when something was changed; or None."""
    here = Path(__file__).resolve()
    git = ("git", "-C", str(here.parent))
    try:
        for arguments in (("ls-files", "--error-unmatch", here.name), ("rev-parse", "HEAD")):
            done = subprocess.run((*git, *arguments), capture_output=True, text=True, timeout=10, check=True)
        changed = subprocess.run(
            (*git, "status", "--porcelain", "--untracked-files=no"),
            capture_output=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
