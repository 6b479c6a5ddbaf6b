"""DANN: domain-adversarial training (Ganin et al., JMLR 2016, arXiv 1505.07818).

L = R + L_d. L_d is the cross-entropy of a domain classifier on the features behind a gradient reversal: the
classifier learns to tell the domains apart, and the backbone, which receives -strength times its gradient,
learns features from which they cannot be told. With the progress p of training from 0 to 1,
strength = lambda * (2 / (1 + exp(-10 p)) - 1), so that the classifier is of some use before it is heeded.

Where we differ: the paper tells a labelled source from an unlabelled target; here the classifier tells E
labelled source domains from one another, as is usual in domain generalisation. R is the mean over the domains.
The classifier has no dropout and learns at the rate of everything else, and p ends after `ramp_epochs`. The
learning rate's own annealing with p is left out: the loop has its schedule.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn
from torch.nn import functional

from safas.batches import Batch
from safas.losses import (
    reversal_strength,
    reversed_gradient,
)
from safas.methods.base import Method, StepOutput, by_domain, check_not_negative, check_positive
from safas.model import DomainHeads, perceptron


@dataclass(frozen=True)
class DannConfig:
    """DANN's settings."""

    name: Literal["dann"] = "dann"
    adversarial_weight: float = 1.0
    """lambda >= 0: what the reversal's strength grows to (1 in the paper)"""
    ramp_epochs: int = 100
    """>= 1, epochs in which it grows; the paper's ramp is as long as the training"""
    hidden: int = 1024
    """>= 1, width of the domain classifier's two hidden layers, as the paper has it on top of AlexNet"""

    def __post_init__(self) -> None:
        check_not_negative(self, "adversarial_weight")
        check_positive(self, "ramp_epochs", "hidden")


class Dann(Method):
    """Mean risk of the domains under one head + a domain classifier behind a gradient reversal."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: DannConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains
        self.ramp_steps = config.ramp_epochs * steps_per_epoch
        self.domain_classifier = perceptron(dim, config.hidden, config.hidden, num_domains)

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = mean_e R_e + L_d, L_d reversed on its way to the backbone."""
        made = by_domain(self, batch, self.num_domains)
        strength = self.config.adversarial_weight * reversal_strength(step / self.ramp_steps)
        domain_logits = self.domain_classifier(reversed_gradient(made.features, strength))
        domain_loss = functional.cross_entropy(domain_logits, batch.domains.long())
        return made.output(made.risk + domain_loss, domain=domain_loss)
