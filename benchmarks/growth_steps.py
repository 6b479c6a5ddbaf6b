"""What one training step costs beside the network: the objectives, by the domains and by the views of a batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from growing import Work
from safas.batches import Batch, classes_of
from safas.methods import CONFIGS, METHODS
from safas.model import aligned, drawn_together

D = 512  # features of a ResNet-18


class Tiny(nn.Module):
    """A backbone that costs nothing beside the objective, with the three stages that MixStyle mixes after."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2, self.layer3 = nn.Identity(), nn.Identity(), nn.Identity()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(192, D), nn.Tanh())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[N, 3, 8, 8] -> [N, D]."""
        features: torch.Tensor = self.net(self.layer3(self.layer2(self.layer1(images))))
        return features


def step(E: int, folder: Path, name: str) -> Work:
    """The gradients of one step: 512 views of E domains, the penalties on, a backbone that costs nothing."""
    torch.set_num_threads(1)
    place = torch.arange(256)
    domains, labels = (place % E).repeat(2), (place // E % 2).repeat(2)
    batch = Batch(torch.rand(512, 3, 8, 8), labels, domains, classes_of(labels, domains))
    kind: Any = METHODS[name]
    method = kind(Tiny(), D, E, CONFIGS[name](), 8, 1)

    def backward(total: torch.Tensor, /, *, retain_graph: bool = False) -> None:
        total.backward(retain_graph=retain_graph)

    def work() -> None:
        method.zero_grad()
        method.gradients(batch, 10_000, backward)
        method.after_step(10_000)

    return work


def projection(E: int, folder: Path) -> Work:
    """PG-IRM's projection of E heads: of the directions, and of whole hyperplanes."""
    torch.set_num_threads(1)
    weight = torch.randn(E, D)
    return lambda: (aligned(weight, 0.995), drawn_together(weight, 0.995))


def objective(N: int, folder: Path, loss: Callable[..., torch.Tensor]) -> Work:
    """Value and gradient of a loss between all pairs of N views."""
    torch.set_num_threads(1)
    features, classes = torch.randn(N, D).requires_grad_(), torch.arange(N) % 8
    return lambda: loss(features, classes, 0.1).backward()
