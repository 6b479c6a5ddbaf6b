"""Ed25519 signatures over a bundle's contract (RFC 8032), by the package `cryptography` (safas[sign])."""

import base64
from pathlib import Path
from typing import Any

from safas.errors import BundleError, InputError
from safas.files import write_file


def new_key(path: Path) -> Path:
    """Write a new private key (PEM, unencrypted, for its owner's eyes only); returns its public key's path, *.pub.

    Raises InputError when one of the files is there already.
    """
    serialization, ed25519 = _cryptography()
    public = path.with_name(f"{path.name}.pub")
    for there in (path, public):
        if there.exists():
            raise InputError("is there already", where=str(there), remedy="Name another file.")
    key = ed25519.Ed25519PrivateKey.generate()
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    write_file(path, pem)
    path.chmod(0o600)
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    write_file(public, key.public_key().public_bytes(serialization.Encoding.PEM, info))
    return public


def sign(data: bytes, private_key: Path) -> str:
    """The signature, base64. Raises InputError when the file is no Ed25519 private key in PEM."""
    serialization, ed25519 = _cryptography()
    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(private_key, "private") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _no_key(private_key, "private")
    return base64.b64encode(key.sign(data)).decode()


def verify(data: bytes, signature: str, public_key: Path, where: str) -> None:
    """Return if the signature is the key's over these bytes; else raise BundleError (InputError for a bad key file)."""
    serialization, ed25519 = _cryptography()
    from cryptography.exceptions import InvalidSignature

    try:
        key = serialization.load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        raise _no_key(public_key, "public") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise _no_key(public_key, "public")
    try:
        key.verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, ValueError) as error:
        raise BundleError(
            f"the signature is not that of {public_key}",
            where=where,
            remedy="Do not use this bundle: get it again from its maker.",
        ) from error


def _cryptography() -> tuple[Any, Any]:
    """(serialization, ed25519), modules of an optional package."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise InputError(
            "signatures need the package cryptography", remedy='Install it: pip install "safas[sign]"'
        ) from error
    return serialization, ed25519


def _no_key(path: Path, kind: str) -> InputError:
    return InputError(
        f"not a {kind} Ed25519 key in PEM", where=str(path), remedy="Make one: safas export --new-key FILE"
    )
