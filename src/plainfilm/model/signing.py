"""Ed25519 signatures (RFC 8032) of a bundle's manifest, which holds the hash of every other member."""

from pathlib import Path
from typing import Any

from plainfilm.errors import MissingExtraError, UsageError

BYTES = 64  # of a signature


def sign(data: bytes, key: Path) -> bytes:
    """Sign bytes with a private key (PEM, as `openssl genpkey -algorithm ed25519` writes it): 64 bytes.

    Raises
    ------
    UsageError
        No such file, or no unencrypted Ed25519 key in it.
    MissingExtraError
        `cryptography` is not installed.
    """
    keys, serialization = _library()
    pem = _pem(key, "private")
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:  # TypeError: the key is encrypted
        raise _no_key(key, "an unencrypted Ed25519 private key", error) from error
    if not isinstance(private, keys.Ed25519PrivateKey):
        raise _no_key(key, "an Ed25519 private key", type(private).__name__)
    return bytes(private.sign(data))


def is_signed_by(data: bytes, signature: bytes, key: Path) -> bool:
    """Whether a signature of bytes was made with the private key that belongs to a public one (PEM).

    Raises
    ------
    UsageError
        No such file, or no Ed25519 public key in it.
    MissingExtraError
        `cryptography` is not installed.
    """
    keys, serialization = _library()
    from cryptography.exceptions import InvalidSignature

    pem = _pem(key, "public")
    try:
        public = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise _no_key(key, "an Ed25519 public key", error) from error
    if not isinstance(public, keys.Ed25519PublicKey):
        raise _no_key(key, "an Ed25519 public key", type(public).__name__)
    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingExtraError(
            "Expected the package cryptography for signatures; it is not installed. Write: pip install 'plainfilm[sign]'"
        ) from error
    return ed25519, serialization


def _pem(key: Path, kind: str) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise UsageError(
            f"Expected a file with a {kind} key; received {key} ({error.strerror}). Check the path."
        ) from error


def _no_key(key: Path, expected: str, received: object) -> UsageError:
    line = (str(received).splitlines() or ["unreadable"])[0][:80]
    return UsageError(
        f"Expected {expected} in PEM; received {key} ({line}). Make one with: openssl genpkey -algorithm ed25519"
    )
