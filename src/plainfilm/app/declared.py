"""The options of each verb as the page shows them, straight from their declarations; and a value of the page as words of a command."""

import inspect
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import docstring_parser
from cyclopts import App, Argument, Parameter

from plainfilm.arguments import quoted
from plainfilm.harmless import harmless
from plainfilm.serve.http_errors import Refused
from plainfilm.workflows import options, parsing

Kind = Literal["text", "number", "switch", "choice", "path", "list"]
_FLAT = Parameter(name="*")
_JOINED = {parsing.comma_separated.converter, parsing.whole_numbers.converter}
_MOST_LETTERS = 4096


_DECLARED: Mapping[str, type] = MappingProxyType(
    {
        "ingest": options.IngestOptions,
        "train": options.TrainOptions,
        "audit": options.AuditOptions,
        "relabel": options.RelabelOptions,
        "compare": options.CompareOptions,
        "tune": options.TuneOptions,
        "evaluate": options.EvaluateOptions,
        "export": options.ExportOptions,
    }
)
VERBS = tuple(_DECLARED)
_NOT_HERE = frozenset(
    "sources store bundle source out apply dry_run add overwrite cluster mixed mlflow resume".split()
)  # told by what is clicked; or what would leave this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a verb: its name, flag and meaning, and what values it takes; of a list `again`: each with the flag, not with commas between."""

    name: str
    flag: str
    group: str
    help: str
    kind: Kind
    choices: Sequence[str] | None
    default: Any
    off: str = ""
    again: bool = False
    is_pattern: bool = False

    def told(self) -> dict[str, Any]:
        """Give it as the page takes it."""
        names = ("name", "flag", "group", "help", "kind", "choices", "default", "again")
        return {name: getattr(self, name) for name in names}

    def words(self, value: Any) -> list[str]:
        """Write a value as words of a command; none where it says nothing.

        Raises
        ------
        Refused
            It is of another kind.
        """
        if value in (None, "", []):
            return []
        if self.kind == "switch":
            return self._switched(value)
        if self.kind == "list":
            texts = [self._text(each) for each in (value if isinstance(value, list) else [value])]
            words = texts if self.again else [",".join(map(quoted, texts))]
            return [word for text in words for word in _given(self.flag, text)]
        text = self._text(value)
        if self.choices and text not in self.choices:
            raise self._refused(value, f"one of {', '.join(self.choices)}", "Choose one.")
        return _given(self.flag, text)

    def _switched(self, value: Any) -> list[str]:
        if not isinstance(value, bool):
            raise self._refused(value, "true or false", "Switch it on or off.")
        return [] if value == self.default else [self.flag if value else self.off]

    def _text(self, value: Any) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or "\0" in value or len(value) > _MOST_LETTERS or not _can_be_typed(value):
            raise self._refused(value, "a text or a number", "Correct it.")
        if self.kind == "number":
            try:
                float(value)
            except ValueError:
                raise self._refused(value, "a number", "Write one.") from None
        return value

    def _refused(self, value: Any, what: str, then: str) -> Refused:
        return Refused(
            400, "option", f"Expected {self.flag} to be {what}; received {harmless(str(value)[:80])}. {then}"
        )


def _can_be_typed(text: str) -> bool:
    """Whether a text can be a word of a command: half a character cannot."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _given(flag: str, text: str) -> list[str]:
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


@cache
def of(verb: str) -> Mapping[str, Option]:
    """Give the options of a verb by name, in the order of their declaration.

    Raises
    ------
    Refused
        404 for a verb that is not offered.
    """
    if verb not in _DECLARED:
        raise Refused(404, "verb", f"Expected one of {', '.join(VERBS)}; received {harmless(verb[:40])}. Name one.")
    kind = _DECLARED[verb]

    def named(given: Annotated[kind, _FLAT]) -> None:  # type: ignore[valid-type]
        """Be parsed."""

    app = App(default_parameter=Parameter(negative=""))
    app.default(named)
    told = _told(kind)
    found = [
        _option(each, told)
        for each in app.assemble_argument_collection()
        if each.parameter.parse is not False and each.name != "*"
    ]
    return {option.name: option for option in found if option.name not in _NOT_HERE}


@cache
def recipes() -> list[str]:
    """Give the names of the recipes that come with plainfilm."""
    found = files("plainfilm.model").joinpath("recipes").iterdir()
    return sorted(each.name.removesuffix(".toml") for each in found if each.name.endswith(".toml"))


@cache
def presets() -> list[str]:
    """Give the names of the public data sets that are known: in a process of its own, for their module brings NumPy."""
    program = "from plainfilm.data.cataloguing.presets import PRESETS\nfor each in PRESETS: print(each.name)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.split()


def _told(kind: type) -> dict[str, str]:
    """What docstrings say of each parameter, those of a class before those that it inherits."""
    found: dict[str, str] = {}
    for each in kind.__mro__:
        for parameter in docstring_parser.parse(inspect.cleandoc(each.__dict__.get("__doc__") or "")).params:
            for name in parameter.arg_name.split(","):
                found.setdefault(name.strip(), " ".join((parameter.description or "").split()))
    return found


def _option(argument: Argument, told: Mapping[str, str]) -> Option:
    parameter, field = argument.parameter, argument.keys[-1]
    default = argument.field_info.default
    hints = [each for each in _alternatives(argument.hint) if each is not NoneType]
    kind, choices = _kind(hints, parameter.metavar)
    again = parameter.converter is parsing.texts.converter
    if again or parameter.converter in _JOINED:
        kind, choices = "list", None
    groups: Any = parameter.group or ()
    name = next((each.name for each in groups), "")
    return Option(
        name=field,
        flag=argument.names[0],
        group="" if name == "Parameters" else name,
        help=parameter.help or told.get(field, ""),
        kind=kind,
        choices=choices,
        default=default if isinstance(default, str | int | float | bool) else None,
        off=next((each for each in argument.names if each.startswith("--no-")), ""),
        again=again,
        is_pattern=parameter.metavar == "REGEX",
    )


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Annotated:
        return _alternatives(get_args(hint)[0])
    return get_args(hint) if get_origin(hint) not in {None, Literal} and not _is_many(hint) else (hint,)


def _is_many(hint: Any) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Sequence | Mapping)


def _kind(hints: Sequence[Any], metavar: str | None) -> tuple[Kind, Sequence[str] | None]:
    if all(get_origin(each) is Literal for each in hints):
        return "choice", [str(value) for each in hints for value in get_args(each)]
    if {*hints} == {bool}:
        return "switch", None
    if {*hints} <= {int, float}:
        return "number", None
    return ("path" if Path in hints and metavar in {"PATH", None} else "text"), None
