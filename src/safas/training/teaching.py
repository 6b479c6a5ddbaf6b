"""A trained run as the teacher of another: which state of it, on which data, and its answers while training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor

from safas.errors import InputError, ProtocolError
from safas.files import sha256
from safas.methods import Method
from safas.methods.distill import Distill, Teach, at_size
from safas.model import ScoringNet
from safas.protocols import DevRecord, Protocol, dev_record, select_epoch
from safas.training.config import TrainConfig, config_from_json
from safas.training.folder import read_run
from safas.training.scoring import candidate_epochs, has_ended, load_scorer, read_dev_scores, weights_path


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished run at the epoch that source validation chose; the target's scores are not looked at."""

    folder: Path
    said: Mapping[str, Any]  # config.json
    net: ScoringNet
    weights: str  # SHA-256 of their file

    @property
    def config(self) -> TrainConfig:
        """How it was trained."""
        return config_from_json(self.said["config"])

    @property
    def protocol(self) -> Protocol:
        """On what."""
        return Protocol.of_json(self.said["protocol"])


def read_teacher(run_dir: Path) -> Teacher:
    """The run in a folder as a teacher.

    Raises InputError when the folder is no run's, its training has not ended, or the weights of the chosen epoch are
    no longer there.
    """
    said = read_run(run_dir)
    if not has_ended(run_dir):
        raise InputError(
            "the teacher's training has not ended", where=str(run_dir), remedy="Train it to its end first."
        )
    epoch = validated(run_dir).epoch
    net = load_scorer(run_dir, epoch).requires_grad_(False)
    return Teacher(run_dir, said, net, sha256(weights_path(run_dir, epoch).read_bytes()))


def validated(run_dir: Path) -> DevRecord:
    """How a run stands on source validation at the epoch that is chosen there."""
    records = [dev_record(epoch, read_dev_scores(run_dir, epoch)) for epoch in candidate_epochs(run_dir)]
    epoch = select_epoch(records)
    return next(record for record in records if record.epoch == epoch)


def attach(method: Method, teacher: Teacher | None, about: Mapping[str, Any], fabric: Fabric) -> None:
    """Give a student its teacher; nothing to do for other methods. `about`: the student's identity.

    Raises InputError when a student has none, or another than its settings name, or one that learned from other crops;
    ProtocolError when the teacher knows other domains.
    """
    if not isinstance(method, Distill):
        return
    if teacher is None:
        raise InputError(
            "there is no teacher", where="the method distill", remedy="Use `safas distill RUN PREPARED`."
        )
    named = (method.config.teacher, method.config.teacher_weights)
    if named != (teacher.said["run"], teacher.weights):
        raise InputError(
            f"another teacher than {named[0]!r}, which the settings name", where=str(teacher.folder)
        )
    theirs, ours = teacher.said["protocol"]["sources"], about["protocol"]["sources"]
    if theirs != ours:
        raise ProtocolError(
            f"the teacher knows the domains {', '.join(theirs)}, the student learns {', '.join(ours)}",
            where=str(teacher.folder),
            remedy="Distil on the domains that it was trained on, in their order.",
        )
    if teacher.said["data"]["digest"] != about["data"]["digest"]:
        raise InputError(  # what validates the student might have taught the teacher
            "the teacher was trained on other crops than these",
            where=str(teacher.folder),
            remedy="Give the folder that it was trained on.",
        )
    method.teacher = answers(teacher.net, fabric)


def answers(net: ScoringNet, fabric: Fabric) -> Teach:
    """The teacher's logits for views of any size, without a gradient, in the precision of the student's backbone."""
    net = net.to(fabric.device).eval()

    @torch.no_grad()
    def teach(views: Float[Tensor, "N 3 V V"]) -> Float[Tensor, "N H"]:
        with fabric.autocast():
            features = net.backbone(at_size(views, net.image_size))
        logits: Tensor = net.heads(features.float())
        return logits

    return teach
