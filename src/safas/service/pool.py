"""Work in a bounded number of threads with a bounded number of requests waiting.

Requests are judged one by one, not gathered into batches: see docs/service.md for what was measured.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from safas.service.refusals import Refusal

T = TypeVar("T")
_RETRY_S = 1.0


class Place:
    """A request's place among those let in: it holds until the work that it began has really ended."""

    def __init__(self, executor: ThreadPoolExecutor, deadline: float) -> None:
        self._executor, self.deadline = executor, deadline
        self.work: Future[Any] | None = None

    @property
    def left_s(self) -> float:
        """Seconds until its deadline."""
        return max(0.0, self.deadline - time.monotonic())

    async def run(self, job: Callable[[], T]) -> T:
        """The job's result, from a thread. Raises Refusal (503) at the deadline; what has not begun never does."""
        future = self._executor.submit(job)
        self.work = future
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.left_s)
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()  # at the last moment, or the job's own TimeoutError
            raise late() from None


class Pool:
    """`workers` threads, and places for `queue` requests more. Its methods belong to one event loop."""

    def __init__(self, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="safas")
        self.workers, self.size = workers, workers + queue
        self.taken = 0

    @property
    def waiting(self) -> int:
        """Requests let in beyond those that the threads can work on."""
        return max(0, self.taken - self.workers)

    @contextmanager
    def place(self, timeout_s: float) -> Iterator[Place]:
        """A place for the length of a request. Raises Refusal (503) when all are taken."""
        if self.taken >= self.size:
            raise full()
        self.taken += 1
        place = Place(self._executor, time.monotonic() + timeout_s)
        try:
            yield place
        finally:
            self._leave(place)

    def _leave(self, place: Place) -> None:
        """Now, or once the thread that nobody waits for any more is done: it still takes a core."""
        if place.work is None or place.work.done():
            self._free()
            return
        loop = asyncio.get_running_loop()
        place.work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free))

    def _free(self) -> None:
        self.taken -= 1

    def close(self) -> None:
        """Wait for the threads."""
        self._executor.shutdown(cancel_futures=True)


def full() -> Refusal:
    """The answer to a request for which there is no place."""
    return Refusal(503, "the queue is full", where="queue", remedy="Come back later.", retry_after=_RETRY_S)


def late() -> Refusal:
    """The answer to a request that took too long."""
    return Refusal(503, "took too long", where="timeout", remedy="Send less, or later.", retry_after=_RETRY_S)
