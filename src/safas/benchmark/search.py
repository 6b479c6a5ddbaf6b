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
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from safas.training import TrainConfig

SEED = 2021


@dataclass(frozen=True)
class Log:
    """10^u, u uniform between the exponents `low` and `high`."""

    low: float
    high: float

    def at(self, share: float, given: float, epochs: int) -> float:
        """The value at a share, in [0, 1), of the range."""
        return _rounded(10 ** (self.low + share * (self.high - self.low)))


@dataclass(frozen=True)
class Around:
    """What is given, times 10^u with u uniform in [-width, width]."""

    width: float

    def at(self, share: float, given: float, epochs: int) -> float:
        """The value at a share, in [0, 1), of the range."""
        return _rounded(given * 10 ** (self.width * (2 * share - 1)))


@dataclass(frozen=True)
class Even:
    """Uniform between `low` and `high`."""

    low: float
    high: float

    def at(self, share: float, given: float, epochs: int) -> float:
        """The value at a share, in [0, 1), of the range."""
        return _rounded(self.low + share * (self.high - self.low))


@dataclass(frozen=True)
class OneOf:
    """One of some values, each as likely."""

    values: tuple[Any, ...]

    def at(self, share: float, given: float, epochs: int) -> Any:
        """The value at a share, in [0, 1), of the row."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True)
class Epoch:
    """A number of epochs: a share of the training, uniform between `low` and `high`."""

    low: float
    high: float

    def at(self, share: float, given: float, epochs: int) -> int:
        """The value at a share, in [0, 1), of the range."""
        return int(epochs * (self.low + share * (self.high - self.low)))


@dataclass(frozen=True)
class LogEpoch:
    """A number of epochs: a share 10^u of the training, u uniform between the exponents `low` and `high`."""

    low: float
    high: float

    def at(self, share: float, given: float, epochs: int) -> int:
        """The value at a share, in [0, 1), of the range."""
        return int(epochs * 10 ** (self.low + share * (self.high - self.low)))


Draw = Log | Around | Even | OneOf | Epoch | LogEpoch
Space = Mapping[str, Draw]

# Of every method: the learning rate within a factor of five of the preset's, and DomainBed's range of the decay.
TRAINING: Space = {"lr": Around(0.7), "weight_decay": Log(-6, -2)}

# The settings of each method; a method that is not here is searched by TRAINING alone.
SPACES: Mapping[str, Space] = {
    "erm": {},
    "erm-supcon": {"contrastive_weight": Log(-2, 0), "temperature": OneOf((0.05, 0.07, 0.1, 0.2))},
    # A head keeps alpha of its own direction: 1 - alpha from a tenth of the paper's 0.005 to twenty times as much.
    "sa-fas": {
        "contrastive_weight": Log(-2, 0),
        "temperature": OneOf((0.05, 0.07, 0.1, 0.2)),
        "alpha": OneOf((0.9995, 0.999, 0.995, 0.99, 0.95, 0.9)),
        "align_epoch": Epoch(0, 0.5),
    },
    "irm": {"penalty_weight": Log(-1, 2), "penalty_epoch": LogEpoch(-3.7, 0.3)},
    "vrex": {"penalty_weight": Log(-1, 1), "penalty_epoch": LogEpoch(-3.7, 0.3)},
    "group-dro": {"eta": Log(-3, 0)},
    "coral": {"coral_weight": Log(-1, 2)},
    "dann": {"adversarial_weight": Log(-2, 2), "hidden": OneOf((64, 128, 256, 512, 1024))},
    "ssdg": {
        "triplet_weight": Log(-1, 1),
        "adversarial_weight": Log(-2, 1),
        "margin": OneOf((0.05, 0.1, 0.2, 0.4)),
    },
    "fishr": {"penalty_weight": Log(-1, 3), "penalty_epoch": Epoch(0, 1), "gamma": Even(0.9, 0.99)},
    "sam": {"rho": OneOf((0.01, 0.02, 0.05, 0.1, 0.2, 0.5))},  # its authors' grid
    "gac-fas": {
        "rho": OneOf((0.01, 0.02, 0.05, 0.1, 0.2, 0.5)),
        "alpha": Log(-5, -2),
        "ascent_epoch": Epoch(0, 0.5),
        "contrastive_weight": Log(-2, 0),
        "temperature": OneOf((0.05, 0.07, 0.1, 0.2)),
    },
    "gd-fas": {
        "scaling_range": Even(0, 2),
        "specific_weight": Log(-1, 1),
        "temperature": OneOf((0.1, 0.2, 0.5, 1.0, 1.1)),
    },
    "refilm": {"strength": Even(0, 1), "average_epoch": Epoch(0, 1)},
    "mixstyle": {"probability": Even(0.1, 0.9), "alpha": Log(-1, 0), "stages": OneOf((1, 2, 3))},
}


def drawn(config: TrainConfig, trial: int, told: Collection[str] = ()) -> TrainConfig:
    """The settings of a trial; those of `told` (the method's by "method.<name>") stay as they are in `config`."""
    if trial == 0:
        return config
    own: dict[str, Any] = {
        name: draw.at(_share(trial, name), getattr(config.method, name), config.epochs)
        for name, draw in SPACES.get(config.method.name, {}).items()
        if f"method.{name}" not in told
    }
    common = {
        name: draw.at(_share(trial, name), getattr(config, name), config.epochs)
        for name, draw in TRAINING.items()
        if name not in told
    }
    changes: dict[str, Any] = {**common, "method": replace(config.method, **own)}
    return replace(config, **changes)


def _share(trial: int, name: str) -> float:
    return float(np.random.default_rng([SEED, trial, zlib.crc32(name.encode())]).random())


def _rounded(value: float) -> float:
    """To three digits, as one would write it into a file."""
    return float(f"{value:.3g}")
