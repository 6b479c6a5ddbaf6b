"""One step of training: the batch, the method's loss, the optimiser, and what it must not touch."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Bool
from lightning_fabric import Fabric
from torch import Tensor

from safas.augment import views
from safas.batches import Batch, Sampler, classes_of, rng
from safas.methods import Method
from safas.model import DomainHeads
from safas.training.batch_norm import running_statistics
from safas.training.config import TrainConfig
from safas.training.group import ALONE, Group

_VIEWS = 3  # purpose of a random generator, beside those of the sampler


def take_step(
    fabric: Fabric,
    method: Method,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    group: Group = ALONE,
) -> dict[str, Tensor]:
    """One step of any method: its gradients, the optimiser, its hook. Returns scalars on the device."""
    optimizer.zero_grad()
    output = method.gradients(batch, step, group.backward(fabric.backward, method))
    if group.size > 1:  # each batch norm saw its own share where they are not synchronised
        group.average_(running_statistics(method.backbone))
    with absent_heads_kept(optimizer, method.heads, output.present):
        optimizer.step()
    extra = method.after_step(step)
    terms = {"loss": output.total, **output.parts, **extra}
    return {name: value.detach() for name, value in terms.items()}


@contextmanager
def absent_heads_kept(
    optimizer: torch.optim.Optimizer, heads: DomainHeads, present: Bool[Tensor, "E"]
) -> Iterator[None]:
    """Within, the optimiser's step does not move the heads of absent domains: no decay, no momentum.

    All heads are rows of one parameter, whose gradient for such a row is 0 rather than none; so the row and
    its momentum are put back as they were.
    """

    def momentum(parameter: Tensor) -> Tensor | None:
        buffer: Tensor | None = optimizer.state.get(parameter, {}).get("momentum_buffer")
        return buffer

    parameters = (heads.weight, heads.bias)
    before = [parameter.detach().clone() for parameter in parameters]
    buffers = [momentum(parameter) for parameter in parameters]
    moved = [torch.zeros_like(p) if b is None else b.clone() for p, b in zip(before, buffers, strict=True)]
    yield
    with torch.no_grad():
        for parameter, old, old_momentum in zip(parameters, before, moved, strict=True):
            row_present = present.view(-1, *[1] * (parameter.dim() - 1))
            parameter.copy_(torch.where(row_present, parameter, old))
            buffer = momentum(parameter)
            if buffer is not None:
                buffer.copy_(torch.where(row_present, buffer, old_momentum))


def make_batch(
    sampler: Sampler, config: TrainConfig, count: int, step: int, device: torch.device, group: Group = ALONE
) -> Batch:
    """The batch of a step, `count` views of each image; a pure function of the settings, the step and the share."""
    store = sampler.store
    videos, crops = sampler.crops(step)
    own = group.share(len(crops))
    pixels = torch.from_numpy(store.images[crops[own]]).to(device).permute(0, 3, 1, 2)
    generator, place = rng(config.seed, _VIEWS, step), (own.start, len(crops))
    images = views(pixels, config.image_size, config.augment, generator, count, place)
    labels = torch.from_numpy(np.tile(store.live[videos].astype(np.int64), count)).to(device)
    domains = torch.from_numpy(np.tile(store.domain[videos], count)).to(device)
    return Batch(images, labels, domains, classes_of(labels, domains), group.rank)
