"""A real browser with a made-up camera, and the page in it.

Screenshots for people are kept below the folder that SAFAS_TEST_ARTEFACTS names, or else in test-artefacts/.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from safas.service import browser as runtime

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARTEFACTS = (
    Path(os.environ.get("SAFAS_TEST_ARTEFACTS") or Path(__file__).parents[1] / "test-artefacts") / "page"
)
TIMEOUT_MS = 120_000
JUDGED = (
    "#label:not([data-label=none])"  # Playwright's waiting for functions needs `eval`, which the page forbids
)


def need_chromium() -> str:
    """Where it is; a skip where it or Playwright is not."""
    pytest.importorskip("playwright", reason="no Playwright here")
    found = next((path for path in CHROMIUM if Path(path).is_file()), None)
    if found is None:
        pytest.skip("no Chromium here")
    return found


@contextmanager
def chromium(clip: Path) -> Iterator[object]:
    """A headless Chromium whose camera shows a clip over and over."""
    found = need_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={clip}",
            ],
        )
        yield browser
        browser.close()


@contextmanager
def page_of(browser, address: str, *, expected: str = "nothing", **context) -> Iterator[object]:
    """The page, opened; at the end nothing may be on the console but what is `expected` (a pattern)."""
    opened = browser.new_context(permissions=["camera"], **context)
    page = opened.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page
    opened.close()
    assert [line for line in said if not re.search(expected, line)] == []


def verdict_on(page) -> tuple[str, float | None, str]:
    """Label, score and first reason, as they stand on the page, once there is a verdict."""
    page.locator(JUDGED).wait_for()
    score = page.inner_text("#score")
    reason = page.inner_text("#reasons li >> nth=0")
    return (
        page.get_attribute("#label", "data-label"),
        None if score == "–" else float(score),
        reason[0].lower() + reason[1:],
    )


def need_runtime() -> None:
    """onnxruntime-web from the cache, the archive or npm; a skip only where npm is not, or reaches no registry."""
    folder = runtime.runtime_folder()
    if not (runtime.complete(folder) or (folder.parent / runtime.ARCHIVE).is_file()):
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm here")
        probe = subprocess.run([npm, "view", "onnxruntime-common", "version"], capture_output=True)
        if probe.returncode:  # another package: what fails after it is ours
            pytest.skip("npm reaches no registry from here")
    runtime.fetch_runtime(folder)


def objections(page) -> list[tuple[str, str]]:
    """What axe objects to on the page as it is now: (rule, first element)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here").Axe()
    return [(rule["id"], rule["nodes"][0]["html"]) for rule in axe.run(page).response["violations"]]


def judge_here(page) -> None:
    """Switch to the browser, and wait until its networks are there."""
    page.check("#in-browser")
    page.locator("#where-note", has_text="No frame leaves this device").wait_for()


def keep(page, name: str) -> None:
    """A screenshot for people."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


def write_y4m(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """RGB frames as the raw video that Chromium takes for a camera."""
    return _write_planes(path, [cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420) for frame in frames])


def film(clip: Path, path: Path) -> Path:
    """A video file as that raw video, with the very planes that its decoder gives."""
    with av.open(str(clip)) as container:
        return _write_planes(
            path, [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
        )


def _write_planes(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """Frames uint8 [3 H / 2, W]: Y, then U and V of half the size."""
    rows, width = frames[0].shape
    header = f"YUV4MPEG2 W{width} H{rows * 2 // 3} F30:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(header + b"".join(b"FRAME\n" + frame.tobytes() for frame in frames))
    return path
