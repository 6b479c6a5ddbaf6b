"""The terms of the objectives against hand-worked cases and another library."""

import math
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss
from torch.utils._python_dispatch import TorchDispatchMode

from safas import losses
from safas.losses import (
    domain_means,
    domain_risks,
    mean_present,
    present_domains,
    reversal_strength,
    reversed_gradient,
    supervised_contrastive,
    triplet,
)


def test_four_vectors_by_hand() -> None:
    """Angles 0, 60, 90, 180 degrees, classes 0 0 1 1, tau = 0.5; s = cosine / tau:

    s01 = 1, s02 = 0, s03 = -2, s12 = 2 cos 30 = 1.732051, s13 = -1, s23 = 0.
    anchor 0: ln(e^1 + e^0 + e^-2)        - 1 = ln 3.853617 - 1 = 0.349012
    anchor 1: ln(e^1 + e^1.732051 + e^-1) - 1 = ln 8.738395 - 1 = 1.167727
    anchor 2: ln(e^0 + e^1.732051 + e^0)  - 0 = ln 7.652234     = 2.035001
    anchor 3: ln(e^-2 + e^-1 + e^0)       - 0 = ln 1.503214     = 0.407606
    mean = 3.959346 / 4 = 0.989837. The lengths of the vectors do not matter.
    """
    angles = torch.tensor([0.0, 60.0, 90.0, 180.0]).deg2rad()
    lengths = torch.tensor([1.0, 0.5, 3.0, 20.0])
    features = lengths[:, None] * torch.stack([angles.cos(), angles.sin()], dim=1)
    loss = supervised_contrastive(features, torch.tensor([0, 0, 1, 1]), temperature=0.5)
    assert float(loss) == pytest.approx(0.989837, abs=2e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.1, 1.0])
def test_equals_pytorch_metric_learning(temperature: float) -> None:
    """Values and gradients, for classes of unequal sizes; one sample is alone in its class."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(17, 8, generator=generator, dtype=torch.float64).requires_grad_()
    classes = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5])
    ours = supervised_contrastive(features, classes, temperature)
    (our_gradient,) = torch.autograd.grad(ours, features)
    theirs = SupConLoss(temperature)(features, classes)
    (their_gradient,) = torch.autograd.grad(theirs, features)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(our_gradient, their_gradient)


@pytest.mark.parametrize(
    "whole", [3, 6, 16]
)  # blocks of one anchor, of two with one over, of fifteen and two
def test_blocks_of_anchors_equal_pytorch_metric_learning(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients of the other library, which holds all pairs; a second backward pass gives the same."""
    features = torch.randn(
        17, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    ).requires_grad_()
    classes = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5])
    theirs = SupConLoss(0.1)(features, classes)
    (their_gradient,) = torch.autograd.grad(theirs, features)
    monkeypatch.setattr(losses, "WHOLE", whole)
    ours = supervised_contrastive(features, classes, 0.1)
    torch.testing.assert_close(ours, theirs)
    for _ in range(2):
        (our_gradient,) = torch.autograd.grad(ours, features, retain_graph=True)
        torch.testing.assert_close(our_gradient, their_gradient)


class Largest(TorchDispatchMode):
    """The most numbers in one array that any operation makes, those of the backward pass too."""

    numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return made


def largest(loss: Any, rows: int) -> tuple[int, int]:
    """(largest array, numbers kept for the backward pass) of a loss of so many features of 4 numbers."""
    features = torch.randn(rows, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    kept: dict[int, int] = {}
    with Largest() as seen:
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.update({t.data_ptr(): t.numel()}) or t, lambda t: t
        ):
            made = loss(features, torch.arange(rows) % 3, 0.1)
        made.backward()
    return seen.numbers, sum(kept.values())


def test_the_memory_of_blocks_does_not_grow_with_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 rows are 65,536 pairs. In blocks of 32^2 pairs no array is larger than these or the features' 1,024."""
    assert largest(supervised_contrastive, 256)[0] == 256**2
    monkeypatch.setattr(losses, "WHOLE", 32)
    most, kept = largest(supervised_contrastive, 256)
    assert most == 1024
    assert kept <= 20 * 1024


def test_sorted_triplets_hold_pairs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 rows are 262,144 triplets and 4,096 pairs; the running sums begin with a 0: 64 * 65."""
    assert largest(triplet, 64)[0] == 64**3
    monkeypatch.setattr(losses, "TRIPLETS_WHOLE", 63)
    assert largest(triplet, 64)[0] == 64 * 65


def test_perfect_separation_has_the_closed_form() -> None:
    """K orthogonal classes of two: every anchor gives ln(e^(1/tau) + 2(K-1)) - 1/tau."""
    features = 7 * torch.eye(5).repeat(2, 1)
    loss = supervised_contrastive(features, torch.arange(5).repeat(2), temperature=0.5)
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 8) - 2, rel=1e-5)


def test_nothing_alike_is_no_loss() -> None:
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = supervised_contrastive(features, torch.arange(4))
    loss.backward()
    assert float(loss.detach()) == 0
    assert features.grad is not None
    assert float(features.grad.abs().max()) == 0


def test_low_precision_features_are_computed_in_32_bits() -> None:
    features = torch.randn(8, 16, generator=torch.Generator().manual_seed(1)).bfloat16()
    classes = torch.arange(4).repeat(2)
    loss = supervised_contrastive(features, classes)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, supervised_contrastive(features.float(), classes), rtol=0, atol=0)


def test_means_over_domains_by_hand() -> None:
    """Domain 0 has the values 1 and 4, domain 1 none, domain 2 has 6: means 2.5, 0 and 6; of the present 4.25."""
    domains = torch.tensor([0, 2, 0])
    means = domain_means(torch.tensor([1.0, 6.0, 4.0]), domains, 3)
    present = present_domains(domains, 3)
    assert means.tolist() == [2.5, 0, 6]
    assert present.tolist() == [True, False, True]
    assert mean_present(torch.tensor([2.5, 9.0, 6.0]), present) == 4.25
    assert mean_present(means, torch.zeros(3, dtype=torch.bool)) == 0


def test_risks_of_domains_by_hand() -> None:
    """-ln sigmoid(ln 3) = ln(4/3); the same logit with the label 0 costs ln 4."""
    logits = torch.full((3,), math.log(3))
    risks = domain_risks(logits, torch.tensor([1, 0, 1]), torch.tensor([0, 0, 1]), 2)
    wanted = [(math.log(4 / 3) + math.log(4)) / 2, math.log(4 / 3)]
    assert risks.tolist() == pytest.approx(wanted, rel=1e-6)


def test_a_reversed_gradient_changes_sign_and_scale_and_nothing_forward() -> None:
    x = torch.tensor([[1.0, -2.0]], requires_grad=True)
    y = reversed_gradient(x, 0.3)
    assert torch.equal(y, x)
    (2 * y[0, 0] + y[0, 1] ** 2).backward()  # its own gradient is (2, 2 * -2)
    assert x.grad is not None
    assert x.grad.tolist() == [pytest.approx([-0.6, 1.2])]


def test_the_reversal_grows_from_nothing_to_one() -> None:
    """At p = ln(3)/10: 2 / (1 + 1/3) - 1 = 0.5."""
    assert reversal_strength(0.0) == 0
    assert reversal_strength(math.log(3) / 10) == pytest.approx(0.5)
    assert 0.9999 < reversal_strength(1.0) == reversal_strength(7.0) < 1


def test_triplets_of_four_points_by_hand() -> None:
    """Unit vectors at 0, 60, 90, 180 degrees, classes 0 0 1 2, margin 0.1; distance = 2 sin(angle / 2).

    d01 = 1, d02 = 1.414214, d03 = 2, d12 = 0.517638, d13 = 1.732051. Only 0 and 1 are alike, so:
    anchor 0: 1 - d02 + 0.1 = -0.31 and 1 - d03 + 0.1 = -0.9, both satisfied;
    anchor 1: 1 - d12 + 0.1 = 0.582362 and 1 - d13 + 0.1 = -0.63, one of them not.
    The mean over the one that is not satisfied: 0.582362. The vectors' lengths do not matter.
    """
    angles = torch.tensor([0.0, 60.0, 90.0, 180.0]).deg2rad()
    features = torch.tensor([1.0, 0.5, 3.0, 20.0])[:, None] * torch.stack([angles.cos(), angles.sin()], dim=1)
    loss = triplet(features, torch.tensor([0, 0, 1, 2]), margin=0.1)
    assert float(loss) == pytest.approx(0.582362, abs=2e-6)


@pytest.mark.parametrize("whole", [0, 9])  # sorted; all written out
def test_triplets_equal_the_definition_and_have_gradients_where_points_coincide(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One triplet at a time; samples 0 and 1 are the same point."""
    monkeypatch.setattr(losses, "TRIPLETS_WHOLE", whole)
    z = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(2)), dim=1)
    z[1] = z[0]
    classes = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3, 0])
    violations = [
        float((z[a] - z[p]).norm() - (z[a] - z[n]).norm()) + 0.2
        for a in range(9)
        for p in range(9)
        for n in range(9)
        if p != a and classes[p] == classes[a] != classes[n]
    ]
    unsatisfied = [value for value in violations if value > 0]
    features = z.clone().requires_grad_()
    loss = triplet(features, classes, margin=0.2)
    assert loss.item() == pytest.approx(sum(unsatisfied) / len(unsatisfied), rel=1e-4)
    loss.backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert triplet(z, torch.zeros(9, dtype=torch.long), 0.2) == 0


@pytest.mark.parametrize("margin", [0.0, 0.3, 3.0])  # few, some and all unsatisfied
def test_sorted_triplets_have_the_gradient_of_those_written_out(
    margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = torch.randn(
        40, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    ).requires_grad_()
    classes = torch.randint(0, 4, (40,), generator=torch.Generator().manual_seed(6))
    classes[0] = 9  # alone in its class
    whole = triplet(features, classes, margin)
    monkeypatch.setattr(losses, "TRIPLETS_WHOLE", 39)
    by_order = triplet(features, classes, margin)
    torch.testing.assert_close(by_order, whole)
    (wanted,), (found,) = (torch.autograd.grad(loss, features) for loss in (whole, by_order))
    torch.testing.assert_close(found, wanted)
    assert triplet(features, torch.arange(40), margin) == 0
