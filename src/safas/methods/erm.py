"""Empirical risk minimisation: one head for all domains, mean binary cross-entropy over the samples.

The plain baseline (Vapnik 1998). It sees two views of each image, so that in a comparison every method sees
the same images, but has no term that needs them.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from safas.batches import Batch
from safas.methods.base import Method, StepOutput
from safas.model import DomainHeads, ScoringNet


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
        features = self.backbone(batch.images)
        risk, risks = self.heads.risk(features, batch.labels, torch.zeros_like(batch.domains))
        present = torch.ones_like(risks, dtype=torch.bool)
        return StepOutput(risk, {"risk": risk}, features, self.heads(features), risks, present)

    def scoring_net(self) -> ScoringNet:
        """Sigmoid of the one logit."""
        return ScoringNet(self.backbone, self.heads, "hyperplane", self.image_size)
