"""Packed crops: the same pixels, digests, runs and batches as the files', and what a pack refuses."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tiny
import toy
from conftest import Write
from safas import batches, packing
from safas.batches import CropStore, Sampler
from safas.cli import main
from safas.errors import InputError, MediaError
from safas.joint import join_prepared, prepare_jointly
from safas.media import evenly_spaced
from safas.packing import PackedCrops, open_pack, pack
from safas.prepare import PrepareConfig, prepare
from safas.sources import read_boxes, read_source
from safas.table import CROPS, read_table, write_table
from safas.training import TrainConfig, read_records, read_run, train

SIZE = 24
CONFIG = TrainConfig(
    backbone="mobilenet_v3_small", weights="none", image_size=SIZE, epochs=2, batch=6, log_every=1,
    accelerator="cpu", threads=1,
)  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return toy.prepare(tmp_path / "prepared", toy.samples(), size=SIZE)


def both(prepared: Path, table: pl.DataFrame, domains: tuple[str, ...]) -> Iterator[CropStore]:
    """The store of these videos from the files, and the one from the pack."""
    yield CropStore(prepared, table, domains)
    pack(prepared)
    yield CropStore(prepared, table, domains)


@pytest.mark.parametrize("domains", [toy.DOMAINS, ("c", "a")])
def test_a_packed_store_is_the_same_store(prepared: Path, domains: tuple[str, ...]) -> None:
    """The digest is made a second time here: SHA-256 over domains and shape, all pixels, ids, labels, domains."""
    table = toy.samples().filter(pl.col("domain").is_in(domains), pl.col("split") == "train")
    plain, packed = both(prepared, table, domains)
    assert isinstance(plain.images, np.ndarray)
    assert isinstance(packed.images, PackedCrops)
    assert packed.images.shape == plain.images.shape
    np.testing.assert_array_equal(packed.images[:], plain.images)
    np.testing.assert_array_equal(packed.images[np.array([5, 0, 5])], plain.images[[5, 0, 5]])
    np.testing.assert_array_equal(packed.images[2:9:3], plain.images[2:9:3])
    np.testing.assert_array_equal(packed.read(plain.paths[3:1:-1]), plain.images[3:1:-1])
    wanted = repr((domains, plain.images.shape)).encode() + plain.images.tobytes()
    for column in (plain.paths, *(plain.videos[name] for name in ("dataset", "video", "label", "domain"))):
        wanted += "\n".join(column).encode()
    assert plain.digest() == packed.digest() == hashlib.sha256(wanted).hexdigest()


def test_the_digest_of_a_packed_store_is_made_once(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(prepared)
    store = CropStore(prepared, toy.samples(), toy.DOMAINS)
    made = store.digest()
    monkeypatch.setattr(batches, "blocks", lambda _: pytest.fail("the pixels are read again"))
    assert CropStore(prepared, toy.samples(), toy.DOMAINS).digest() == made
    flipped = toy.samples().with_columns(label=pl.col("label").replace({"live": "spoof", "spoof": "live"}))
    with pytest.raises(pytest.fail.Exception):  # other labels are another digest
        CropStore(prepared, flipped, toy.DOMAINS).digest()


def test_a_run_has_the_same_name_and_the_same_losses(prepared: Path, tmp_path: Path) -> None:
    data = toy.source_data(toy.samples())
    plain = train(CONFIG, data, prepared, tmp_path / "plain", progress=False)
    pack(prepared)
    packed = train(CONFIG, data, prepared, tmp_path / "packed", progress=False)
    assert packed.name == plain.name
    assert read_run(packed)["data"] == read_run(plain)["data"]
    assert read_records(packed) == read_records(plain)


def test_thousands_of_crops_make_the_same_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 of them, read in blocks of 7, and what is mapped is let go after every batch."""
    monkeypatch.setattr(packing, "_BLOCK", 7 * 8 * 8 * 3)
    monkeypatch.setattr(packing, "_LET_GO", 0)
    table = toy.samples(people=100)
    prepared = toy.prepare(tmp_path, table, size=8, frames=5)
    plain, packed = both(prepared, table, toy.DOMAINS)
    assert len(packed.images) == 3000
    sampler = Sampler(packed, 48, "balanced", seed=3)
    for step in range(40):
        _, crops = sampler.crops(step)
        np.testing.assert_array_equal(packed.images[crops], plain.images[crops])
    assert packed.digest() == plain.digest()


def test_packing_again_checks_every_byte(prepared: Path) -> None:
    made, is_new = pack(prepared)
    assert is_new
    file = prepared / "packed" / "crops.npy"
    assert np.load(file).shape == (48, SIZE, SIZE, 3)  # a NumPy file like any other
    wanted = file.read_bytes()
    assert pack(prepared)[1] is False
    place = len(wanted) - 3 * SIZE * SIZE - 5  # in the last crop but one, which is not looked at when opened
    file.write_bytes(wanted[:place] + bytes([wanted[place] ^ 1]) + wanted[place + 1 :])
    open_pack(prepared, read_table(prepared / "crops.parquet", CROPS))
    again, is_new = pack(prepared)
    assert is_new
    assert file.read_bytes() == wanted
    assert again.identity == made.identity


def test_a_pack_that_does_not_fit_is_refused_by_name(prepared: Path, tmp_path: Path) -> None:
    other = toy.prepare(tmp_path / "other", toy.samples(), size=SIZE, seed=1)
    pack(prepared)
    pack(other)
    file, about = prepared / "packed" / "crops.npy", prepared / "packed" / "packed.json"
    whole, said = file.read_bytes(), about.read_text()

    def refused(words: str) -> None:
        with pytest.raises(InputError, match=rf"(?s){words}.*Run `safas pack {prepared}` again, or delete"):
            CropStore(prepared, toy.samples(), toy.DOMAINS)
        about.write_text(said)
        file.write_bytes(whole)

    file.write_bytes(whole[:-1000])
    refused(r"crops\.npy: .*82,072 bytes of 83,072 are there")  # 128 + 48 * 3 * 24 * 24
    file.unlink()
    refused(r"crops\.npy: .*0 bytes of 83,072")
    shutil.copyfile(other / "packed" / "crops.npy", file)
    refused(r"crops\.npy: .*not the pixels that were packed")
    file.write_bytes(b"x" * len(whole))
    refused(r"crops\.npy: .*no NumPy file")
    about.write_text("{}")
    refused(r"packed\.json: .*does not say what was packed")
    about.write_text(json.dumps({**json.loads(said), "crops": 47}))
    refused(r"crops\.npy: .*of the shape \(48, 24, 24, 3\)")
    crops = read_table(prepared / "crops.parquet", CROPS)
    write_table(crops[1:], prepared / "crops.parquet")
    refused(r"crops\.npy: .*other crops than .*crops\.parquet")
    assert pack(prepared)[1]
    assert len(CropStore(prepared, toy.samples(), toy.DOMAINS).images) == 47


def test_what_cannot_be_packed_is_named_and_leaves_nothing(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"crops\.parquet: no such file"):
        pack(tmp_path)
    (prepared / "crops/toy/b/1-live/1.png").write_bytes(b"no image")
    with pytest.raises(MediaError, match=r"1-live/1\.png: not a readable square crop"):
        pack(prepared)
    assert list((prepared / "packed").iterdir()) == []
    CropStore(prepared, toy.samples().filter(domain="a"), ("a",))  # goes on from the files
    write_table(read_table(prepared / "crops.parquet", CROPS).clear(), prepared / "crops.parquet")
    with pytest.raises(InputError, match="no crop to pack"):
        pack(prepared)


def test_preparing_anew_discards_the_pack_of_the_folder_and_of_the_joint_one(
    tmp_path: Path, write_video: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tiny.data_set(tmp_path / "data", write_video), tmp_path / "out"
    config = PrepareConfig(size=16, frames=1, workers=1)

    def prepared() -> list[bool]:
        prepare_jointly({"table": root}, out, config, lambda _: None, progress=False)
        return [(out / part / "packed").is_dir() for part in ("table", "joint")]

    assert prepared() == [False, False]
    for part in ("table", "joint"):
        assert main(["pack", str(out / part)]) == 0
        assert main(["pack", str(out / part)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in said] == ["packed", "packed already, every byte checked"] * 2
    assert prepared() == [True, True]
    (root / "west" / "west-dan-0.mp4").touch()
    assert prepared() == [False, False]


@pytest.mark.parametrize("name", ["mycrops", "crops"])
def test_a_joint_pack_is_outdated_when_one_of_its_parts_is_prepared_alone(
    tmp_path: Path, write_video: Write, name: str
) -> None:
    """As is one whose preparation was killed before it could be discarded; the table of crops is the same."""
    root, out = tiny.data_set(tmp_path / "data", write_video), tmp_path / name
    config = PrepareConfig(size=16, frames=1, workers=1)
    prepare_jointly({"table": root}, out, config, lambda _: None, progress=False)
    joint = tmp_path / "joint"
    join_prepared([out / "table"], joint)
    _, made = pack(joint)
    table = read_table(joint / "crops.parquet", CROPS)
    assert made
    assert open_pack(joint, table) is not None
    video = root / "west" / "west-dan-0.mp4"
    frames = [255 - frame.image for frame in evenly_spaced(video, 4)]
    write_video(video, frames)
    samples = read_source("table", root)
    prepare(samples, root, out / "table", config, read_boxes("table", root, samples), progress=False)
    assert read_table(joint / "crops.parquet", CROPS).equals(table)
    with pytest.raises(InputError, match="other crops than"):
        open_pack(joint, table)
    _, made = pack(joint)
    assert made


def test_orders_are_drawn_once_a_turn_however_many_classes_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 domains of two labels are 80 orders of 3 videos; 3 steps of 80 images go through each of them once."""
    names = tuple(f"d{number:02d}" for number in range(40))
    table = toy.samples(names, people=3)
    store = CropStore(toy.prepare(tmp_path, table, size=8, frames=1), table, names)
    drawn: list[tuple[int, ...]] = []
    real = batches._permutation
    monkeypatch.setattr(batches, "_permutation", lambda *key: (drawn.append(key), real(*key))[1])
    sampler = Sampler(store, 80, "balanced", seed=0)
    for step in range(6):
        sampler.crops(step)
    assert len(drawn) == len(set(drawn)) == 2 * 80
