"""How long each stage of a long piece of work took and how much memory it needed, kept over several sittings."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safas.files import write_file

EVERY_S = 0.25  # seconds between two looks at the memory


class Stages:
    """Seconds by stage and peak memory, in a JSON file that a second sitting adds to."""

    def __init__(self, path: Path) -> None:
        """Go on with what stands in `path`, if it is there and readable."""
        self.path = path
        self.seconds: dict[str, float] = {}
        self.peak_bytes = 0
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            self.seconds, self.peak_bytes = dict(said["seconds"]), int(said["peak_bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # only timings: a lost file costs nothing

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens within, and watch the memory. What a failed stage took counts too."""
        start = time.perf_counter()
        with peak_memory() as peak:
            try:
                yield
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
                self.peak_bytes = max(self.peak_bytes, peak())
                self._write()

    def peak(self) -> str:
        """In words; empty where it can't be measured."""
        if not self.peak_bytes:
            return ""
        return f"{self.peak_bytes / 1e9:.1f} GB at most, all processes together"

    def _write(self) -> None:
        said = {"seconds": self.seconds, "peak_bytes": self.peak_bytes}
        write_file(self.path, json.dumps(said, indent=2) + "\n")


@contextmanager
def peak_memory() -> Iterator["PeakBytes"]:
    """Watch this process and its children; the value is a function that gives the peak in bytes so far."""
    watch = PeakBytes()
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


class PeakBytes:
    """The largest sum of resident memory of this process and all below it; 0 where there is no /proc.

    Pages that processes share count once for each, so it is an upper bound.
    """

    def __init__(self) -> None:
        self._peak, self._end = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __call__(self) -> int:
        """Bytes."""
        self._peak = max(self._peak, _resident_bytes())
        return self._peak

    def start(self) -> None:
        """Begin to look, in a thread."""
        if Path("/proc/self/stat").exists():
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(EVERY_S):
            self()


def _resident_bytes() -> int:
    parents: dict[int, int] = {}
    pages: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(entry.name)], pages[int(entry.name)] = int(fields[1]), int(fields[21])
    family = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    page = os.sysconf("SC_PAGE_SIZE") if pages else 0
    return page * sum(pages.get(pid, 0) for pid in family)
