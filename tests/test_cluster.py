"""A real Ray cluster of two processes on this machine: the same answers, also when one of them is killed."""

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from conftest import Write
from safas.cluster import each_on_ray
from safas.errors import InputError, MediaError, SafasError
from safas.prepare import PrepareConfig, prepare
from test_prepare import box, sample, tree

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two cores, said to have a GPU, which outlives those who join it."""
    from ray.cluster_utils import Cluster

    started = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1, "include_dashboard": False}
    )
    yield started.address
    started.shutdown()


def test_results_come_in_order_and_errors_arrive_whole(cluster: str) -> None:
    def work(number: int) -> tuple[int, int]:
        if number == 99:
            raise MediaError("broken", where="clip 99", remedy="Film it again.")
        return number * number, os.getpid()

    answers = list(each_on_ray(work, range(50), None, cluster))
    assert [square for square, _ in answers] == [i * i for i in range(50)]
    processes = {process for _, process in answers}
    assert os.getpid() not in processes
    with pytest.raises(MediaError) as caught:
        list(each_on_ray(work, range(90, 110), None, cluster))
    assert (caught.value.what, caught.value.where) == ("broken", "clip 99")


def killing(marker: Path, work: Callable[[Any], None]) -> Callable[[Any], None]:
    """`work`, but the first process to get to the seventh video is killed after it has done it."""

    def killed_once(task: Any) -> None:
        work(task)
        if task.video == "7" and not marker.exists():
            marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

    return killed_once


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
def test_a_killed_process_changes_nothing(tmp_path: Path, write_video: Write, cluster: str) -> None:
    rng = np.random.default_rng(5)
    for name in range(12):
        clip = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(8)]
        write_video(tmp_path / "set" / f"{name}.avi", clip, codec="mjpeg")
    table = pl.DataFrame([sample(str(i), f"{i}.avi") for i in range(13)])  # the last one is missing
    boxes = pl.DataFrame([box(str(i), j, 20.0 + j, 10.0, 16.0, 20.0) for i in range(13) for j in range(8)])
    config = PrepareConfig(size=32, frames=2, workers=1)
    marker = tmp_path / "killed"

    def engine(work: Callable[[Any], None], tasks: Sequence[Any]) -> Iterator[None]:
        return each_on_ray(killing(marker, work), tasks, None, cluster)

    run = functools.partial(prepare, table, tmp_path / "set", config=config, boxes=boxes, progress=False)
    local, far = run(out=tmp_path / "local"), run(out=tmp_path / "far", engine=engine)
    assert int(marker.read_text()) != os.getpid()
    assert tree(tmp_path / "far") == tree(tmp_path / "local")
    assert (far.done, far.videos, far.crops) == (13, 12, 24)
    assert far.failures.equals(local.failures)


def test_processes_that_keep_dying_are_an_error_of_one_line(cluster: str) -> None:
    with pytest.raises(SafasError, match="was lost 4 times") as caught:
        list(each_on_ray(os._exit, [3], None, cluster))
    assert "\n" not in str(caught.value)


def test_a_task_sees_the_gpus_that_it_asked_for(cluster: str) -> None:
    def visible(_: int) -> str | None:
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    assert set(each_on_ray(visible, range(2), None, cluster, chunk=1, gpus=1)) == {"0"}
    assert set(each_on_ray(visible, range(2), None, cluster, chunk=1, gpus=0.5)) == {"0"}
    assert "0" not in set(each_on_ray(visible, range(2), None, cluster, chunk=1))


@pytest.mark.parametrize(
    ("asked", "words"), [({"gpus": 2}, "1 CPUs and 2 GPUs"), ({"cpus": 3}, "3 CPUs and 0")]
)
def test_a_task_that_fits_no_machine_does_not_wait_for_one(
    asked: dict[str, int], words: str, cluster: str
) -> None:
    with pytest.raises(InputError, match=f"no machine of the Ray cluster has {words}"):
        list(each_on_ray(abs, [1], None, cluster, **asked))


def test_a_cluster_for_the_occasion() -> None:
    """One process, started and ended here."""
    assert set(each_on_ray(lambda number: number + 1, range(3), 1)) == {1, 2, 3}
    assert not ray.is_initialized()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:port"])
def test_no_cluster_answers(address: str) -> None:
    with pytest.raises(InputError, match="no Ray cluster can be joined") as caught:
        list(each_on_ray(abs, [1], None, address))
    assert caught.value.where == address


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="Ray is not installed"):
        list(each_on_ray(abs, [1], 1))
