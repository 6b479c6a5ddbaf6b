"""SA-FAS: separability and alignment (Sun, Liu, Liu, Li, Chu, CVPR 2023, arXiv 2303.13662).

L = (1/E) sum_e R_e(phi, beta_e) + lambda * L_sep, one joint step on phi and all beta_e = (w_e, b_e); then,
from epoch `align_epoch` on, PG-IRM's projection turns every w_e towards the farthest other one
(`safas.model.aligned`). L_sep is the supervised contrastive loss over the classes (label, domain), phi
normalised, no projection head.

Where the paper and the authors' code differ, both are here: `scaling` (the paper sums L_sep over the anchors;
the code takes the mean and multiplies it by tau/0.07), `rule` (the paper scores with the mean hyperplane, the code
with the mean of the probabilities) and `aligned`. The code's projection is on directions: norms are kept, biases
untouched, so thresholds may drift apart between domains. The paper measures its distance on beta itself: a beta_e
is alpha-adjacent when its distance from the farthest other one is at most alpha times what it was. As we read it,
beta_e is then all of (w_e, b_e), and `aligned = hyperplane` is the projection onto that ball
(`safas.model.drawn_together`), which draws norms and biases together too. Momentum is untouched in both.

The parts can be switched off one by one: `contrastive_weight = 0` leaves L_sep out, `alpha = 1` leaves the projection
out. Both: one classifier a domain over shared features. The code has three heads whatever E is; with two domains an
untrained third one takes part in the alignment and in the score (`least_heads = 3` does the same).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safas.batches import Batch
from safas.losses import separability, supervised_contrastive
from safas.methods.base import (
    Method,
    StepOutput,
    check_domains,
    check_not_negative,
    check_positive,
    own_heads,
)
from safas.model import Aligned, DomainHeads, ScoreRule, ScoringNet, check_alpha, mean_cosine

Scaling = Literal["code", "paper"]


@dataclass(frozen=True)
class SaFasConfig:
    """SA-FAS's settings; the defaults are those of the authors' code, but for `rule`, which is the paper's."""

    name: Literal["sa-fas"] = "sa-fas"
    alpha: float = 0.995
    """in (0, 1]: what a projection keeps of a head's own place; 1 = no alignment, smaller = faster"""
    align_epoch: int = 20
    """first epoch (from 0) in which the heads are aligned after every step"""
    contrastive_weight: float = 0.1
    """lambda >= 0; fits the code's scaling (the paper's sum is about the number of anchors times larger); 0 = off"""
    temperature: float = 0.1
    """tau > 0 of the contrastive loss"""
    scaling: Scaling = "code"
    """code: mean over the anchors times tau/0.07; paper: sum over the anchors"""
    rule: ScoreRule = "hyperplane"
    """hyperplane: sigmoid of the mean logit (paper); probability: mean of the sigmoids (code)"""
    aligned: Aligned = "direction"
    """direction: of the normals alone (code); hyperplane: norms and biases too (paper, as we read it)"""
    least_heads: int = 0
    """>= 0; 3 = the code's three heads: those without a domain are never trained, but aligned and averaged in"""

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_not_negative(self, "align_epoch", "contrastive_weight", "least_heads")
        check_positive(self, "temperature")

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""
        return self.align_epoch if self.alpha < 1 else 0


class SaFas(Method):
    """Separability by a contrastive loss over (label, domain), alignment by PG-IRM; E >= 2 domains."""

    views: ClassVar[int] = 2
    least_domains: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: SaFasConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        check_domains(self, num_domains)
        self.backbone, self.image_size = backbone, image_size
        self.heads = DomainHeads(dim, max(num_domains, config.least_heads))
        self.config, self.first_aligned_step = config, config.align_epoch * steps_per_epoch

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = (1/E) sum_e R_e + lambda * L_sep, each sample under the head of its own domain."""
        made, config = own_heads(self, batch), self.config
        if config.contrastive_weight == 0:
            return made
        contrastive = scaled_separability(made.features, batch, config)
        return made.plus(config.contrastive_weight, contrastive=contrastive)

    def after_step(self, step: int) -> dict[str, Float[Tensor, ""]]:
        """The projection, from `align_epoch` on. Returns the mean pairwise cosine of the heads before it."""
        with torch.no_grad():
            cosine = mean_cosine(self.heads.weight)
        if step >= self.first_aligned_step:
            self.heads.project_(self.config.alpha, self.config.aligned)
        return {"head_cosine": cosine}

    def scoring_net(self) -> ScoringNet:
        """The mean hyperplane or the mean probability, by `config.rule`."""
        return ScoringNet(self.backbone, self.heads, self.config.rule, self.image_size)


def scaled_separability(
    features: Float[Tensor, "N D"], batch: Batch, config: SaFasConfig
) -> Float[Tensor, ""]:
    """L_sep under the paper's or the code's scaling."""
    if config.scaling == "paper":
        return supervised_contrastive(features, batch.classes, config.temperature) * len(batch.classes)
    return separability(features, batch.classes, config.temperature)
