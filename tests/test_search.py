"""The search's draws: from where to where, from what alone they follow, and what stays as it was told."""

from dataclasses import replace

import numpy as np
import pytest

from safas.benchmark.search import (
    SPACES,
    TRAINING,
    around,
    drawn,
    epoch,
    even,
    log,
    log_epoch,
    one_of,
)
from safas.methods import CONFIGS, METHODS
from safas.methods.irm import IrmConfig
from safas.training import preset


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["demo", "paper"])
def test_trial_0_is_what_was_given_and_every_other_is_valid(method: str, name: str) -> None:
    """The settings check themselves when they are made."""
    config = preset(name, method)
    assert drawn(config, 0) == config
    made = [drawn(config, trial) for trial in range(1, 40)]
    assert len(set(made)) == 39
    for one in made:
        assert 0.199 < one.lr / config.lr < 5.02
        assert 1e-6 <= one.weight_decay <= 1e-2
        assert replace(one, lr=config.lr, weight_decay=config.weight_decay, method=config.method) == config


def test_a_space_names_settings_of_its_method_that_do_vary() -> None:
    assert set(SPACES) <= set(METHODS)
    for method, space in SPACES.items():
        own = CONFIGS[method]()
        for setting in space:
            assert hasattr(own, setting), (method, setting)
            config = preset("paper", method)
            values = {getattr(drawn(config, trial).method, setting) for trial in range(1, 40)}
            assert len(values) > 1, (method, setting)


def test_a_trial_draws_the_same_for_every_method_and_whatever_else_is_drawn() -> None:
    """A third trial's learning rate is one number, and a contrastive weight too, in whatever space it stands."""
    third = [drawn(preset("demo", method), 3) for method in METHODS]
    assert len({one.lr for one in third}) == 1
    supcon, sa_fas = drawn(preset("demo", "erm-supcon"), 3).method, drawn(preset("demo"), 3).method
    assert supcon.contrastive_weight == sa_fas.contrastive_weight  # type: ignore[union-attr]


def test_what_was_told_is_left_as_it_is() -> None:
    config = preset("demo")
    one = drawn(config, 1, {"lr", "method.alpha"})
    assert (one.lr, one.method.alpha) == (config.lr, 0.99)  # type: ignore[union-attr]
    assert one.weight_decay == drawn(config, 1).weight_decay != config.weight_decay
    every = {*TRAINING, *(f"method.{name}" for name in SPACES["sa-fas"])}
    assert drawn(config, 1, every) == config


def test_the_numbers_are_written_down() -> None:
    """They must never change: runs are found again by their settings."""
    one = drawn(preset("demo", "irm"), 1)
    assert (one.lr, one.weight_decay) == (0.0498, 0.000143)
    assert one.method == IrmConfig(penalty_weight=9.82, penalty_epoch=12)


def test_ranges_by_hand() -> None:
    """The ends and the middle: 10^-1 to 10^3 has its middle at 10; 20 epochs' share 10^-1 is 2."""
    assert [log(-1, 3)(share, 0, 0) for share in (0, 0.5, 1)] == [0.1, 10, 1000]
    assert [around(1)(share, 0.02, 0) for share in (0, 0.5, 1)] == [0.002, 0.02, 0.2]
    assert [even(0.9, 1)(share, 0, 0) for share in (0, 0.5, 1)] == [0.9, 0.95, 1]
    assert [one_of(3, 5, 7)(share, 0, 0) for share in (0, 0.34, 0.99)] == [3, 5, 7]
    assert [epoch(0, 0.5)(share, 0, 20) for share in (0, 0.5, 1)] == [0, 5, 10]
    assert [log_epoch(-3, 0)(share, 0, 20) for share in (0, 2 / 3 + 1e-9, 1)] == [0, 2, 20]


def test_the_draws_fill_their_range() -> None:
    """The learning rates of 400 trials lie evenly on a logarithmic scale: a quarter in each quarter, +- 4 sigma."""
    config = preset("demo", "erm")
    exponents = np.log10([drawn(config, trial).lr / config.lr for trial in range(1, 401)])
    counts, _ = np.histogram(exponents, bins=4, range=(-0.7, 0.7))
    assert np.abs(counts - 100).max() < 4 * np.sqrt(400 * 0.25 * 0.75)
