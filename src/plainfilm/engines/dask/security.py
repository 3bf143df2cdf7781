"""How Dask is kept closed: certificates at both ends, or this machine alone."""

import ssl
from pathlib import Path

import dask.config
from distributed.security import Security

from plainfilm.engines import certificates
from plainfilm.engines.addresses import is_encrypted
from plainfilm.errors import UsageError


def security_of(address: str, folder: str | Path = "") -> Security | None:
    """Give what a connection to an address needs: None on this machine.

    The certificates are those of a folder, of PLAINFILM_CERTIFICATES, or of Dask's own settings (`distributed.comm.tls`).

    Raises
    ------
    UsageError
        `tls://` without certificates, or with some that cannot be used.
    """
    if not is_encrypted(address):
        return None
    found = certificates.find(folder)
    if found is None:
        if dask.config.get("distributed.comm.tls.ca-file", None):
            return Security(require_encryption=True)
        raise UsageError(
            f"Expected the certificates of the cluster for {address}; received none. Set PLAINFILM_CERTIFICATES to their folder, "
            "or make one: plainfilm cluster certificate DIR"
        )
    roles = {f"tls_{role}_cert": str(found.certificate) for role in ("client", "scheduler", "worker")}
    roles |= {f"tls_{role}_key": str(found.key) for role in ("client", "scheduler", "worker")}
    made = Security(
        require_encryption=True, tls_ca_file=str(found.authority), tls_min_version=ssl.TLSVersion.TLSv1_3, **roles
    )
    try:
        made.get_connection_args("client")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"Expected certificates of plainfilm cluster certificate; received {found.authority.parent}, which OpenSSL cannot use. Make new ones."
        ) from error
    return made
