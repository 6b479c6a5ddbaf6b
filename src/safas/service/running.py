"""A service from start to stop: one process, which ends on SIGTERM when what it began is done."""

import logging
import signal
import socket
import sys

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI

from safas.errors import InputError
from safas.predictor import Predictor
from safas.service.telemetry import LOG, JsonLines

LARGEST_FRAME = 8_000_000  # bytes of one message in a stream


def start_logs() -> None:
    """One JSON object a line on stderr. uvicorn's own lines name addresses, so only its warnings are kept."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOG.setLevel(logging.INFO)


def warm_up(predictor: Predictor) -> None:
    """The first run is slow, and a network that cannot run must say so before anybody asks."""
    size = predictor.bundle.crop.size
    predictor.score(np.zeros((1, size, size, 3), np.uint8))


def run(app: FastAPI, host: str, port: int, *, proxy: str = "", grace_s: float = 30.0) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what is in flight for at most `grace_s`.

    `proxy`: the address whose X-Forwarded-For is believed. Raises InputError when the address cannot be had.
    """
    cv2.setNumThreads(1)  # the pool has a thread for each core already
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxy),
        forwarded_allow_ips=proxy or None,
        ws_max_size=LARGEST_FRAME,
        timeout_graceful_shutdown=int(grace_s),
    )
    server = uvicorn.Server(config)
    signal.signal(
        signal.SIGTERM, lambda *_: None
    )  # uvicorn hands it on when it is done: no reason to die of it
    listening = bound(host, port)
    LOG.info("serving", extra={"told": {"address": "http://{}:{}".format(*listening.getsockname()[:2])}})
    server.run(sockets=[listening])
    LOG.info("stopped")


def bound(host: str, port: int) -> socket.socket:
    """A socket at the address. Raises InputError when it is taken, or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: else asyncio leaves Nagle's algorithm on, and an answer waits 40 ms for an acknowledgement.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen()  # from here on connections wait, so that nobody who read the first line of the log is refused
    except OSError as error:
        taken.close()
        what = f"cannot listen there ({error.strerror or error})"
        raise InputError(what, where=f"{host}:{port}", remedy="Choose another --host or --port.") from error
    return taken
