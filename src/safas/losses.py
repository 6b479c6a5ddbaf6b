"""Terms of the objectives, as pure functions of tensors."""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional


def supervised_contrastive(
    features: Float[Tensor, "N D"], classes: Int[Tensor, "N"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """Supervised contrastive loss, the mean over anchors (Khosla et al. 2020, eq. 2; SA-FAS calls it L_sep).

    -1/|S(i)| sum_{j in S(i)} log( exp(z_i.z_j/tau) / sum_{t != i} exp(z_i.z_t/tau) ), z = features /
    |features|, where S(i) are the other samples of the class of i.

    features: of any norm, all views stacked along N. classes: one class a row. temperature: tau > 0.
    An anchor that is alone in its class has no such term and is left out of the mean; if all are, the loss is
    0. The arithmetic is done in 32 bits at least, whatever precision the features come in.
    """
    N = features.shape[0]
    z = functional.normalize(features if features.dtype == torch.float64 else features.float(), dim=1)
    similarity = z @ z.T / temperature
    itself = torch.eye(N, dtype=torch.bool, device=features.device)
    log_sum = similarity.masked_fill(itself, -torch.inf).logsumexp(dim=1)
    alike = ((classes[:, None] == classes[None, :]) & ~itself).to(similarity.dtype)
    count = alike.sum(dim=1)
    # Summed before the division: sum_j (log_sum_i - s_ij) / |S(i)| = log_sum_i - mean_j s_ij.
    per_anchor = log_sum - (alike * similarity).sum(dim=1) / count.clamp(min=1)
    has_alike = (count > 0).to(similarity.dtype)
    return (per_anchor.masked_fill(count == 0, 0.0)).sum() / has_alike.sum().clamp(min=1)


def separability(
    features: Float[Tensor, "N D"], classes: Int[Tensor, "N"], temperature: float
) -> Float[Tensor, ""]:
    """L_sep on the scale of SA-FAS's code: the mean over the anchors times tau/0.07."""
    return supervised_contrastive(features, classes, temperature) * (temperature / 0.07)


def domain_means(
    values: Float[Tensor, "*K N"], domains: Int[Tensor, "N"], num_domains: int
) -> Float[Tensor, "*K E"]:
    """Mean of the values over the samples of every domain, by the last axis; 0 for a domain without a sample."""
    belongs = functional.one_hot(domains.long(), num_domains).to(values.dtype)
    return values @ belongs / belongs.sum(dim=0).clamp(min=1)


def domain_risks(
    logits: Float[Tensor, "N"], labels: Shaped[Tensor, "N"], domains: Int[Tensor, "N"], num_domains: int
) -> Float[Tensor, "E"]:
    """The risks R_e [E]: mean binary cross-entropy over the samples of every domain, 0 where there is none.

    logits: positive = live. labels: 1 live, 0 spoof.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return domain_means(losses, domains, num_domains)


def present_domains(domains: Int[Tensor, "N"], num_domains: int) -> Bool[Tensor, "E"]:
    """Which of the E domains have a sample."""
    return functional.one_hot(domains.long(), num_domains).any(dim=0)


def mean_present(values: Float[Tensor, "E"], present: Bool[Tensor, "E"]) -> Float[Tensor, ""]:
    """Mean of the values of the domains that are present; 0 if none is."""
    return torch.where(present, values, 0.0).sum() / present.sum().clamp(min=1)


def triplet(features: Float[Tensor, "N D"], classes: Int[Tensor, "N"], margin: float) -> Float[Tensor, ""]:
    """Triplet loss over all triplets of the batch, the mean of those that are not yet satisfied.

    max(0, |z_a - z_p| - |z_a - z_n| + margin), z = features / |features|, for every anchor a, every other
    sample p of its class and every sample n of another; 0 if all are satisfied or there is no triplet.
    """
    z = functional.normalize(features, dim=1)
    # The square root has no slope at 0, so a distance is at least 1e-6.
    distances = (2 - 2 * z @ z.T).clamp(min=1e-12).sqrt()
    alike = classes[:, None] == classes[None, :]
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    valid = (alike & ~itself)[:, :, None] & ~alike[:, None, :]
    violations = (distances[:, :, None] - distances[:, None, :] + margin).relu() * valid
    return violations.sum() / (violations > 0).sum().clamp(min=1)


class _Reversal(torch.autograd.Function):
    """x -> x, whose gradient is multiplied by -strength."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reversed_gradient(x: Float[Tensor, "N D"], strength: float) -> Float[Tensor, "N D"]:
    """x itself; the gradient that comes back through it is multiplied by -strength (Ganin et al. 2016).

    What stands after it learns to lower a loss while what stands before it learns to raise the same loss.
    """
    reversal: Any = _Reversal.apply  # torch does not annotate it
    y: Tensor = reversal(x, strength)
    return y


def reversal_strength(progress: float) -> float:
    """2 / (1 + exp(-10 p)) - 1 for p in [0, 1]: 0 at first, almost 1 from p = 0.5 on (Ganin et al. 2016)."""
    return 2 / (1 + math.exp(-10 * min(progress, 1.0))) - 1
