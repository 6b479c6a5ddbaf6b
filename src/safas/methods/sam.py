"""SAM: sharpness-aware minimisation (Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, arXiv 2010.01412).

min over w, max over |d| <= rho of R(w + d), R = ERM's risk: the mean cross-entropy over all samples. To first
order the worst d is rho g/|g| with g the gradient of R at w (their equation 2 for p = 2), so a step goes there,
takes the gradient at w + rho g/|g|, comes back and hands this gradient to the optimiser (their algorithm 1;
what the second derivatives would add is left out there too). g is of all parameters together, batch norms and
biases included. The decay of the weights is outside the maximum, as in their equation 1.

Two things that the paper leaves open. The running statistics of the batch norms follow the first pass, at w:
w is what is kept and scored, w + d is visited once. And a backbone with dropout draws anew for the second pass.

The backbone runs in 32 bits unless told otherwise: in bfloat16's 8 bits, to which mixed precision rounds w + d, three
convolution weights in four are what they were, and the others go too far (see `needs_fp32`).

What is logged is R at w; `sharpness` is R(w + d) - R(w).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import nn
from torch.nn.utils import get_total_norm

from safas.batches import Batch
from safas.methods.ascent import TINY, displaced, statistics_held, taken_gradients
from safas.methods.base import Backward, Method, StepOutput, check_not_negative, pooled
from safas.model import DomainHeads


@dataclass(frozen=True)
class SamConfig:
    """SAM's setting; the default is the paper's."""

    name: Literal["sam"] = "sam"
    rho: float = 0.05
    """>= 0, how far the weights climb, in their Euclidean norm over all parameters; 0 = ERM at twice the cost"""

    def __post_init__(self) -> None:
        check_not_negative(self, "rho")


class Sam(Method):
    """Mean cross-entropy of a single head over all samples, its gradient taken where it is worst nearby."""

    views: ClassVar[int] = 2
    needs_fp32: ClassVar[bool] = True

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: SamConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config = config

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R over the samples of all domains together, at the weights as they are."""
        made = pooled(self, batch)
        return made.output(made.risk)

    def gradients(self, batch: Batch, step: int, backward: Backward) -> StepOutput:
        """The gradient of L at w + rho g/|g|."""
        here = self.loss(batch, step)
        backward(here.total)
        slope = taken_gradients(self)
        scale = self.config.rho / (get_total_norm(slope.values()) + TINY)
        with displaced(self, {name: scale * g for name, g in slope.items()}), statistics_held(self):
            there = self.loss(batch, step)
            backward(there.total)
        sharpness = (there.total - here.total).detach()
        return replace(here, parts={**here.parts, "sharpness": sharpness})
