"""A service under 1, 8 and 64 clients: requests a second, and where the time of one goes.

    python benchmarks/service.py BUNDLE [SECONDS] [OPTIONS OF safas serve]

Each client posts one photograph (scikit-image's astronaut, 640x480, JPEG) again and again over a connection of its own,
for SECONDS (default 10). A refused one (503) waits for 0.1 s. Client and server share the machine. The stages are what
the server measured; the rest is HTTP, the form, the temporary file, and waiting.
"""

import asyncio
import contextlib
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
from skimage import data

from machine import machine

STAGES = ("decode", "detect", "crop", "score")
CLIENTS = (1, 8, 64)
PAUSE_S = 0.1


def main(bundle: Path, seconds: float = 10, *options: str) -> None:
    print(machine("onnxruntime", "fastapi", "uvicorn"))
    print(f"load when it began: {os.getloadavg()[0]:.1f}; {' '.join(options) or 'usual options'}")
    body = photograph()
    with served(bundle, *options) as url:
        asyncio.run(clients(url, body, 1, 2))  # warms up
        for count in CLIENTS:
            before = os.getloadavg()[0]
            answers, refused, took = asyncio.run(clients(url, body, count, seconds))
            tell(count, answers, refused, took)
            print(f"  load {before:.1f} before, {os.getloadavg()[0]:.1f} after")


def tell(count: int, answers: list[tuple[float, dict[str, float]]], refused: int, took: float) -> None:
    """One line a number of clients, one for the stages."""
    whole = quantiles([seconds for seconds, _ in answers])
    print(
        f"{count} clients: {len(answers) / took:.1f} verdicts/s, p50 {whole[0]:.0f}, p95 {whole[1]:.0f} ms;"
        f" {refused} refused"
    )
    for stage in STAGES:
        middle, high = quantiles([timings[stage] for _, timings in answers])
        print(f"  {stage:6} p50 {middle:.1f}, p95 {high:.1f} ms")


def quantiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    return 1000 * cuts[9], 1000 * cuts[18]


async def clients(
    url: str, body: bytes, count: int, seconds: float
) -> tuple[list[tuple[float, dict[str, float]]], int, float]:
    """(seconds, the server's timings) of each verdict; how many were refused; how long it went on."""
    answers: list[tuple[float, dict[str, float]]] = []
    refused, start = 0, time.perf_counter()

    async def one() -> None:
        nonlocal refused
        async with httpx.AsyncClient(timeout=60) as client:
            while time.perf_counter() - start < seconds:
                began = time.perf_counter()
                answer = await client.post(f"{url}/v1/verdict", files={"file": ("f", body)})
                if answer.status_code == 200:
                    answers.append((time.perf_counter() - began, answer.json()["timings"]))
                else:
                    refused += 1
                    await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(one() for _ in range(count)))
    return answers, refused, time.perf_counter() - start


@contextlib.contextmanager
def served(bundle: Path, *options: str) -> Iterator[str]:
    """The address of a service in a process of its own."""
    command = [sys.executable, "-m", "safas", "serve", str(bundle), "--port", "0", "--per-minute", "0"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = re.search(r"http://[\d.]+:\d+", process.stderr.readline())
    assert found, process.stderr.read()
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    try:
        yield found[0]
    finally:
        process.terminate()
        process.wait()
        drain.wait()


def photograph() -> bytes:
    photo = np.ascontiguousarray(data.astronaut()[:480, :, ::-1])
    wide = cv2.copyMakeBorder(photo, 0, 0, 64, 64, cv2.BORDER_REPLICATE)
    return cv2.imencode(".jpg", wide)[1].tobytes()


if __name__ == "__main__":
    given, *more = sys.argv[1:]
    main(Path(given), *map(float, more[:1]), *more[1:])
