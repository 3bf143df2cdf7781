"""A verb of Python, made of its options, of what plans it and of what runs it."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, get_type_hints

from plainfilm import arguments
from plainfilm.errors import UsageError
from plainfilm.extras import frames
from plainfilm.harmless import as_named
from plainfilm.reporting import cell, tabulated
from plainfilm.results import documents
from plainfilm.results.documents import Document
from plainfilm.workflows import progress
from plainfilm.workflows.parsing import in_python

if TYPE_CHECKING:
    import pandas
    from PIL import Image

    from plainfilm.reporting.plots import Plots

_TEXTS = (
    "file",
    "split",
    "label",
    "predicted",
    "outlier",
    "reason",
    "recipe",
    "source",
    "patient",
)  # of tables, where NA is a name
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
        return self._written(*cell.PAGE_NAMES)

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
        return self._frame("predictions.csv")

    @property
    def history(self) -> "pandas.DataFrame":
        """The table of history.csv as a pandas DataFrame: loss and accuracy of training and validation, a row an epoch.

        Raises
        ------
        UsageError
            A run that trained nothing, or many times.
        MissingExtraError
            pandas is not installed.
        """
        return self._frame("history.csv")

    @property
    def table(self) -> "pandas.DataFrame":
        """What was found as a pandas DataFrame: a row a metric with its 95 % interval.

        Of an audit a row a probe, of a comparison a row a recipe, of a search a row a trial.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        if (self.folder / "trials.csv").is_file():
            return self._frame("trials.csv")
        made: pandas.DataFrame = frames("metrics").DataFrame.from_records(tabulated.rows(self.result))
        return made

    def _frame(self, name: str) -> "pandas.DataFrame":
        path = self._written(name)
        read = partial(frames(path.stem).read_csv, path, keep_default_na=False)
        texts, numbers = dict.fromkeys(_TEXTS, str), read(nrows=0).columns.difference(_TEXTS)
        frame: pandas.DataFrame = read(dtype=texts, na_values=dict.fromkeys(numbers, "")).rename(columns=as_named)
        for column in frame.columns.intersection([*_TEXTS]):
            frame[column] = frame[column].map(as_named)
        return frame

    def mistakes(self, n: int = 8) -> "Image.Image":
        """Draw the wrong answers that were surest, truth and answer below each: a picture of Pillow's; of a training.

        Lines of text are covered.

        Raises
        ------
        UsageError
            Another run, `n` less than one, no wrong answer, or a store that is another one by now.
        """
        from plainfilm.reporting.mistakes import picture

        return picture(self.folder, self.result, self.store, n)

    def show(self, *, height_px: int = 700) -> cell.Framed:
        """Show the report in the cell, whole: where a link leads nowhere, as on Colab and Kaggle."""
        return cell.Framed(self.report, height_px)

    @property
    def plot(self) -> "Plots":
        """ROC, precision-recall, confusion matrix, reliability, learning and probes on matplotlib's axes."""
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
        page = next((self.folder / name for name in cell.PAGE_NAMES if (self.folder / name).is_file()), None)
        return cell.in_cell(self.result, page)


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
        with progress.shown(made(**taken)) as asked:
            return run(plan(asked))

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
