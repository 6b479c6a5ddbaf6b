"""One process at a time works on a run's folder."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from safas.errors import TrainingError

_PATIENCE_S = 1.0  # longer than those who only look hold a lock


def lock_of(folder: Path, *, is_shared: bool = True) -> FileLock:
    """The lock of a run's folder, beside it; the system frees it with the process, whatever ends that.

    is_shared: a thread that holds it may take it again.
    """
    locks = folder.parent / ".benchmark" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / folder.name, is_singleton=is_shared)


@contextmanager
def try_claim(folder: Path) -> Iterator[bool]:
    """Whether the folder is ours within, as far as the file system has locks; who has it may claim it once more."""
    lock = lock_of(folder)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Within, the folder is ours. Raises TrainingError when another process has it."""
    with try_claim(folder) as is_ours:
        if not is_ours:
            raise TrainingError(
                "another process is at work on this run", where=str(folder), remedy="Wait for it or stop it."
            )
        yield
