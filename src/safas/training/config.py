"""The settings of a run, and the two named presets."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from safas.augment import AugmentConfig
from safas.batches import Sampling
from safas.errors import InputError
from safas.methods import BY_THEMSELVES, CONFIGS, MethodConfig
from safas.methods.base import SetsIn
from safas.methods.coral import CoralConfig
from safas.methods.dann import DannConfig
from safas.methods.fishr import FishrConfig
from safas.methods.gac_fas import GacFasConfig
from safas.methods.group_dro import GroupDroConfig
from safas.methods.irm import IrmConfig
from safas.methods.refilm import RefilmConfig
from safas.methods.sa_fas import SaFasConfig
from safas.methods.ssdg import SsdgConfig
from safas.methods.vrex import VRexConfig

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run but its data. The defaults are those of SA-FAS's authors."""

    method: MethodConfig = field(default_factory=SaFasConfig)
    """the objective and its own settings"""
    seed: int = 0
    """>= 0; decides the first weights, the order of the videos, their frames and the views"""
    backbone: str = "resnet18"
    """a torchvision network"""
    weights: str = "imagenet"
    """what the backbone starts from: imagenet, none (random) or the path of a file"""
    image_size: int = 256
    """side in pixels of what the backbone sees"""
    epochs: int = 100
    """an epoch is number of videos // batch steps: one random frame of each video"""
    batch: int = 96
    """images a step, each of them in two views"""
    sampling: Sampling = "plain"
    """plain: shuffled; balanced: as many of every (domain, label) in each batch"""
    lr: float = 0.005
    """learning rate of SGD"""
    momentum: float = 0.9
    """of SGD"""
    weight_decay: float = 5e-4
    """acts on every parameter, those of the batch norms included"""
    lr_factor: float = 0.5
    """the learning rate is multiplied by this ..."""
    lr_every: int = 40
    """... after every so many epochs"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """the random views"""
    evaluate_every: int = 1
    """epochs between two evaluations on source validation; the weights of each are kept"""
    checkpoint_every: int = 100
    """steps between two checkpoints: what a killed run may have to do again"""
    log_every: int = 10
    """steps between two lines of the log; losses are means over them"""
    accelerator: str = "auto"
    """auto, cpu, cuda or mps"""
    precision: Precision = "auto"
    """auto: bfloat16 for the backbone where the processor has it and the method bears it, losses always in 32 bits"""
    threads: int | None = None
    """CPU threads; none: as many as torch takes by itself"""
    sync_batch_norm: bool = True
    """on several devices: batch norms see the whole batch, as on one; off: their device's share (faster)"""

    def __post_init__(self) -> None:
        least = {"seed": 0, "lr_every": 1, "evaluate_every": 1, "checkpoint_every": 1, "log_every": 1}
        least |= {"image_size": 8, "epochs": 1, "batch": 2}
        least |= dict.fromkeys(("lr", "lr_factor", "momentum", "weight_decay"), 0)
        for name, value in least.items():
            now = getattr(self, name)
            if not now >= value:
                raise InputError(f"{name} = {now} is below {value}", where="training settings")
            # A table of scores holds whole numbers of 64 bits.
            if now == math.inf or (isinstance(now, int) and now >= 2**63):
                raise InputError(f"{name} = {now} is too large", where="training settings")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads = {self.threads} is below 1", where="training settings")

    @property
    def first_candidate(self) -> int:
        """First epoch (from 0) that may be chosen: the first with all of the method at work, or the last of all."""
        return min(self._onset, self.epochs - 1)

    @property
    def is_long_enough(self) -> bool:
        """Whether there is an epoch at whose end all of the method has been at work."""
        return self._onset < self.epochs

    @property
    def _onset(self) -> int:
        return self.method.onset_epoch if isinstance(self.method, SetsIn) else 0

    def lr_at(self, epoch: int) -> float:
        """The learning rate in an epoch (from 0)."""
        return self.lr * self.lr_factor ** (epoch // self.lr_every)

    def is_evaluated(self, epoch: int) -> bool:
        """Whether an epoch (from 0) ends with an evaluation; the last one always does."""
        return (epoch + 1) % self.evaluate_every == 0 or epoch == self.epochs - 1


# paper: the defaults of the authors' code. demo: a minute on two CPU cores, from random weights: smaller images,
# mild rotation and little zoom (so few steps do not suffice for more), a steeper schedule, and a faster alignment
# because there are some hundreds of steps instead of some ten thousand.
PRESETS: Mapping[str, TrainConfig] = {
    "paper": TrainConfig(),
    "demo": TrainConfig(
        method=SaFasConfig(alpha=0.99, align_epoch=4),
        weights="none",
        image_size=80,
        epochs=20,
        batch=32,
        sampling="balanced",
        lr=0.01,
        lr_factor=0.3,
        lr_every=8,
        augment=AugmentConfig(rotation_deg=10.0, scale=(0.6, 1.0), padding="reflection"),
        checkpoint_every=50,
        log_every=5,
    ),
}

# The defaults of the other methods are for the hundred epochs of "paper". In the demo's twenty, what sets in or
# grows with the epochs does so at the same share of the training; eta is that of 5000 steps, DomainBed's, in 360.
# The weights of four penalties are not the published ones, which are for Adam, whose steps do not grow with the
# gradient: here the penalty's gradient is about as long as the risk's, four to ten tenths of it, in a run of ERM
# half-way (benchmarks/penalties.py, on training crops), since much more turns the sign of V-REx's best learned domains.
# IRMv1 with all of L ran away in the simulated protocols: with 10 in all four, soon after the onset, with 3 in one,
# and in two others its risk stayed at chance. So L is divided by lambda, as its authors' code does.
_DEMO_METHODS: Mapping[str, MethodConfig] = {
    "irm": IrmConfig(penalty_weight=3.0, penalty_epoch=2),
    "vrex": VRexConfig(penalty_weight=3.0, penalty_epoch=2),
    "group-dro": GroupDroConfig(eta=0.14),
    "coral": CoralConfig(coral_weight=20.0),
    "dann": DannConfig(ramp_epochs=20),
    "ssdg": SsdgConfig(ramp_epochs=20),
    "fishr": FishrConfig(penalty_weight=2.0, penalty_epoch=6),
    "gac-fas": GacFasConfig(ascent_epoch=2),
    "refilm": RefilmConfig(average_epoch=8),
}


def preset(name: str, method: str = "sa-fas", seed: int = 0) -> TrainConfig:
    """A preset's settings with a method of METHODS, whose own settings fit the preset's number of epochs.

    Raises InputError for an unknown preset or method.
    """
    if name not in PRESETS:
        raise InputError(f"no preset is called {name!r}", remedy=f"Choose from: {', '.join(PRESETS)}.")
    if method not in CONFIGS:
        raise InputError(
            f"no method is called {method!r}", remedy=f"Choose from: {', '.join(BY_THEMSELVES)}."
        )
    config = PRESETS[name]
    of_preset = {config.method.name: config.method, **(_DEMO_METHODS if name == "demo" else {})}
    own = of_preset.get(method) or CONFIGS[method]()
    return replace(config, method=own, seed=seed)


def config_from_json(data: Mapping[str, Any]) -> TrainConfig:
    """The settings that `dataclasses.asdict` wrote; those that it did not know yet stand at their defaults.

    Raises InputError for an unknown key, or when the method is not named.
    """
    try:
        method = CONFIGS[data["method"]["name"]](**data["method"])
        augment = AugmentConfig(**{**data["augment"], "scale": tuple(data["augment"]["scale"])})
        return TrainConfig(**{**data, "method": method, "augment": augment})
    except (KeyError, TypeError) as error:
        raise InputError(f"these are not a run's settings ({error})") from error
