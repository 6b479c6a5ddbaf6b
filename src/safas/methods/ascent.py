"""Looking at the objective from other weights, and coming back; for the methods that seek flat minima."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

TINY = 1e-12  # below this length a gradient has no direction


@contextmanager
def displaced(parameters: Sequence[nn.Parameter], by: Sequence[Tensor]) -> Iterator[None]:
    """Within, every parameter is moved by its tensor of `by`; afterwards it is what it was, bit for bit."""
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, move in zip(parameters, by, strict=True):
            parameter.add_(move)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)


@contextmanager
def statistics_held(module: nn.Module) -> Iterator[None]:
    """Within, the batch norms take the statistics of their batch and leave the running ones alone."""
    norms: list[Any] = [part for part in module.modules() if getattr(part, "track_running_stats", False)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def length(vectors: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The Euclidean norm of all entries together."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in vectors]))
    return norm


def taken_gradients(module: nn.Module) -> tuple[list[nn.Parameter], list[Tensor]]:
    """The parameters that have a gradient, and these gradients, which are cleared."""
    parameters = [parameter for parameter in module.parameters() if parameter.grad is not None]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for parameter in parameters:
        parameter.grad = None
    return parameters, gradients
