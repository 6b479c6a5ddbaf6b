"""safas serve BUNDLE"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

# OpenCV and NumPy read these once, when they are imported: so they come before everything that does.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it writes to stderr, where the log is JSON
os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # the workers have all cores: more threads only wait for each other

from safas.bundle import Precision
from safas.predictor import Predictor
from safas.service.app import service
from safas.service.browser import fetch_runtime, runtime_folder
from safas.service.running import run, start_logs, warm_up
from safas.service.settings import Settings


@dataclass(frozen=True)
class Command:
    """Answer over HTTP and WebSocket who is live, and show a page with a camera to try it.

    Logs are JSON lines on stderr. No upload, image or score is ever stored or logged, unless --keep-evidence says so.
    Stopped with SIGTERM or Ctrl-C, it finishes what it has begun. It speaks plain HTTP: to the world only through a
    proxy with TLS.
    """

    bundle: tyro.conf.Positional[Path]
    """a folder made by safas export"""
    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0: all of this machine's"""
    port: int = 8000
    """port to listen on; 0: any free one, which the first line of the log tells"""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    proxy: str = ""
    """address of a reverse proxy whose X-Forwarded-For is believed"""
    precision: Precision = "fp32"
    """fp32, or int8: faster on most processors, its thresholds fixed on its own scores"""
    in_browser: bool = False
    """let the page judge by itself, so that no frame leaves the device: fetches onnxruntime-web once, by npm"""
    public_key: Path | None = None
    """accept only a bundle that was signed with this Ed25519 key's private half (PEM)"""

    def run(self, command: str) -> None:
        """Check everything, then serve until told to stop."""
        self.settings.check()
        if self.in_browser:
            fetch_runtime(runtime_folder())
        predictor = Predictor(self.bundle, public_key=self.public_key, precision=self.precision)
        warm_up(predictor)
        start_logs()
        run(
            service(predictor, self.bundle, self.settings),
            self.host,
            self.port,
            proxy=self.proxy,
            grace_s=self.settings.timeout,
        )
