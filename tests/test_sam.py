"""SAM's gradient in closed form on a quadratic, and against its definition written out without the method."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from safas.batches import Batch
from safas.errors import InputError
from safas.methods.base import OneHead, StepOutput
from safas.methods.sam import Sam, SamConfig
from toy_method import SIDE, D, Tiny, make, toy_batch


class Quadratic(Sam):
    """R(w) = w' diag(1, 4) w / 2 in the bias-free corner of a head with two weights."""

    def loss(self, batch: Batch, step: int) -> StepOutput:
        w = self.heads.weight[0]
        risk = (torch.tensor([1.0, 4.0]) * w.square()).sum() / 2
        none = torch.zeros(1, 2)
        met = torch.ones(1, dtype=torch.bool)
        return OneHead(none, torch.zeros(1, 1), risk, risk[None], met).output(risk)


def test_a_quadratic_by_hand() -> None:
    """A = diag(1, 4), w = (3, 1): g = A w = (3, 4), |g| = 5. rho = 0.5: w + rho g/|g| = (3.3, 1.4).

    There the gradient is A (3.3, 1.4) = (3.3, 5.6); the risk (3.3^2 + 4 * 1.4^2) / 2 = 9.365, at w 6.5.
    """
    method = Quadratic(nn.Identity(), 2, 3, SamConfig(rho=0.5), SIDE, 10)
    with torch.no_grad():
        method.heads.weight.copy_(torch.tensor([[3.0, 1.0]]))
    output = method.gradients(toy_batch(), 0, Tensor.backward)
    assert method.heads.weight.grad is not None
    torch.testing.assert_close(method.heads.weight.grad, torch.tensor([[3.3, 5.6]]))
    assert torch.equal(method.heads.weight.detach(), torch.tensor([[3.0, 1.0]]))
    assert method.heads.bias.grad is None
    assert output.total.item() == pytest.approx(6.5)
    assert output.parts["sharpness"].item() == pytest.approx(9.365 - 6.5, abs=1e-5)


def test_the_gradient_is_that_at_the_definitions_point() -> None:
    """The same network as a function of one list of tensors, differentiated by autograd twice."""
    method, batch = make("sam", config=SamConfig(rho=0.3)), toy_batch()
    values = [parameter.detach().clone().requires_grad_() for parameter in method.parameters()]

    def risk(weights: list[Tensor]) -> Tensor:
        inner, inner_bias, head, head_bias = weights
        features = linear(batch.images.flatten(1), inner, inner_bias).tanh()
        return binary_cross_entropy_with_logits(linear(features, head, head_bias)[:, 0], batch.labels.float())

    slope = torch.autograd.grad(risk(values), values)
    norm = torch.cat([g.flatten() for g in slope]).norm()
    moved = [(v + 0.3 * g / norm).detach().requires_grad_() for v, g in zip(values, slope, strict=True)]
    wanted = torch.autograd.grad(risk(moved), moved)
    method.gradients(batch, 0, Tensor.backward)
    for parameter, gradient, old in zip(method.parameters(), wanted, values, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)
        assert torch.equal(parameter, old)


def test_the_statistics_of_the_batch_norms_follow_one_pass() -> None:
    """Those of a forward pass at the weights as they are: what ERM leaves after one step."""
    statistics = []
    for name in ("erm", "sam"):
        torch.manual_seed(0)
        trunk = nn.Sequential(Tiny(), nn.BatchNorm1d(D))
        method = make(name)
        method.backbone = trunk
        method.gradients(toy_batch(), 0, Tensor.backward)
        statistics.append(trunk[1].state_dict())
    assert all(torch.equal(statistics[0][key], statistics[1][key]) for key in statistics[0])
    assert statistics[1]["num_batches_tracked"] == 1


def test_without_a_way_to_go_it_is_erm() -> None:
    erm, sam = make("erm"), make("sam", config=SamConfig(rho=0.0))
    for method in (erm, sam):
        method.gradients(toy_batch(), 0, Tensor.backward)
    for theirs, ours in zip(erm.parameters(), sam.parameters(), strict=True):
        assert theirs.grad is not None
        assert ours.grad is not None
        assert torch.equal(ours.grad, theirs.grad)
    with pytest.raises(InputError, match=r"method\.rho"):
        SamConfig(rho=-0.1)


def test_what_is_not_finite_uphill_is_noticed_and_leaves_the_weights() -> None:
    """Here all is finite; far away it is not, and the loop looks at every part."""
    method = make("sam", config=SamConfig(rho=3e38))
    before = [parameter.detach().clone() for parameter in method.parameters()]
    output = method.gradients(toy_batch(), 0, Tensor.backward)
    assert output.total.isfinite()
    assert not output.parts["sharpness"].isfinite()
    assert all(torch.equal(p, old) for p, old in zip(method.parameters(), before, strict=True))
