"""JSON that plainfilm writes and reads again: frozen types, one codec, a format and a version in each document."""

import json
import math
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from plainfilm.errors import DocumentError
from plainfilm.reasons import reason_of

_SHORT = 60  # signs of a value


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a document. Field names are the JSON keys; a field that has its default is left out of the JSON."""


class Document(Record, frozen=True, kw_only=True):
    """A whole JSON document: `FORMAT` and `VERSION` stand in it as "format" and "version".

    `VERSION` grows where a reader of the version before would misread the document; new keys alone do not count.
    """

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @property
    def least_version(self) -> int:
        """The version that a reader must know to read this very document."""
        return self.VERSION

    def __repr__(self) -> str:
        """Show what is short, for a document may hold thousands of numbers."""
        shown = {name: repr(getattr(self, name)) for name in self.__struct_fields__}
        told = [f"{name}={text if len(text) <= _SHORT else '…'}" for name, text in shown.items()]
        return f"{type(self).__name__}({', '.join(told)})"


D = TypeVar("D", bound=Document)
T = TypeVar("T")


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """Give a record as plain values with JSON's keys; not-a-number becomes None, a document names format and version."""
    values: dict[str, Any] = _known(msgspec.to_builtins(value, enc_hook=_builtin))
    return _named(value) | values


def encode(value: msgspec.Struct, *, indent: int = 0) -> bytes:
    """Write a record as JSON in ASCII, on one line, or indented and with a line end; a file name may be no Unicode."""
    text = json.dumps(plain(value), indent=indent or None, allow_nan=False)
    return (text + "\n" * bool(indent)).encode()


def decode(data: bytes | str, kind: type[D], where: object, *, names_files: bool = False) -> D:
    """Read a document; `where` names it for people. One without a format or a version is of plainfilm 0.1, version 1.

    Where it `names_files`, a text may be no Unicode: half a pair of surrogates, as `encode` writes it.

    Raises
    ------
    DocumentError
        No JSON, of another format, of a newer version, or a value of another type than its key has.
    """
    parsed = _with_names if names_files else msgspec.json.decode
    try:
        told = parsed(data, type=_Told)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DocumentError(
            f"Expected {_article(kind)} in JSON; received {where}, which is none ({reason_of(error)})."
        ) from error
    if told.format not in {"", kind.FORMAT}:
        raise DocumentError(f"Expected {_article(kind)}; received {where}, which is {told.format!r}.")
    if told.version > kind.VERSION:
        raise DocumentError(
            f"Expected {_article(kind)} of version {kind.VERSION} or older; received {where} of version {told.version}. "
            "Update plainfilm."
        )
    try:
        return parsed(data, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DocumentError(
            f"Expected {_article(kind)}; received {where}, which is altered or of another tool ({reason_of(error)})."
        ) from error


def _with_names(data: bytes | str, *, type: type[T]) -> T:  # noqa: A002 - its name in msgspec
    return msgspec.convert(json.loads(data), type)


class _Told(msgspec.Struct):
    format: str = ""
    version: int = 1


def _named(value: msgspec.Struct) -> dict[str, Any]:
    return {"format": value.FORMAT, "version": value.least_version} if isinstance(value, Document) else {}


def _article(kind: type[Document]) -> str:
    return f"a {kind.FORMAT.replace('-', ' ')} document"


def _known(value: Any) -> Any:
    """Give numbers that are not finite as None, and tuples as lists."""
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _builtin(value: Any) -> Any:
    """Give NumPy's numbers and arrays, which are not imported for that, as Python's, and a path as text."""
    if isinstance(value, Path):
        return str(value)
    if callable(plain := getattr(value, "tolist", None)):
        return plain()
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")
