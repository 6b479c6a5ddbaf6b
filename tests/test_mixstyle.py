"""MixStyle: what is mixed, when, and that scoring knows nothing of it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from safas.errors import InputError
from safas.methods.mixstyle import MixStyle, MixStyleConfig, draw, mixed, residual_stages
from safas.model import backbone
from toy_method import make, same_gradient, toy_batch


def test_two_maps_by_hand() -> None:
    """Sample 0 has the values 1 and 3 (mean 2, variance 2), sample 1 has 10 and 30 (20, 200).

    With 3/4 of its own style sample 0 gets the mean 0.75*2 + 0.25*20 = 6.5 and the deviation
    (0.75 + 0.25*10) sqrt 2 = 3.25 sqrt 2: 6.5 -+ 3.25 = 3.25 and 9.75. With the partner's alone, sample 1
    takes the values of sample 0.
    """
    x = torch.tensor([[1.0, 3.0], [10.0, 30.0]]).view(2, 1, 1, 2)
    y = mixed(x, torch.tensor([1, 0]), torch.tensor([0.75, 0.0]), epsilon=0.0)
    torch.testing.assert_close(y.flatten(1), torch.tensor([[3.25, 9.75], [1.0, 3.0]]))


def test_the_styles_are_constants_to_the_gradient() -> None:
    """dy/dx = mixed deviation / deviation: 3.25 for sample 0 of the case above, 1 with a style of its own."""
    x = torch.tensor([[1.0, 3.0], [10.0, 30.0]]).view(2, 1, 1, 2).requires_grad_()
    y = mixed(x, torch.tensor([1, 0]), torch.tensor([0.75, 1.0]), epsilon=0.0)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(1), torch.tensor([[3.25, 3.25], [1.0, 1.0]]))


def test_partners_are_a_permutation_and_shares_mostly_near_the_ends() -> None:
    """Beta(0.1, 0.1) has the mean 1/2 and the variance 1 / (4 * 1.2) = 0.2083."""
    partner, share = draw(20000, 0.1, np.random.default_rng(0))
    assert torch.equal(partner.sort().values, torch.arange(20000))
    assert share.mean().item() == pytest.approx(0.5, abs=0.02)
    assert share.var().item() == pytest.approx(0.2083, abs=0.01)


def test_it_mixes_in_training_only_and_by_the_step() -> None:
    always, batch = make("mixstyle", config=MixStyleConfig(probability=1.0)), toy_batch()
    plain = always.backbone(batch.images)
    assert not torch.equal(always.loss(batch, 0).features, plain)
    assert torch.equal(always.loss(batch, 5).features, always.loss(batch, 5).features)
    assert not torch.equal(always.loss(batch, 5).features, always.loss(batch, 6).features)
    assert torch.equal(always.backbone(batch.images), plain)  # nothing is left behind
    never = make("mixstyle", config=MixStyleConfig(probability=0.0))
    assert torch.equal(never.loss(batch, 0).features, plain)


def test_it_mixes_after_the_first_residual_stages() -> None:
    trunk, dim = backbone("resnet18")
    stages: Any = trunk.get_submodule("trunk")
    assert residual_stages(trunk, 2) == [stages.layer1, stages.layer2]
    method = MixStyle(trunk, dim, 2, MixStyleConfig(probability=1.0, stages=1), 32, 1)
    seen: list[torch.Tensor] = []
    stages.layer1.register_forward_hook(lambda _module, _inputs, x: seen.append(x.detach()))
    stages.layer2.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].detach()))
    batch = toy_batch()
    method.loss(batch, 0)
    assert not torch.equal(seen[0], seen[1])


def test_a_backbone_without_stages_is_refused() -> None:
    with pytest.raises(InputError, match="no layer1 after which MixStyle could mix"):
        residual_stages(backbone("mobilenet_v3_small")[0], 1)
    with pytest.raises(InputError, match=r"method\.probability"):
        MixStyleConfig(probability=1.5)


def test_maps_of_one_pixel_have_no_style() -> None:
    partner, share = draw(2, 0.1, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"single pixel.*method\.stages"):
        mixed(torch.rand(2, 3, 1, 1), partner, share)


def test_epsilon_belongs_to_the_variance() -> None:
    """Variances 2 and 200, epsilon 1: the deviations sqrt 3 and sqrt 201, half of each.

    Sample 0 lies 1 from its mean: 11 -+ (sqrt 3 + sqrt 201) / (2 sqrt 3).
    """
    x = torch.tensor([[1.0, 3.0], [10.0, 30.0]]).view(2, 1, 1, 2)
    y = mixed(x, torch.tensor([1, 0]), torch.tensor([0.5, 0.5]), epsilon=1.0)
    away = (3**0.5 + 201**0.5) / (2 * 3**0.5)
    torch.testing.assert_close(y[0].flatten(), torch.tensor([11 - away, 11 + away]))


def test_each_stage_mixes_in_its_share_of_the_steps() -> None:
    """The toy's three stages do nothing, so features differ from the plain ones when any of them mixed: 1 - 0.3^3."""
    method, batch = make("mixstyle", config=MixStyleConfig(probability=0.7)), toy_batch()
    plain = method.backbone(batch.images)
    times = sum(not torch.equal(method.loss(batch, step).features, plain) for step in range(1000))
    assert times / 1000 == pytest.approx(1 - 0.3**3, abs=0.02)
    one = make("mixstyle", config=MixStyleConfig(probability=0.7, stages=1))
    times = sum(not torch.equal(one.loss(batch, step).features, plain) for step in range(1000))
    assert times / 1000 == pytest.approx(0.7, abs=0.05)


def test_the_total_is_the_cross_entropy_of_the_mixed_features() -> None:
    method, batch = make("mixstyle", config=MixStyleConfig(probability=1.0)), toy_batch()
    output = method.loss(batch, 0)
    logits = method.heads(output.features)[:, 0]
    wanted = binary_cross_entropy_with_logits(logits, batch.labels.float())
    torch.testing.assert_close(output.total, wanted)
    same_gradient(output.total, wanted, method)
