"""Many independent tasks on a Ray cluster: what `safas.parallel` does on one machine."""

import itertools
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar

import cv2

from safas.errors import InputError, SafasError

Task = TypeVar("Task")
Result = TypeVar("Result")

_CHUNK = 4  # tasks handed to a process at once
_AHEAD = 4  # chunks a core that are handed out before the oldest has come back
_PATIENCE_S = 10  # for a cluster to answer
_RETRIES = 3  # of a chunk whose process or machine is lost


def each_on_ray(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int | None,
    address: str | None = None,
    chunk: int = _CHUNK,
    cpus: int = 1,
    gpus: float = 0.0,
) -> Iterator[Result]:
    """work(task) for each task, in order, on the Ray cluster at `address` with all its cores.

    Without an address, on a cluster that is started on this machine for the occasion, of `workers` processes
    (None: as many as Ray counts cores). The machines of a cluster need safas, and all files under the same paths.
    `chunk` tasks are handed to a process at once, which has `cpus` cores and `gpus` GPUs (0.5: two processes share
    one) to itself; Ray hides the other GPUs from it. `work` must be idempotent: a task whose process is lost is done
    again, up to 3 times.

    Raises what `work` raises; InputError when Ray is not installed, no cluster answers at the address or none of its
    machines has so many cores and GPUs; SafasError when processes keep dying.
    """
    ray = _ray()
    _join(ray, None if workers is None else workers * cpus, address)
    try:
        _check_room(ray, cpus, gpus, address or "this machine")
        run = ray.remote(max_retries=_RETRIES, num_cpus=cpus, num_gpus=gpus)(_run)
        yield from _results(ray, run, work, tasks, chunk)
    finally:
        ray.shutdown()


def _ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use to its makers
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed", remedy="Install it (pip install 'safas[ray]') or use engine = local."
        ) from error
    return ray


def _join(ray: ModuleType, cores: int | None, address: str | None) -> None:
    """Connect to the cluster at the address, or start one."""
    if address and ":" in address:
        _knock(address)
    own: dict[str, Any] = {} if address else {"num_cpus": cores, "include_dashboard": False}
    try:
        # "local" starts one even where RAY_ADDRESS names another
        ray.init(address or "local", log_to_driver=False, logging_level="error", **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address or "this machine", error) from error


def _knock(address: str) -> None:
    """Ray itself would wait for minutes where nobody answers."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(where: str, error: Exception) -> InputError:
    return InputError(
        f"no Ray cluster can be joined ({error})",
        where=where,
        remedy="Give the address that `ray start --head` printed, with RAY_AUTH_MODE and the token of its machines, or "
        "none for a cluster on this machine.",
    )


def _check_room(ray: ModuleType, cpus: int, gpus: float, where: str) -> None:
    """Ray itself would wait for ever for a machine that is large enough."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus for has in machines):
        raise InputError(
            f"no machine of the Ray cluster has {cpus} CPUs and {gpus:g} GPUs",
            where=where,
            remedy="Ask for less, or add a larger machine.",
        )


def _results(
    ray: ModuleType, run: Any, work: Callable[[Task], Result], tasks: Sequence[Task], chunk: int
) -> Iterator[Result]:
    shared = ray.put(work)  # sent once to each machine
    ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    pending: deque[Any] = deque()
    for start in range(0, len(tasks), chunk):
        pending.append(run.remote(shared, tasks[start : start + chunk]))
        if len(pending) >= ahead:
            yield from _get(ray, pending.popleft())
    yield from itertools.chain.from_iterable(_get(ray, answer) for answer in pending)


def _run(work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    cv2.setNumThreads(1)  # the processes fill the cores already
    return [work(task) for task in tasks]


def _get(ray: ModuleType, answer: Any) -> Any:
    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise SafasError(
            f"a task's process was lost {_RETRIES + 1} times ({type(error).__name__}; out of memory?)",
            remedy="Run it again: finished work is kept. Fewer workers need less memory.",
        ) from error
