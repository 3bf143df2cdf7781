"""Jobs for a scheduler of others that knows numbers alone: a Slurm array, an indexed Job of Kubernetes. No process waits for another.

A command is planned: it runs until it has jobs, which are written into a plan. Each index of the array does its slice of them and leaves
what came of it beside the plan. Then the command runs again, takes that up, and goes on, to its end or to its next jobs.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

from plainfilm.engines.engine import Engine, Function, JobT, ResultT, function_of, name_of
from plainfilm.engines.left_files import is_left
from plainfilm.engines.terms import Terms, hold, terms_here
from plainfilm.errors import EngineError, UsageError
from plainfilm.reasons import reason_of
from plainfilm.results import documents
from plainfilm.results.documents import Document

OURS = "plainfilm."  # a plan names functions, and no other's are called


class Plan(Document, frozen=True, kw_only=True):
    """What an array is to do."""

    FORMAT: ClassVar[str] = "plainfilm-plan"

    command: Annotated[tuple[str, ...], Meta(description="The command whose jobs these are, without `plainfilm`.")]
    folder: Annotated[str, Meta(description="Where it was given.")]
    slices: Annotated[int, Meta(ge=1, description="Indices of the array at most.")]
    function: Annotated[str, Meta(description="What does a job, module:qualname.")] = ""
    kind: Annotated[str, Meta(description="The type of a job, module:qualname.")] = ""
    host: Annotated[str, Meta(description="Where the jobs were planned.")] = ""
    versions: Annotated[tuple[tuple[str, str], ...], Meta(description="Packages and their versions there.")] = ()
    check: Annotated[str, Meta(description="What must answer the same everywhere, module:qualname.")] = ""
    answer: Annotated[str, Meta(description="Its answer there.")] = ""
    jobs: Annotated[tuple[dict[str, Any], ...], Meta(description="The jobs, as JSON.")] = ()

    @property
    def indices(self) -> int:
        """How many indices have a job, from 0."""
        return min(self.slices, len(self.jobs))


class Results(Document, frozen=True, kw_only=True):
    """What came of the jobs of one index."""

    FORMAT: ClassVar[str] = "plainfilm-results"

    kind: Annotated[str, Meta(description="The type of a result, module:qualname.")]
    results: Annotated[dict[str, dict[str, Any]], Meta(description="Results by the hash of their job.")]


class PlannedError(EngineError):
    """Jobs that wait in a plan for others to do them; no fault."""


class Array:
    """An engine that does no job: it gives the results that lie beside a plan, and plans the jobs that have none."""

    threads = 1

    def __init__(self, path: Path, *, mixed: bool = False) -> None:
        self._path, self._plan, self.mixed = path, read(path), mixed

    def map(
        self, function: Function[JobT, ResultT], jobs: Iterable[JobT], *, check: Callable[[], str] | None = None
    ) -> Iterator[ResultT]:
        """Give results that are there; raise `PlannedError` in the end where some are not. See `Engine.map`."""
        name, known = name_of(function), dict(_known(self._path))
        left = list[JobT]()
        for job in jobs:
            result = known.get(_key(name, job))
            if result is not None and is_left(result):
                yield result
            else:
                left.append(job)
        if left:
            self._write(name, left, terms_here(None if self.mixed else check))
            raise PlannedError(f"Planned {len(left):,} job{'s' * (len(left) != 1)} in {self._path}.")

    def _write(self, function: str, jobs: Sequence[Any], terms: Terms) -> None:
        plan = Plan(
            command=self._plan.command,
            folder=self._plan.folder,
            slices=self._plan.slices,
            function=function,
            kind=name_of(type(jobs[0])),
            host=terms.host,
            versions=terms.versions,
            check=terms.check,
            answer=terms.answer,
            jobs=tuple(map(_plain, jobs)),
        )
        write(self._path, plan)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def begin(path: Path, command: Sequence[str], *, slices: int) -> None:
    """Write a plan without jobs for a command, which is then run with the engine `Array`.

    Raises
    ------
    UsageError
        A plan is there.
    """
    if path.exists() or _folder(path).exists():
        raise UsageError(
            f"Expected a new plan; received {path}, which is there. Go on with it by plainfilm cluster join, or name another."
        )
    write(path, Plan(command=tuple(command), folder=str(Path.cwd()), slices=slices))


def read(path: Path) -> Plan:
    """Read a plan.

    Raises
    ------
    UsageError
        There is none, or it is none.
    """
    try:
        return documents.decode(path.read_bytes(), Plan, path, names_files=True)
    except OSError as error:
        raise UsageError(f"Expected a plan of plainfilm cluster plan; received {path} ({reason_of(error)}).") from error


def run(path: Path, index: int, engine: Engine) -> int:
    """Do the jobs of one index, and leave their results beside the plan; how many there were.

    Raises
    ------
    UsageError
        No plan, no such index, or a plan that asks for what is not plainfilm's.
    EngineError
        Another version, or another kind of processor, than where it was planned.
    """
    plan = read(path)
    if not 0 <= index < plan.indices:
        raise UsageError(
            f"Expected an index from 0 to {plan.indices - 1}; received {index}. See plainfilm cluster plan."
        )
    hold(Terms(plan.host, plan.versions, plan.check, plan.answer))
    function, kind = _imported(plan.function), _imported(plan.kind)
    jobs = [msgspec.convert(job, kind, dec_hook=_path) for job in plan.jobs[index :: plan.slices]]
    keys = {job.number: _key(plan.function, job) for job in jobs}
    made = list(engine.map(function, jobs))
    results = {keys[result.number]: _plain(result) for result in made}
    _folder(path).mkdir(mode=0o700, exist_ok=True)
    write(_folder(path) / f"{index}.json", Results(kind=name_of(type(made[0])), results=results))
    return len(jobs)


def missing(path: Path) -> list[int]:
    """Give the indices that have left no results for the jobs of a plan as it is."""
    plan = read(path)
    done = {key for key, _ in _told(path)}
    kind = _imported(plan.kind) if plan.jobs else None
    keys = [_key(plan.function, msgspec.convert(job, kind, dec_hook=_path)) for job in plan.jobs]
    return sorted({place % plan.slices for place, key in enumerate(keys) if key not in done})


def remove(path: Path) -> None:
    """Remove a plan that has come to its end, and the results beside it."""
    for file in (*_folder(path).glob("*.json"), path):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        _folder(path).rmdir()


def write(path: Path, document: Document) -> None:
    """Write a document whole, for its owner alone: it has the names of files."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(documents.encode(document))
    partial.replace(path)


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.results")


def _told(path: Path) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Give what came of each job by its key: the type of the result and its values."""
    for file in _folder(path).glob("[0-9]*.json"):
        found = documents.decode(file.read_bytes(), Results, file, names_files=True)
        yield from ((key, (found.kind, values)) for key, values in found.results.items())


def _known(path: Path) -> Iterator[tuple[str, Any]]:
    for key, (kind, values) in _told(path):
        yield key, msgspec.convert(values, _imported(kind), dec_hook=_path)


def _key(function: str, job: Any) -> str:
    return hashlib.sha256(json.dumps([function, _plain(job)], sort_keys=True).encode()).hexdigest()[:32]


def _plain(job: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(job, enc_hook=str))


def _path(kind: type, value: Any) -> Any:
    return kind(value) if issubclass(kind, PurePath) else value


def _imported(name: str) -> Any:
    if not name.startswith(OURS):
        raise UsageError(f"Expected a plan of plainfilm's jobs; received one that asks for {name}. Do not run it.")
    return function_of(name)
