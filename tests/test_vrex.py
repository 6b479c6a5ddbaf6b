"""V-REx's variance by hand."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from safas.methods.vrex import VRexConfig
from toy_method import make, same_gradient, toy_batch, without


def test_the_variance_by_hand() -> None:
    """All logits ln 3; live costs a = ln(4/3) = 0.287682, spoof b = ln 4 = 1.386294.

    Domain 0 live only, domain 1 spoof only, domain 2 both: risks a, b, (a + b)/2; their mean is the middle
    one, 0.836988, and the variance 2 ((b - a)/2)^2 / 3 = (ln 3)^2 / 6 = 0.201158.
    """
    method, batch = make("vrex", config=VRexConfig(penalty_weight=10, penalty_epoch=1)), toy_batch()
    batch.labels[batch.domains == 0] = 1
    batch.labels[batch.domains == 1] = 0
    with torch.no_grad():
        method.heads.weight.zero_()
        method.heads.bias.fill_(math.log(3))
    output = method.loss(batch, 0)
    assert output.parts["risk"].item() == pytest.approx(0.836988, abs=1e-5)
    assert output.parts["variance"].item() == pytest.approx(0.201158, abs=1e-5)
    assert output.total.item() == pytest.approx(0.836988 + 0.201158, abs=1e-5)
    assert method.loss(batch, 10).total.item() == pytest.approx(0.836988 + 2.01158, abs=1e-4)


def test_an_absent_domain_does_not_count_as_one_without_risk() -> None:
    """Without domain 1 the variance of two risks is the square of half their difference."""
    output = make("vrex").loss(without(toy_batch(), 1), 0)
    first, _, third = output.risks
    torch.testing.assert_close(output.parts["variance"], ((first - third) / 2) ** 2)
    torch.testing.assert_close(output.parts["risk"], (first + third) / 2)


def test_the_total_has_the_gradient_of_its_definition() -> None:
    """The variance by torch, divisor E: three domains whose risks differ."""
    method, batch = make("vrex", config=VRexConfig(penalty_weight=10, penalty_epoch=1)), toy_batch()
    logits = method.heads(method.backbone(batch.images))[:, 0]
    risks = torch.stack(
        [
            binary_cross_entropy_with_logits(logits[own], batch.labels[own].float())
            for own in (batch.domains == e for e in range(3))
        ]
    )
    total, wanted = method.loss(batch, 10).total, risks.mean() + 10 * risks.var(correction=0)
    torch.testing.assert_close(total, wanted)
    same_gradient(total, wanted, method)
