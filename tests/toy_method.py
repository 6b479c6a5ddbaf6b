"""A method over a backbone of two layers, and batches on which it can learn."""

from typing import Any

import torch
from torch import nn

from safas.batches import Batch, classes_of
from safas.methods import CONFIGS, METHODS, Method
from safas.methods.distill import Distill, Teach

SIDE, D = 6, 8


class Tiny(nn.Module):
    """A backbone of two layers, behind three stages that do nothing (MixStyle mixes after them)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2, self.layer3 = nn.Identity(), nn.Identity(), nn.Identity()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, D), nn.Tanh())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.net(self.layer3(self.layer2(self.layer1(images))))
        return features


def make(name: str, E: int = 3, seed: int = 0, config: Any = None) -> Method:
    torch.manual_seed(seed)
    method_class: Any = METHODS[name]
    method: Method = method_class(Tiny(), D, E, config or CONFIGS[name](), SIDE, 10)
    if isinstance(method, Distill):
        method.teacher = teacher(method.heads.num_domains)
    return method


def teacher(heads: int) -> Teach:
    """One that knows how a batch is made: its logits are how much brighter an image is above, under every head."""

    def teach(images: torch.Tensor) -> torch.Tensor:
        above, below = images.chunk(2, dim=2)
        return 20 * (above.mean(dim=(1, 2, 3)) - below.mean(dim=(1, 2, 3)))[:, None].repeat(1, heads)

    return teach


def toy_batch(E: int = 3, seed: int = 0, images: int = 12) -> Batch:
    """Live images are brighter above, spoof ones below; the domains differ in colour. Two views."""
    generator = torch.Generator().manual_seed(seed)
    labels, domains = torch.arange(images) % 2, (torch.arange(images) // 2) % E
    pixels = 0.2 * torch.rand(2 * images, 3, SIDE, SIDE, generator=generator)
    labels, domains = labels.repeat(2), domains.repeat(2)
    pixels[:, :, : SIDE // 2] += 0.4 * labels[:, None, None, None]
    pixels[:, :, SIDE // 2 :] += 0.4 * (1 - labels)[:, None, None, None]
    pixels[torch.arange(2 * images), domains % 3] += 0.3
    return Batch(pixels, labels, domains, classes_of(labels, domains))


def without(batch: Batch, domain: int) -> Batch:
    some = batch.domains != domain
    return Batch(batch.images[some], batch.labels[some], batch.domains[some], batch.classes[some])


def same_gradient(ours: torch.Tensor, theirs: torch.Tensor, method: Method) -> None:
    """Two scalars change alike with every weight of the backbone and the head."""
    parameters = [*method.backbone.parameters(), *method.heads.parameters()]
    pairs = zip(
        *(torch.autograd.grad(of, parameters, retain_graph=True) for of in (ours, theirs)), strict=True
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other)


def train(method: Method, E: int, steps: int) -> list[float]:
    """What falls: the objective, or the risk where an adversary, or a large term with a floor, keeps the whole up."""
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        output = method.gradients(toy_batch(E, seed=step), step, torch.Tensor.backward)
        optimizer.step()
        method.after_step(step)
        kept_up = {"domain", "specific"} & set(output.parts)
        losses.append((output.parts["risk"] if kept_up else output.total).item())
    return losses
