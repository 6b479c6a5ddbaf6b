"""From a finished run to a small student of it, which is a run like any other."""

from dataclasses import dataclass, replace
from pathlib import Path

from safas.errors import InputError
from safas.methods.distill import DistillConfig
from safas.prepared import prepared_samples
from safas.protocols import source_data
from safas.training import Teacher, TrainConfig, read_teacher, train


@dataclass(frozen=True)
class StudentConfig:
    """The student, and what its training does not share with its teacher's."""

    backbone: str = "shufflenet_v2_x0_5"
    """a torchvision network; the default has 0.34 million weights"""
    image_size: int = 112
    """side in pixels of what it sees, whatever its teacher saw: so small a network has time to look closely"""
    epochs: int | None = None
    """none: as many as the teacher's"""
    lr: float | None = None
    """learning rate; none: the teacher's"""
    temperature: float = DistillConfig.temperature
    """T > 0 by which the logits of both are divided before they are compared"""
    soft_weight: float = DistillConfig.soft_weight
    """in [0, 1]: what the teacher's answers weigh; the labels weigh the rest"""
    seed: int = 0
    """>= 0; decides the first weights, the order of the videos, their frames and the views"""
    threads: int | None = None
    """CPU threads; none: as many as torch takes by itself"""
    accelerator: str = "auto"
    """auto, cpu, cuda or mps, whatever the teacher was trained on"""

    def __post_init__(self) -> None:
        if self.image_size < 8:  # 0 would be taken for its teacher's
            raise InputError(f"image_size = {self.image_size} is below 8", where="settings of the student")


def distill(
    run_dir: Path, prepared: Path, runs: Path, config: StudentConfig = StudentConfig(), progress: bool = True
) -> Path:
    """Train a student of the run in `run_dir` and return its folder runs/<hash>/; its hash says whose it is.

    The student learns on the crops, domains and splits that its teacher learned on, and validates where it did. Killed,
    the same call goes on where it was. Raises InputError when a folder is not what it should be, the teacher's weights
    are gone or the crops are others, and whatever `train` raises.
    """
    teacher = read_teacher(run_dir)
    data = source_data(teacher.protocol, prepared_samples(prepared))
    return train(student_of(teacher, config), data, prepared, runs, progress=progress, teacher=teacher)


def student_of(teacher: Teacher, config: StudentConfig) -> TrainConfig:
    """All settings of the student's run: the teacher's, with its own network and objective."""
    theirs, net = teacher.config, teacher.net
    side = config.image_size
    drawn = max(side, net.image_size)  # of the views, so that neither sees less than it could
    method = DistillConfig(
        teacher=teacher.said["run"],
        teacher_weights=teacher.weights,
        heads=net.heads.num_domains,
        rule=net.rule,
        side=0 if side == drawn else side,
        temperature=config.temperature,
        soft_weight=config.soft_weight,
    )
    epochs = theirs.epochs if config.epochs is None else config.epochs
    return replace(
        theirs,
        method=method,
        backbone=config.backbone,
        weights="none",
        image_size=drawn,
        epochs=epochs,
        lr=theirs.lr if config.lr is None else config.lr,
        lr_every=max(1, round(theirs.lr_every * epochs / theirs.epochs)),
        seed=config.seed,
        threads=config.threads,
        accelerator=config.accelerator,
    )
