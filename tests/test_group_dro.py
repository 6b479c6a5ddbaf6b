"""GroupDRO's weights by hand."""

import math

import pytest
import torch

from safas.methods.group_dro import GroupDroConfig, ascended
from toy_method import make, toy_batch, without


def test_two_steps_of_the_weights_by_hand() -> None:
    """eta = 1. Risks ln 2 and ln 3: q = (2, 3)/5. Then risks ln 6 and 0: q = (2*6, 3)/15 = (0.8, 0.2)."""
    q = ascended(torch.tensor([0.5, 0.5]), torch.tensor([2.0, 3.0]).log(), eta=1.0)
    assert q.tolist() == pytest.approx([0.4, 0.6])
    q = ascended(q, torch.tensor([6.0, 1.0]).log(), eta=1.0)
    assert q.tolist() == pytest.approx([0.8, 0.2])


def test_the_loss_weighs_the_risks_with_what_was_kept() -> None:
    """Two steps on one batch, nothing learnt between: q ~ exp(2 eta R); no gradient goes through q."""
    method, batch = make("group-dro", config=GroupDroConfig(eta=0.5)), toy_batch()
    method.loss(batch, 0)
    output = method.loss(batch, 1)
    weights = torch.softmax(2 * 0.5 * output.risks.detach(), dim=0)
    torch.testing.assert_close(output.total, (weights * output.risks).sum())
    parameter = method.heads.bias
    ours, wanted = (
        torch.autograd.grad(x, parameter, retain_graph=True)[0]
        for x in (output.total, (weights * output.risks).sum())
    )
    torch.testing.assert_close(ours, wanted)


def test_the_weight_of_an_absent_domain_is_only_rescaled() -> None:
    """q = (e^(eta R_0), 1, e^(eta R_2)) / their sum."""
    method = make("group-dro", config=GroupDroConfig(eta=1.0))
    risks = method.loss(without(toy_batch(), 1), 0).risks.tolist()
    grown = [math.exp(risks[0]), 1.0, math.exp(risks[2])]
    assert method.state_dict()["q"].tolist() == pytest.approx([value / sum(grown) for value in grown])
