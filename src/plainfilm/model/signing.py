"""Ed25519 signatures (RFC 8032) of a bundle's manifest, which holds the hash of every other member."""

from pathlib import Path
from typing import Any

from plainfilm.errors import UsageError
from plainfilm.extras import require
from plainfilm.reasons import reason_of

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
    private = _loaded(key, "private")
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
    public = _loaded(key, "public")
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _loaded(file: Path, kind: str) -> Any:
    """Load an Ed25519 key, "private" or "public"."""
    keys, serialization = _library()
    pem = _pem(file, kind)
    wanted = f"Ed25519 {kind} key"
    try:
        if kind == "private":
            key, expected = serialization.load_pem_private_key(pem, password=None), keys.Ed25519PrivateKey
        else:
            key, expected = serialization.load_pem_public_key(pem), keys.Ed25519PublicKey
    except TypeError as error:
        raise _no_key(file, f"an unencrypted {wanted}", error) from error
    except ValueError as error:
        raise _no_key(file, f"an {wanted}", error) from error
    if not isinstance(key, expected):
        raise _no_key(file, f"an {wanted}", type(key).__name__)
    return key


def _library() -> tuple[Any, Any]:
    require("signatures", "cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return ed25519, serialization


def _pem(key: Path, kind: str) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise UsageError(
            f"Expected a file with a {kind} key; received {key} ({reason_of(error)}). Check the path."
        ) from error


def _no_key(key: Path, expected: str, received: object) -> UsageError:
    line = (str(received).splitlines() or ["unreadable"])[0][:80]
    return UsageError(
        f"Expected {expected} in PEM; received {key} ({line}). Make one with: openssl genpkey -algorithm ed25519"
    )
