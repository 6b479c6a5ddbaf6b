"""CORAL: alignment of second-order statistics (Sun, Saenko, Deep CORAL, ECCV workshops 2016, arXiv 1607.01719).

L = R + lambda * mean over the pairs of domains (e, k) of |C_e - C_k|_F^2 / (4 D^2), C_e the covariance of the
features phi of domain e (divisor n_e - 1).

Where we differ: the paper aligns one labelled source with an unlabelled target, at the last layer; here the
pairs are all pairs of labelled source domains, at the pooled features, as is usual in domain generalisation.
DomainBed's version adds the squared distance of the means, over D, and divides the covariances' by D^2 and not 4 D^2,
so its weight of 1 is 4 of ours; ours is the paper's formula. R is the mean over the domains.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from safas.batches import Batch
from safas.methods.base import Method, StepOutput, by_domain, check_not_negative
from safas.model import DomainHeads

FEW = 8  # domains up to which all pairs are written out: 28 arrays of D^2


@dataclass(frozen=True)
class CoralConfig:
    """CORAL's setting."""

    name: Literal["coral"] = "coral"
    coral_weight: float = 1.0
    """lambda >= 0; the paper chooses it so that both terms end at about the same size"""

    def __post_init__(self) -> None:
        check_not_negative(self, "coral_weight")


class Coral(Method):
    """Mean risk of the domains under one head + lambda * mean distance of the domains' covariances."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: CoralConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = mean_e R_e + lambda * mean over the pairs of |C_e - C_k|_F^2 / (4 D^2)."""
        made = by_domain(self, batch, self.num_domains)
        distance = coral_distance(made.features, batch.domains)
        return made.output(made.risk + self.config.coral_weight * distance, coral=distance)


def coral_distance(features: Float[Tensor, "N D"], domains: Int[Tensor, "N"]) -> Float[Tensor, ""]:
    """Mean over the pairs of domains of |C_e - C_k|_F^2 / (4 D^2); 0 without a pair.

    A domain with fewer than two samples has no covariance and is left out. Above FEW domains the pairs are not written
    out: sum_{e < k} |C_e - C_k|^2 = E sum_e |C_e - C|^2, C the mean of the E covariances.
    """
    D = features.shape[1]
    groups = [features[domains == e] for e in sorted(set(domains.tolist()))]
    covariances = [torch.cov(group.T) for group in groups if len(group) >= 2]
    if len(covariances) > FEW:
        mean = torch.stack(covariances).mean(dim=0)
        apart = torch.stack([(one - mean).square().sum() for one in covariances]).sum()
        return apart / (2 * D**2 * (len(covariances) - 1))  # E over E (E - 1) / 2 pairs, times 4 D^2
    distances = [(a - b).square().sum() / (4 * D**2) for a, b in combinations(covariances, 2)]
    return torch.stack(distances).mean() if distances else features.new_zeros(())
