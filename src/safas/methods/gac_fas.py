"""GAC-FAS: gradients aligned at each domain's ascending point (Le, Woo, CVPR 2024, arXiv 2402.18817).

R(w) = mean_e R_e(w) under one head. From `ascent_epoch` on, every domain has its own ascending point, where its
risk is worst nearby, taken one small step of plain training further:

    w_e = w + d_e - alpha grad R(w),    d_e = rho T^2 g_e / |T g_e|,    g_e = grad R_e(w)

and the gradient that the optimiser gets is

    grad R(w) + mean_e grad R(w_e) + lambda grad L_sep(w).

No second derivatives: d_e and grad R(w) are taken as constants. To first order R(w_e) = R(w + d_e) - alpha
grad R(w + d_e) . grad R(w), so lowering it also turns the gradients at the ascending points towards plain training's;
this is the alignment. R(w_e) is over all domains, not over domain e alone. T is the identity in SAM's ascent
(`adaptive` off); in the adaptive one (ASAM, Kwon et al., ICML 2021) it is |w| for weights, those of batch norms
included, and 1 for biases. L_sep is SA-FAS's contrastive loss over (label, domain), the mean over anchors times
tau/0.07. Before `ascent_epoch` the gradient is that of R + lambda L_sep.

These formulas are what the authors' code (github.com/Leminhbinh0209/CVPR24-FAS: optimizers/gacfas.py and
helpers/loops.py) evidently means to compute. It computes something else, since gradients that have been added up
already are added again: of three domains, with g_e as above, the third ascent follows g_2 - g_0, and the step of
plain training 3 g_0 + 2 g_1 + g_2 (of two, 2 g_0 + g_1). Of the paper we had the abstract only: no equation of it is
cited here, and whether it says the same, above all whether its ascent is the adaptive one, we could not verify.

Where we differ: their logit is 12 (32 for OMI->C) times the cosine of phi and a weight without bias, learnt at ten
times the rate and alone in the first epoch; ours is the linear head of all methods. Their mean over the domains
divides by E, ours by the domains that the batch holds. As in their code, the running statistics of the batch
norms follow the pass at w only. Ours decays every weight by 5e-4, theirs by 1e-4 (5e-4 for OMI->C alone). In the copy
that we read the ascent never runs: its loop waits for a `minimizer` called gacfas, and all four settings say gac-fas.
What is logged is taken at w; `sharpness` is mean_e R(w_e) - R(w), 0 before `ascent_epoch`.

The backbone runs in 32 bits unless told otherwise: in bfloat16's 8 bits, to which mixed precision rounds w_e, all
but a few thousandths of the convolution weights are what they were: the ascent is lost (see `needs_fp32`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn.utils import get_total_norm

from safas.batches import Batch
from safas.losses import present_domains, separability
from safas.methods.ascent import TINY, Slope, displaced, statistics_held, taken_gradients
from safas.methods.base import (
    Backward,
    Method,
    StepOutput,
    by_domain,
    check_not_negative,
    check_positive,
)
from safas.model import DomainHeads


@dataclass(frozen=True)
class GacFasConfig:
    """GAC-FAS's settings; the defaults are those of the authors' code for ICM->O."""

    name: Literal["gac-fas"] = "gac-fas"
    rho: float = 0.1
    """>= 0, how far a domain's point lies from the weights, by the norm of T^-1 d (0.1 for all their protocols)"""
    alpha: float = 0.0002
    """>= 0, length of the step of plain training within w_e, in units of the gradient (0.0002 for all)"""
    adaptive: bool = True
    """scale the ascent by the size of each weight, as the code does; off: SAM's, for which rho 0.05 is usual"""
    ascent_epoch: int = 10
    """>= 0, first epoch (from 0) with ascending points (10 for OCM->I too, 2 for OCI->M and OMI->C)"""
    contrastive_weight: float = 0.2
    """lambda >= 0, multiplied by temperature/0.07 (0.1 for OCM->I)"""
    temperature: float = 0.1
    """tau > 0 of the contrastive loss"""

    def __post_init__(self) -> None:
        check_not_negative(self, "rho", "alpha", "ascent_epoch", "contrastive_weight")
        check_positive(self, "temperature")

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""
        return self.ascent_epoch


class GacFas(Method):
    """Mean risk of the domains under one head, here and at every domain's ascending point, + contrastive loss."""

    views: ClassVar[int] = 2
    needs_fp32: ClassVar[bool] = True

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: GacFasConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains
        self.first_ascending_step = config.ascent_epoch * steps_per_epoch

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = R + lambda * (tau/0.07) * L_sep at the weights as they are."""
        made, config = by_domain(self, batch, self.num_domains), self.config
        contrastive = separability(made.features, batch.classes, config.temperature)
        return made.output(made.risk + config.contrastive_weight * contrastive, contrastive=contrastive)

    def gradients(self, batch: Batch, step: int, backward: Backward) -> StepOutput:
        """That of L; from `ascent_epoch` on, with the mean of R's gradients at the ascending points."""
        here = self.loss(batch, step)
        if step < self.first_ascending_step:
            backward(here.total)
            return replace(here, parts={**here.parts, "sharpness": torch.zeros_like(here.total)})
        present = present_domains(batch.domains, self.num_domains).nonzero()[:, 0].tolist()
        slopes = []
        for e in present:
            backward(here.risks[e] / len(present), retain_graph=True)
            slopes.append(taken_gradients(self))
        whole = added(slopes)
        backward(self.config.contrastive_weight * here.parts["contrastive"])
        add_gradients(self, whole)
        risk = torch.zeros_like(here.total)
        with statistics_held(self):
            for slope in slopes:
                with displaced(self, self.way(slope, whole)):
                    there = by_domain(self, batch, self.num_domains).risk / len(present)
                    backward(there)
                risk += there.detach()
        return replace(here, parts={**here.parts, "sharpness": risk - here.parts["risk"].detach()})

    def way(self, slope: Slope, whole: Slope) -> Slope:
        """d_e - alpha grad R(w), from a multiple of g_e and from grad R(w)."""
        scale = {
            name: self.scale_of(name, weight) for name, weight in self.named_parameters() if name in slope
        }
        steepness = get_total_norm([scale[name] * g for name, g in slope.items()]) + TINY
        return {
            name: self.config.rho / steepness * scale[name] ** 2 * g - self.config.alpha * whole[name]
            for name, g in slope.items()
        }

    def scale_of(self, name: str, parameter: nn.Parameter) -> torch.Tensor:
        """T's part for one parameter."""
        grows = self.config.adaptive and name.endswith("weight")
        return parameter.detach().abs() if grows else torch.ones_like(parameter)


def added(slopes: Sequence[Slope]) -> Slope:
    """The sum of gradients of the same parameters."""
    return {name: torch.stack([slope[name] for slope in slopes]).sum(dim=0) for name in slopes[0]}


def add_gradients(module: nn.Module, slope: Slope) -> None:
    """Add to the parameters' .grad."""
    for name, parameter in module.named_parameters():
        if name in slope:
            parameter.grad = slope[name].clone() if parameter.grad is None else parameter.grad + slope[name]
