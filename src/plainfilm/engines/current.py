"""The engine of the command that runs now: whoever has jobs asks for it here, and need not be handed it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here

_current: ContextVar[Engine] = ContextVar("engine", default=Here())  # noqa: B039 - it has no state


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Let jobs run on an engine until the block ends."""
    before = _current.set(engine)
    try:
        yield
    finally:
        _current.reset(before)


def elsewhere() -> Engine | None:
    """Give the engine of other processes or machines; None where jobs run in this process, which then needs none."""
    engine = _current.get()
    return None if isinstance(engine, Here) else engine


def is_mixed() -> bool:
    """Whether processors of several kinds may take part in what runs now."""
    return _current.get().mixed
