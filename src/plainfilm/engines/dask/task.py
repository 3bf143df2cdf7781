"""What a worker of Dask runs. Dask sees bytes: it writes neither a name nor an error's words into its logs."""

from dataclasses import dataclass
from functools import partial

from plainfilm.engines.engine import attempt
from plainfilm.engines.terms import Terms, hold, versions


@dataclass(frozen=True, slots=True, repr=False)
class Task:
    """A packed job, and the terms that must hold where it runs."""

    work: bytes
    terms: Terms


def do(task: Task) -> bytes:
    """Do a job; give its packed result, or what went wrong."""
    return attempt(task.work, partial(hold, task.terms))


def own_versions() -> tuple[tuple[str, str], ...]:
    """Give the versions of whoever runs this, such as the scheduler, which unpacks tasks too."""
    return versions()
