"""Several processes that train one run: the numbers of one process, one folder, and what happens when one is lost."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import nn

import together
import toy
from safas.batches import Batch, CropStore, Sampler, rng
from safas.errors import InputError, TrainingError
from safas.training import Group, environment, loop, read_records, read_run, train
from safas.training.batch_norm import SharedBatchNorm, synchronised
from safas.training.claim import claimed
from safas.training.joining import _place, is_started_together
from safas.training.scoring import weights_path
from safas.training.step import make_batch
from together import CONFIG, SIZE, STEPS, config_of, in_processes

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes of these tests are forks")

INEXACT = ("mixstyle", "refilm", "distill")  # draw for their own images; the last needs a teacher
EXACT = [name for name in together.METHODS if name not in INEXACT]
ALL = [config_of(name) for name in EXACT] + [config_of("refilm"), config_of("erm", sync_batch_norm=False)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    together.import_once()
    return toy.prepare(tmp_path_factory.mktemp("prepared"), toy.samples(), size=SIZE)


@pytest.fixture(autouse=True)
def _tiny_net(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("backbone", "make_batch"):  # what is changed there is put back
        monkeypatch.setattr(loop, name, getattr(loop, name))
    together.use_tiny_net()


@pytest.fixture(scope="module")
def made(prepared: Path) -> dict[int, list[list[dict[str, np.ndarray]]]]:
    """By number of processes, what each of them has after each step, for each of the settings of ALL."""
    made = {}
    for count in (2, 4):
        made[count], codes = in_processes(count, together.steps, prepared, ALL)
        assert codes == [0] * count, made[count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "backbone", loop.backbone)
        together.use_tiny_net()
        return {1: [together.steps(prepared, ALL)], **made}


@forking
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("method", EXACT)
def test_gradients_and_weights_are_those_of_one_process(method: str, count: int, made: Any) -> None:
    """All that there is, statistics of the batch norms included, after each of 5 steps. A batch is 6 images in two
    views; four processes have 1, 2, 1 and 2 of them.
    """
    one, several = made[1][0][EXACT.index(method)], made[count][0][EXACT.index(method)]
    assert set(one) == set(several)
    assert any("gradient" in name for name in one)
    for name, value in one.items():
        size = 1 if method in ("sa-fas", "ssdg", "gac-fas") else max(1, float(np.abs(value).max()))
        np.testing.assert_allclose(several[name], value, rtol=0, atol=1e-5 * size, err_msg=name)
    moved = one[f"{STEPS - 1} heads.weight"] - one["0 heads.weight"]
    assert np.abs(moved).max() > 1e-3


@forking
@pytest.mark.parametrize("count", [2, 4])
def test_all_processes_hold_the_same_bit_for_bit(count: int, made: Any) -> None:
    """Heads, projected or not, and all else: of every method, and of batch norms that are not synchronised."""
    first, *others = made[count]
    for other in others:
        for ours, theirs in zip(first, other, strict=True):
            for name, value in ours.items():
                np.testing.assert_array_equal(theirs[name], value, err_msg=name)


@forking
def test_batch_norms_on_their_own_see_other_statistics(made: Any) -> None:
    """So the comparison with one process would notice if they were not synchronised."""
    one, two = (made[count][0][-1]["0 gradient of backbone.layer1.0.weight"] for count in (1, 2))
    assert np.abs(one - two).max() > 1e-3


def test_every_share_is_what_one_process_sees_of_it(prepared: Path) -> None:
    """The views of all shares, put together, are those of the whole batch bit for bit; none is there twice."""
    sampler = Sampler(CropStore(prepared, toy.samples(), toy.DOMAINS), CONFIG.batch, "balanced", 0)

    def batch(group: Group) -> Batch:
        return make_batch(sampler, CONFIG, 2, 7, torch.device("cpu"), group)

    whole = batch(Group())
    for size in (2, 4, 6):
        parts = [batch(Group(rank, size)) for rank in range(size)]
        for part in parts:
            assert torch.equal(part.classes, whole.classes)
        halves = [part.images.unflatten(0, (2, -1)) for part in parts]
        assert torch.equal(torch.cat(halves, dim=1).flatten(0, 1), whole.images)
        rows = [row for rank in range(size) for row in range(6)[Group(rank, size).share(6)]]
        assert rows == list(range(6))
        streams = {
            rng(0, 7, *part.stream).random() for part in parts
        }  # for what a method draws for its images
        assert len(streams) == size
        assert rng(0, 7).random() in streams


@pytest.fixture(scope="module")
def uninterrupted(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps by one process."""
    runs = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "backbone", loop.backbone)
        together.use_tiny_net()
        return train(CONFIG, toy.source_data(toy.samples()), prepared, runs, progress=False)


def _is_alike(run: Path, other: Path) -> None:
    """Weights and records, but for what a resumed run says besides."""
    for epoch in (0, 1):
        ours, theirs = (loop.load(weights_path(folder, epoch))[0] for folder in (run, other))
        for name, tensor in theirs.items():
            torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-5)
    for kind in ("step", "epoch"):
        for ours, theirs in zip(read_records(run, kind), read_records(other, kind), strict=True):
            numbers = {name: value for name, value in theirs.items() if isinstance(value, float)}
            assert {name: ours[name] for name in numbers} == pytest.approx(numbers, abs=1e-4)
            assert ours["step"] == theirs["step"]


@forking
def test_killed_it_goes_on_with_one_process(uninterrupted: Path, prepared: Path, tmp_path: Path) -> None:
    """The second of two is killed before step 3; the first ends at once, with the checkpoint at 2 in place."""
    said, codes = in_processes(2, together.run, prepared, tmp_path, CONFIG, (1, 3))
    assert codes == [2, -signal.SIGKILL]
    assert "another process of this training has ended" in said[0]
    assert "goes on from the last checkpoint" in said[0]
    assert said[1] is None
    run = tmp_path / uninterrupted.name
    assert read_run(run)["environment"]["processes"] == 2
    train(CONFIG, toy.source_data(toy.samples()), prepared, tmp_path, progress=False)
    (resumed,) = read_records(run, "resumed")
    assert (resumed["step"], resumed["environment"]["processes"]) == (2, 1)
    _is_alike(run, uninterrupted)


@forking
def test_killed_it_goes_on_with_two_processes(uninterrupted: Path, prepared: Path, tmp_path: Path) -> None:
    """The first of two is killed, the one who writes; three do the next step, two the rest."""
    said, codes = in_processes(2, together.run, prepared, tmp_path, CONFIG, (0, 3))
    assert codes == [-signal.SIGKILL, 2]
    assert "another process of this training has ended" in said[1]
    said, codes = in_processes(3, together.run, prepared, tmp_path, CONFIG, (2, 4))
    assert codes[2] == -signal.SIGKILL
    assert [len(text) > 0 for text in said[:2] if text is not None] == [
        True
    ]  # one of the two speaks for both
    names, codes = in_processes(2, together.run, prepared, tmp_path, CONFIG, (-1, -1))
    assert (names, codes) == ([uninterrupted.name] * 2, [0, 0])
    run = tmp_path / uninterrupted.name
    resumed = read_records(run, "resumed")
    assert [(line["step"], line["environment"]["processes"]) for line in resumed] == [(2, 3), (4, 2)]
    _is_alike(run, uninterrupted)
    assert not [path for path in run.rglob("*") if "partial" in path.name]


@forking
def test_with_as_many_processes_it_goes_on_bit_for_bit(prepared: Path, tmp_path: Path) -> None:
    """With a backbone that drops features by chance: two processes in one go, and two that are killed and resumed."""
    config = replace(CONFIG, backbone="dropping")
    for folder, steps in (("whole", (-1,)), ("resumed", (3, -1))):
        for step in steps:
            in_processes(2, together.run, prepared, tmp_path / folder, config, (1, step))
    runs = sorted(tmp_path.glob("*/[!.]*"))
    assert [len(read_records(run, "resumed")) for run in runs] == [1, 0]
    ours, theirs = (loop.load(run / "checkpoint.safetensors")[0] for run in runs)
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


@forking
def test_what_all_find_wrong_is_said_once(prepared: Path, tmp_path: Path) -> None:
    said, codes = in_processes(2, together.run_each_its_own, prepared, tmp_path, CONFIG)
    assert codes == [2, 2]
    (text,) = [text for text in said if text is not None]
    assert "the processes do not see the same run: " in text


def test_more_devices_than_images_are_refused(prepared: Path) -> None:
    stores = loop.read_crops(toy.source_data(toy.samples()), prepared)
    fabric = loop.make_fabric(CONFIG)
    with pytest.raises(InputError, match=r"8 devices cannot share a batch of 6 images .* Use fewer"):
        loop._set_up(fabric, Group(0, 8), CONFIG, stores, prepared)


def test_every_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is here: what torch says of them is made up."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = replace(CONFIG, accelerator="auto")
    assert [environment._device_number(config, Group(r, 2, r)) for r in range(2)] == [[0], [1]]
    with pytest.raises(InputError, match=r"process 2 of this machine has no GPU of its own: there are 2\."):
        environment._device_number(config, Group(2, 4, 2))
    with pytest.raises(InputError, match="--devices: 3 devices, but 2 GPUs here"):
        environment.check_devices(3, "auto")
    environment.check_devices(2, "auto")
    environment.check_devices(3, "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # srun shows each process one
    assert environment._device_number(config, Group(3, 4, 3)) == [0]


def test_numbers_of_32_bits_are_whole_while_training_and_scoring() -> None:
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision
    assert before != "ieee"
    with environment.reproducible(CONFIG, torch.device("cpu")):
        assert cudnn.conv.fp32_precision == "ieee"
    assert cudnn.conv.fp32_precision == before


@forking
def test_an_error_of_torchs_own_talks_is_said_in_one_line(tmp_path: Path) -> None:
    """As its batch norm on CUDA raises it, of which no one here knows."""
    said, codes = in_processes(2, together.fail_as_torch_does)
    assert codes == [2, 2]
    (text,) = [text for text in said if text is not None]
    assert "another process of this training has ended or does not answer" in text


def test_a_shared_batch_norm_scores_as_any_other() -> None:
    """In evaluation mode, and with its parameters and statistics under the same names."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)))
    images = torch.rand(2, 3, 8, 8)
    trunk(images)
    before, names = trunk.eval()(images), list(trunk.state_dict())
    parameters = list(trunk.parameters())
    shared = synchronised(trunk, torch.device("cpu"))
    assert isinstance(shared.get_submodule("1.0"), SharedBatchNorm)
    assert torch.equal(shared.eval()(images), before)
    assert list(shared.state_dict()) == names
    assert all(ours is theirs for ours, theirs in zip(shared.parameters(), parameters, strict=True))


def test_srun_tells_a_process_its_place() -> None:
    """A batch script without srun has SLURM's variables too, but is one process."""
    job = {
        "SLURM_NTASKS": "4",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NODELIST": "gpu[07-08]",
        "SLURM_JOB_ID": "91234",
    }
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
    with mock.patch.dict(os.environ, job, clear=True):
        assert not is_started_together()
        os.environ |= step
        assert is_started_together()
        assert _place() == Group(rank=3, size=4, local_rank=1)
        assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("gpu07", "16234")
        del os.environ["SLURM_NTASKS_PER_NODE"]
        with pytest.raises(InputError, match=r"its place is not known .* --ntasks-per-node\.$"):
            _place()


def test_a_run_is_trained_by_one_command_at_a_time(
    uninterrupted: Path, prepared: Path, tmp_path: Path
) -> None:
    locks = tmp_path / ".benchmark" / "locks"
    locks.mkdir(parents=True)
    with (
        FileLock(locks / uninterrupted.name),
        pytest.raises(TrainingError, match="another process is at work on this run"),
    ):
        train(CONFIG, toy.source_data(toy.samples()), prepared, tmp_path, progress=False)
    assert train(CONFIG, toy.source_data(toy.samples()), prepared, tmp_path, progress=False).is_dir()


def test_a_file_system_without_locks_hinders_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(lock: FileLock, **_: float) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", refusing)
    worked = False
    with claimed(tmp_path / "run"):
        worked = True
    assert worked


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="finds the process by Linux's /proc")
def test_the_command_starts_several_and_says_which_one_was_killed(tmp_path: Path) -> None:
    """`safas train --devices 2`, the second process killed at the first checkpoint: one line, no process left."""
    prepared = toy.prepared_folder(tmp_path / "prepared")
    runs = tmp_path / "runs"
    command = [
        sys.executable, "-m", "safas", "train", prepared, "--protocol", "a,b->c", "--runs", runs, "--devices", "2",
        "--backbone", "mobilenet_v3_small", "--image-size", "16", "--batch", "4", "--epochs", "1000",
        "--evaluate-every", "1000", "--checkpoint-every", "2", "--threads", "1", "--accelerator", "cpu",
    ]  # fmt: skip
    with subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True) as parent:
        while not list(runs.glob("*/checkpoint.safetensors")):
            assert parent.poll() is None
            time.sleep(0.1)
        os.kill(_second_child(parent.pid), signal.SIGKILL)
        _, errors = parent.communicate(timeout=120)
    assert parent.returncode == 2
    assert errors.splitlines() == [
        "safas: error: process 1 of 2 was killed (SIGKILL). The same command goes on from the last checkpoint, on any "
        "number of devices."
    ]
    assert _second_child(parent.pid) == 0


def _second_child(parent: int) -> int:
    """The process that was told by this parent that it is number 1 of its group; 0 where there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "environ").read_bytes().split(b"\0")
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"LOCAL_RANK=1" in told and above == parent:
            return int(folder.name)
    return 0
