"""Fishr's variances by hand and against automatic differentiation, one sample at a time."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from safas.errors import InputError
from safas.methods.fishr import (
    Fishr,
    FishrConfig,
    distance_to_mean,
    domain_variances,
    head_gradients,
)
from toy_method import D, make, same_gradient, toy_batch, without


def test_two_domains_by_hand() -> None:
    """s = ln 3, so p = 3/4, D = 1. Domain 0: phi = 4, labels 1 and 0; domain 1: phi = 8, both labels 0.

    Gradients (p - y)(phi, 1): domain 0 (-1, -1/4) and (3, 3/4), domain 1 (6, 3/4) twice.
    Variances: domain 0 (4, 1/4), domain 1 (0, 0); their mean (2, 1/8).
    Distance: in both domains (2^2 + (1/8)^2) / 2 = 2.0078125.
    """
    features = torch.tensor([[4.0], [8.0], [4.0], [8.0]])
    labels, domains = torch.tensor([1, 0, 0, 0]), torch.tensor([0, 1, 0, 1])
    gradients = head_gradients(features, torch.full((4,), math.log(3)), labels)
    torch.testing.assert_close(gradients[:2], torch.tensor([[-1.0, -0.25], [6.0, 0.75]]))
    variances = domain_variances(gradients, domains, 2)
    torch.testing.assert_close(variances, torch.tensor([[4.0, 0.25], [0.0, 0.0]]))
    assert float(distance_to_mean(variances, torch.ones(2, dtype=torch.bool))) == pytest.approx(2.0078125)


def test_the_gradients_are_those_of_each_sample_alone() -> None:
    method, batch = make("fishr"), toy_batch()
    features = method.backbone(batch.images)
    ours = head_gradients(features, method.heads(features)[:, 0], batch.labels)
    for i in range(len(batch.labels)):
        loss = binary_cross_entropy_with_logits(
            method.heads(features[i : i + 1])[0, 0], batch.labels[i].float()
        )
        weight, bias = torch.autograd.grad(loss, (method.heads.weight, method.heads.bias), retain_graph=True)
        torch.testing.assert_close(ours[i], torch.cat([weight[0], bias]))


def test_the_penalty_sets_in_and_is_that_of_averaged_variances() -> None:
    """gamma = 0.8, nothing learnt between: a_1 = 0.2 v, a_2 = 0.8 a_1 + 0.2 v = 0.36 v; a_2 / 0.2 = 1.8 v."""
    config = FishrConfig(penalty_weight=50, penalty_epoch=1, gamma=0.8)
    method, batch = make("fishr", config=config), toy_batch()
    first, second = method.loss(batch, 9), method.loss(batch, 10)
    divided = make("fishr", config=replace(config, rescaled=True))
    torch.testing.assert_close(divided.loss(batch, 9).total, first.total)
    torch.testing.assert_close(divided.loss(batch, 10).total, second.total / 50)
    assert torch.equal(first.total, first.parts["risk"])
    torch.testing.assert_close(second.total, second.parts["risk"] + 50 * second.parts["penalty"])
    gradients = head_gradients(second.features, second.logits[:, 0], batch.labels)
    variances = [gradients[batch.domains == e].var(dim=0, correction=0) for e in range(3)]
    wanted = torch.stack(variances).var(dim=0, correction=0).mean()  # mean over e of the squared distance
    torch.testing.assert_close(first.parts["penalty"], wanted)
    torch.testing.assert_close(second.parts["penalty"], 1.8**2 * wanted)


def test_an_absent_domain_keeps_its_average_and_stays_out() -> None:
    method = make("fishr", config=FishrConfig(gamma=0.5))
    assert isinstance(method, Fishr)
    method.loss(toy_batch(), 0)
    before = method.averages.clone()
    output = method.loss(without(toy_batch(seed=1), 1), 1)
    assert before.shape == (3, D + 1)
    assert torch.equal(method.averages[1], before[1])
    assert not torch.equal(method.averages[0], before[0])
    first, third = method.averages[0] / 0.5, method.averages[2] / 0.5
    torch.testing.assert_close(output.parts["penalty"].detach(), ((first - third) / 2).square().mean())


def test_an_average_that_never_moves_is_refused() -> None:
    with pytest.raises(InputError, match=r"method\.gamma"):
        FishrConfig(gamma=1.0)


def test_the_total_has_the_gradient_of_its_definition() -> None:
    """a / (1 - gamma) = v + a constant: the gradient goes through the step's own variances, whole."""
    method, before = (
        make("fishr", config=FishrConfig(penalty_weight=50, penalty_epoch=0, gamma=0.8)),
        toy_batch(),
    )
    method.loss(before, 0)
    batch = toy_batch(seed=1)
    old, total = method.averages.clone(), method.loss(batch, 1).total  # type: ignore[operator]
    features = method.backbone(batch.images)
    errors = method.heads(features).sigmoid() - batch.labels[:, None]
    gradients = torch.cat([errors * features, errors], dim=1)
    own = [gradients[batch.domains == e].var(dim=0, correction=0) for e in range(3)]
    averaged = torch.stack(own) + 0.8 / 0.2 * old
    risks = [
        binary_cross_entropy_with_logits(method.heads(features)[some, 0], batch.labels[some].float())
        for some in (batch.domains == e for e in range(3))
    ]
    wanted = torch.stack(risks).mean() + 50 * averaged.var(dim=0, correction=0).mean()
    torch.testing.assert_close(total, wanted)
    same_gradient(total, wanted, method)
