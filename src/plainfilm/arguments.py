"""What a caller in Python gives, held against the types that a function or a class of options states, in one line each."""

import difflib
import inspect
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from plainfilm.errors import UsageError
from plainfilm.harmless import harmless

Method = Literal["auto", "gradcam", "occlusion"]  # of explaining
By = Literal["study", "patient"]  # that one answer is given for
BY: tuple[By, ...] = get_args(By)
Target = Literal["onnx", "openvino", "keras", "tflite"]  # of exporting
Device = Literal["auto", "cpu", "cuda", "rocm", "openvino", "directml", "coreml"]  # that networks run on
DEVICES: tuple[str, ...] = get_args(Device)
P = ParamSpec("P")
R = TypeVar("R")
_SINGULAR_AND_PLURAL = {  # by the name of the type: what it is called alone, and in a list
    "bool": ("True or False", "True or False"),
    "int": ("a whole number", "whole numbers"),
    "float": ("a number", "numbers"),
    "str": ("a text", "texts"),
    "Path": ("a path", "paths"),
    "NoneType": ("None", "None"),
    "ndarray": ("an array", "arrays"),
    "Bundle": ("an opened bundle", "bundles"),
    "Callable": ("a function", "functions"),
    "Callback": ("a callback of Keras", "callbacks of Keras"),
    "Progress": ("a function of stage, steps done, all steps and a note", "functions"),
    "Stored": ("an open Store, what ingest returned", "stores"),
}
_SHOWN = 60  # characters of what was received


Prevalence = float | Mapping[str, float]  # of the positive class, or of findings by name


def prevalence_of(text: str) -> Prevalence:
    """Read a share, "0.09", or one a finding, "Effusion=0.1,Mass=0.02".

    Raises
    ------
    ValueError
        It is neither, or has a finding twice.
    """
    if "=" not in text:
        return float(text)
    parts = [part.rpartition("=") for part in parts_of(text)]
    shares = {unquoted(name): float(share) for name, _, share in parts}
    if len(shares) < len(parts) or "" in shares:
        raise ValueError("a share without a name of its own")
    return shares


def names_of(text: str) -> list[str]:
    """Read names with commas between; one with a comma in it stands in double quotes, which are doubled inside: A,"B, or C"."""
    return [unquoted(part) for part in parts_of(text)]


def parts_of(text: str, sign: str = ",", *, most: int = 0) -> list[str]:
    """Cut a text at a sign, `most` times if that is given, but in no quotes; quotes that are not in pairs are letters like any."""
    outside = r'(?=(?:[^"]*"[^"]*")*[^"]*\Z)' if text.count('"') % 2 == 0 else ""
    return [part.strip() for part in re.split(sign + outside, text, maxsplit=most)]


def quoted(name: str) -> str:
    """Write a name so that it is read back as one."""
    return '"{}"'.format(name.replace('"', '""')) if {*name} & {*',="'} else name


def unquoted(name: str) -> str:
    """Read a name as `quoted` writes it."""
    name = name.strip()
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments of another type than the function states, before it is called.

    Raises
    ------
    UsageError
        From the function: one line, what was expected and what came.
    """
    signature, known = inspect.signature(function), function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in bound(signature, known, args, kwargs).items():
            check(name, value, signature.parameters[name].annotation)
        return function(*args, **kwargs)

    return told


def bound(
    signature: inspect.Signature, name: str, args: Sequence[object], kwargs: Mapping[str, object]
) -> dict[str, Any]:
    """Give arguments by their names.

    Raises
    ------
    TypeError
        One is missing, unknown or given twice, in the words of Python; a name that is nearly right is told.
    """
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        unknown = next((each for each in kwargs if each not in signature.parameters), "")
        close = difflib.get_close_matches(unknown, signature.parameters, 1)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise TypeError(f"{name}() {error}{hint}") from None


def check(name: str, value: object, hint: Any) -> None:
    """Raise UsageError unless a value is of the type that is stated."""
    if not fits(value, hint):
        shown = harmless(repr(value))
        shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
        raise UsageError(f"Expected `{name}` to be {called(hint)}; received {shown} ({type(value).__name__}).")


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type; one that is not known here is not judged. What is iterated once is not looked into."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in {Union, UnionType}:
        return any(fits(value, each) for each in inner)
    if kind in _JUDGES:
        return _JUDGES[kind](value, inner)
    is_unknown = kind in {Any, inspect.Parameter.empty} or not isinstance(kind, type)
    return is_unknown or _is_open(kind) or isinstance(value, kind)


def _is_open(kind: Any) -> bool:
    """Whether a type is a protocol that only its user can judge."""
    return getattr(kind, "_is_protocol", False) and not getattr(kind, "_is_runtime_protocol", False)


def _is_number(kind: type) -> Callable[[object, Any], bool]:
    return lambda value, _: isinstance(value, kind) and not isinstance(value, bool)


def _is_list(value: object, inner: Any) -> bool:
    return is_many(value) and (not isinstance(value, Sequence) or all(fits(each, inner[0]) for each in value))


def _is_mapping(value: object, inner: Any) -> bool:
    return isinstance(value, Mapping) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())


_JUDGES: Mapping[Any, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        Annotated: lambda value, inner: fits(value, inner[0]),
        Literal: lambda value, inner: isinstance(value, str) and value in inner,
        bool: lambda value, _: isinstance(value, bool) or type(value).__name__ == "bool",  # NumPy's, not imported here
        int: _is_number(numbers.Integral),
        float: _is_number(numbers.Real),
        Mapping: _is_mapping,
        Sequence: _is_list,
        Iterable: _is_list,
    }
)


def is_many(value: object) -> bool:
    """Whether a value is several, rather than a text, a path or a mapping."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Path | Mapping)


def called(hint: Any, *, plural: bool = False) -> str:
    """Name a type for people: "a text, a path or a list of texts or paths"."""
    *others, last = dict.fromkeys(_alternatives(hint, plural=plural))
    return f"{', '.join(others)} or {last}" if others else last


def _alternatives(hint: Any, *, plural: bool) -> Iterator[str]:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in {Union, UnionType}:
        for each in inner:
            yield from _alternatives(each, plural=plural)
    elif kind is Annotated:
        yield from _alternatives(inner[0], plural=plural)
    elif kind is Literal:
        yield from map(repr, inner)
    elif kind is Mapping:
        yield "a dictionary"
    elif kind in {Sequence, Iterable}:
        yield f"a list of {called(inner[0], plural=True)}"
    else:
        name = getattr(kind, "__name__", str(kind))
        yield _SINGULAR_AND_PLURAL.get(name, (name, name))[plural]
