"""Fishr: equal variance of the gradients in every domain (Rame, Dancette, Cord, ICML 2022, arXiv 2109.02934).

L = R + lambda * mean_e mean_k (v_e,k - v_k)^2, v_e,k the variance over the samples of domain e of the
gradient of the sample's loss by weight k of the classifier (divisor n_e), v_k its mean over the domains. For
one logit s, p = sigmoid(s), a sample's gradient is (p - y) (phi, 1): it has D + 1 entries and a closed form.

The variances are averaged over the steps, a_e <- gamma a_e + (1 - gamma) v_e, and a_e / (1 - gamma) stands for
v_e in the penalty, as in the authors' code: the gradient through v_e then does not depend on gamma, but the
penalty is of the size of (1 - gamma)^-2, which their lambda takes into account.

Where we differ: one logit instead of softmax outputs (with two of them each gradient would stand there twice
with opposite signs, and the mean over k is the same). R is the mean over the domains. A domain absent from
the batch keeps its average and is left out of the penalty.

When the penalty sets in, the gradient grows by orders of magnitude at once. The authors' code for DomainBed resets
Adam there, whose steps then are as long as before; IRMv1's authors divide L by lambda (`safas.methods.irm`). Under
SGD with all of L the risk jumps (in a run of the demo's settings from 0.3 to 68 within an epoch) and comes back down
to about 1 without ever having been infinite. `rescaled` divides L by lambda, as the authors' own code for coloured
digits does; it is off by default, as in their code for DomainBed. The demo takes lambda = 2 instead.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from safas.batches import Batch
from safas.errors import InputError
from safas.losses import domain_means, mean_present
from safas.methods.base import Method, StepOutput, by_domain, check_not_negative
from safas.model import DomainHeads


@dataclass(frozen=True)
class FishrConfig:
    """Fishr's settings; the defaults are those of the authors' code."""

    name: Literal["fishr"] = "fishr"
    penalty_weight: float = 1000.0
    """lambda >= 0, from `penalty_epoch` on; 0 before"""
    penalty_epoch: int = 30
    """first epoch (from 0) with the penalty: 30 of 100, like the authors' 1500 of 5000 steps"""
    gamma: float = 0.95
    """in [0, 1): what a step keeps of the average of the variances; 0 = no averaging"""
    rescaled: bool = False
    """divide L by lambda where that is above 1"""

    def __post_init__(self) -> None:
        check_not_negative(self, "penalty_weight", "penalty_epoch", "gamma")
        if self.gamma >= 1:
            raise InputError(f"gamma = {self.gamma} is not in [0, 1)", where="method.gamma")

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""
        return self.penalty_epoch


class Fishr(Method):
    """Mean risk of the domains under one head + lambda * distance of the domains' gradient variances."""

    views: ClassVar[int] = 2
    averages: Float[Tensor, "E K"]

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: FishrConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains
        self.first_step = config.penalty_epoch * steps_per_epoch
        self.register_buffer("averages", torch.zeros(num_domains, dim + 1))

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = mean_e R_e + lambda * distance of the averaged variances."""
        made = by_domain(self, batch, self.num_domains)
        gradients = head_gradients(made.features, made.logits[:, 0], batch.labels)
        variances = domain_variances(gradients, batch.domains, self.num_domains)
        penalty = distance_to_mean(self.averaged(variances, made.present), made.present)
        weight = self.config.penalty_weight if step >= self.first_step else 0.0
        whole = made.risk + weight * penalty
        return made.output(whole / max(weight, 1.0) if self.config.rescaled else whole, penalty=penalty)

    def averaged(self, variances: Float[Tensor, "E K"], present: Bool[Tensor, "E"]) -> Float[Tensor, "E K"]:
        """Take the step's variances into the averages; returns these / (1 - gamma), with the step's graph."""
        gamma = self.config.gamma
        moved = gamma * self.averages + (1 - gamma) * variances
        moved = torch.where(present[:, None], moved, self.averages)
        self.averages.copy_(moved.detach())
        return moved / (1 - gamma)


def head_gradients(
    features: Float[Tensor, "N D"], logits: Float[Tensor, "N"], labels: Shaped[Tensor, "N"]
) -> Float[Tensor, "N K"]:
    """Each sample's gradient of its cross-entropy by the head's D weights and, last, its bias."""
    errors = (logits.sigmoid() - labels)[:, None]
    return torch.cat([errors * features, errors], dim=1)


def domain_variances(
    gradients: Float[Tensor, "N K"], domains: Int[Tensor, "N"], num_domains: int
) -> Float[Tensor, "E K"]:
    """Variance of every entry over each domain's samples, divisor n_e; 0 for a domain without a sample."""
    means = domain_means(gradients.T, domains, num_domains).T
    centred = gradients - means[domains.long()]
    return domain_means(centred.square().T, domains, num_domains).T


def distance_to_mean(variances: Float[Tensor, "E K"], present: Bool[Tensor, "E"]) -> Float[Tensor, ""]:
    """mean_e mean_k (v_e,k - v_k)^2 over the domains that are present, v_k the mean of theirs."""
    centre = (variances * present[:, None]).sum(dim=0) / present.sum().clamp(min=1)
    return mean_present((variances - centre).square().mean(dim=1), present)
