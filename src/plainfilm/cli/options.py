"""Options that several commands have, and what they stand for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from plainfilm.errors import UsageError

Quiet = Annotated[bool, Parameter(help="No progress.", negative="", show_default=False)]
AsJson = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.", negative="", show_default=False)]
Overwrite = Annotated[
    bool, Parameter(help="Replace a folder that an earlier run wrote.", negative="", show_default=False)
]
Signed = Annotated[
    Path | None, Parameter(help="A public key (PEM): go on only if the bundle is signed for it.", negative="")
]
Positive = Annotated[
    str | None, Parameter(help="The class that sensitivity is about; by default the one not called normal.")
]
Settings = Annotated[
    list[str],
    Parameter(
        name="--set",
        help="Set any key of the recipe: --set head.layers='dense 64, dropout 0.5'. Repeat for more.",
        negative="",
        show_default=False,
    ),
]
Map = Annotated[
    list[str],
    Parameter(
        name="--map",
        help="A label of the data and the class that it stands for, LABEL=CLASS; again, or with commas, for more. Labels that stand for no class are left out.",
        negative="",
    ),
]


def settings_of(given: Sequence[str]) -> dict[str, Any]:
    """Read the values of --set."""
    chosen = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"Expected --set KEY=VALUE; received {text}. Write for example --set training.epochs=5")
        chosen[key.strip()] = value.strip()
    return chosen


def numbers(text: str, option: str) -> list[int]:
    """Read whole numbers with commas between."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"Expected {option} of whole numbers with commas between; received {text}. Write for example {option} 224,320"
        ) from None


def mapping_of(given: Sequence[str]) -> dict[str, str]:
    """Read the values of --map."""
    chosen = {}
    for text in (part for words in given for part in words.split(",")):
        label, sign, name = (word.strip() for word in text.partition("="))
        if not (label and sign and name):
            raise UsageError(f"Expected --map LABEL=CLASS; received {text}. Write for example --map COVID-19=COVID")
        chosen[label] = name
    return chosen
