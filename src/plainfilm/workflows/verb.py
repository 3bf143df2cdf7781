"""A verb of Python, made of its options, of what plans it and of what runs it."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, get_type_hints

from plainfilm import arguments
from plainfilm.errors import UsageError
from plainfilm.extras import frames
from plainfilm.reporting import cell
from plainfilm.results import documents
from plainfilm.results.documents import Document
from plainfilm.workflows import progress
from plainfilm.workflows.parsing import in_python

if TYPE_CHECKING:
    import pandas

    from plainfilm.reporting.plots import Plots

P = ParamSpec("P")
Options = TypeVar("Options")
Plan = TypeVar("Plan")
Result = TypeVar("Result")
R = TypeVar("R", bound=Document)
_RAISES = """Raises
------
PlainfilmError
    One line: what was expected, what was received, what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Run(Generic[R]):
    """A finished verb: the folder that it wrote, the result in it, and the store that it worked on."""

    folder: Path
    result: R
    store: Path | None = None

    @property
    def metrics(self) -> dict[str, Any]:
        """The result as plain values, with the keys of its JSON."""
        return documents.plain(self.result)

    @property
    def report(self) -> Path:
        """The page of the run."""
        return self._written(*cell.PAGES)

    @property
    def bundle(self) -> Path:
        """The classifier, for `plainfilm.load`; of an evaluation the recalibrated one, where that was asked for."""
        return self._written("model.plainfilm", "recalibrated.plainfilm")

    @property
    def predictions(self) -> "pandas.DataFrame":
        """The table of predictions.csv as a pandas DataFrame: file, split, label, probabilities, predicted.

        Raises
        ------
        UsageError
            A run without predictions, such as an audit.
        MissingExtraError
            pandas is not installed.
        """
        path = self._written("predictions.csv")
        texts = dict.fromkeys(("file", "split", "label", "predicted", "outlier", "reason"), str)
        table: pandas.DataFrame = frames("predictions").read_csv(path, dtype=texts, keep_default_na=False)
        return table

    @property
    def plot(self) -> "Plots":
        """ROC, confusion matrix, reliability and probes on matplotlib's axes."""
        from plainfilm.reporting.plots import Plots

        return Plots(self.folder, self.result)

    def _written(self, *names: str) -> Path:
        for name in names:
            if (self.folder / name).is_file():
                return self.folder / name
        raise UsageError(f"Expected a run that wrote {' or '.join(names)}; received {self.folder}, which has none.")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {cell.short(self.result)})"

    def _repr_html_(self) -> str:
        page = next((self.folder / name for name in cell.PAGES if (self.folder / name).is_file()), None)
        return cell.html(self.result, page)


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
    name, signature = run.__module__.rpartition(".")[2], inspect.signature(options)
    hints = get_type_hints(options, include_extras=True)

    def called(*args: P.args, **kwargs: P.kwargs) -> Result:
        for old in renamed.keys() & kwargs.keys():
            warnings.warn(f"{old} is now called {renamed[old]}.", DeprecationWarning, stacklevel=2)
            kwargs[renamed[old]] = kwargs.pop(old)
        given = arguments.bound(signature, name, args, kwargs)
        taken: dict[str, Any] = {each: in_python(each, value, hints[each]) for each, value in given.items()}
        made: Callable[..., Options] = options
        return run(plan(progress.seen(made(**taken))))

    called.__doc__ = f"{_described(options)}\n\n{_RAISES}"
    called.__module__, called.__name__, called.__qualname__ = run.__module__, name, name
    returned = inspect.signature(run).return_annotation
    called.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
    return called


def _described(options: Any) -> str:
    """Docstring of the options, with the parameters that they inherit after their own."""
    inherited = [each for each in options.__mro__[1:] if is_dataclass(each)]
    parts = [(inspect.getdoc(each) or "").partition("----------\n")[2] for each in inherited]
    return "\n".join([inspect.getdoc(options) or "", *parts])
