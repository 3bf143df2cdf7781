"""What runs jobs, as those see it who have some: one function.

A job is a few names and numbers, and so is its result; what is large lies in files that both ends can open. A job may run twice, where a
machine is lost or a command is given again: it writes the same files under the same names, whole or not at all.
"""

import importlib
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, Self, TypeVar

from plainfilm.errors import EngineError

MOST_RESULT_BYTES = 1 << 16  # a hundred times what one needs


class Numbered(Protocol):
    """A job, or its result: a frozen dataclass of paths, numbers and short texts that pickles, at module level."""

    @property
    def number(self) -> int:
        """Of the job among those of its map; its result has the same."""


JobT = TypeVar("JobT", bound=Numbered)
ResultT = TypeVar("ResultT", bound=Numbered)
JobIn = TypeVar("JobIn", bound=Numbered, contravariant=True)
ResultOut = TypeVar("ResultOut", bound=Numbered, covariant=True)


class Function(Protocol[JobIn, ResultOut]):
    """What makes a result of a job: a function that every process can import, `module:qualname`."""

    def __call__(self, job: JobIn, /) -> ResultOut:
        """Do a job."""


class Engine(Protocol):
    """What runs jobs.

    `threads` says how many processors one job may use, 0 for all of its machine; `mixed`, whether processors of several kinds may take part.
    """

    threads: int
    mixed: bool

    def map(
        self, function: Function[JobT, ResultT], jobs: Iterable[JobT], *, check: Callable[[], str] | None = None
    ) -> Iterator[ResultT]:
        """Run a function on each job and give the results as they come, one of each job.

        Parameters
        ----------
        function
            At module level.
        jobs
            Taken as they are needed. A result of at most about 1 kB is wanted of each. One with `path`, `bytes` and `sha256`
            says what file it has left, which is looked for here where another machine wrote it.
        check
            Gives a short text, at module level: it must be the same here as wherever a job runs, such as the hash of what a network
            answers, which may depend on the processor.

        Raises
        ------
        Exception
            Of the first job that fails; no other is begun then, and the files of those that are done stay.
        EngineError
            A job ended the process that ran it, again and again; or there is nobody to run one.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def name_of(function: Callable[..., Any]) -> str:
    """Give the name `module:qualname` by which other processes import a function.

    Raises
    ------
    TypeError
        They cannot: it is a method, or lies inside another function, or in what was started as a program.
    """
    name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    try:
        found = function_of(name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if found is not function or name.startswith("__main__:"):
        raise TypeError(f"Expected a function at the level of a module that can be imported; received {function!r}.")
    return name


def function_of(name: str) -> Callable[..., Any]:
    """Import what `name_of` named."""
    module, _, qualname = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def packed(name: str, job: Numbered) -> bytes:
    """Pickle a job with the name of its function: whoever passes it on neither reads it nor writes it into a log."""
    return pickle.dumps((name, job))


def attempt(work: bytes, before: Callable[[], None] = lambda: None) -> bytes:
    """Do what `packed` gave, in the process that was given it, and `before` that what may refuse it; pickle the result, or what went wrong."""
    try:
        before()
        name, job = pickle.loads(work)
        answer = pickle.dumps((True, function_of(name)(job)))
        if len(answer) > MOST_RESULT_BYTES:
            raise ValueError(f"Expected a result of at most {MOST_RESULT_BYTES:,} bytes; received {len(answer):,}.")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001 - raised where the job came from
        error.add_note(traceback.format_exc())
        return _pickled(error)
    return answer


def _pickled(error: Exception) -> bytes:
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)
    except Exception:  # noqa: BLE001 - an error that does not pickle is told in words
        told = EngineError(f"Expected a job to end well; received {type(error).__name__}: {error}")
        told.add_note("".join(error.__notes__))
        return pickle.dumps((False, told))
    return answer


def outcome(answer: bytes) -> Any:
    """Give the result that `attempt` pickled, or raise what it did."""
    is_done, made = pickle.loads(answer)
    if not is_done:
        raise made
    return made
