"""The seam between a method and the training loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from safas.batches import Batch
from safas.errors import InputError
from safas.losses import domain_risks, mean_present, present_domains
from safas.model import DomainHeads, ScoringNet


@runtime_checkable
class Backward(Protocol):
    """Adds the gradient of a scalar to the parameters' .grad, as the loop's precision and device want it."""

    def __call__(self, total: Float[Tensor, ""], /, *, retain_graph: bool = False) -> None:
        """retain_graph: another scalar of the same graph follows."""


@runtime_checkable
class SetsIn(Protocol):
    """Settings of a method of which a part sets in only during training."""

    @property
    def onset_epoch(self) -> int:
        """First epoch (from 0) at whose end all of the method has been at work."""


@dataclass(frozen=True)
class StepOutput:
    """What a method makes of a batch.

    total: the scalar to minimise, with its graph. parts: the named terms behind it, for the log and for the
    message when one of them is not finite. features [N, D] of the N samples, their logits [N, H] under the H
    heads, and the risks [E] of the E domains that the method tells apart: H = E where each has a head of its
    own, H = 1 where they share one.
    present: which of the H heads met a sample. The loop leaves the others wholly alone (no decay, no
    momentum).
    """

    total: Float[Tensor, ""]
    parts: dict[str, Float[Tensor, ""]]
    features: Float[Tensor, "N D"]
    logits: Float[Tensor, "N H"]
    risks: Float[Tensor, "E"]
    present: Bool[Tensor, "H"]

    def plus(self, weight: float, **term: Float[Tensor, ""]) -> "StepOutput":
        """With one more named term in the objective, times its weight."""
        ((name, value),) = term.items()
        return replace(self, total=self.total + weight * value, parts={**self.parts, name: value})


class Method(nn.Module, ABC):
    """An objective over a backbone and heads. The one abstract class; no method subclasses another.

    The loop owns the optimiser, the precision and the seeds. A method is built as
    `Method(backbone, dim, num_domains, config, image_size, steps_per_epoch)` and exposes `backbone` and
    `heads`.
    """

    views: ClassVar[int] = 1
    """views of each crop that the loop supplies"""
    least_domains: ClassVar[int] = 1
    """source domains that the method needs"""
    needs_fp32: ClassVar[bool] = False
    """whether it moves the weights by less than bfloat16's 8 bits can tell: then precision auto is 32 bits"""
    backbone: nn.Module
    heads: DomainHeads
    image_size: int

    @abstractmethod
    def loss(self, batch: Batch, step: int) -> StepOutput:
        """The objective on one batch; no optimiser here."""

    def gradients(self, batch: Batch, step: int, backward: Backward) -> StepOutput:
        """Leave in the parameters' .grad, which come empty, what the optimiser shall step by.

        By default that is the gradient of the objective: one loss, one pass back. A method that asks for the
        objective at other weights too puts the weights back as they were, bit for bit, lets the batch norms'
        running statistics follow one of its passes only, and names what it saw there in the parts, so that a
        value that is not finite is noticed.
        """
        output = self.loss(batch, step)
        backward(output.total)
        return output

    def after_step(self, step: int) -> dict[str, Float[Tensor, ""]]:
        """Called after the optimiser's step; may change parameters. Returns scalars for the log.

        They stay on the device: the loop fetches many steps' numbers at once.
        """
        return {}

    def scoring_net(self) -> ScoringNet:
        """What is evaluated and exported; shares the method's parameters. By default the sigmoid of one logit."""
        return ScoringNet(self.backbone, self.heads, "hyperplane", self.image_size)


@dataclass(frozen=True)
class OneHead:
    """A batch of N samples under one head that all domains share.

    risk: the mean of the risks, which are those of the domains where the method tells them apart. present [E]: the
    domains with a sample.
    """

    features: Float[Tensor, "N D"]
    logits: Float[Tensor, "N 1"]
    risk: Float[Tensor, ""]
    risks: Float[Tensor, "E"]
    present: Bool[Tensor, "E"]

    def output(self, total: Float[Tensor, ""], **parts: Float[Tensor, ""]) -> StepOutput:
        """The step's output; the parts are logged behind the risk, and the head met every sample."""
        met = torch.ones_like(self.logits[0], dtype=torch.bool)
        return StepOutput(total, {"risk": self.risk, **parts}, self.features, self.logits, self.risks, met)


def pooled(method: Method, batch: Batch) -> OneHead:
    """R over all samples together, as one domain."""
    features = method.backbone(batch.images)
    risk, risks = method.heads.risk(features, batch.labels, torch.zeros_like(batch.domains))
    return OneHead(features, method.heads(features), risk, risks, torch.ones_like(risks, dtype=torch.bool))


def by_domain(method: Method, batch: Batch, num_domains: int) -> OneHead:
    """R_e over the samples of each of E domains, and their mean over those that are present."""
    features = method.backbone(batch.images)
    logits = method.heads(features)
    present = present_domains(batch.domains, num_domains)
    risks = domain_risks(logits[:, 0], batch.labels, batch.domains, num_domains)
    return OneHead(features, logits, mean_present(risks, present), risks, present)


def own_heads(method: Method, batch: Batch) -> StepOutput:
    """(1/E) sum_e R_e, each sample under the head of its own domain; a head without a sample counts 0."""
    features, heads = method.backbone(batch.images), method.heads
    risk, risks = heads.risk(features, batch.labels, batch.domains)
    present = present_domains(batch.domains, heads.num_domains)
    return StepOutput(risk, {"risk": risk}, features, heads(features), risks, present)


def check_domains(method: Method, num_domains: int) -> None:
    """Raises InputError when there are fewer domains than the method needs."""
    if num_domains < method.least_domains:
        raise InputError(
            f"the method needs at least {method.least_domains} domains, not {num_domains}",
            where=type(method).__name__,
            remedy="Give it more source domains, or use the method erm.",
        )


def check_not_negative(config: object, *names: str) -> None:
    """Raises InputError naming the first of these settings that is below 0 (or no number)."""
    for name in names:
        if not getattr(config, name) >= 0:
            raise InputError(f"{name} = {getattr(config, name)} is negative", where=f"method.{name}")


def check_positive(config: object, *names: str) -> None:
    """Raises InputError naming the first of these settings that is not above 0."""
    for name in names:
        if not getattr(config, name) > 0:
            raise InputError(f"{name} = {getattr(config, name)} is not above 0", where=f"method.{name}")
