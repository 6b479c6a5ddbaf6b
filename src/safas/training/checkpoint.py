"""Atomic files of tensors, and the whole state of a run as one of them."""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from safas.errors import TrainingError
from safas.files import write_file

ABOUT = "safas"
RNG, CUDA_RNG, MOMENTUM, WEIGHT = "rng", "rng.cuda", "momentum.", "weight."


def save(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write safetensors atomically. Raises InputError when it cannot be written."""
    # One entry: safetensors writes several in any order, and equal runs shall leave equal files.
    said = {ABOUT: json.dumps(about, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, safetensors.torch.save(plain, metadata=said), durable=True)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, what was said about them). Raises TrainingError for an unreadable file."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
            return tensors, json.loads((file.metadata() or {}).get(ABOUT, "{}"))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise TrainingError(
            f"not a readable file of weights ({error})", where=str(path), remedy="Delete it and train again."
        ) from error


def state_of(
    method: nn.Module, optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> dict[str, Tensor]:
    """What the method keeps (weights first of all), momentum buffers and the states of the random generators.

    Each under a distinct name.
    """
    state = {WEIGHT + name: tensor for name, tensor in method.state_dict().items()}
    for parameter, name in names.items():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            state[MOMENTUM + name] = momentum
    state[RNG] = torch.get_rng_state()
    if torch.cuda.is_available():
        state[CUDA_RNG] = torch.cuda.get_rng_state()
    return state


def restore(
    state: Mapping[str, Tensor],
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    names: Mapping[nn.Parameter, str],
    where: Path,
) -> None:
    """Put a state back in place. Raises TrainingError when it is of another network."""
    weights = {key.removeprefix(WEIGHT): value for key, value in state.items() if key.startswith(WEIGHT)}
    own = method.state_dict()  # the method's tensors themselves, under the names that they were saved by
    if _shapes(own) != _shapes(weights):
        raise TrainingError(
            "the checkpoint is of another network", where=str(where), remedy="Train without resuming."
        )
    for name, tensor in own.items():
        tensor.copy_(weights[name])
    for parameter, name in names.items():
        if MOMENTUM + name in state:
            buffer = torch.empty_like(parameter).copy_(state[MOMENTUM + name]).detach()
            optimizer.state[parameter]["momentum_buffer"] = buffer
    torch.set_rng_state(state[RNG])
    if CUDA_RNG in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state[CUDA_RNG])


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
