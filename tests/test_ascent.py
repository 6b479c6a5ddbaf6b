"""Going to other weights and back leaves no trace."""

import pytest
import torch
from torch import nn

from safas.methods.ascent import displaced, statistics_held, taken_gradients


def test_weights_come_back_bit_for_bit_whatever_happens() -> None:
    """0.1 + 1e8 - 1e8 is 0 in 32 bits: subtracting the move again would lose the weight."""
    weight, other = nn.Parameter(torch.tensor([0.1, 2.0])), nn.Parameter(torch.ones(1))

    def stop() -> None:
        with displaced(nn.ParameterList([weight, other]), {"0": torch.tensor([1e8, -1.0])}):
            assert weight.tolist() == [1e8, 1.0]
            assert other == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert torch.equal(weight.detach(), torch.tensor([0.1, 2.0]))


def test_held_batch_norms_normalise_by_the_batch_and_remember_nothing() -> None:
    """A frozen layer, which keeps no statistics, stays as it is."""
    net = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False))
    x = torch.tensor([[1.0, 5.0], [3.0, 9.0]])
    free = net(x)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with statistics_held(net):
        assert torch.equal(net(x), free)
        net(100 * x)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net(100 * x)
    assert not torch.equal(net[0].running_mean, before["0.running_mean"])
    assert net[0].num_batches_tracked == 2
    assert not net[1].track_running_stats


def test_gradients_are_taken_but_of_a_parameter_that_took_no_part() -> None:
    net = nn.ParameterList([torch.zeros(2), torch.zeros(2), torch.zeros(1)])
    (3 * net[0][0] + 4 * net[1][1]).backward()
    slope = taken_gradients(net)
    assert {name: gradient.tolist() for name, gradient in slope.items()} == {"0": [3, 0], "1": [0, 4]}
    assert all(parameter.grad is None for parameter in net)
