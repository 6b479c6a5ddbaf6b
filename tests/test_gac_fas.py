"""GAC-FAS's gradient against its definition written out without the method, and its way uphill by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from safas.batches import Batch
from safas.errors import InputError
from safas.losses import supervised_contrastive
from safas.methods.gac_fas import GacFas, GacFasConfig
from toy_method import SIDE, D, Tiny, make, toy_batch, without

SETTINGS = GacFasConfig(rho=0.4, alpha=0.3, ascent_epoch=1, contrastive_weight=0.5, temperature=0.2)


def test_the_way_by_hand() -> None:
    """w = (2, -1), b = 7; g = (1.5, 4), 12. T = (2, 1), 1: T g = (3, 4), 12, of length 13.

    rho T^2 g / 13 with rho = 1.3: (0.6, 0.4), 1.2; minus alpha = 0.1 times (1, 2), 3: (0.5, 0.2), 0.9.
    Without T, |g| = sqrt(2.25 + 16 + 144) = sqrt(162.25).
    """
    slope = {"heads.weight": torch.tensor([[1.5, 4.0]]), "heads.bias": torch.tensor([12.0])}
    whole = {"heads.weight": torch.tensor([[1.0, 2.0]]), "heads.bias": torch.tensor([3.0])}
    ways = []
    for adaptive in (True, False):
        config = GacFasConfig(rho=1.3, alpha=0.1, adaptive=adaptive)
        method = GacFas(nn.Identity(), 2, 3, config, SIDE, 10)
        with torch.no_grad():
            method.heads.weight.copy_(torch.tensor([[2.0, -1.0]]))
            method.heads.bias.fill_(7)
        ways.append(method.way(slope, whole))
    torch.testing.assert_close(ways[0]["heads.weight"], torch.tensor([[0.5, 0.2]]))
    torch.testing.assert_close(ways[0]["heads.bias"], torch.tensor([0.9]))
    plain = 1.3 / 162.25**0.5 * torch.tensor([[1.5, 4.0]]) - 0.1 * whole["heads.weight"]
    torch.testing.assert_close(ways[1]["heads.weight"], plain)


def features_of(weights: list[Tensor], batch: Batch) -> Tensor:
    return linear(batch.images.flatten(1), weights[0], weights[1]).tanh()


def risk_of(weights: list[Tensor], batch: Batch, domains: list[int]) -> Tensor:
    """The mean over the given domains of their mean cross-entropies."""
    logits = linear(features_of(weights, batch), weights[2], weights[3])[:, 0]
    own = [batch.domains == e for e in domains]
    losses = [binary_cross_entropy_with_logits(logits[some], batch.labels[some].float()) for some in own]
    return torch.stack(losses).mean()


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("absent", [None, 1])
def test_the_gradient_is_the_definitions(adaptive: bool, absent: int | None) -> None:
    """Step 10 is the first of epoch 1. One domain may be missing from the batch."""
    config = GacFasConfig(**{**vars(SETTINGS), "adaptive": adaptive})
    method, batch = make("gac-fas", config=config), toy_batch()
    kept = [e for e in range(3) if e != absent]
    batch = batch if absent is None else without(batch, absent)
    w = [parameter.detach().clone().requires_grad_() for parameter in method.parameters()]
    scale = [value.detach().abs() if adaptive and i in (0, 2) else 1.0 for i, value in enumerate(w)]
    whole = torch.autograd.grad(risk_of(w, batch, kept), w)
    separability = 0.2 / 0.07 * supervised_contrastive(features_of(w, batch), batch.classes, 0.2)
    apart = torch.autograd.grad(0.5 * separability, w[:2])
    wanted = [whole[0] + apart[0], whole[1] + apart[1], whole[2], whole[3]]
    for e in kept:
        g = torch.autograd.grad(risk_of(w, batch, [e]), w)
        norm = torch.cat([(t * x).flatten() for t, x in zip(scale, g, strict=True)]).norm()
        point = [
            (v + 0.4 * t * t * x / norm - 0.3 * a).detach().requires_grad_()
            for v, t, x, a in zip(w, scale, g, whole, strict=True)
        ]
        there = torch.autograd.grad(risk_of(point, batch, kept), point)
        wanted = [sum_ + x / len(kept) for sum_, x in zip(wanted, there, strict=True)]
    method.gradients(batch, 10, Tensor.backward)
    for parameter, gradient, old in zip(method.parameters(), wanted, w, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)
        assert torch.equal(parameter, old)


def test_before_its_epoch_it_is_plain_training() -> None:
    first, second = make("gac-fas", config=SETTINGS), make("gac-fas", config=SETTINGS)
    output = first.gradients(toy_batch(), 9, Tensor.backward)
    assert set(output.parts) == {"risk", "contrastive", "sharpness"}
    assert output.parts["sharpness"] == 0
    second.loss(toy_batch(), 9).total.backward()
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)
    assert first.gradients(toy_batch(), 10, Tensor.backward).parts["sharpness"] > 0


def test_the_statistics_of_the_batch_norms_follow_one_pass_of_the_four() -> None:
    method = make("gac-fas", config=GacFasConfig(ascent_epoch=0))
    trunk = nn.Sequential(Tiny(), nn.BatchNorm1d(D))
    method.backbone = trunk
    method.gradients(toy_batch(), 0, Tensor.backward)
    assert trunk[1].num_batches_tracked == 1
    mean = trunk[0](toy_batch().images).mean(dim=0)
    torch.testing.assert_close(trunk[1].running_mean, 0.1 * mean)  # from 0, with torch's momentum of 0.1


@pytest.mark.parametrize("name", ["rho", "alpha", "ascent_epoch", "contrastive_weight"])
def test_negative_settings_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"method\.{name}"):
        GacFasConfig(**{name: -1})  # type: ignore[arg-type]
