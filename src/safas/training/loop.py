"""The one training loop, for every method."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from safas.batches import CropStore, Sampler
from safas.errors import DivergenceError, ProtocolError, TrainingError
from safas.methods import METHODS, Method
from safas.model import ScoringNet, backbone
from safas.protocols import SourceData
from safas.training.checkpoint import load, restore, save, state_of
from safas.training.config import TrainConfig
from safas.training.environment import environment, make_fabric, reproducible
from safas.training.folder import CHECKPOINT, identity, open_folder
from safas.training.progress import Progress
from safas.training.records import Record, Records
from safas.training.scoring import has_ended, keep_dev_scores, validate, weights_path
from safas.training.step import make_batch, take_step
from safas.training.teaching import Teacher, attach


def train(
    config: TrainConfig,
    data: SourceData,
    prepared: Path,
    runs: Path,
    resume: bool = True,
    progress: bool = True,
    teacher: Teacher | None = None,
) -> Path:
    """Train one run and return its folder runs/<hash>/; a complete run that is there is returned as it is.

    `data` holds source rows only: the target's files cannot be reached from here. A complete run needs neither
    checkpoint nor weights to be known as such. resume: go on from the last checkpoint, which gives bit for bit
    what an uninterrupted run on one machine and thread count gives; without it the run's folder is emptied first.
    teacher: of a student (the method "distill"), as its settings name it.
    Raises InputError for settings that do not fit the data, ProtocolError when a domain has lost a label in
    preparation, DivergenceError for a loss that is not finite (naming step and part; the last checkpoint stays),
    TrainingError for a folder or checkpoint of another run.
    """
    fabric = make_fabric(config)
    with reproducible(config, fabric.device):
        stores = read_crops(data, prepared)
        for name, store in stores.items():
            _check_labels(store, name)
        about = identity(config, data, stores)
        trainer = _set_up(fabric, config, stores, runs / about["run"])
        attach(trainer.method, teacher, about, fabric)
        open_folder(trainer.folder, about, environment(fabric, config), resume)
        _run(trainer, progress)
    return trainer.folder


def read_crops(data: SourceData, prepared: Path) -> dict[str, CropStore]:
    """The crops to train and to validate on."""
    sources = data.protocol.sources
    return {name: CropStore(prepared, getattr(data, name), sources) for name in ("train", "dev")}


@dataclass
class _Trainer:
    """The parts of a run that the steps below share."""

    fabric: Fabric
    config: TrainConfig
    folder: Path
    sampler: Sampler
    dev: CropStore
    method: Method
    net: ScoringNet  # shares the method's parameters; always in 32 bits
    optimizer: torch.optim.Optimizer
    names: Mapping[nn.Parameter, str]

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.sampler.steps_per_epoch

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT


def _set_up(fabric: Fabric, config: TrainConfig, stores: Mapping[str, CropStore], folder: Path) -> _Trainer:
    sampler = Sampler(stores["train"], config.batch, config.sampling, config.seed)
    trunk, dim = backbone(config.backbone, config.weights)
    method_class: Any = METHODS[config.method.name]  # each takes its own kind of settings
    E, steps = len(stores["train"].domains), sampler.steps_per_epoch
    method: Method = method_class(trunk, dim, E, config.method, config.image_size, steps)
    method.to(device=fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    names = {parameter: name for name, parameter in method.named_parameters()}
    net = method.scoring_net()
    # The backbone alone goes through Fabric: it runs in the chosen precision and, with several devices, in
    # DDP; its features come back in 32 bits, so heads and losses are exact, and are where a global batch is
    # gathered.
    method.backbone = fabric.setup_module(trunk)
    optimizer: Any = fabric.setup_optimizers(
        torch.optim.SGD(names, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    )
    return _Trainer(fabric, config, folder, sampler, stores["dev"], method, net, optimizer, names)


def _run(trainer: _Trainer, progress: bool) -> None:
    config, steps = trainer.config, trainer.sampler.steps_per_epoch
    start, written = _resume(trainer)
    if start == trainer.total_steps:
        return
    with (
        Records(trainer.folder, written, start) as records,
        Progress(config.method.name, start, trainer.total_steps, progress) as shown,
    ):
        if start:
            now = environment(trainer.fabric, config)
            records.append({"kind": "resumed", "step": start, "environment": now})
        window: list[dict[str, Tensor]] = []
        trainer.method.train()
        for step in range(start, trainer.total_steps):
            epoch, done = step // steps, step + 1
            _set_lr(trainer.optimizer, config.lr_at(epoch))
            batch = make_batch(trainer.sampler, config, trainer.method.views, step, trainer.fabric.device)
            window.append(take_step(trainer.fabric, trainer.method, trainer.optimizer, batch, step))
            ends = done % steps == 0 and config.is_evaluated(epoch)
            is_saved = done % config.checkpoint_every == 0 or done == trainer.total_steps
            if done % config.log_every == 0 or ends or is_saved:
                shown.log(_log(trainer, records, window, step, epoch))
                window = []
            if ends:
                shown.log(_evaluate(trainer, records, step, epoch))
            if is_saved:
                _save(trainer, records, done)
            shown.advance()
        records.write_csv()


def _set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def _log(
    trainer: _Trainer, records: Records, window: list[dict[str, Tensor]], step: int, epoch: int
) -> Record:
    """One line for the steps since the last one. Raises DivergenceError if a loss was not finite."""
    names = list(window[0])
    values = torch.stack([torch.stack(list(terms.values())) for terms in window]).float().cpu()
    _check_finite(names, values, step + 1 - len(window), trainer)
    record: Record = {"kind": "step", "step": step, "epoch": epoch, "lr": trainer.config.lr_at(epoch)}
    record |= dict(zip(names, values.double().mean(dim=0).tolist(), strict=True))
    heads = trainer.method.heads
    weight, bias = heads.weight.detach(), heads.bias.detach()
    if heads.num_domains > 1:
        record["head_cosine"] = float(values[-1, names.index("head_cosine")])
        record["bias_spread"] = float(bias.max() - bias.min())
    record["head_biases"] = bias.tolist()
    record["head_norms"] = torch.linalg.vector_norm(weight, dim=1).tolist()
    records.append(record)
    return record


def _check_finite(
    names: list[str], values: Float[Tensor, "steps terms"], first: int, trainer: _Trainer
) -> None:
    bad = (~values.isfinite()).nonzero()
    if len(bad) == 0:
        return
    row = int(bad[0, 0])
    terms = bad[bad[:, 0] == row, 1].tolist()
    part = next(
        (term for term in terms if names[term] != "loss"), terms[0]
    )  # the sum says less than its part
    raise DivergenceError(
        f"the loss is not finite at step {first + row}: {names[part]} = {float(values[row, part])}",
        where=str(trainer.folder),
        remedy=f"Lower the learning rate (now {trainer.config.lr:g}) or train with precision fp32.",
    )


def _evaluate(trainer: _Trainer, records: Records, step: int, epoch: int) -> Record:
    """Score source validation, keep scores and weights of this epoch, and log."""
    trainer.net.eval()
    numbers, scores = validate(trainer.net, trainer.dev, epoch)
    trainer.method.train()
    about = {"run": trainer.folder.name, "epoch": str(epoch), "step": str(step)}
    save(weights_path(trainer.folder, epoch), trainer.net.state_dict(), about)
    keep_dev_scores(scores, trainer.folder, trainer.config.seed, epoch)  # says that the epoch is whole
    record: Record = {"kind": "epoch", "epoch": epoch, "step": step, **numbers}
    records.append(record)
    records.write_csv()
    return record


def _save(trainer: _Trainer, records: Records, done: int) -> None:
    about = {"run": trainer.folder.name, "steps": str(done), "records": str(records.written())}
    save(trainer.checkpoint, state_of(trainer.method, trainer.optimizer, trainer.names), about)


def _resume(trainer: _Trainer) -> tuple[int, int]:
    """(steps done, bytes of the records that belong to them); none where there is nothing to go on from."""
    if not trainer.checkpoint.is_file():  # a complete run may have lost it: nobody needs it any more
        return trainer.total_steps if has_ended(trainer.folder) else 0, 0
    state, about = load(trainer.checkpoint)
    if about.get("run") != trainer.folder.name:
        raise TrainingError(
            f"the checkpoint is of the run {about.get('run')!r}",
            where=str(trainer.checkpoint),
            remedy="Train without resuming, or put the right file in its place.",
        )
    restore(state, trainer.method, trainer.optimizer, trainer.names, trainer.checkpoint)
    return int(about["steps"]), int(about["records"])


def _check_labels(store: CropStore, part: str) -> None:
    for number, domain in enumerate(store.domains):
        live = store.live[store.domain == number]
        if live.all() or not live.any():
            lacking = "spoof" if live.any() else "live"
            raise ProtocolError(
                f"domain {domain!r} has no {lacking} video with a crop in its {part} rows",
                remedy="See failures.parquet of the prepared folder, or leave the domain out.",
            )
