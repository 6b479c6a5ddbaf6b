"""A real `safas serve` in a process of its own, as its operator would start it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from skimage import data

PHOTO = np.ascontiguousarray(data.astronaut()[:320, 60:380])  # one face
KEY = "a-key-of-sixteen-or-more"


@dataclass
class Served:
    """A running service: its address, its process, its folders and its log."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def files(self) -> list[Path]:
        """Whatever lies in its working directory and in the directory for temporary files."""
        return [path for name in ("cwd", "tmp") for path in (self.folder / name).rglob("*")]

    def post(self, content: bytes, name: str = "file", **headers: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}/v1/verdict",
            files={name: ("upload", content)},
            headers={key.replace("_", "-"): value for key, value in headers.items()},
            timeout=60,
        )

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, **more)

    def figures(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """{(sample, values of its labels by their names): value}, as Prometheus would read them."""
        text = self.get("/metrics", headers={"X-API-Key": KEY}).text
        families = text_string_to_metric_families(text)
        return {
            (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
            for family in families
            for sample in family.samples
        }

    def in_flight(self) -> float:
        """Requests that were let in and are not done."""
        return self.figures()["safas_requests_in_flight", ()]


@contextmanager
def serving(bundle: Path, folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    """A service on a free port with these environment variables, stopped at the end."""
    for name in ("cwd", "tmp"):
        (folder / name).mkdir(parents=True)
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "safas", "serve", str(bundle), "--port", "0", *options],
            stderr=log,
            stdout=log,
            cwd=folder / "cwd",
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": paths, **variables},
        )
    served = Served("", process, folder)
    try:
        until(lambda: process.poll() is not None or "address" in (folder / "log").read_text())
        assert process.poll() is None, (folder / "log").read_text()
        served.url = served.log[0]["address"]
        yield served
    finally:
        process.terminate()
        process.wait(60)


def until(happened: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    done, buffer = cv2.imencode(suffix, image[:, :, ::-1])
    assert done
    return buffer.tobytes()


class Halfway(threading.Thread):
    """A request whose body stops in the middle until `finish`: it is in flight for as long as a test wants."""

    def __init__(self, served: Served, content: bytes) -> None:
        super().__init__()
        self._url, self._go_on, self.answer = served.url, threading.Event(), httpx.Response(0)
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        self._body = head + content + b"\r\n--x--\r\n"
        self.start()

    def run(self) -> None:
        headers = {
            "X-API-Key": KEY,
            "content-type": "multipart/form-data; boundary=x",
            "content-length": str(len(self._body)),
        }
        self.answer = httpx.post(
            f"{self._url}/v1/verdict", content=self._halves(), headers=headers, timeout=60
        )

    def _halves(self) -> Iterator[bytes]:
        half = len(self._body) // 2
        yield self._body[:half]
        self._go_on.wait(60)
        yield self._body[half:]

    def finish(self) -> httpx.Response:
        self._go_on.set()
        self.join(60)
        return self.answer
