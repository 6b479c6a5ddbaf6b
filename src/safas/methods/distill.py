"""Distillation: a small network learns to answer as a trained one does (Hinton, Vinyals, Dean 2015, arXiv 1503.02531).

    L = (1 - mu) * R + mu * T^2 * mean over heads and samples of KL( sigmoid(t / T) || sigmoid(s / T) )

t and s are the logits of teacher and student under the same head for the same view. Their section 2 softens a softmax
of logits z_i / T; with two classes, of logits z and 0, that is the sigmoid. There the soft targets' cross-entropy and
the true labels' are averaged, the first weighing more, and the first is multiplied by T^2 because its gradients shrink
as 1/T^2. Here the soft targets' own entropy, which no weight of the student's can change, is taken off: what is left
is 0 where student and teacher agree.

The student has as many heads as its teacher and its teacher's rule of scoring, so that what can be said per domain of
the one can be said of the other. A view is judged by all of the teacher's heads, and under all of them the student
learns from it; R asks each sample under the head of its own domain, or under the one that all domains share.

The student may see a view smaller than it was drawn: teacher and student look at the same views, each at its own size.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from safas.batches import Batch
from safas.errors import InputError
from safas.methods.base import Method, StepOutput, check_not_negative, check_positive, own_heads, pooled
from safas.model import DomainHeads, ScoreRule, ScoringNet, mean_cosine

Teach = Callable[[Float[Tensor, "N 3 V V"]], Float[Tensor, "N H"]]
"""views of V pixels, in [0, 1] -> the teacher's logits, without a gradient"""


@dataclass(frozen=True)
class DistillConfig:
    """Who teaches, and how far the student heeds it. `safas distill` fills in what is the teacher's."""

    name: Literal["distill"] = "distill"
    teacher: str = ""
    """the teacher's run: the name of its folder"""
    teacher_weights: str = ""
    """SHA-256 of the file of the teacher's weights"""
    heads: int = 0
    """>= 0, of the teacher and so of the student; 0 = one a domain"""
    rule: ScoreRule = "hyperplane"
    """the teacher's: hyperplane or probability"""
    side: int = 0
    """>= 0, pixels: the student's view; 0 = as large as it is drawn"""
    temperature: float = 4.0
    """T > 0; the larger, the more the size of a confident logit counts (for T to infinity: squared differences)"""
    soft_weight: float = 0.9
    """mu in [0, 1]: what the teacher's answers weigh; the labels weigh the rest"""

    def __post_init__(self) -> None:
        check_not_negative(self, "heads", "side", "soft_weight")
        check_positive(self, "temperature")
        if self.soft_weight > 1:
            raise InputError(f"soft_weight = {self.soft_weight} is above 1", where="method.soft_weight")


class Distill(Method):
    """The labels' risk and the distance from a teacher's softened answers, under as many heads as it has."""

    views: ClassVar[int] = 2

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: DistillConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.image_size = backbone, config.side or image_size
        self.heads, self.config = DomainHeads(dim, config.heads or num_domains), config
        self.teacher: Teach | None = None  # to train, not to score: `safas.training.teaching` gives it one

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = (1 - mu) R + mu * the distance from the teacher. Raises InputError when there is none."""
        if self.teacher is None:
            raise InputError(
                "there is no teacher", where="the method distill", remedy="Use `safas distill RUN PREPARED`."
            )
        target, mu = self.teacher(batch.images), self.config.soft_weight
        seen = replace(batch, images=at_size(batch.images, self.image_size))
        made = labelled(self, seen)
        distance = soft_distance(made.logits, target, self.config.temperature)
        return replace(
            made,
            total=(1 - mu) * made.total + mu * distance,
            parts={**made.parts, "distance": distance},
            present=torch.ones_like(made.present),  # every head met every sample, by the teacher's answers
        )

    def after_step(self, step: int) -> dict[str, Float[Tensor, ""]]:
        """Nothing moves. Returns the mean pairwise cosine of the heads."""
        return {"head_cosine": mean_cosine(self.heads.weight.detach())}

    def scoring_net(self) -> ScoringNet:
        """The student's mean hyperplane or mean probability, as its teacher is scored."""
        return ScoringNet(self.backbone, self.heads, self.config.rule, self.image_size)


def labelled(method: Distill, batch: Batch) -> StepOutput:
    """R: of all samples together under one head, or of each domain under its own."""
    if method.heads.num_domains > 1:
        return own_heads(method, batch)
    made = pooled(method, batch)
    return made.output(made.risk)


def soft_distance(
    student: Float[Tensor, "N H"], teacher: Float[Tensor, "N H"], temperature: float
) -> Float[Tensor, ""]:
    """T^2 * mean of KL( sigmoid(t / T) || sigmoid(s / T) ) over the logits; >= 0, no gradient to the teacher.

    For T to infinity it is the mean of (t - s)^2 / 8.
    """
    soft, target = student / temperature, teacher.detach() / temperature
    p = target.sigmoid()
    # log sigmoid(t) - log sigmoid(s), and the same of the other class, without a logarithm of 0
    live = functional.logsigmoid(target) - functional.logsigmoid(soft)
    spoof = functional.logsigmoid(-target) - functional.logsigmoid(-soft)
    return temperature**2 * (p * live + (1 - p) * spoof).mean()


def at_size(images: Float[Tensor, "N 3 V V"], side: int) -> Float[Tensor, "N 3 side side"]:
    """The images resized as `ScoringNet` does it; as they are where they have the size already."""
    if images.shape[-1] == side:
        return images
    resized = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return resized.contiguous(memory_format=torch.channels_last)
