"""Terms of the objectives, as pure functions of tensors."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

WHOLE = 2048  # rows up to which all pairs are held at once by the contrastive loss: some 16 MB for each array
TRIPLETS_WHOLE = 192  # rows up to which all triplets are: some 28 MB for each array


def supervised_contrastive(
    features: Float[Tensor, "N D"], classes: Int[Tensor, "N"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """Supervised contrastive loss, the mean over anchors (Khosla et al. 2020, eq. 2; SA-FAS calls it L_sep).

    -1/|S(i)| sum_{j in S(i)} log( exp(z_i.z_j/tau) / sum_{t != i} exp(z_i.z_t/tau) ), z = features /
    |features|, where S(i) are the other samples of the class of i.

    features: of any norm, all views stacked along N. classes: one class a row. temperature: tau > 0.
    An anchor that is alone in its class has no such term and is left out of the mean; if all are, the loss is
    0. The arithmetic is done in 32 bits at least, whatever precision the features come in, unless the caller has
    autocast on. Above WHOLE rows the anchors are taken in blocks whose similarities are computed again in the backward
    pass: the same loss, in memory that grows with N and not with N^2.
    """
    N = features.shape[0]
    z = functional.normalize(features if features.dtype == torch.float64 else features.float(), dim=1)
    if N <= WHOLE:
        per_anchor, has_alike = _anchor_terms(z, z, classes, 0, N, temperature)
    else:
        blocks = [
            checkpoint(
                _anchor_terms, z[first : first + rows], z, classes, first, rows, temperature,
                use_reentrant=False, preserve_rng_state=False,
            )
            for first, rows in _blocks(N)
        ]  # fmt: skip
        per_anchor, has_alike = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    return per_anchor.sum() / has_alike.sum().clamp(min=1)


def _blocks(N: int) -> Iterator[tuple[int, int]]:
    """(first anchor, anchors) of blocks of WHOLE^2 similarities at most, as long as one row is no more than that."""
    most = max(1, WHOLE**2 // N)
    for first in range(0, N, most):
        yield first, min(most, N - first)


def _anchor_terms(
    anchors: Float[Tensor, "n D"],
    z: Float[Tensor, "N D"],
    classes: Int[Tensor, "N"],
    first: int,
    rows: int,
    temperature: float,
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """The terms of the anchors z[first : first + rows], 0 where one is alone in its class; 1 where it is not."""
    similarity = anchors @ z.T / temperature
    number = torch.arange(z.shape[0], device=z.device)
    itself = number[first : first + rows, None] == number
    log_sum = similarity.masked_fill(itself, -torch.inf).logsumexp(dim=1)
    alike = ((classes[first : first + rows, None] == classes) & ~itself).to(similarity.dtype)
    count = alike.sum(dim=1)
    # Summed before the division: sum_j (log_sum_i - s_ij) / |S(i)| = log_sum_i - mean_j s_ij.
    per_anchor = log_sum - (alike * similarity).sum(dim=1) / count.clamp(min=1)
    return per_anchor.masked_fill(count == 0, 0.0), (count > 0).to(similarity.dtype)


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
    sample p of its class and every sample n of another; 0 if all are satisfied or there is no triplet. Up to
    TRIPLETS_WHOLE rows all N^3 are written out; above, each anchor's distances are sorted instead, which gives the
    same sum in N^2 numbers.
    """
    N = len(classes)
    z = functional.normalize(features, dim=1)
    # The square root has no slope at 0, so a distance is at least 1e-6.
    distances = (2 - 2 * z @ z.T).clamp(min=1e-12).sqrt()
    alike = classes[:, None] == classes[None, :]
    partner = alike & ~torch.eye(N, dtype=torch.bool, device=classes.device)
    if N > TRIPLETS_WHOLE:
        return _triplets_sorted(distances, alike, partner, margin)
    valid = partner[:, :, None] & ~alike[:, None, :]
    violations = (distances[:, :, None] - distances[:, None, :] + margin).relu() * valid
    return violations.sum() / (violations > 0).sum().clamp(min=1)


def _triplets_sorted(
    distances: Float[Tensor, "N N"], alike: Bool[Tensor, "N N"], partner: Bool[Tensor, "N N"], margin: float
) -> Float[Tensor, ""]:
    """For each anchor and partner, how many others are nearer than its distance + margin, and the sum of theirs."""
    others = distances.masked_fill(alike, torch.inf).sort(dim=1).values
    reach = distances + margin
    nearer = torch.searchsorted(others.detach(), reach.detach()) * partner
    # A sum up to each place; in 64 bits, since what is wanted is the difference of two large sums.
    sums = functional.pad(others.masked_fill(others.isinf(), 0.0).double().cumsum(dim=1), (1, 0))
    violations = (nearer * reach.double() - sums.gather(1, nearer)) * partner
    return (violations.sum() / nearer.sum().clamp(min=1)).to(distances.dtype)


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
