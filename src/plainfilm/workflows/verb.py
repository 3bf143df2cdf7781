"""A verb of Python, made of its options, of what plans it and of what runs it."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, ParamSpec, TypeVar

from plainfilm.results import documents
from plainfilm.results.documents import Document

P = ParamSpec("P")
Options = TypeVar("Options")
Plan = TypeVar("Plan")
Result = TypeVar("Result")
R = TypeVar("R", bound=Document)
_RAISES = """Raises
------
PlainfilmError
    One line: what was expected, what was received, what to do."""


@dataclass(frozen=True, slots=True)
class Run(Generic[R]):
    """A finished verb: the folder that it wrote, and the result in it."""

    folder: Path
    result: R

    @property
    def metrics(self) -> dict[str, Any]:
        """The result as plain values, with the keys of its JSON."""
        return documents.plain(self.result)


def verb(
    options: Callable[P, Options],
    plan: Callable[[Options], Plan],
    run: Callable[[Plan], Result],
    *,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Callable[P, Result]:
    """Give a function that takes the fields of `options` as its arguments, is described by it, plans and runs.

    `renamed` has earlier names of arguments, which are taken with a DeprecationWarning.
    """

    def called(*args: P.args, **kwargs: P.kwargs) -> Result:
        for old in renamed.keys() & kwargs.keys():
            warnings.warn(f"{old} is now called {renamed[old]}.", DeprecationWarning, stacklevel=2)
            kwargs[renamed[old]] = kwargs.pop(old)
        return run(plan(options(*args, **kwargs)))

    called.__doc__ = f"{_described(options)}\n\n{_RAISES}"
    called.__module__ = run.__module__
    called.__name__ = called.__qualname__ = run.__module__.rpartition(".")[2]
    returned = inspect.signature(run).return_annotation
    called.__signature__ = inspect.signature(options).replace(return_annotation=returned)  # type: ignore[attr-defined]
    return called


def _described(options: Any) -> str:
    """Docstring of the options, with the parameters that they inherit after their own."""
    inherited = [each for each in options.__mro__[1:] if is_dataclass(each)]
    parts = [(inspect.getdoc(each) or "").partition("----------\n")[2] for each in inherited]
    return "\n".join([inspect.getdoc(options) or "", *parts])
