"""Time, versions and hardware as reports and manifests state them."""

import datetime as dt
import importlib.metadata
import os
import platform
from pathlib import Path

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


LOCK = "requirements.lock"


def write_lock(folder: Path) -> None:
    """Write the lock list of all packages into a folder."""
    (folder / LOCK).write_text(locked(), encoding="utf-8")


def locked() -> str:
    """List every package that is installed, with its version, as `pip install -r` reads it."""
    found = {
        name.lower(): f"{name}=={each.version}"
        for each in importlib.metadata.distributions()
        if (name := each.metadata["Name"])
    }
    head = f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return "\n".join([head, *(found[name] for name in sorted(found)), ""])


def processor() -> str:
    """Name the processor as the system does; its architecture where the system does not."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = ""
    names = (line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name"))
    return next((name for name in names if name), platform.processor() or platform.machine())


def hardware(threads: int) -> list[tuple[str, str]]:
    """Processor, cores used and memory, as name and value."""
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else float("nan")
    )
    return [
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Processor", processor()),
        ("Processors used", str(threads)),
        ("Memory", f"{memory:.0f} GiB"),
    ]
