"""A store that other processes open by its path, and hold against what it was where it was named."""

from functools import lru_cache

from plainfilm.data.store import Store
from plainfilm.engines.terms import host
from plainfilm.errors import EngineError


@lru_cache(maxsize=1)
def opened(path: str, fingerprint: str) -> Store:
    """Open a store, once in a process.

    Raises
    ------
    EngineError
        It is another here.
    StoreError
        As `Store`.
    """
    found = Store(path)
    if found.fingerprint != fingerprint:
        raise EngineError(
            f"Expected the store {path} to be the same on every machine; received another on {host()}. Share the folder."
        )
    return found
