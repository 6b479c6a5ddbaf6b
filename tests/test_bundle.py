"""A bundle is read whole or not at all: tampering, other versions, signatures."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from safas.bundle import open_bundle
from safas.cli import main
from safas.errors import BundleError, InputError
from safas.signing import new_key, sign

Edit = Callable[[Path], None]


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def flip(path: Path) -> None:
    """Another last byte."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit(path: Path, **changes: object) -> None:
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | changes))


def test_as_it_was_made_it_opens(copy: Path) -> None:
    opened = open_bundle(copy)
    assert set(opened.files) == {path.name for path in copy.iterdir()} - {"bundle.json"}


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.int8.onnx", "clusters.npz", "face_detector.onnx", "MODEL_CARD.md"]
)
def test_every_file_is_vouched_for(copy: Path, name: str) -> None:
    flip(copy / name)
    with pytest.raises(BundleError, match=rf"{name}: the file was changed"):
        open_bundle(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match="is missing"):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle_version": 2}, "bundle_version is 2, and this safas knows 1"),
        ({"preprocessing_version": 0}, "preprocessing_version is 0"),
        ({"surprise": 1}, "'surprise'"),
        ({"files": {"../../etc/passwd": "0" * 64}}, "files"),
        ({"files": {}}, "clusters.npz is not among its files"),
        ({"policy": {"frames": 0, "least_share": 0.5}}, "policy.frames"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused(
    copy: Path, changes: dict[str, object], message: str
) -> None:
    edit(copy / "bundle.json", **changes)
    with pytest.raises(BundleError, match=message):
        open_bundle(copy)


def test_what_is_no_bundle(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(InputError, match="not a bundle's folder"):
        open_bundle(tmp_path)
    (copy / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="not a bundle's contract"):
        open_bundle(copy)


def test_a_signature_is_of_one_key_over_these_bytes(copy: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    mine, other = tmp_path / "mine.pem", tmp_path / "other.pem"
    public, others = new_key(mine), new_key(other)
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600
    with pytest.raises(BundleError, match="not signed"):
        open_bundle(copy, public)
    (copy / "bundle.sig").write_text(sign((copy / "bundle.json").read_bytes(), mine))
    open_bundle(copy, public)
    with pytest.raises(BundleError, match="the signature is not that of"):
        open_bundle(copy, others)
    text = (copy / "bundle.json").read_text()
    (copy / "bundle.json").write_text(text + "\n")  # the same contract, other bytes
    with pytest.raises(BundleError, match="the signature is not that of"):
        open_bundle(copy, public)
    open_bundle(copy)  # without a key nobody asks
    (copy / "bundle.json").write_text(text)
    (copy / "bundle.sig").write_bytes(b"\xff\x00 no base64")
    with pytest.raises(BundleError, match="the signature is not that of"):
        open_bundle(copy, public)


def test_openssl_agrees(copy: Path, tmp_path: Path) -> None:
    """Another implementation takes our signature for the raw bytes of bundle.json."""
    import base64
    import subprocess

    pytest.importorskip("cryptography")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine")
    key = tmp_path / "key.pem"
    subprocess.run(
        [openssl, "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True
    )
    (tmp_path / "sig").write_bytes(base64.b64decode(sign((copy / "bundle.json").read_bytes(), key)))
    done = subprocess.run(
        [openssl, "pkeyutl", "-verify", "-inkey", str(key), "-rawin",
         "-in", str(copy / "bundle.json"), "-sigfile", str(tmp_path / "sig")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "Success" in done.stdout) == (0, True)


def test_keys_are_told_from_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cryptography")
    key = tmp_path / "key.pem"
    assert main(["export", "--new-key", str(key)]) == 0
    assert f"{key}.pub" in capsys.readouterr().out
    assert main(["export", "--new-key", str(key)]) == 2  # never overwrites one
    assert "is there already" in capsys.readouterr().err
    with pytest.raises(InputError, match="not a private Ed25519 key"):
        sign(b"", tmp_path / "key.pem.pub")
