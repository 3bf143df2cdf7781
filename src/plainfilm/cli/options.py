"""Options of the command line alone."""

import glob
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from plainfilm.errors import UsageError

T = TypeVar("T")
Quiet = Annotated[bool, Parameter(help="No progress.", negative="", show_default=False)]
AsJson = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.", negative="", show_default=False)]
Signed = Annotated[Path | None, Parameter(help="A public key (PEM): go on only if the bundle is signed for it.")]
ShowText = Annotated[
    bool, Parameter(help="Leave text in pictures of radiographs, such as a burned-in name, uncovered.", negative="")
]
Sources = Annotated[Sequence[Path], Parameter(metavar="STORE|FOLDER")]
Out = Annotated[Path, Parameter(metavar="PATH")]


def matching(places: Iterable[str | Path]) -> Iterator[Path]:
    """Expand `*` and `?` on Windows, whose shells leave that to programs; no name there may hold one. Brackets stay what they are.

    A pattern that nothing fits stays as it is, as in a Unix shell.
    """
    for place in (Path(each) for each in places):
        is_pattern = sys.platform == "win32" and {*"*?"} & {*"".join(place.parts[bool(place.anchor) :])}
        found = sorted(glob.glob(str(place).replace("[", "[[]"))) if is_pattern else []  # noqa: PTH207 - of any folder
        yield from [Path(name) for name in found] or [place]


def the_match(place: str | Path) -> Path:
    """As `matching`, for an argument that names one place.

    Raises
    ------
    UsageError
        Several fit the pattern.
    """
    found = [*matching([place])]
    if len(found) > 1:
        raise UsageError(f"Expected one place; received {place}, which {len(found)} fit. Name one.")
    return found[0]


def places_first(options: type[T]) -> type[T]:
    """Put the fields of a dataclass that may be given by place before those it inherits: cyclopts reads them in order."""
    fields = options.__dataclass_fields__  # type: ignore[attr-defined]
    options.__dataclass_fields__ = dict(sorted(fields.items(), key=lambda item: bool(item[1].kw_only)))  # type: ignore[attr-defined]
    return options


FLAT = Parameter(name="*")  # each field of the options is a flag
