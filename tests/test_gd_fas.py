"""GD-FAS's scaling and decomposition by hand, and its total against a plain loop over the groups."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from safas.errors import InputError
from safas.methods.gd_fas import GdFasConfig, group_losses, scales, specific_part
from toy_method import make, toy_batch, without


def test_scales_by_hand() -> None:
    """Losses 1, 1, 3, 3: mean 2, deviation 1, z = -1, -1, 1, 1. Two domains: width = ln 2 / 2.

    exp(1 / width) = exp(2.885390) = 17.910551, sigmoid(1 / width) = 17.910551 / 18.910551 = 0.947119.
    beta = 1.5: 1.420679 - 0.75 + 1 = 1.670679, and 1.5 * 0.052881 + 0.25 = 0.329321. A group that is absent
    counts neither for the mean nor for the deviation.
    """
    losses, present = torch.tensor([1.0, 1.0, 0.0, 3.0, 3.0]), torch.tensor([True, True, False, True, True])
    made = scales(losses, present, 1.5, math.log(2) / 2)[present]
    torch.testing.assert_close(made, torch.tensor([0.329321, 0.329321, 1.670679, 1.670679]))
    assert scales(losses, present, 0.0, 1.0).tolist() == [1.0] * 5


def test_groups_that_are_alike_count_alike() -> None:
    assert scales(torch.full((4,), 0.3), torch.ones(4, dtype=torch.bool), 1.5, 0.5).tolist() == [1.0] * 4


def test_shares_of_groups_by_hand() -> None:
    """Logit ln 3: live costs ln(4/3), spoof ln 4. Two live and one spoof of four samples are in group 1, 0, 0, 3."""
    logits, labels = torch.full((4,), math.log(3)), torch.tensor([1, 0, 1, 0])
    shares = group_losses(logits, labels, torch.tensor([1, 0, 1, 2]), 4)
    wanted = [math.log(4) / 4, 2 * math.log(4 / 3) / 4, math.log(4) / 4, 0.0]
    assert shares.tolist() == pytest.approx(wanted, rel=1e-6)


def test_the_specific_part_by_hand() -> None:
    """(3, 4) along (0, 2): what is left is (3, 0)."""
    assert specific_part(torch.tensor([[3.0, 4.0]]), torch.tensor([0.0, 2.0])).tolist() == [[3.0, 0.0]]


@pytest.mark.parametrize("absent", [None, 1])
def test_the_total_is_the_definition_written_out(absent: int | None) -> None:
    """Group by group in numpy; the contrastive loss anchor by anchor."""
    method, batch = make("gd-fas", config=GdFasConfig(specific_weight=0.7, temperature=0.3)), toy_batch()
    batch = batch if absent is None else without(batch, absent)
    phi = method.backbone(batch.images).detach()
    logits, N = method.heads(phi)[:, 0].detach(), len(batch.labels)
    shares = []
    for e in (0, 1, 2):
        for label in (0, 1):
            own = (batch.domains == e) & (batch.labels == label)
            if own.any():
                each = binary_cross_entropy_with_logits(logits[own], batch.labels[own].float())
                shares.append(float(each) * int(own.sum()) / N)
    values = np.array(shares)
    z = (values - values.mean()) / values.std()
    scaled = float((values * (1.5 / (1 + np.exp(-z / (np.log(3) / 2))) - 0.75 + 1)).sum())
    u = method.heads.weight[0].detach() / method.heads.weight[0].detach().norm()
    rest = phi - torch.outer(phi @ u, u)
    rest = rest / rest.norm(dim=1, keepdim=True)
    anchors = []
    for i in range(N):
        others = [j for j in range(N) if j != i]
        denominator = sum(math.exp(float(rest[i] @ rest[j]) / 0.3) for j in others)
        alike = [j for j in others if batch.domains[j] == batch.domains[i]]
        anchors += [-np.mean([float(rest[i] @ rest[j]) / 0.3 - math.log(denominator) for j in alike])]
    output = method.loss(batch, 0)
    assert output.parts["scaled_risk"].item() == pytest.approx(scaled, rel=1e-5)
    assert output.parts["specific"].item() == pytest.approx(np.mean(anchors), rel=1e-5)
    assert output.total.item() == pytest.approx(scaled + 0.7 * np.mean(anchors), rel=1e-5)


def test_the_scales_and_the_basis_are_constants() -> None:
    """The head's gradient is that of a weighted sum of losses, and the domains' term pulls no feature along it."""
    method, batch = make("gd-fas"), toy_batch()
    output = method.loss(batch, 0)
    specific, phi = output.parts["specific"], output.features
    (pull,) = torch.autograd.grad(specific, phi, retain_graph=True)
    along = pull @ method.heads.weight[0].detach()
    assert float(pull.abs().max()) > 1e-4
    assert float(along.abs().max()) < 1e-7
    assert torch.autograd.grad(specific, method.heads.weight, retain_graph=True, allow_unused=True) == (None,)
    losses = group_losses(output.logits[:, 0], batch.labels, batch.classes, 6)
    fixed = scales(losses.detach(), torch.ones(6, dtype=torch.bool), 1.5, math.log(3) / 2)
    ours, wanted = (
        torch.autograd.grad(x, method.heads.weight, retain_graph=True)[0]
        for x in (output.total, fixed @ losses)
    )
    torch.testing.assert_close(ours, wanted)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2 domains, not 1"):
        make("gd-fas", E=1)
    for wrong in (
        {"scaling_range": 2.1},
        {"scaling_range": -1.0},
        {"specific_weight": -1.0},
        {"temperature": 0.0},
    ):
        with pytest.raises(InputError, match=r"method\."):
            GdFasConfig(**wrong)  # type: ignore[arg-type]
