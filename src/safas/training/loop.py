"""The one training loop, for every method."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from safas.batches import CropStore, Sampler, rng
from safas.errors import DivergenceError, InputError, ProtocolError, TrainingError
from safas.methods import METHODS, Method
from safas.model import ScoringNet, backbone, check_fits
from safas.protocols import SourceData
from safas.training.batch_norm import synchronised
from safas.training.checkpoint import load, restore, save, state_of
from safas.training.claim import claimed
from safas.training.config import TrainConfig
from safas.training.environment import environment, make_fabric, reproducible
from safas.training.folder import CHECKPOINT, identity, open_folder
from safas.training.group import ALONE, Group
from safas.training.memory import memory_kept
from safas.training.progress import Progress
from safas.training.records import Record, Records
from safas.training.scoring import features_of, has_ended, keep_dev_scores, validate, weights_path
from safas.training.step import make_batch, take_step
from safas.training.teaching import Teacher, attach

_DROPOUT = 4  # purpose of a random generator, beside those of the sampler and the views


def train(
    config: TrainConfig,
    data: SourceData,
    prepared: Path,
    runs: Path,
    resume: bool = True,
    progress: bool = True,
    teacher: Teacher | None = None,
    group: Group = ALONE,
) -> Path:
    """Train one run and return its folder runs/<hash>/; a complete run that is there is returned as it is.

    `data` holds source rows only: the target's files cannot be reached from here. A complete run needs neither
    checkpoint nor weights to be known as such. resume: go on from the last checkpoint, which gives bit for bit
    what an uninterrupted run on one machine and thread count gives; without it the run's folder is emptied first.
    teacher: of a student (the method "distill"), as its settings name it. group: the processes that train the run
    together (see docs/distributed.md); how many they are is no part of what it is.
    Raises InputError for settings that do not fit the data, ProtocolError when a domain has lost a label in
    preparation, DivergenceError for a loss that is not finite (naming step and part; the last checkpoint stays),
    TrainingError for a folder or checkpoint of another run, and for one that another process is training.
    """
    fabric = make_fabric(config, group)
    with reproducible(config, fabric.device), memory_kept(fabric.device):
        stores = read_crops(data, prepared)
        for name, store in stores.items():
            _check_labels(store, name)
        about = identity(config, data, stores)
        group.agree(about["run"], "run")
        trainer = _set_up(fabric, group, config, stores, runs / about["run"])
        attach(trainer.method, teacher, about, fabric)
        with claimed(trainer.folder) if group.is_first else nullcontext():
            if group.is_first:
                open_folder(trainer.folder, about, environment(fabric, config, group), resume)
            group.wait()
            _run(trainer, progress)
            group.wait()
    return trainer.folder


def read_crops(data: SourceData, prepared: Path) -> dict[str, CropStore]:
    """The crops to train and to validate on."""
    sources = data.protocol.sources
    return {name: CropStore(prepared, getattr(data, name), sources) for name in ("train", "dev")}


@dataclass
class _Trainer:
    """The parts of a run that the steps below share."""

    fabric: Fabric
    group: Group
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

    def is_evaluated_after(self, step: int) -> bool:
        epoch, within = divmod(step + 1, self.sampler.steps_per_epoch)
        return within == 0 and self.config.is_evaluated(epoch - 1)


def _set_up(
    fabric: Fabric, group: Group, config: TrainConfig, stores: Mapping[str, CropStore], folder: Path
) -> _Trainer:
    sampler = Sampler(stores["train"], config.batch, config.sampling, config.seed)
    _check_shares(group, sampler.batch, len(stores["dev"].images))
    trunk, dim = backbone(config.backbone, config.weights)
    check_fits(trunk, dim, config.image_size)
    if group.size > 1 and config.sync_batch_norm:
        trunk = synchronised(trunk, fabric.device)
    method_class: Any = METHODS[config.method.name]  # each takes its own kind of settings
    E, steps = len(stores["train"].domains), sampler.steps_per_epoch
    method: Method = method_class(trunk, dim, E, config.method, config.image_size, steps)
    method.to(device=fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    names = {parameter: name for name, parameter in method.named_parameters()}
    net = method.scoring_net()
    # The backbone alone goes through Fabric: it runs in the chosen precision; its features come back in 32 bits,
    # so heads and losses are exact, and are where those of the whole batch are gathered.
    method.backbone = fabric.setup_module(trunk)
    method.backbone.register_forward_hook(
        lambda _module, _images, features: group.gathered(features, method.views, sampler.batch)
    )
    optimizer: Any = fabric.setup_optimizers(
        torch.optim.SGD(names, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    )
    return _Trainer(fabric, group, config, folder, sampler, stores["dev"], method, net, optimizer, names)


def _run(trainer: _Trainer, progress: bool) -> None:
    config, steps = trainer.config, trainer.sampler.steps_per_epoch
    start, written = _resume(trainer)
    trainer.group.agree(start, "checkpoint")
    if start == trainer.total_steps:
        return
    trainer.method.train()
    if not trainer.group.is_first:
        _follow(trainer, start)
        return
    with (
        Records(trainer.folder, written, start) as records,
        Progress(config.method.name, start, trainer.total_steps, progress) as shown,
    ):
        if start:
            now = environment(trainer.fabric, config, trainer.group)
            records.append({"kind": "resumed", "step": start, "environment": now})
        window: list[dict[str, Tensor]] = []
        for step in range(start, trainer.total_steps):
            epoch, done = step // steps, step + 1
            window.append(_step(trainer, step))
            ends = trainer.is_evaluated_after(step)
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


def _follow(trainer: _Trainer, start: int) -> None:
    """What all processes but the first do: every step, and their shares of the evaluations."""
    for step in range(start, trainer.total_steps):
        _step(trainer, step)
        if trainer.is_evaluated_after(step):
            _dev_features(trainer)


def _step(trainer: _Trainer, step: int) -> dict[str, Tensor]:
    config, group = trainer.config, trainer.group
    for parameters in trainer.optimizer.param_groups:
        parameters["lr"] = config.lr_at(step // trainer.sampler.steps_per_epoch)
    if (
        group.size > 1
    ):  # so that what a backbone drops is not the same in all shares, and again so when resumed
        torch.manual_seed(int(rng(config.seed, _DROPOUT, step, group.rank).integers(2**63)))
    batch = make_batch(trainer.sampler, config, trainer.method.views, step, trainer.fabric.device, group)
    return take_step(trainer.fabric, trainer.method, trainer.optimizer, batch, step, group)


def _dev_features(trainer: _Trainer) -> Float[np.ndarray, "n D"]:
    """The features of all crops of source validation, of which each process computes its share."""
    images, group = trainer.dev.images, trainer.group
    trainer.net.eval()
    own = features_of(trainer.net, images, rows=group.share(len(images)))
    trainer.method.train()
    return group.gathered(torch.from_numpy(own), 1, len(images)).numpy()


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
    numbers, scores = validate(trainer.net, trainer.dev, _dev_features(trainer), epoch)
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


def _check_shares(group: Group, batch: int, crops: int) -> None:
    if min(batch, crops) < group.size:
        raise InputError(
            f"{group.size} devices cannot share a batch of {batch} images and {crops} crops to validate on",
            remedy="Use fewer devices.",
        )


def _check_labels(store: CropStore, part: str) -> None:
    for number, domain in enumerate(store.domains):
        live = store.live[store.domain == number]
        if live.all() or not live.any():
            lacking = "spoof" if live.any() else "live"
            raise ProtocolError(
                f"domain {domain!r} has no {lacking} video with a crop in its {part} rows",
                remedy="See failures.parquet of the prepared folder, or leave the domain out.",
            )
