"""The remembered digest: it is the one that names a run, crops are read once, and changed crops are noticed."""

import os
from pathlib import Path

import polars as pl
import pytest

import toy
from safas import digests
from safas.digests import digest, known_digest
from safas.prepared import prepared_samples
from safas.protocols import Protocol, SourceData, source_data
from safas.training import digest_of, read_crops


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return toy.prepared_folder(tmp_path / "prepared")


def data(prepared: Path, sources: tuple[str, ...] = ("a", "b")) -> SourceData:
    return source_data(Protocol(sources, "c"), prepared_samples(prepared))


def test_it_is_made_once(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "memory"
    assert known_digest(data(prepared), prepared, memory) is None
    made = digest(data(prepared), prepared, memory)
    assert made == digest_of(read_crops(data(prepared), prepared))
    monkeypatch.setattr(digests, "read_crops", lambda *_: pytest.fail("crops are read again"))
    assert digest(data(prepared), prepared, memory) == known_digest(data(prepared), prepared, memory) == made


@pytest.mark.parametrize("left", [b"", b"0" * 40, b"\xff"])
def test_one_that_a_crash_has_damaged_is_made_again(left: bytes, prepared: Path, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    made = digest(data(prepared), prepared, memory)
    (file,) = memory.iterdir()
    file.write_bytes(left)
    assert known_digest(data(prepared), prepared, memory) is None
    assert digest(data(prepared), prepared, memory) == made
    assert file.read_text() == made


def test_other_rows_other_crops_and_other_sources_are_other_digests(prepared: Path, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    first = digest(data(prepared), prepared, memory)
    assert known_digest(data(prepared, ("b", "a")), prepared, memory) is None  # heads in another order
    crop = next(path for path in sorted(prepared.rglob("*.png")) if "/a/0-live/" in path.as_posix())
    pixels = crop.read_bytes()
    os.utime(crop, ns=(1, 1))
    assert known_digest(data(prepared), prepared, memory) is None
    assert digest(data(prepared), prepared, memory) == first  # the same pixels, written at another time
    crop.write_bytes(next(iter(sorted(prepared.rglob("b/*/0.png")))).read_bytes())
    assert pixels != crop.read_bytes()
    assert digest(data(prepared), prepared, memory) != first
    samples = prepared_samples(prepared).with_columns(
        pl.when(pl.col("subject") == "a0").then(pl.lit("dev")).otherwise("split").alias("split")
    )
    moved = source_data(Protocol(("a", "b"), "c"), samples)
    assert known_digest(moved, prepared, memory) is None


def test_the_targets_crops_are_none_of_its_business(prepared: Path, tmp_path: Path) -> None:
    made = digest(data(prepared), prepared, tmp_path / "memory")
    for path in prepared.rglob("c/*/*.png"):
        path.unlink()
    assert known_digest(data(prepared), prepared, tmp_path / "memory") == made
