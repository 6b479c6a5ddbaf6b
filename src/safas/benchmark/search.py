"""Random search over settings, in DomainBed's manner (Gulrajani, Lopez-Paz, ICLR 2021, arXiv 2007.01434).

Trial 0 has the settings that it was given; every other trial draws all settings of the method's space and of TRAINING
anew. A draw depends on SEED, the number of the trial and the setting's name alone: the same trial has the same
learning rate for every method, and a setting that is added to a space changes no other. The ranges of what DomainBed
tunes are those of its hparams_registry.py, where epochs are shares of its 5000 steps; the learning rate is drawn
around the preset's instead, since theirs are for Adam. So are their weights of penalties, whose size Adam does not
feel: those of IRMv1 and V-REx (up to 1e5 there) and of Fishr are drawn lower here, CORAL's and GroupDRO's also higher.
Images a batch are not drawn (a balanced one has fixed parts).
"""

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from safas.training import TrainConfig

SEED = 2021


Draw = Callable[[float, Any, int], Any]
"""(a share in [0, 1), the setting as given, the training's epochs) -> the value at that share of the range"""


def log(low: float, high: float) -> Draw:
    """10^u, u uniform between the exponents `low` and `high`."""
    return lambda share, given, epochs: _rounded(10 ** (low + share * (high - low)))


def around(width: float) -> Draw:
    """What is given, times 10^u with u uniform in [-width, width]."""
    return lambda share, given, epochs: _rounded(given * 10 ** (width * (2 * share - 1)))


def even(low: float, high: float) -> Draw:
    """Uniform between `low` and `high`."""
    return lambda share, given, epochs: _rounded(low + share * (high - low))


def one_of(*values: Any) -> Draw:
    """One of some values, each as likely."""
    return lambda share, given, epochs: values[int(share * len(values))]


def epoch(low: float, high: float) -> Draw:
    """A number of epochs: a share of the training, uniform between `low` and `high`."""
    return lambda share, given, epochs: int(epochs * (low + share * (high - low)))


def log_epoch(low: float, high: float) -> Draw:
    """A number of epochs: a share 10^u of the training, u uniform between the exponents `low` and `high`."""
    return lambda share, given, epochs: int(epochs * 10 ** (low + share * (high - low)))


def _rounded(value: float) -> float:
    """To three digits, as one would write it into a file."""
    return float(f"{value:.3g}")


Space = Mapping[str, Draw]

# Of every method: the learning rate within a factor of five of the preset's, and DomainBed's range of the decay.
TRAINING: Space = {"lr": around(0.7), "weight_decay": log(-6, -2)}

# The settings of each method; a method that is not here is searched by TRAINING alone.
SPACES: Mapping[str, Space] = {
    "erm": {},
    "erm-supcon": {"contrastive_weight": log(-2, 0), "temperature": one_of(0.05, 0.07, 0.1, 0.2)},
    # A head keeps alpha of its own direction: 1 - alpha from a tenth of the paper's 0.005 to twenty times as much.
    "sa-fas": {
        "contrastive_weight": log(-2, 0),
        "temperature": one_of(0.05, 0.07, 0.1, 0.2),
        "alpha": one_of(0.9995, 0.999, 0.995, 0.99, 0.95, 0.9),
        "align_epoch": epoch(0, 0.5),
    },
    "irm": {"penalty_weight": log(-1, 2), "penalty_epoch": log_epoch(-3.7, 0.3)},
    "vrex": {"penalty_weight": log(-1, 1), "penalty_epoch": log_epoch(-3.7, 0.3)},
    "group-dro": {"eta": log(-3, 0)},
    "coral": {"coral_weight": log(-1, 2)},
    "dann": {"adversarial_weight": log(-2, 2), "hidden": one_of(64, 128, 256, 512, 1024)},
    "ssdg": {
        "triplet_weight": log(-1, 1),
        "adversarial_weight": log(-2, 1),
        "margin": one_of(0.05, 0.1, 0.2, 0.4),
    },
    "fishr": {"penalty_weight": log(-1, 3), "penalty_epoch": epoch(0, 1), "gamma": even(0.9, 0.99)},
    "sam": {"rho": one_of(0.01, 0.02, 0.05, 0.1, 0.2, 0.5)},  # its authors' grid
    "gac-fas": {
        "rho": one_of(0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
        "alpha": log(-5, -2),
        "ascent_epoch": epoch(0, 0.5),
        "contrastive_weight": log(-2, 0),
        "temperature": one_of(0.05, 0.07, 0.1, 0.2),
    },
    "gd-fas": {
        "scaling_range": even(0, 2),
        "specific_weight": log(-1, 1),
        "temperature": one_of(0.1, 0.2, 0.5, 1.0, 1.1),
    },
    "refilm": {"strength": even(0, 1), "average_epoch": epoch(0, 1)},
    "mixstyle": {"probability": even(0.1, 0.9), "alpha": log(-1, 0), "stages": one_of(1, 2, 3)},
}


def drawn(config: TrainConfig, trial: int, told: Collection[str] = ()) -> TrainConfig:
    """The settings of a trial; those of `told` (the method's by "method.<name>") stay as they are in `config`."""
    if trial == 0:
        return config
    own: dict[str, Any] = {
        name: draw(_share(trial, name), getattr(config.method, name), config.epochs)
        for name, draw in SPACES.get(config.method.name, {}).items()
        if f"method.{name}" not in told
    }
    common = {
        name: draw(_share(trial, name), getattr(config, name), config.epochs)
        for name, draw in TRAINING.items()
        if name not in told
    }
    changes: dict[str, Any] = {**common, "method": replace(config.method, **own)}
    return replace(config, **changes)


def _share(trial: int, name: str) -> float:
    return float(np.random.default_rng([SEED, trial, zlib.crc32(name.encode())]).random())
