"""How options are read from the words of a command line."""

from collections.abc import Sequence
from typing import Any

from cyclopts import Parameter, Token

from plainfilm.errors import UsageError


def _names(_kind: Any, words: Sequence[Token]) -> list[str]:
    return [name.strip() for word in words for name in word.value.split(",") if name.strip()]


def _numbers(_kind: Any, words: Sequence[Token]) -> list[int]:
    text = ",".join(word.value for word in words)
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"Expected {words[0].keyword} of whole numbers with commas between; received {text}. "
            f"Write for example {words[0].keyword} 224,320"
        ) from None


def _mapping(_kind: Any, words: Sequence[Token]) -> dict[str, str]:
    chosen = {}
    for text in (part for word in words for part in word.value.split(",")):
        label, sign, name = (word.strip() for word in text.partition("="))
        if not (label and sign and name):
            raise UsageError(f"Expected --map LABEL=CLASS; received {text}. Write for example --map COVID-19=COVID")
        chosen[label] = name
    return chosen


comma_separated = Parameter(converter=_names, n_tokens=1, metavar="NAME,NAME", allow_repeating=True)
whole_numbers = Parameter(converter=_numbers, n_tokens=1, metavar="INT,INT")
label_to_class = Parameter(name="--map", converter=_mapping, n_tokens=1, metavar="LABEL=CLASS", allow_repeating=True)
