"""Empirical risk minimisation: one head for all domains, mean binary cross-entropy over the samples.

The plain baseline (Vapnik 1998). It sees two views of each image, so that in a comparison every method sees
the same images, but has no term that needs them.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from safas.batches import Batch
from safas.methods.base import Method, StepOutput, pooled
from safas.model import DomainHeads


@dataclass(frozen=True)
class ErmConfig:
    """ERM has no setting of its own."""

    name: Literal["erm"] = "erm"


class Erm(Method):
    """Mean binary cross-entropy of a single head over all samples, whatever their domain."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: ErmConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R over the samples of all domains together."""
        made = pooled(self, batch)
        return made.output(made.risk)
