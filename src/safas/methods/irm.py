"""IRMv1: invariant risk minimisation (Arjovsky, Bottou, Gulrajani, Lopez-Paz 2019, arXiv 1907.02893).

L = mean_e R_e + lambda * mean_e ( dR_e(v s)/dv at v = 1 )^2, s the logit of the one head. A representation is
invariant when one classifier on top of it is the best one in every domain at once; the penalty says how far
the dummy classifier v = 1 is from being the best in domain e. With p = sigmoid(s) the derivative has a closed
form, the mean over domain e of (p - y) s, so no second backward pass is needed.

Where we differ: one logit instead of two softmax outputs (the same cross-entropy); means over the domains
instead of sums (the same lambda). The derivative is squared on the mini-batch, as in the authors' code, which
adds its variance to the penalty; their appendix D and DomainBed take the product over two batches, which does not.
The L2 term is the loop's decay, which is never divided by lambda as theirs is.

With lambda > 1 the authors' code divides the whole of L by lambda, so that the gradients stay in a reasonable
range; so do we (`rescaled`). Under Adam, which they use, that changes little. Under our SGD it is what keeps the
weights: with lambda = 100 and all of L, a step is a hundred times too long and the logits, whose square the penalty
grows with, run away within ten steps. The price is that the risk then learns a hundred times as slowly: what is not
learned when the penalty sets in hardly ever is. The demo, which has little time, takes lambda = 3.
DomainBed, whose lambda this is, keeps all of L and resets Adam when the penalty sets in; nothing is reset here.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from safas.batches import Batch
from safas.losses import domain_means, mean_present
from safas.methods.base import Method, StepOutput, by_domain, check_not_negative
from safas.model import DomainHeads


@dataclass(frozen=True)
class IrmConfig:
    """IRMv1's settings; the defaults are DomainBed's, the authors tuned theirs for coloured digits."""

    name: Literal["irm"] = "irm"
    penalty_weight: float = 100.0
    """lambda >= 0, from `penalty_epoch` on; 1 before"""
    penalty_epoch: int = 10
    """first epoch (from 0) of the full penalty: a tenth of 100 epochs, like DomainBed's 500 of 5000 steps"""
    rescaled: bool = True
    """divide L by lambda where that is above 1, as the authors' code does; without it SGD runs away"""

    def __post_init__(self) -> None:
        check_not_negative(self, "penalty_weight", "penalty_epoch")

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""
        return self.penalty_epoch


class Irm(Method):
    """Mean risk of the domains under one head + lambda * mean squared derivative by a dummy classifier."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: IrmConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains
        self.first_full_step = config.penalty_epoch * steps_per_epoch

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = mean_e R_e + lambda * mean_e (dR_e/dv)^2, over the domains that are present; see `rescaled`."""
        made, E = by_domain(self, batch, self.num_domains), self.num_domains
        gradients = domain_means(dummy_gradients(made.logits[:, 0], batch.labels), batch.domains, E)
        penalty = mean_present(gradients.square(), made.present)
        weight = self.config.penalty_weight if step >= self.first_full_step else 1.0
        whole = made.risk + weight * penalty
        return made.output(whole / max(weight, 1.0) if self.config.rescaled else whole, penalty=penalty)


def dummy_gradients(logits: Float[Tensor, "N"], labels: Shaped[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Each sample's derivative of the cross-entropy of v * logit by v, at v = 1: (p - y) * logit."""
    return (logits.sigmoid() - labels) * logits
