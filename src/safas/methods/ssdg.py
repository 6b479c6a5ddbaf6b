"""SSDG: single-side domain generalisation (Jia, Zhang, Shan, Chen, CVPR 2020, arXiv 2004.14043).

L = R + lambda_1 * L_trip + lambda_2 * L_ada. Live faces differ little between data sets, attacks much, so only
the live ones are made alike: L_ada is the cross-entropy of a domain classifier that sees the LIVE features
only, behind a gradient reversal of strength 2 / (1 + exp(-10 p)) - 1, p the progress of training. L_trip is a
triplet loss over E + 1 classes: the live faces of all domains are one, the spoof faces of each domain one of
their own, so live draws together and attacks stay apart by domain.

Where we differ from the authors' code: features are normalised for L_trip only (their code divides features by
sqrt(2 |phi|), not by |phi|, and feeds them to all parts; paper and code also normalise the head's weights). Two
views of an image are a pair of one class in L_trip like any other. No
bottleneck layer of 512 with dropout between backbone and head, and none in the domain classifier, whose
layers start as torch's default. One logit instead of two softmax outputs. Batches as the sampler draws them
instead of 10 live and 10 spoof images of each domain (`sampling = balanced` comes near). p ends after
`ramp_epochs` instead of 4000 steps.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from safas.batches import Batch
from safas.losses import reversal_strength, reversed_gradient, triplet
from safas.methods.base import Method, StepOutput, check_not_negative, check_positive, pooled
from safas.model import DomainHeads, perceptron


@dataclass(frozen=True)
class SsdgConfig:
    """SSDG's settings; the defaults are those of the authors' code for OCI->M, OMI->C and OCM->I."""

    name: Literal["ssdg"] = "ssdg"
    triplet_weight: float = 1.0
    """lambda_1 >= 0 (2 for ICM->O)"""
    adversarial_weight: float = 0.5
    """lambda_2 >= 0 (0.1 for ICM->O); scales the domain classifier's own learning too, as in their code"""
    margin: float = 0.1
    """>= 0, of the triplet loss between normalised features, whose distances are in [0, 2]"""
    ramp_epochs: int = 100
    """>= 1, epochs in which the reversal grows to full strength; the authors' ramp is as long as the training"""
    hidden: int = 512
    """>= 1, width of the domain classifier's hidden layer"""

    def __post_init__(self) -> None:
        check_not_negative(self, "triplet_weight", "adversarial_weight", "margin")
        check_positive(self, "ramp_epochs", "hidden")


class Ssdg(Method):
    """Risk of one head + asymmetric triplets + a domain classifier of live features behind a reversal."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: SsdgConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.ramp_steps = config, config.ramp_epochs * steps_per_epoch
        self.domain_classifier = perceptron(dim, config.hidden, num_domains)

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R + lambda_1 * L_trip + lambda_2 * L_ada, R over all samples together."""
        made, config = pooled(self, batch), self.config
        asymmetric = triplet(made.features, asymmetric_classes(batch.labels, batch.domains), config.margin)
        reversed_features = reversed_gradient(made.features, reversal_strength(step / self.ramp_steps))
        single_side = live_cross_entropy(self.domain_classifier(reversed_features), batch)
        total = made.risk + config.triplet_weight * asymmetric + config.adversarial_weight * single_side
        return made.output(total, triplet=asymmetric, domain=single_side)


def asymmetric_classes(labels: Int[Tensor, "N"], domains: Int[Tensor, "N"]) -> Int[Tensor, "N"]:
    """0 for live of any domain, 1 + e for spoof of domain e."""
    return torch.where(labels == 1, 0, 1 + domains)


def live_cross_entropy(domain_logits: Float[Tensor, "N E"], batch: Batch) -> Float[Tensor, ""]:
    """Mean cross-entropy of the domains over the live samples; 0 if there is none."""
    live = batch.labels == 1
    losses = functional.cross_entropy(domain_logits, batch.domains.long(), reduction="none")
    return torch.where(live, losses, 0.0).sum() / live.sum().clamp(min=1)
