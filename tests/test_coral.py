"""CORAL's distance against numpy's covariances."""

import numpy as np
import pytest
import torch

from safas.methods import coral
from safas.methods.coral import CoralConfig, coral_distance
from toy_method import make, same_gradient, toy_batch


def test_two_domains_by_hand() -> None:
    """Domain 0: (0, 0), (2, 0): C = diag(2, 0). Domain 1: (5, 5), (5, 9): C = diag(0, 8).

    |C_0 - C_1|^2 = 4 + 64 = 68, and / (4 * 2^2) = 4.25. Where the points lie as a whole does not matter.
    """
    features = torch.tensor([[0.0, 0.0], [5.0, 5.0], [2.0, 0.0], [5.0, 9.0]])
    assert float(coral_distance(features, torch.tensor([0, 1, 0, 1]))) == 4.25


@pytest.mark.parametrize("few", [2, 3])  # by the mean covariance; by pairs
def test_equals_numpy_for_domains_of_unequal_share(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean over the three pairs of the four domains of which one has a single sample."""
    monkeypatch.setattr(coral, "FEW", few)
    features = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    domains = torch.tensor([0] * 9 + [1] * 6 + [2] * 4 + [3])
    covariances = [np.cov(features[domains == e].numpy(), rowvar=False) for e in range(3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    wanted = np.mean([np.linalg.norm(covariances[i] - covariances[j]) ** 2 / 100 for i, j in pairs])
    assert float(coral_distance(features, domains)) == pytest.approx(wanted)


def test_many_domains_have_the_gradient_of_all_their_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twelve domains, 66 pairs."""
    features = torch.randn(
        48, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).requires_grad_()
    domains = torch.arange(48) % 12
    gradients = []
    for few in (8, 12):
        monkeypatch.setattr(coral, "FEW", few)
        gradients.append(torch.autograd.grad(coral_distance(features, domains), features)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_one_domain_has_nothing_to_align() -> None:
    assert float(coral_distance(torch.randn(4, 3), torch.zeros(4, dtype=torch.long))) == 0


def test_the_total_adds_the_weighted_distance() -> None:
    """Its gradient too, with torch's covariances of the features that the weights make."""
    method, batch = make("coral", config=CoralConfig(coral_weight=3.0)), toy_batch()
    output, features = method.loss(batch, 0), method.backbone(batch.images)
    C = [torch.cov(features[batch.domains == e].T) for e in range(3)]
    D = features.shape[1]
    distance = sum((C[i] - C[j]).square().sum() for i, j in ((0, 1), (0, 2), (1, 2))) / 3 / (4 * D**2)
    wanted = output.risks.mean() + 3 * distance
    torch.testing.assert_close(output.total, wanted)
    same_gradient(output.total, wanted, method)
