"""An authority and certificates of it, RSA as hospitals have them, for tests of TLS."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PEM = serialization.Encoding.PEM


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _builder(name: str, key: rsa.RSAPrivateKey, issuer: str, *, is_authority: bool) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        _name(issuer), _name(name), key.public_key(), x509.random_serial_number(),
        now - datetime.timedelta(hours=1), now + datetime.timedelta(days=1),
    )  # fmt: skip
    return made.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)


def authority(folder: Path, *names: str, address: str = "127.0.0.1") -> None:
    """Write `ca.pem`, and for each name `NAME.pem` and `NAME.key`, good for an IP address as client and server."""
    folder.mkdir(parents=True, exist_ok=True)
    above = _key()
    issuer = f"authority of {folder.name}"
    made = _builder(issuer, above, issuer, is_authority=True).sign(above, hashes.SHA256())
    (folder / "ca.pem").write_bytes(made.public_bytes(PEM))
    for name in names:
        key = _key()
        place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        own = _builder(name, key, issuer, is_authority=False).add_extension(place, critical=False)
        (folder / f"{name}.pem").write_bytes(own.sign(above, hashes.SHA256()).public_bytes(PEM))
        plain = serialization.NoEncryption()
        (folder / f"{name}.key").write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
