"""IRMv1's penalty by hand and against automatic differentiation of its definition."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from safas.methods.irm import IrmConfig, dummy_gradients
from toy_method import make, toy_batch, without


def test_two_samples_by_hand() -> None:
    """s = ln 3, so p = 3/4. Label 1: (3/4 - 1) ln 3 = -0.274653; label 0: 3/4 ln 3 = 0.823959.

    The mean is ln 3 / 4 = 0.274653, and its square 0.075434.
    """
    gradients = dummy_gradients(torch.full((2,), math.log(3)), torch.tensor([1, 0]))
    assert gradients.tolist() == pytest.approx([-0.274653, 0.823959], abs=1e-6)
    assert float(gradients.mean() ** 2) == pytest.approx(0.075434, abs=1e-6)


def test_the_total_is_the_definition_written_out() -> None:
    """dR_e(v s)/dv by autograd, domain by domain; epoch 1 has the full weight, epoch 0 the weight 1."""
    config = IrmConfig(penalty_weight=7.0, penalty_epoch=1, rescaled=False)
    method, batch = make("irm", config=config), toy_batch()
    for left, kept in ((batch, [0, 1, 2]), (without(batch, 1), [0, 2])):
        logits = method.heads(method.backbone(left.images))[:, 0]
        risks, squares = [], []
        for e in kept:
            own = left.domains == e
            v = torch.ones((), requires_grad=True)
            risk = binary_cross_entropy_with_logits(v * logits[own], left.labels[own].float())
            (slope,) = torch.autograd.grad(risk, v, create_graph=True)
            risks.append(risk)
            squares.append(slope**2)
        for step, weight in ((9, 1.0), (10, 7.0)):
            wanted = torch.stack(risks).mean() + weight * torch.stack(squares).mean()
            total = method.loss(left, step).total
            torch.testing.assert_close(total, wanted)
            parameter = method.heads.weight
            ours, theirs = (torch.autograd.grad(x, parameter, retain_graph=True)[0] for x in (total, wanted))
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("weight", "divisor"), [(100.0, 100.0), (1.0, 1.0), (0.25, 1.0)])
def test_the_whole_is_divided_by_a_weight_above_one(weight: float, divisor: float) -> None:
    """As in the authors' code, from the epoch on in which the weight holds; the parts are told as they are."""
    whole, rescaled = (
        make("irm", config=IrmConfig(penalty_weight=weight, penalty_epoch=1, rescaled=told)).loss(
            toy_batch(), step
        )
        for told, step in ((False, 10), (True, 10))
    )
    torch.testing.assert_close(rescaled.total, whole.total / divisor)
    assert torch.equal(rescaled.parts["penalty"], whole.parts["penalty"])
    before = make("irm", config=IrmConfig(penalty_weight=weight, penalty_epoch=1)).loss(toy_batch(), 9)
    torch.testing.assert_close(before.total, before.parts["risk"] + before.parts["penalty"])
