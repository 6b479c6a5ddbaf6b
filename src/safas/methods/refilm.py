"""ReFilm: our own. SA-FAS on faces that other cameras might have filmed, scored by the mean of its weights.

    L = (1/E) sum_e R_e(phi(x), beta_e) + lambda * L_sep(phi(x)),   x = (view 1, r view 2),
    theta_bar = mean of theta over the steps

SA-FAS's loss and projection (see `methods.sa_fas`), with two changes. Of the two views of a face the second is filmed
again, r, by a camera drawn for it alone (`safas.refilming`): as both views, and all faces of a (domain, label), are to
lie together under different cameras, features that carry the training camera's focus, light or compression do not
help. The first view stays as it was filmed: with both filmed again a short training fitted its own sources much worse,
seen on source validation. And what is evaluated are not the last weights but their mean over all steps from
`average_epoch` on, running statistics of the batch norms included: dense averaging as in SWAD (Cha et al., NeurIPS
2021, arXiv 2102.08604), whose first and last step come from validation losses, while here the first is a setting and
the last is the epoch that source validation chooses. Before `average_epoch` the weights themselves are evaluated.

Each part can be switched off: strength 0, contrastive_weight 0, alpha 1, averaged false.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from safas.batches import Batch, rng
from safas.errors import InputError
from safas.losses import separability
from safas.methods.base import (
    Method,
    StepOutput,
    check_domains,
    check_not_negative,
    check_positive,
    own_heads,
)
from safas.model import DomainHeads, ScoringNet, mean_cosine
from safas.refilming import refilmed


@dataclass(frozen=True)
class RefilmConfig:
    """ReFilm's settings; those of SA-FAS as there."""

    name: Literal["refilm"] = "refilm"
    strength: float = 0.5
    """in [0, 1]: how far the cameras that film the second views again may differ; 0 = nothing is filmed again"""
    averaged: bool = True
    """whether the mean of the weights is evaluated, or the weights themselves"""
    average_epoch: int = 40
    """first epoch (from 0) whose weights count; at two fifths of the training, where the learning rate first falls"""
    alpha: float = 0.995
    """in (0, 1]: what a projection keeps of a head's own direction; 1 = no alignment, smaller = faster"""
    align_epoch: int = 20
    """first epoch (from 0) in which the heads are aligned after every step"""
    contrastive_weight: float = 0.1
    """lambda >= 0"""
    temperature: float = 0.1
    """tau > 0 of the contrastive loss"""

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise InputError(f"alpha = {self.alpha} is not in (0, 1]", where="method.alpha")
        check_not_negative(self, "strength", "average_epoch", "align_epoch", "contrastive_weight")
        check_positive(self, "temperature")
        if self.strength > 1:
            raise InputError(f"strength = {self.strength} is above 1", where="method.strength")


class Refilm(Method):
    """Separability and alignment, every second view filmed again, evaluated with averaged weights; E >= 2 domains."""

    views: ClassVar[int] = 2
    least_domains: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: RefilmConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        check_domains(self, num_domains)
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, num_domains), image_size
        self.config = config
        self.first_aligned_step = config.align_epoch * steps_per_epoch
        self.first_averaged_step = config.average_epoch * steps_per_epoch
        now = ScoringNet(backbone, self.heads, "hyperplane", image_size)
        self._now = (now,)  # in a tuple, so that its weights are not counted twice
        self.mean = AveragedModel(now, use_buffers=True).requires_grad_(False)
        self.seed = int(torch.randint(2**31, ()))  # the run's seed decides it, like the first weights

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = (1/E) sum_e R_e + lambda * L_sep on the batch, its second views filmed again."""
        config = self.config
        first, second = batch.images.chunk(self.views)
        generator = rng(self.seed, step, *batch.stream)
        images = torch.cat([first, refilmed(second, config.strength, generator)])
        made = own_heads(self, replace(batch, images=images))
        if config.contrastive_weight == 0:
            return made
        contrastive = separability(made.features, batch.classes, config.temperature)
        return made.plus(config.contrastive_weight, contrastive=contrastive)

    def after_step(self, step: int) -> dict[str, Float[Tensor, ""]]:
        """The projection, then the mean. Returns the mean pairwise cosine of the heads before the projection."""
        with torch.no_grad():
            cosine = mean_cosine(self.heads.weight)
        if step >= self.first_aligned_step and self.config.alpha < 1:
            self.heads.project_(self.config.alpha)
        if step <= self.first_averaged_step or not self.config.averaged:
            self.mean.n_averaged.zero_()  # the next update copies
        self.mean.update_parameters(self._now[0])
        return {"head_cosine": cosine}

    def scoring_net(self) -> ScoringNet:
        """The averaged network, scored by the mean hyperplane."""
        net = self.mean.module
        assert isinstance(net, ScoringNet)  # for the type checker: it was made of one
        return net
