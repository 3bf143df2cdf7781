"""Every error a user can meet, and the record of a file that was left out.

The library raises; only the command line turns an error into one line and an exit code.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from plainfilm import wording


class PlainfilmError(Exception):
    """What was expected, what came, and what to do, in one line. Exit code 1.

    Its options are named as the caller knows them: flags to who typed a command, arguments to who wrote Python.
    """

    exit_code = 1

    def __str__(self) -> str:
        return wording.told(super().__str__())


class UsageError(PlainfilmError):
    """A command, flag or recipe value that cannot be meant. Exit code 2."""

    exit_code = 2


class ImageError(PlainfilmError):
    """A file that cannot become a radiograph.

    `code` is a short reason in kebab-case that programs may rely on; the message is a sentence for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        return type(self), (self.code, *self.args)


class CatalogError(PlainfilmError):
    """A folder or table that names no labelled radiographs."""


class StoreError(PlainfilmError):
    """A file that is not a whole plainfilm store of a known version, or that cannot be written."""


class CacheError(PlainfilmError):
    """Entries of the cache that were not what was written to it."""


class CacheNotWrittenError(CacheError, OSError):
    """A cache that cannot be written: read-only, full, or of another user."""


class SplitError(PlainfilmError):
    """A train / validation / test split that cannot be made, or that leaks."""


class RecipeError(UsageError):
    """A recipe that is not known, or has an unknown key or a value out of range."""


class WeightsError(PlainfilmError):
    """Backbone weights that are missing, altered or of another architecture."""


class BundleError(PlainfilmError):
    """A model file that is not a whole plainfilm bundle of a known version."""


class DocumentError(UsageError):
    """A JSON document that is not whole, of another kind, or of a newer version."""


class ExportError(PlainfilmError):
    """A bundle that another format cannot hold, or whose copy there answers otherwise."""


class VerdictError(PlainfilmError):
    """An audit whose verdict is one that its caller asked to fail on."""


class EngineError(PlainfilmError):
    """Work that other processes or machines were given, and cannot do."""


class MissingExtraError(PlainfilmError):
    """An optional dependency that is not installed; names the extra that installs it."""


class FlawError(ValueError):
    """What is wrong inside a file, in a few words of ours for the middle of a sentence; whoever knows the file's name says the rest."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was left out or flagged: its path, a reason code and a sentence.

    `fatal` is True where the file was left out, False where it stands in the store with a remark.
    """

    file: str
    code: str
    sentence: str
    fatal: bool = True


@contextmanager
def telling(what_stays: Callable[[], str]) -> Iterator[None]:
    """Let a Ctrl-C within the block say what it leaves behind and how to go on, as a note of its KeyboardInterrupt."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if told := what_stays():
            stop.add_note(told)
        raise
