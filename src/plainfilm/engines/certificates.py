"""The certificates of a cluster: its own authority, one certificate and its key, the same on every machine.

The authority's key is thrown away once it has signed: nobody, with whatever they find, makes another certificate that the cluster trusts.
"""

import datetime
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from plainfilm import extras
from plainfilm.errors import UsageError
from plainfilm.reasons import reason_of

VARIABLE = "PLAINFILM_CERTIFICATES"
DAYS = 365


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a folder, PEM: the authority (X.509), the certificate that it signed, and the certificate's key (PKCS #8)."""

    authority: Path
    certificate: Path
    key: Path


def in_folder(folder: Path) -> Certificates:
    """Name the three files of a folder."""
    return Certificates(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")


def find(folder: str | Path = "") -> Certificates | None:
    """Find the certificates in a folder, or in that which PLAINFILM_CERTIFICATES names; None where neither is given.

    Raises
    ------
    UsageError
        A file is missing, or others may read the key.
    """
    if not (folder := folder or os.environ.get(VARIABLE, "")):
        return None
    found = in_folder(Path(folder))
    for file in (found.authority, found.certificate, found.key):
        try:
            mode = file.stat().st_mode
        except OSError as error:
            raise UsageError(
                f"Expected the certificates of a cluster in {folder}; received no {file.name} ({reason_of(error)}). "
                "Copy the folder here, or make it: plainfilm cluster certificate DIR"
            ) from error
    if sys.platform != "win32" and mode & 0o077:
        raise UsageError(
            f"Expected a key that you alone may read; received {found.key}, which others may too. Write: chmod 600 {found.key}"
        )
    return found


def make(folder: Path, *, days: int = DAYS) -> Certificates:
    """Make an authority and a certificate in a folder that is new or empty: keys on P-256, valid from now for so many days.

    Extensions are those that RFC 5280, 4.2.1 asks of an authority and of what it signs; the certificate serves both ends of a connection.

    Raises
    ------
    MissingExtraError
        The package `cryptography` is missing.
    UsageError
        The folder holds something, or cannot be made.
    """
    extras.require("making certificates", "cryptography")
    made = in_folder(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                f"Expected a new folder for certificates; received {folder}, which holds something. Name another."
            )
        folder.chmod(0o700)
        for file, content in zip((made.authority, made.certificate, made.key), _signed(days), strict=True):
            with open(file, "xb", opener=_for_owner) as opened:
                opened.write(content)
    except OSError as error:
        raise UsageError(
            f"Expected a folder to write to; received {folder} ({reason_of(error)}). Name another."
        ) from error
    return made


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _signed(days: int) -> tuple[bytes, bytes, bytes]:
    """Give an authority, a certificate and its key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    above, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plainfilm cluster")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)  # clocks differ

    def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.CertificateBuilder:
        usage = x509.KeyUsage(
            digital_signature=not is_authority,
            key_cert_sign=is_authority,
            crl_sign=is_authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=days))
            .add_extension(
                x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
            )
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
        )

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plainfilm machine")])
    ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    authority = certificate(issuer, above, is_authority=True).sign(above, hashes.SHA256())
    signed = certificate(name, own, is_authority=False).add_extension(ends, critical=False).sign(above, hashes.SHA256())
    pem = serialization.Encoding.PEM
    key = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return authority.public_bytes(pem), signed.public_bytes(pem), key
