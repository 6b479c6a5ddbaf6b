"""V-REx: variance risk extrapolation (Krueger et al. 2020, ICML 2021, arXiv 2003.00688).

L = mean_e R_e + beta * Var_e(R_e), Var_e the variance over the domains (divisor E). A predictor whose risks are
equal in all training domains also keeps its risk when the domains shift further along the same directions;
beta = 0 from the first step (`penalty_epoch = 0`) is ERM with equal weight for each domain.

Where we differ: the paper and the authors' code add the sum of the risks and not their mean, so their beta is E
times ours; the mean is DomainBed's. The authors' code for coloured digits divides L by beta, which leaves Adam's
steps alike; with SGD it would divide the learning rate, so we do not. DomainBed resets Adam when the penalty sets in;
nothing is reset here. In the gradient a domain counts (1 + 2 beta (R_e - mean R)) / E, which is below 0 where its risk
lies more than 1 / (2 beta) under the mean. With beta = 10 some runs of the demo's settings diverged under SGD; the
demo's own beta is 3.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from safas.batches import Batch
from safas.losses import mean_present
from safas.methods.base import Method, StepOutput, by_domain, check_not_negative
from safas.model import DomainHeads


@dataclass(frozen=True)
class VRexConfig:
    """V-REx's settings; the defaults are DomainBed's, the authors tuned theirs for coloured digits."""

    name: Literal["vrex"] = "vrex"
    penalty_weight: float = 10.0
    """beta >= 0, from `penalty_epoch` on; 1 before"""
    penalty_epoch: int = 10
    """first epoch (from 0) of the full penalty: a tenth of 100 epochs, like DomainBed's 500 of 5000 steps"""

    def __post_init__(self) -> None:
        check_not_negative(self, "penalty_weight", "penalty_epoch")

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""
        return self.penalty_epoch


class VRex(Method):
    """Mean risk of the domains under one head + beta * variance of these risks."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: VRexConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains
        self.first_full_step = config.penalty_epoch * steps_per_epoch

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = mean_e R_e + beta * Var_e(R_e), over the domains that are present."""
        made = by_domain(self, batch, self.num_domains)
        variance = mean_present((made.risks - made.risk).square(), made.present)
        weight = self.config.penalty_weight if step >= self.first_full_step else 1.0
        return made.output(made.risk + weight * variance, variance=variance)
