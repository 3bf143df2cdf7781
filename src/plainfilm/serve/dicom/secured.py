"""TLS of the node's connections, in and out (PS3.15 B.12): TLS 1.2 or 1.3, both sides known where an authority is named."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from plainfilm.errors import UsageError
from plainfilm.reasons import reason_of
from plainfilm.serve import tls

FLAGS = ("--dicom-tls-cert", "--dicom-tls-key")
_NAMED = " and ".join(FLAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files: our `certificate` and its `key`, both or none, and those of the `authority` that others' certificates must be of.

    Raises
    ------
    UsageError
        One of them is none, or they do not fit each other.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def __post_init__(self) -> None:
        tls.check(self.certificate, self.key, flags=FLAGS)
        if self.authority is not None and self.certificate is None:
            raise UsageError(f"Expected {_NAMED} with --dicom-tls-ca; received none. Give all three.")
        self.outward()

    def inward(self) -> ssl.SSLContext | None:
        """Make what a listening node needs, None without a certificate: whoever calls must show one of the authority's, if there is one."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load(context, self.certificate, self.key, named=_NAMED)
        if self.authority is not None:
            _trust(context, self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def outward(self) -> ssl.SSLContext:
        """Make what a call needs: the other's certificate must be the authority's, or else the system's, and bear its name."""
        context = ssl.create_default_context()
        if self.authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            _trust(context, self.authority)
        if self.certificate is not None:
            tls.load(context, self.certificate, self.key, named=_NAMED)
        return context


def _trust(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Expected certificates of an authority as PEM; received {authority} ({reason_of(error)}). Check --dicom-tls-ca."
        ) from None
