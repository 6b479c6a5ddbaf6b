"""Crops in memory, and the batches drawn from them."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
import torch

import toy
from safas.batches import CropStore, Sampler, Sampling, classes_of
from safas.errors import InputError, MediaError
from safas.table import CROPS, read_table, write_table


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return toy.prepare(tmp_path, toy.samples(), size=8, frames=3)


def store_of(prepared: Path, table: pl.DataFrame | None = None) -> CropStore:
    return CropStore(prepared, toy.samples() if table is None else table, toy.DOMAINS)


def test_a_store_holds_every_crop_beside_its_video(prepared: Path) -> None:
    store = store_of(prepared)
    assert store.images.shape == (24 * 3, 8, 8, 3)
    assert store.missing == 0
    for video, row in enumerate(store.videos.iter_rows(named=True)):
        assert store.domains[store.domain[video]] == row["domain"]
        assert store.live[video] == (row["label"] == "live")
        for frame in range(store.count[video]):
            place = store.first[video] + frame
            assert store.paths[place] == f"crops/toy/{row['video']}/{frame}.png"
            on_disk = cv2.imread(str(prepared / store.paths[place]))
            assert on_disk is not None
            np.testing.assert_array_equal(store.images[place], on_disk[:, :, ::-1])
    some = [store.paths[5], store.paths[0]]
    np.testing.assert_array_equal(store.read(some), store.images[[5, 0]])


def test_videos_without_a_crop_are_counted_and_left_out(prepared: Path) -> None:
    more = toy.samples(people=5)
    store = store_of(prepared, more)
    assert store.missing == 6
    assert len(store.videos) == 24


def test_the_digest_tells_pixels_and_labels_apart(prepared: Path) -> None:
    digest = store_of(prepared).digest()
    assert store_of(prepared).digest() == digest
    flipped = pl.when(pl.col("label") == "live").then(pl.lit("spoof")).otherwise(pl.lit("live"))
    assert store_of(prepared, toy.samples().with_columns(label=flipped)).digest() != digest
    cv2.imwrite(str(prepared / store_of(prepared).paths[7]), np.zeros((8, 8, 3), np.uint8))
    assert store_of(prepared).digest() != digest


def test_bad_folders_and_crops_are_named(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"crops\.parquet: no such file"):
        store_of(tmp_path / "nothing")
    with pytest.raises(InputError, match="none of the protocol's videos"):
        store_of(prepared, toy.samples().with_columns(dataset=pl.lit("other")))
    path = store_of(prepared).paths[4]
    cv2.imwrite(str(prepared / path), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(MediaError, match=f"{path}.*shape"):
        store_of(prepared)
    (prepared / path).write_bytes(b"no image")
    with pytest.raises(MediaError, match=f"{path}: not a readable square crop"):
        store_of(prepared)


def test_plain_sampling_shows_each_video_once_an_epoch(prepared: Path) -> None:
    sampler = Sampler(store_of(prepared), 6, "plain", seed=1)
    assert sampler.steps_per_epoch == 4
    epochs = [np.concatenate([sampler.crops(4 * epoch + i)[0] for i in range(4)]) for epoch in range(3)]
    for seen in epochs:
        np.testing.assert_array_equal(np.sort(seen), np.arange(24))
    assert not np.array_equal(epochs[0], epochs[1])


def test_what_does_not_fill_a_batch_is_left_out_of_the_epoch(prepared: Path) -> None:
    sampler = Sampler(store_of(prepared), 7, "plain", seed=1)
    assert sampler.steps_per_epoch == 3
    seen = np.concatenate([sampler.crops(i)[0] for i in range(3)])
    assert len(set(seen.tolist())) == 21


def test_balanced_batches_hold_every_class_alike(prepared: Path) -> None:
    """One live video of domain a is taken out, so the classes have 3 and 4 videos; a batch of 13 is 12."""
    table = toy.samples().filter(pl.col("video") != "a/0-live")
    store = store_of(prepared, table)
    sampler = Sampler(store, 13, "balanced", seed=2)
    assert sampler.batch == 12
    counts: Counter[int] = Counter()
    for step in range(6):
        videos, _ = sampler.crops(step)
        classes = 2 * store.domain[videos] + store.live[videos]
        assert Counter(classes.tolist()) == dict.fromkeys(range(6), 2)
        counts.update(videos.tolist())
    rare = np.flatnonzero((store.domain == 0) & store.live)
    assert [counts[int(video)] for video in rare] == [4, 4, 4]  # 12 places, gone through in rounds of 3
    assert [counts[video] for video in range(len(store.videos)) if video not in rare] == [3] * 20


@pytest.mark.parametrize("sampling", ["plain", "balanced"])
def test_a_batch_is_a_function_of_seed_and_step(prepared: Path, sampling: Sampling) -> None:
    store = store_of(prepared)
    first, second = Sampler(store, 6, sampling, seed=3), Sampler(store, 6, sampling, seed=3)
    steps = [first.crops(step) for step in range(20)]
    for step in (17, 3, 9):  # in any order, without the steps before
        for ours, theirs in zip(steps[step], second.crops(step), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(steps[5][0], Sampler(store, 6, sampling, seed=4).crops(5)[0])


def test_frames_are_the_videos_own_and_all_are_seen(prepared: Path) -> None:
    store = store_of(prepared)
    sampler = Sampler(store, 24, "plain", seed=0)
    frames: Counter[int] = Counter()
    for step in range(30):
        videos, crops = sampler.crops(step)
        within = crops - store.first[videos]
        assert within.min() >= 0
        assert (within < store.count[videos]).all()
        frames.update(within.tolist())
    assert sorted(frames) == [0, 1, 2]
    assert min(frames.values()) > 200  # of 720, 240 expected


def test_batches_that_cannot_be_are_refused(prepared: Path) -> None:
    with pytest.raises(InputError, match="25 images is more than the 24 training videos"):
        Sampler(store_of(prepared), 25, "plain", seed=0)
    with pytest.raises(InputError, match="cannot hold one image of each of 6 classes"):
        Sampler(store_of(prepared), 5, "balanced", seed=0)


def test_classes_number_the_pairs() -> None:
    labels, domains = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert len(set(classes_of(labels, domains).tolist())) == 4


@pytest.mark.parametrize(
    ("name", "value"), [("margin", 0.3), ("detector", "other"), ("size", 20), ("align", True)]
)
def test_crops_that_were_made_differently_are_not_mixed(tmp_path: Path, name: str, value: object) -> None:
    table = toy.samples()
    crops = read_table(toy.prepare(tmp_path, table) / "crops.parquet", CROPS)
    odd = pl.col("video").str.starts_with("b")
    changed = crops.with_columns(pl.when(odd).then(pl.lit(value)).otherwise(name).alias(name))
    write_table(changed, tmp_path / "crops.parquet")
    with pytest.raises(InputError, match=rf"{name} = .* are mixed"):
        CropStore(tmp_path, table, toy.DOMAINS)
    CropStore(tmp_path, table.filter(domain="a"), ("a",))
