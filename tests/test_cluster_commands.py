"""`safas prepare` and `safas benchmark --trials` on a cluster that `ray start --head` made, joined by its address.

In processes of their own, since a process keeps the token of the first cluster that it joins.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import tiny
import toy
from conftest import Write
from safas.benchmark.cell_index import read_cells
from safas.cli import main
from test_prepare import tree

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are those of POSIX")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


# A cluster runs whatever it is sent, so Ray lets in only who knows its token.
SECRET = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
GRID = """
protocols: ["a,b->c"]
methods: [erm]
seeds: [0]
trials: 2
training: {backbone: mobilenet_v3_small, image_size: 16, epochs: 2, threads: 1}
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The cluster, in a process group of its own: `ray stop` would end every other cluster of this machine too."""
    port, client = free_ports(2)
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--head", "--block", f"--port={port}", f"--ray-client-server-port={client}"]
    command += [
        "--node-ip-address=127.0.0.1",
        "--num-cpus=2",
        "--include-dashboard=false",
        "--disable-usage-stats",
    ]
    with tempfile.TemporaryDirectory(prefix="ray") as folder, Path(folder, "log").open("w") as log:
        head = subprocess.Popen(
            [*command, f"--temp-dir={folder}"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | SECRET,
        )
        try:
            wait_for(port, head, Path(folder, "log"))
            yield f"127.0.0.1:{port}"
        finally:
            head.send_signal(signal.SIGTERM)  # it then ends what it started
            try:
                head.wait(30)
            finally:
                if head.poll() is None:
                    os.killpg(head.pid, signal.SIGKILL)


def wait_for(port: int, head: subprocess.Popen[bytes], log: Path) -> None:
    """Until the cluster has said that it runs."""
    for _ in range(600):
        if "Ray runtime started" in log.read_text():
            return
        assert head.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(f"no cluster at port {port}: {log.read_text()}")


def on_ray(command: list[str], address: str) -> subprocess.CompletedProcess[str]:
    """`safas ...` on the cluster, in a process of its own."""
    options = ["--engine", "ray", "--address", address]
    return subprocess.run(
        [sys.executable, "-m", "safas", *command, *options],
        capture_output=True,
        text=True,
        env=os.environ | SECRET,
    )


def test_prepare_makes_the_same_folder(address: str, tmp_path: Path, write_video: Write) -> None:
    root = tiny.data_set(tmp_path / "data", write_video)
    settings = ["--size", "16", "--frames", "1", "--workers", "1"]
    assert main(["prepare", str(root), str(tmp_path / "here"), *settings]) == 0
    ended = on_ray(["prepare", str(root), str(tmp_path / "there"), *settings], address)
    assert ended.returncode == 0, ended.stderr
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


@pytest.mark.slow
def test_a_sweep_finds_what_one_process_finds(address: str, tmp_path: Path) -> None:
    """Two trials and the run of the winner; every number and every drawn setting is that of one process."""
    (tmp_path / "grid.yaml").write_text(GRID)
    sweep = [
        "benchmark",
        str(toy.prepared_folder(tmp_path / "prepared")),
        "--grid",
        str(tmp_path / "grid.yaml"),
    ]
    assert main([*sweep, "--runs", str(tmp_path / "here")]) == 0
    ended = on_ray([*sweep, "--runs", str(tmp_path / "there")], address)
    assert ended.returncode == 0, ended.stderr
    here, there = (pl.read_csv(tmp_path / name / "trials.csv") for name in ("here", "there"))
    assert len(there) == 2
    assert there.equals(here)
    assert read_cells(tmp_path / "there").equals(read_cells(tmp_path / "here"))
    assert read_cells(tmp_path / "there")["state"].to_list() == ["done"]
