"""MixStyle: styles of images mixed inside the network (Zhou, Yang, Qiao, Xiang, ICLR 2021, arXiv 2104.02008).

ERM, R = the mean cross-entropy over all samples, through a backbone that, while training, mixes the
statistics of its lower feature maps. With mu and sigma the mean and standard deviation of each channel over a map,
taken as constants,

    x <- (mix of sigma) * (x - mu) / sigma + (mix of mu),    mix of s = c s + (1 - c) s_partner,

c ~ Beta(alpha, alpha) for each sample, the partner another sample by a random permutation of the batch. After
each of the first residual stages this happens with probability p; the samples keep their labels.

Where we differ: the partner may be of the same domain (the paper's "random shuffle", the one that needs no
domain labels; its other version pairs two domains half and half) and may be the other view of the same image.
The random numbers are a function of the run's seed and the step, so that a resumed run sees the same ones.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from safas.batches import Batch, rng
from safas.errors import InputError
from safas.methods.base import Method, StepOutput, check_not_negative, check_positive, pooled
from safas.model import DomainHeads


@dataclass(frozen=True)
class MixStyleConfig:
    """MixStyle's settings; the defaults are the paper's."""

    name: Literal["mixstyle"] = "mixstyle"
    stages: int = 3
    """>= 1, mixes after the residual stages layer1 .. layer<stages>; 3 for PACS, 2 for OfficeHome by the authors"""
    probability: float = 0.5
    """in [0, 1], p with which a stage mixes at a step"""
    alpha: float = 0.1
    """> 0, of the Beta distribution; small = mostly one of the two styles, hardly changed"""

    def __post_init__(self) -> None:
        check_not_negative(self, "probability")
        check_positive(self, "stages", "alpha")
        if self.probability > 1:
            raise InputError(f"probability = {self.probability} is above 1", where="method.probability")


class MixStyle(Method):
    """Mean cross-entropy of a single head over all samples, the styles of lower feature maps mixed."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: MixStyleConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.stages = config, residual_stages(backbone, config.stages)
        self.seed = int(torch.randint(2**31, ()))  # the run's seed decides it, like the first weights

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R over the samples of all domains together, through mixed feature maps."""
        generator = rng(self.seed, step, *batch.stream)

        def mix(x: Tensor) -> Tensor:
            if generator.random() >= self.config.probability:
                return x
            return mixed(x, *draw(len(x), self.config.alpha, generator))

        with after_each(self.stages, mix):
            made = pooled(self, batch)
        return made.output(made.risk)


def residual_stages(backbone: nn.Module, count: int) -> list[nn.Module]:
    """The modules layer1 .. layer<count> of a ResNet. Raises InputError when there are no such modules."""
    by_name = {path.split(".")[-1]: module for path, module in backbone.named_modules()}
    names = [f"layer{number}" for number in range(1, count + 1)]
    for name in names:
        if name not in by_name:
            raise InputError(
                f"the backbone has no {name} after which MixStyle could mix",
                remedy="Use a ResNet, or mix after fewer stages.",
            )
    return [by_name[name] for name in names]


@contextmanager
def after_each(modules: Sequence[nn.Module], change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within, the output of each of these modules is changed before the next one sees it."""
    handles = [module.register_forward_hook(lambda _module, _inputs, x: change(x)) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def draw(n: int, alpha: float, generator: np.random.Generator) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"]]:
    """Each sample's partner and the share c ~ Beta(alpha, alpha) of its own style."""
    partner = torch.from_numpy(generator.permutation(n))
    return partner, torch.from_numpy(generator.beta(alpha, alpha, n)).float()


def mixed(
    x: Float[Tensor, "N C H W"], partner: Int[Tensor, "N"], share: Float[Tensor, "N"], epsilon: float = 1e-6
) -> Float[Tensor, "N C H W"]:
    """Feature maps with the mean and deviation of each channel mixed with the partner's; no gradient in these.

    epsilon is added to the variance. Computed in 32 bits, returned as it came. Raises InputError for maps of one
    pixel, which have no deviation.
    """
    if x.shape[2:].numel() < 2:
        raise InputError(
            "MixStyle cannot mix feature maps of a single pixel",
            remedy="Mix after fewer stages (method.stages) or see larger images (image_size).",
        )
    maps, partner = x.float(), partner.to(x.device)
    own = share.to(x.device).view(-1, 1, 1, 1)
    mean = maps.detach().mean(dim=(2, 3), keepdim=True)
    deviation = (maps.detach().var(dim=(2, 3), keepdim=True) + epsilon).sqrt()
    mixed_mean, mixed_deviation = (own * s + (1 - own) * s[partner] for s in (mean, deviation))
    return (mixed_deviation * (maps - mean) / deviation + mixed_mean).to(x.dtype)
