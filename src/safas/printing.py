"""A page as PDF, printed by a browser of this machine that nobody sees."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from safas.errors import InputError
from safas.files import write_file

_NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
    "microsoft-edge-stable", "msedge",
)  # fmt: skip
_PLACES = (  # where they lie without being on the path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_QUIET = (
    "--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip
_DRAWN = 10_000  # milliseconds of the page's own clock, within which it has drawn all its figures
_PATIENCE = 300  # seconds
_REMEDY = (
    "Install Chromium, Chrome or Edge, or set SAFAS_BROWSER to its path; or print the page from any browser."
)


def write_pdf(page: Path, out: Path) -> Path:
    """Print the page, figures and all, in its print style; returns `out`.

    Raises InputError when there is no browser or it prints nothing.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="safas-print-") as folder:
        printed = Path(folder) / "page.pdf"
        said = _run(browser, page, printed, Path(folder) / "profile")
        if not printed.is_file() or not printed.stat().st_size:
            raise InputError(f"the browser printed nothing ({said})", where=str(browser), remedy=_REMEDY)
        write_file(out, printed.read_bytes())
    return out


def find_browser() -> Path:
    """SAFAS_BROWSER, or the first of Chromium, Chrome and Edge that is here. Raises InputError without one."""
    named = os.environ.get("SAFAS_BROWSER")
    if named:
        found = shutil.which(named)
        if found is None:
            raise InputError("no such program", where=f"SAFAS_BROWSER={named}", remedy=_REMEDY)
        return Path(found)
    for name in (*_NAMES, *_PLACES):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise InputError("no browser here that could print the page as PDF", remedy=_REMEDY)


def _run(browser: Path, page: Path, out: Path, profile: Path) -> str:
    """Print; returns the last words of the browser."""
    command = [
        str(browser), *_QUIET, *_unboxed(), f"--user-data-dir={profile}", f"--virtual-time-budget={_DRAWN}",
        "--no-pdf-header-footer", f"--print-to-pdf={out}", page.resolve().as_uri(),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"could not print the page ({error})", where=str(browser), remedy=_REMEDY) from error
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"exit code {done.returncode}"


def _unboxed() -> tuple[str, ...]:
    """Chromium refuses to start as root with its sandbox; the page is our own and can request nothing."""
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
