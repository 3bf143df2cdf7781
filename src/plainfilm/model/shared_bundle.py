"""A bundle that other processes open by its path, and hold against what it was where it was named."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from plainfilm.engines.terms import host
from plainfilm.errors import EngineError
from plainfilm.model import bundle as bundles
from plainfilm.model import devices, sites
from plainfilm.model.bundle import Bundle
from plainfilm.results import documents


@dataclass(frozen=True, slots=True)
class SharedBundle:
    """Where a bundle lies, the SHA-256 of its manifest, which has those of all its members, and the site that it answers for, "" for its own."""

    path: str
    sha256: str
    site: str

    @classmethod
    def of(cls, bundle: Bundle, path: Path, site: str | None) -> Self:
        """Name a bundle that was opened from a path, as it answers at a site."""
        return cls(str(path.absolute()), _digest(bundle), site or "")


@lru_cache(maxsize=1)
def opened(shared: SharedBundle) -> Bundle:
    """Open a bundle for the processor, once in a process.

    Raises
    ------
    EngineError
        There is none here, or another.
    BundleError
        As `bundle.load`.
    """
    if not Path(shared.path).is_file():
        raise EngineError(
            f"Expected the bundle at the same path on every machine; received none at {shared.path} on {host()}. Share the folder."
        )
    with devices.using(devices.CPU):
        found = bundles.load(shared.path, prepare=True)
    if shared.site:
        found = sites.at(found, sites.find(found, shared.site))
    if _digest(found) != shared.sha256:
        raise EngineError(
            f"Expected the bundle {shared.path} to be the same on every machine; received another on {host()}. Share the folder."
        )
    return found


def _digest(bundle: Bundle) -> str:
    return hashlib.sha256(documents.encode(bundle.manifest)).hexdigest()
