"""Time, versions and hardware as reports and manifests state them."""

import datetime as dt
import importlib.metadata
import os
import platform

import plainfilm
from plainfilm import extras

_PACKAGES = (
    "keras",
    "jax",
    "tensorflow",
    "tensorflow-cpu",
    "numpy",
    "h5py",
    "pillow",
    "pydicom",
)


def now() -> str:
    """Give the time as pages and manifests state it: ISO 8601, in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of plainfilm, Python and what the numbers depend on."""
    found = {"plainfilm": plainfilm.__version__, "python": platform.python_version()}
    build, version = extras.runtime()
    found |= {build: version} if version else {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware(threads: int) -> list[tuple[str, str]]:
    """Processor, cores used and memory, as name and value."""
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else float("nan")
    )
    return [
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Processors used", str(threads)),
        ("Memory", f"{memory:.0f} GiB"),
    ]
