"""GD-FAS: group-wise scaling and feature orthogonal decomposition (Jung et al., ICCV 2025, arXiv 2507.04006).

Methods that align only the directions of the domains' hyperplanes leave their biases apart, and so the thresholds. Here
one head serves all domains, and two terms keep it right for each of them:

    L = sum_k s_k l_k + lambda L_dom

Group-wise scaling (GS-RM): the groups k are the pairs (label, domain) that the batch holds, l_k is the sum of the
cross-entropies of group k divided by the size of the whole batch. With z_k = (l_k - mean) / deviation over the
groups (divisor: their number) and E domains,

    s_k = beta sigmoid(2 z_k / ln E) - beta/2 + 1,

taken as a constant: a group that is worse off than the others counts for up to 1 + beta/2, a better one for no less
than 1 - beta/2, an average one for 1.

Orthogonal decomposition (FOD): phi = invariant + specific part, the first being its projection on the directions that
tell the classes apart. L_dom is a contrastive loss over the specific parts whose classes are the domains, so what
differs between domains is put where the classes are not decided. The basis is taken as a constant. (Its gradient by
phi has no part along the basis either.)

What is taken over, and from where: the formulas, with lambda = 0.8 and beta = 1.5, are those of the authors' code
(github.com/SeungjinJung/GD-FAS), of which we could read copies; of the paper we had the abstract only, so
nothing here is checked against its equations.

Where we differ. Theirs is CLIP: the logits are scaled cosines with the embeddings of a text for each class, and
these two vectors, made orthogonal by Gram-Schmidt, are the basis. Without texts, our classes are told apart along one
direction, the normal of the linear head; the basis is that. They take the specific parts as they are for L_dom, with
temperature 0.1 (1.1 for OCM->I, 1.0 for ICM->O); there the length of a ResNet's features would decide, so we normalise
them, and start from 1.0, because over cosines 0.1 let L_dom drown the risk in our smallest tests. Our L_dom is the
mean over anchors, as Khosla et al. define it; their code takes the mean over all pairs of N rows and so divides by
N - 1 once more: in it our lambda = 0.8 would be 0.8 (N - 1). Left out is their second branch, which takes no part in
their score: a perceptron on the features with a classifier and a contrastive loss between two views of an image. The
learning rate is the loop's, not theirs of 3e-6.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from safas.batches import Batch
from safas.errors import InputError
from safas.losses import present_domains, supervised_contrastive
from safas.methods.base import (
    Method,
    StepOutput,
    by_domain,
    check_domains,
    check_not_negative,
    check_positive,
)
from safas.model import DomainHeads


@dataclass(frozen=True)
class GdFasConfig:
    """GD-FAS's settings; the defaults are those of the authors' code, the temperature that of ICM->O."""

    name: Literal["gd-fas"] = "gd-fas"
    scaling_range: float = 1.5
    """beta in [0, 2]: a group counts for 1 - beta/2 to 1 + beta/2 according to its loss; 0 = all alike"""
    specific_weight: float = 0.8
    """lambda >= 0 of the contrastive loss between the domains"""
    temperature: float = 1.0
    """> 0, of this loss, whose similarities are cosines (theirs are not: 0.1 to 1.1 by protocol)"""

    def __post_init__(self) -> None:
        check_not_negative(self, "scaling_range", "specific_weight")
        check_positive(self, "temperature")
        if self.scaling_range > 2:
            raise InputError(
                f"scaling_range = {self.scaling_range} is above 2: a group would count for less than nothing",
                where="method.scaling_range",
            )


class GdFas(Method):
    """Scaled losses of the (label, domain) groups under one head + the domains kept apart beside it; E >= 2."""

    views: ClassVar[int] = 2
    least_domains: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: GdFasConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        check_domains(self, num_domains)
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = sum_k s_k l_k + lambda * L_dom."""
        made, config = by_domain(self, batch, self.num_domains), self.config
        groups = 2 * self.num_domains
        losses = group_losses(made.logits[:, 0], batch.labels, batch.classes, groups)
        present = present_domains(batch.classes, groups)
        scaled = (
            scales(losses.detach(), present, config.scaling_range, math.log(self.num_domains) / 2) @ losses
        )
        specific = specific_part(made.features, self.heads.weight[0].detach())
        domain_loss = supervised_contrastive(specific, batch.domains, config.temperature)
        total = scaled + config.specific_weight * domain_loss
        return made.output(total, scaled_risk=scaled, specific=domain_loss)


def group_losses(
    logits: Float[Tensor, "N"], labels: Shaped[Tensor, "N"], groups: Int[Tensor, "N"], num_groups: int
) -> Float[Tensor, "G"]:
    """The share of each group in the mean cross-entropy of the batch; 0 for a group without a sample."""
    losses = functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return losses @ functional.one_hot(groups.long(), num_groups).to(losses.dtype) / len(losses)


def scales(
    losses: Float[Tensor, "G"], present: Bool[Tensor, "G"], scaling_range: float, width: float
) -> Float[Tensor, "G"]:
    """s_k: beta sigmoid(z_k / width) - beta/2 + 1, z_k the standardised loss among the groups that are present.

    All 1 where all losses are alike.
    """
    some = losses[present]
    deviation = some.std(correction=0)
    z = torch.where(deviation > 0, (losses - some.mean()) / deviation, 0.0)
    return scaling_range * (z / width).sigmoid() - scaling_range / 2 + 1


def specific_part(features: Float[Tensor, "N D"], normal: Float[Tensor, "D"]) -> Float[Tensor, "N D"]:
    """What is left of the features without their projection on a direction."""
    u = functional.normalize(normal, dim=0)
    return features - (features @ u)[:, None] * u
