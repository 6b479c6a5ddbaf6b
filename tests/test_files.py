"""Files are there as a whole or not at all."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
import torch

from safas.errors import InputError
from safas.files import write_file
from safas.table import write_table
from safas.training.checkpoint import save


def test_a_full_disk_is_one_clear_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the system refuses in the middle of the write."""
    resource = pytest.importorskip("resource")  # Windows has no such limit
    old = pl.DataFrame({"a": [1]})
    write_table(old, tmp_path / "t.parquet")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(InputError, match=r"t\.parquet: cannot be written \(File too large\)"):
            write_table(pl.DataFrame({"a": range(10_000)}), tmp_path / "t.parquet")
        with pytest.raises(InputError, match=r"w\.safetensors: cannot be written"):
            save(tmp_path / "w.safetensors", {"w": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(old)
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_many_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    """Threads, as processes of several machines may have one number too: the last one wins, none fails."""
    path, texts = tmp_path / "file", [f"{number}" * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: [write_file(path, text) for _ in range(50)], texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_leads_through_a_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(
        InputError, match=r"file.report\.html: cannot be written \(.*Make room or name another"
    ):
        write_file(tmp_path / "file" / "report.html", "page")
    assert (tmp_path / "file").read_text() == "kept"
