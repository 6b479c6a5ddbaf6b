"""safas serve BUNDLE"""

import os
from dataclasses import dataclass
from pathlib import Path

import tyro

LARGEST_IMAGE = 50_000_000  # pixels: a small file can unfold to gigabytes
# OpenCV and NumPy read these once, when they are imported: so they come before everything that does.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(LARGEST_IMAGE))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it writes to stderr, where the log is JSON
os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # the workers have all cores: more threads only wait for each other

from safas.bundle import Precision
from safas.errors import InputError
from safas.parallel import cores
from safas.predictor import Predictor
from safas.service.app import service
from safas.service.browser import fetch_runtime, runtime_folder
from safas.service.evidence import evidence_folder
from safas.service.running import run, start_logs, warm_up
from safas.service.settings import Settings, read_keys


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
    api_key_file: Path | None = None
    """file with one key a line: only requests with one of them in the header X-API-Key are answered"""
    max_mb: float = 50.0
    """largest upload, in millions of bytes"""
    per_minute: int = 600
    """verdicts and streams that a key, or without keys an address, may begin in a minute; 0: any number"""
    queue: int = 32
    """requests that may wait; the next are told to come back (503)"""
    streams: int = 8
    """streams open at once"""
    timeout: float = 30.0
    """seconds until a verdict is given up"""
    workers: int | None = None
    """presentations judged at once; none: one a core"""
    keep_evidence: Path | None = None
    """folder that keeps every upload with its verdict: faces of people, so mind the law"""
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
        settings = self._settings()
        if settings.evidence is not None:
            evidence_folder(settings.evidence)
        if self.in_browser:
            fetch_runtime(runtime_folder())
        predictor = Predictor(self.bundle, public_key=self.public_key, precision=self.precision)
        warm_up(predictor)
        start_logs()
        run(
            service(predictor, self.bundle, settings),
            self.host,
            self.port,
            proxy=self.proxy,
            grace_s=self.timeout,
        )

    def _settings(self) -> Settings:
        workers = cores() if self.workers is None else self.workers
        for name, value, least in (
            ("--workers", workers, 1), ("--queue", self.queue, 0), ("--per-minute", self.per_minute, 0),
            ("--streams", self.streams, 0), ("--max-mb", self.max_mb, 1e-6), ("--timeout", self.timeout, 1e-3),
        ):  # fmt: skip
            if not value >= least:
                raise InputError(f"{value} is too small", where=name, remedy=f"Give {least:g} or more.")
        return Settings(
            keys=frozenset() if self.api_key_file is None else read_keys(self.api_key_file),
            max_bytes=round(self.max_mb * 1e6),
            per_minute=self.per_minute,
            workers=workers,
            queue=self.queue,
            streams=self.streams,
            timeout_s=self.timeout,
            evidence=self.keep_evidence,
        )
