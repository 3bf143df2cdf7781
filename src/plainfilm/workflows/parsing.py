"""How options are read from the words of a command line, and from what Python gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from cyclopts import Parameter, Token

from plainfilm import arguments
from plainfilm.data.spelling import spelling_key
from plainfilm.errors import UsageError

BY_SOURCE = "source"  # in the place of a number of folds: each source is left out in turn
AUTO: Literal["auto"] = "auto"  # in the place of a size: what a recipe's backbones look at


def _texts(_kind: Any, words: Sequence[Token]) -> list[str]:
    return [word.value for word in words]


def _names(_kind: Any, words: Sequence[Token]) -> list[str]:
    return [name for word in words for name in arguments.names_of(word.value)]


def _numbers(_kind: Any, words: Sequence[Token]) -> list[int]:
    text = ",".join(word.value for word in words)
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"Expected {words[0].keyword} of whole numbers with commas between; received {text}. "
            f"Write for example {words[0].keyword} 224,320"
        ) from None


def of_recipe(key: str) -> Callable[[Any, Sequence[Token]], Any]:
    """Give what reads the value of a recipe's key, in the key's type; one that cannot be meant raises RecipeError."""

    def read(_: Any, tokens: Sequence[Token]) -> Any:
        from plainfilm.model import recipes

        return recipes.checked(key, tokens[-1].value)

    return read


def in_python(name: str, value: Any, hint: Any) -> Any:
    """Take an argument: a text in the place of a list as the command line reads it, what else is several as a list.

    Raises
    ------
    UsageError
        It is of another type.
    """
    if isinstance(value, str) and comma_separated in get_args(hint):
        return arguments.names_of(value)
    if isinstance(value, str) and texts in get_args(hint):
        return [value]
    if arguments.is_many(value) and not isinstance(value, Sequence):
        value = list(value)
    value = value.item() if getattr(value, "shape", None) == () else value  # a number of NumPy's
    arguments.check(name, value, hint)
    return value


def mapping_of(given: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Read LABEL=CLASS, with commas between for more, names with = or a comma in double quotes; a mapping stays as it is.

    Raises
    ------
    UsageError
        A text of another form, or a label that stands for two classes.
    """
    if isinstance(given, Mapping):
        pairs = [*given.items()]
    else:
        pairs = [_pair(text) for words in given or () for text in arguments.parts_of(words)]
    meant: dict[str, str] = {}
    for label, name in pairs:
        if (first := meant.setdefault(spelling_key(label), name)) != name:
            raise UsageError(
                f"Expected one class a label for --map; received {label} for {first} and {name}. Leave one of them out."
            )
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    label, name = (*map(arguments.unquoted, arguments.parts_of(text, "=", most=1)), "")[:2]
    if not (label and name):
        raise UsageError(f"Expected --map LABEL=CLASS; received {text}. Write for example --map COVID-19=COVID")
    return label, name


def settings_of(given: Sequence[str] | Mapping[str, Any] | None) -> dict[str, Any]:
    """Read KEY=VALUE; a mapping stays as it is.

    Raises
    ------
    UsageError
        A text of another form.
    """
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    chosen = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"Expected --set KEY=VALUE; received {text}. Write for example --set training.epochs=5")
        chosen[key.strip()] = value.strip()
    return chosen


def _chosen(kind: Any, words: Sequence[Token]) -> str:
    """Take one of the texts of a Literal; where pydantic is loaded the parser would ask it, and say its words."""
    known, value = get_args(kind), words[-1].value
    if value not in known:
        allowed = " or ".join(filter(None, (", ".join(filter(None, known[:-1])), known[-1])))
        raise UsageError(f"Expected {words[-1].keyword} to be {allowed}; received {value}. Write one of them.")
    return value


def _folds(_kind: Any, words: Sequence[Token]) -> int | str:
    """Take a number of folds, or the word source."""
    word = words[-1]
    if word.value == BY_SOURCE:
        return BY_SOURCE
    try:
        return int(word.value)
    except ValueError:
        raise UsageError(
            f"Expected {word.keyword} to be a number of folds or {BY_SOURCE}; received {word.value}. Write for example {word.keyword} 5"
        ) from None


def groups_of(given: Sequence[str | Sequence[str]] | None) -> list[tuple[str, ...]]:
    """Read A,B: names that belong together; in Python each may be a list.

    Raises
    ------
    UsageError
        One name alone.
    """
    groups = [
        tuple(arguments.names_of(each) if isinstance(each, str) else map(str.strip, each)) for each in given or ()
    ]
    for own in groups:
        if len(set(own) - {""}) < 2:
            raise UsageError(
                f"Expected --together to name two sources or more; received {', '.join(own) or 'none'}. Write for example --together NIH,RSNA"
            )
    return groups


def _size(_kind: Any, words: Sequence[Token]) -> int | str:
    """Take a size in pixels, or the word auto."""
    word = words[-1]
    if word.value == AUTO:
        return AUTO
    try:
        return int(word.value)
    except ValueError:
        raise UsageError(
            f"Expected {word.keyword} to be a size in pixels or {AUTO}; received {word.value}. Write for example {word.keyword} 256"
        ) from None


def _prevalence(_kind: Any, words: Sequence[Token]) -> arguments.Prevalence:
    """Take a share, or one a finding."""
    word = words[-1]
    try:
        return arguments.prevalence_of(word.value)
    except ValueError:
        raise UsageError(
            f"Expected {word.keyword} to be a share, or of findings NAME=SHARE with commas between, each once; received {word.value}. "
            f"Write for example {word.keyword} 0.09, or {word.keyword} Effusion=0.1,Mass=0.02"
        ) from None


a_prevalence = Parameter(
    converter=_prevalence, n_tokens=1, accepts_keys=False, metavar="SHARE|NAME=SHARE", show_choices=False
)
a_size = Parameter(converter=_size, metavar=f"INT|{AUTO}", show_choices=False)
a_number_of_folds = Parameter(converter=_folds, metavar=f"INT|{BY_SOURCE}")
a_choice = Parameter(converter=_chosen, show_choices=False)
comma_separated = Parameter(converter=_names, n_tokens=1, metavar="NAME,NAME", show_default=False)
whole_numbers = Parameter(converter=_numbers, n_tokens=1, metavar="INT,INT", show_default=False)
texts = Parameter(converter=_texts, n_tokens=1)
