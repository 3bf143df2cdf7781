"""What must be equal where a job is planned and where it runs, or the same files would not give the same bits."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

from plainfilm import __version__
from plainfilm.engines.engine import function_of, name_of
from plainfilm.errors import EngineError
from plainfilm.extras import RUNTIMES, runtime

_PACKAGES = ("numpy", "onnxruntime", "pillow", "pydicom", "pylibjpeg-openjpeg", "python-gdcm", "simplejpeg")
_ABSENT = "none"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds on the machine that plans: its name, versions, and the answer of a check, by the check's name ("" for none)."""

    host: str
    versions: tuple[tuple[str, str], ...]
    check: str = ""
    answer: str = ""


def terms_here(check: Callable[[], str] | None = None) -> Terms:
    """Give the terms that hold on this machine."""
    return Terms(host(), versions(), name_of(check) if check else "", check() if check else "")


def host() -> str:
    """Name this machine, as in a message."""
    return socket.gethostname() or "this machine"


def versions() -> tuple[tuple[str, str], ...]:
    """Give plainfilm's version, and those of what decodes and computes for it."""
    return (("plainfilm", __version__), *((name, version_of(name)) for name in _PACKAGES))


def version_of(name: str) -> str:
    """Give the version of an installed package; "none" where it is not."""
    if name == RUNTIMES[0]:
        return runtime()[1] or _ABSENT
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _ABSENT


def check_versions(
    wanted: tuple[tuple[str, str], ...], found: tuple[tuple[str, str], ...], *, planner: str, other: str
) -> None:
    """Raise EngineError where versions differ; it names both."""
    if differ := [(name, one, dict(found).get(name, _ABSENT)) for name, one in wanted if dict(found).get(name) != one]:
        said = ", ".join(f"{name} {one} on {planner} and {another} on {other}" for name, one, another in differ)
        name, one, _ = differ[0]
        raise EngineError(
            f"Expected the same versions on every machine; received {said}. Install the same there, such as: pip install {name}=={one}"
        )


@lru_cache(maxsize=8)
def hold(terms: Terms) -> None:
    """Check once in a process that terms hold on this machine.

    Raises
    ------
    EngineError
        They do not.
    """
    own = host()
    check_versions(terms.versions, versions(), planner=terms.host, other=own)
    if terms.check and (answer := str(function_of(terms.check)())) != terms.answer:
        raise EngineError(
            f"Expected processors that compute alike; received {terms.answer[:12]} on {terms.host} and {answer[:12]} on {own}. "
            "Leave that machine out, or pass --mixed: features then differ in their last bits by the machine that made them."
        )
