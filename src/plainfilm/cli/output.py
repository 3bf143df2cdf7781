"""What the terminal shows while a command runs and when it is done."""

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from plainfilm import NOTICE, shell
from plainfilm.harmless import harmless

if TYPE_CHECKING:
    from plainfilm.results.documents import Record
    from plainfilm.results.metrics import RunMetrics
    from plainfilm.workflows.verb import Run


def load_keras(progress: Any, *, finetunes: bool = False) -> None:
    """Import Keras, which takes seconds, in sight of who waits; say what fine-tuning costs where it is slow."""
    from plainfilm.model import keras_backend

    progress("Loading Keras", 0, 1, "")
    with _importing_less():
        keras_backend.load(finetunes=finetunes)
    progress("Loading Keras", 1, 1, f"on {keras_backend.choose()}")
    if finetunes and keras_backend.is_slow_to_finetune():
        print(keras_backend.SLOW_FINETUNING, file=sys.stderr)


@contextlib.contextmanager
def _importing_less() -> Iterator[None]:
    """Spare Keras what it imports for wrappers and galleries where that is installed, and the search for garbage meanwhile."""
    left_out = {name for name in ("matplotlib.pyplot", "sklearn") if name not in sys.modules}
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type] # None: not to be had
    gc.disable()
    try:
        yield
    finally:
        for name in left_out:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


def print_document(answer: "Record") -> None:
    """Print an answer as JSON, on one line, at once."""
    from plainfilm.results import documents

    print(documents.encode(answer).decode(), flush=True)


def typed() -> str:
    """Give the command as it was typed."""
    return shell.joined(["plainfilm", *sys.argv[1:]])


def show_run(run: "Run[RunMetrics]", *, as_json: bool, recipe: str = "") -> None:
    """Say what a training has come to, what that is worth, and what the paper reports that `recipe` repeats."""
    from plainfilm.cli import terminal
    from plainfilm.reporting import paper

    result = run.result
    if as_json:
        print_document(result)
        return
    table = (
        terminal.findings(result)
        if result.findings
        else terminal.confusion(result.test.confusion_matrix, result.classes)
    )
    terminal.say(
        "",
        *terminal.left_out(result),
        terminal.metric_table(result),
        "",
        table,
        "",
        terminal.decision(result),
        *terminal.verdict(result),
    )
    if (result.test_openings or 0) > 1:
        terminal.say(terminal.styled(f"The test set of this store has been opened {result.test_openings} times. The more often one looks, the more one's choices fit it by chance.", "yellow"))  # fmt: skip
    if reported := paper.beside(recipe, result.test):
        terminal.say("", *(f"{name}: {value}" for name, value in reported))
    terminal.say("", f"Open {run.folder / 'report.html'}", terminal.styled(NOTICE, "dim"))


def fail(message: str, hint: str, code: int) -> None:
    """End with one line and an exit code."""
    print(harmless(f"plainfilm: {message} {hint}".strip()), file=sys.stderr)
    sys.exit(code)
