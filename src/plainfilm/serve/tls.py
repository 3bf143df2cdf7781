"""Certificates as they lie in files -> what a socket is made safe with."""

import ssl
from pathlib import Path

from plainfilm.errors import UsageError
from plainfilm.reasons import reason_of


def check(certificate: Path | None, key: Path | None, *, flags: tuple[str, str]) -> None:
    """Check that a certificate and its key are given together or not at all, and fit each other.

    Raises
    ------
    UsageError
        They do not; `flags` are what they were named by.
    """
    named = " and ".join(flags)
    if (certificate is None) != (key is None):
        raise UsageError(f"Expected {named} together; received one. Give both, or none.")
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise UsageError(f"Expected a PEM file; received {file}, which is none. Check {named}.")
    if certificate is not None:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key, named=named)


def load(context: ssl.SSLContext, certificate: Path, key: Path | None, *, named: str) -> None:
    """Put a certificate and its key into a context.

    Raises
    ------
    UsageError
        They are none, have a passphrase, or do not fit each other; `named` are the flags.
    """
    try:
        context.load_cert_chain(certificate, key, password=str)  # asked for, an empty one
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Expected a certificate and its key as PEM, without a passphrase; received {certificate} and {key} ({reason_of(error)}). "
            f"Check {named}."
        ) from None
