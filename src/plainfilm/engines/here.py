"""Jobs one after another, in this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import Self

from plainfilm.engines.engine import Function, JobT, ResultT


class Here:
    """The engine of who names none: a job may use all processors."""

    threads = 0
    mixed = False

    def map(
        self, function: Function[JobT, ResultT], jobs: Iterable[JobT], *, check: Callable[[], str] | None = None
    ) -> Iterator[ResultT]:
        """Run a function on each job in turn; see `Engine.map`."""
        del check  # it would be held against itself
        return map(function, jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
