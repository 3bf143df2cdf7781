"""A verb of Python, made of its options, of what plans it and of what runs it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
Options = TypeVar("Options")
Plan = TypeVar("Plan")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Run:
    """A finished verb: the folder that it wrote, and the JSON in it as plain values."""

    folder: Path
    metrics: dict[str, Any]


def verb(
    options: Callable[P, Options], plan: Callable[[Options], Plan], run: Callable[[Plan], Result]
) -> Callable[P, Result]:
    """Give a function that takes the fields of `options` as its arguments, is described by it, plans and runs."""

    def called(*args: P.args, **kwargs: P.kwargs) -> Result:
        return run(plan(options(*args, **kwargs)))

    called.__doc__ = options.__doc__
    called.__module__ = run.__module__
    called.__name__ = called.__qualname__ = run.__module__.rpartition(".")[2]
    returned = inspect.signature(run).return_annotation
    called.__signature__ = inspect.signature(options).replace(return_annotation=returned)  # type: ignore[attr-defined]
    return called
