"""Processes that start afresh: the same answers, an error that arrives, none left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from safas.errors import MediaError, SafasError
from safas.parallel import cores, each

LONG_S = 60  # a deadline, far beyond what anything here takes


def square(number: int) -> int:
    return number * number


def process(_: int) -> int:
    return os.getpid()


def fail(number: int) -> int:
    if number == 7:
        raise MediaError("broken", where="clip 7", remedy="Film it again.")
    return number


def die(number: int) -> int:
    if number == 7:
        os._exit(3)
    return number


@pytest.mark.parametrize("workers", [1, 2, None])
def test_results_come_in_order(workers: int | None) -> None:
    assert list(each(square, range(23), workers)) == [i * i for i in range(23)]


def test_where_the_work_is_done() -> None:
    assert set(each(process, range(3), 2)) == {os.getpid()}  # too little for processes
    assert set(each(process, range(20), 1)) == {os.getpid()}
    assert os.getpid() not in set(each(process, range(20), 2))
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_an_error_arrives_whole() -> None:
    with pytest.raises(MediaError) as caught:
        list(each(fail, range(20), 2))
    assert (caught.value.what, caught.value.where, caught.value.remedy) == (
        "broken",
        "clip 7",
        "Film it again.",
    )


def test_a_dead_process_is_an_error_of_one_line() -> None:
    with pytest.raises(SafasError, match="died") as caught:
        list(each(die, range(20), 2))
    assert "\n" not in str(caught.value)


def note_and_wait(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(LONG_S)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie (Linux's /proc)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_a_parent_that_was_killed_or_hears_ctrl_c(stop: int, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from safas.parallel import each; from test_parallel import *;"
        "list(each(note_and_wait, [Path(sys.argv[1])] * 20, 2))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    parent = subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LONG_S / 2
    while len(children := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        assert time.monotonic() < deadline, "the processes did not start"
        time.sleep(0.05)
    assert all(is_running(pid) for pid in children)
    os.kill(parent.pid, stop)
    parent.wait(timeout=LONG_S / 2)
    while any(is_running(pid) for pid in children):
        assert time.monotonic() < deadline, "a process has outlived its parent"
        time.sleep(0.05)
