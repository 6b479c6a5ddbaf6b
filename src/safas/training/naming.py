"""The hash that names a run's folder: it stays what it is when safas learns new settings."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from safas.files import sha256
from safas.protocols import Protocol
from safas.training.config import TrainConfig

# The settings of which every run's name is made, whatever their values: those of the first runs. Never add to these.
# A setting that is not listed here came later. It enters the name only where it differs from its default, which must
# be what runs did before there was the setting; and that default must never be changed afterwards.
_FIRST: Mapping[str, str] = {
    "training": "method seed backbone weights image_size epochs batch sampling lr momentum weight_decay lr_factor "
    "lr_every augment evaluate_every checkpoint_every log_every accelerator precision threads",
    "augment": "rotation_deg scale flip padding",
    "erm-supcon": "contrastive_weight temperature",
    "sa-fas": "alpha align_epoch contrastive_weight temperature scaling rule",
    "irm": "penalty_weight penalty_epoch rescaled",  # its first runs, all without `rescaled`, ran away: named anew
    "vrex": "penalty_weight penalty_epoch",
    "group-dro": "eta",
    "coral": "coral_weight",
    "dann": "adversarial_weight ramp_epochs hidden",
    "ssdg": "triplet_weight adversarial_weight margin ramp_epochs hidden",
    "fishr": "penalty_weight penalty_epoch gamma",
    "mixstyle": "stages probability alpha",
}


def run_hash(config: TrainConfig, protocol: Protocol, digest: str) -> str:
    """12 hex digits that name a run: settings, protocol and the digest of its crops."""
    method = config.method.name
    settings = _told(config, _FIRST["training"])
    settings["augment"] = _told(config.augment, _FIRST["augment"])
    settings["method"] = {"name": method, **_told(config.method, _FIRST.get(method, ""))}
    identity = {"config": settings, "protocol": asdict(protocol), "data": digest}
    return sha256(json.dumps(identity, sort_keys=True).encode())[:12]


def _told(settings: Any, first: str) -> dict[str, Any]:
    """The first settings, and of the later ones those that differ from their defaults."""
    default = asdict(type(settings)())
    return {n: v for n, v in asdict(settings).items() if n in first.split() or v != default[n]}
