"""Looking at the objective from other weights, and coming back; for the methods that seek flat minima."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

TINY = 1e-12  # below this length a gradient has no direction

Slope = Mapping[str, Tensor]
"""a gradient, or a way to go: a tensor for each parameter that has a part in it, by the parameter's name"""


def taken_gradients(module: nn.Module) -> Slope:
    """The parameters' gradients, which are cleared."""
    slope: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            slope[name], parameter.grad = parameter.grad, None
    return slope


@contextmanager
def displaced(module: nn.Module, way: Slope) -> Iterator[None]:
    """Within, the parameters are moved along a way; afterwards they are what they were, bit for bit."""
    parameters = {name: parameter for name, parameter in module.named_parameters() if name in way}
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.add_(way[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])


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
