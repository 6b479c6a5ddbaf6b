"""Many independent tasks on the machine's cores."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from safas.errors import SafasError

Task = TypeVar("Task")
Result = TypeVar("Result")

_CHUNK = 4  # tasks handed to a process at once


def each(
    work: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None, chunk: int = _CHUNK
) -> Iterator[Result]:
    """work(task) for each task, in order, in `workers` processes (None: as many as `cores()`).

    `work` is a function of a module (or a partial of one), since the processes start afresh. `chunk` tasks are handed
    to a process at once; no more than that, or those of one worker, are done in this process. Ctrl-C ends the
    processes in the midst of their work. Raises what `work` raises; SafasError when a process dies.
    """
    workers = workers or cores()
    if workers == 1 or len(tasks) <= chunk:
        yield from map(work, tasks)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of other libraries' threads
    workers = min(workers, -(-len(tasks) // chunk))
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start_worker) as pool:
        mine = set(multiprocessing.active_children())
        try:
            yield from pool.map(work, tasks, chunksize=chunk)
        except KeyboardInterrupt:  # the pool would wait for what was begun, which may be hours
            for process in set(multiprocessing.active_children()) - mine:
                process.terminate()
            raise
        except BrokenProcessPool as error:
            raise SafasError(
                "a worker process died (out of memory?)",
                remedy="Run it again: finished work is kept. Fewer workers need less memory.",
            ) from error


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes fill the cores already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends the pool
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with a parent that was killed: a pool's processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
