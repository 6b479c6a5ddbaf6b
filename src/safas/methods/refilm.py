"""ReFilm: our own. One head for all domains, faces that other cameras might have filmed, and the mean of the weights.

    L = R(phi(x), beta),   x = (view 1, r view 2)
    theta_bar = mean of theta over the steps

ERM's loss (see `methods.erm`): one head, so that the hyperplane is shared by all domains with its norm and its bias,
the limit of SA-FAS's alignment. Two changes. Of the two views of a face the second is filmed again, r, by a camera
drawn for it alone (`safas.refilming`), so that features which carry the training camera's focus, light or compression
do not help; the first stays as it was filmed, since with both filmed again a short training fitted its own sources much
worse, seen on source validation. And what is evaluated are not the last weights but their mean over all steps from
`average_epoch` on, running statistics of the batch norms included: dense averaging as in SWAD (Cha et al., NeurIPS
2021, arXiv 2102.08604), whose first and last step come from validation losses, while here the first is a setting and
the last is the epoch that source validation chooses, and whose code measures those statistics anew. Before
`average_epoch` the weights themselves are evaluated.

An earlier form kept SA-FAS's heads, projection and contrast. It gave them up after the benchmark of the simulated
faces had shown ERM ahead of SA-FAS and itself far behind on one domain: so much those test domains have had a say in
it. On other simulated people its lead over SA-FAS did not return (docs/new-people.md, one seed). Each of the two parts
can be switched off: strength 0, averaged false. docs/benchmark.md has both, on simulated faces.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_swa_avg_fn

from safas.batches import Batch, rng
from safas.errors import InputError
from safas.methods.base import Method, StepOutput, check_not_negative, pooled
from safas.model import DomainHeads, ScoringNet
from safas.refilming import refilmed


@dataclass(frozen=True)
class RefilmConfig:
    """ReFilm's settings."""

    name: Literal["refilm"] = "refilm"
    strength: float = 0.5
    """in [0, 1]: how far the cameras that film the second views again may differ; 0 = nothing is filmed again"""
    averaged: bool = True
    """whether the mean of the weights is evaluated, or the weights themselves"""
    average_epoch: int = 40
    """first epoch (from 0) whose weights count; at two fifths of the training, where the learning rate first falls"""

    def __post_init__(self) -> None:
        check_not_negative(self, "strength", "average_epoch")
        if self.strength > 1:
            raise InputError(f"strength = {self.strength} is above 1", where="method.strength")

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""
        return self.average_epoch if self.averaged else 0


class Refilm(Method):
    """Mean binary cross-entropy of one head, every second view filmed again, evaluated with averaged weights."""

    views: ClassVar[int] = 2

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
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config = config
        self.first_averaged_step = config.average_epoch * steps_per_epoch
        now = ScoringNet(backbone, self.heads, "hyperplane", image_size)
        self._now = (now,)  # in a tuple, so that its weights are not counted twice
        # The formula is given since the default one of CUDA, for many tensors at once, refuses whole numbers,
        # which the batch norms' counts are.
        average = get_swa_avg_fn()  # type: ignore[no-untyped-call]
        mean = AveragedModel(now, avg_fn=average, use_buffers=True)
        self.mean = mean.requires_grad_(False)
        self.seed = int(torch.randint(2**31, ()))  # the run's seed decides it, like the first weights

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R over the samples of all domains together, their second views filmed again."""
        first, second = batch.images.chunk(self.views)
        generator = rng(self.seed, step, *batch.stream)
        images = torch.cat([first, refilmed(second, self.config.strength, generator)])
        made = pooled(self, replace(batch, images=images))
        return made.output(made.risk)

    def after_step(self, step: int) -> dict[str, Float[Tensor, ""]]:
        """The mean; up to the first step that counts it is a copy of the weights."""
        if step <= self.first_averaged_step or not self.config.averaged:
            self.mean.n_averaged.zero_()  # the next update copies
        self.mean.update_parameters(self._now[0])
        return {}

    def scoring_net(self) -> ScoringNet:
        """The averaged network."""
        net = self.mean.module
        assert isinstance(net, ScoringNet)  # for the type checker: it was made of one
        return net
