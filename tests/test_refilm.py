"""ReFilm: ERM on other views, and the mean of the weights."""

import copy

import pytest
import torch
from torch.optim import swa_utils

from safas.errors import InputError
from safas.methods.erm import ErmConfig
from safas.methods.refilm import Refilm, RefilmConfig
from safas.model import backbone
from toy_method import make, toy_batch


def test_without_the_cameras_it_is_erm() -> None:
    ours, theirs = make("refilm", config=RefilmConfig(strength=0)), make("erm", config=ErmConfig())
    theirs.load_state_dict(ours.state_dict(), strict=False)
    batch = toy_batch()
    made, expected = ours.loss(batch, 3), theirs.loss(batch, 3)
    assert torch.equal(made.total, expected.total)
    assert made.logits.shape == (len(batch.images), 1)


def test_second_views_are_filmed_anew_at_every_step_and_first_views_stay() -> None:
    method, batch = make("refilm"), toy_batch()
    made, again, other = (method.loss(batch, step).features for step in (0, 0, 1))
    plain, half = method.backbone(batch.images), len(batch.images) // 2
    assert torch.equal(made, again)
    torch.testing.assert_close(made[:half], plain[:half])
    for features in (other, plain):
        assert not torch.isclose(made[half:], features[half:]).all(dim=1).any()


def test_from_the_first_averaged_step_on_the_mean_of_the_weights_is_scored() -> None:
    """Two epochs of 10 steps pass first; then the weights 1, 4, 7 have the means 1, 2.5, 4."""
    method = make("refilm", config=RefilmConfig(average_epoch=2))
    bias, scored = method.heads.bias, method.scoring_net().heads.bias
    seen = []
    for step, value in ((0, -5.0), (19, 9.0), (20, 1.0), (21, 4.0), (22, 7.0)):
        with torch.no_grad():
            bias.fill_(value)
        method.after_step(step)
        seen.append(float(scored[0]))
    assert seen == pytest.approx([-5.0, 9.0, 1.0, 2.5, 4.0])


def test_after_a_stop_the_mean_goes_on() -> None:
    trunk_like = make("refilm", config=RefilmConfig(average_epoch=0))
    for step in range(3):
        trunk_like.after_step(step)
    state = copy.deepcopy(trunk_like.state_dict())
    again = make("refilm", seed=7, config=RefilmConfig(average_epoch=0))
    again.load_state_dict(state)
    for method in (trunk_like, again):
        with torch.no_grad():
            method.heads.bias.fill_(2.0)
        method.after_step(3)
    assert torch.equal(trunk_like.scoring_net().heads.bias, again.scoring_net().heads.bias)


def test_running_statistics_are_averaged_too() -> None:
    """A running mean of 1, then 4: 2.5. The count of batches, a whole number, is among what is averaged."""
    trunk, dim = backbone("resnet18")
    method = Refilm(trunk, dim, 2, RefilmConfig(average_epoch=0), 32, 1)
    ours, scored = (net.get_submodule("trunk.bn1") for net in (trunk, method.scoring_net().backbone))
    for step, value in enumerate((1.0, 4.0)):
        ours.get_buffer("running_mean").fill_(value)
        method.after_step(step)
    torch.testing.assert_close(scored.get_buffer("running_mean"), torch.full((64,), 2.5))


def test_the_average_does_not_take_the_way_of_cuda_that_refuses_whole_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torch's own choice there, of many tensors at once, fails on the counts of the batch norms."""
    monkeypatch.setattr(swa_utils, "_get_foreach_kernels_supported_devices", lambda: ["cpu"])
    trunk, dim = backbone("resnet18")
    method = Refilm(trunk, dim, 2, RefilmConfig(average_epoch=0), 32, 1)
    plain = swa_utils.AveragedModel(trunk, use_buffers=True)
    plain.update_parameters(trunk)
    with pytest.raises(RuntimeError, match="nteger"):
        plain.update_parameters(trunk)
    for step in range(3):
        trunk.get_buffer("trunk.bn1.num_batches_tracked").fill_(2 * step)
        method.after_step(step)
    assert method.scoring_net().get_buffer("backbone.trunk.bn1.num_batches_tracked") == 2


def test_switched_off_the_last_weights_are_scored() -> None:
    method = make("refilm", config=RefilmConfig(averaged=False, average_epoch=0))
    for step, value in enumerate((1.0, 4.0)):
        with torch.no_grad():
            method.heads.bias.fill_(value)
        method.after_step(step)
    assert float(method.scoring_net().heads.bias[0]) == 4.0


@pytest.mark.parametrize("wrong", [{"strength": 1.5}, {"strength": -1.0}, {"average_epoch": -1}])
def test_a_wrong_setting_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        RefilmConfig(**wrong)
