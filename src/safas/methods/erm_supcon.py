"""ERM + SupCon: one head for all domains, and SA-FAS's contrastive term. SA-FAS without its alignment.

L = R + lambda * L_sep, L_sep as in Khosla et al. 2020 over the classes (label, domain). The classes are those
of SA-FAS, so what differs from SA-FAS is the heads and their alignment, and what differs from ERM is the
separability. R is the mean over samples as in ERM; SA-FAS's is that over domains, which is the same in balanced
batches (`sampling`) alone.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from safas.batches import Batch
from safas.losses import separability
from safas.methods.base import Method, StepOutput, check_not_negative, check_positive, pooled
from safas.model import DomainHeads


@dataclass(frozen=True)
class ErmSupConConfig:
    """The contrastive term, in SA-FAS's units (its authors' code)."""

    name: Literal["erm-supcon"] = "erm-supcon"
    contrastive_weight: float = 0.1
    """lambda >= 0, multiplied by temperature/0.07 as in the authors' code"""
    temperature: float = 0.1
    """tau > 0 of the contrastive loss"""

    def __post_init__(self) -> None:
        check_not_negative(self, "contrastive_weight")
        check_positive(self, "temperature")


class ErmSupCon(Method):
    """Mean binary cross-entropy of a single head + lambda * supervised contrastive loss."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: ErmSupConConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config = config

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R + lambda * (tau/0.07) * L_sep."""
        made, config = pooled(self, batch), self.config
        contrastive = separability(made.features, batch.classes, config.temperature)
        return made.output(made.risk + config.contrastive_weight * contrastive, contrastive=contrastive)
