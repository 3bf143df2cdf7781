"""Options of the command line alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from plainfilm.arguments import Device
from plainfilm.workflows.parsing import a_choice

T = TypeVar("T")
Quiet = Annotated[bool, Parameter(help="No progress.", negative="", show_default=False)]
AsJson = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.", negative="", show_default=False)]
Signed = Annotated[Path | None, Parameter(help="A public key (PEM): go on only if the bundle is signed for it.")]
ShowText = Annotated[
    bool,
    Parameter(
        help="Leave text in pictures of radiographs, such as a burned-in name, uncovered.",
        negative="",
        show_default=False,
    ),
]
OnDevice = Annotated[
    Device | None,
    Parameter(
        help="What the network runs on: cpu, cuda, rocm, openvino, directml or coreml, or auto; by default PLAINFILM_DEVICE, or auto."
    ),
    a_choice,
]
Certificates = Annotated[
    Path | None,
    Parameter(
        help="Folder of the cluster's certificates; by default PLAINFILM_CERTIFICATES.",
        metavar="DIR",
        show_default=False,
    ),
]
Sources = Annotated[Sequence[Path], Parameter(metavar="STORE|FOLDER")]
Out = Annotated[Path, Parameter(metavar="PATH")]


def places_first(options: type[T]) -> type[T]:
    """Put the fields of a dataclass that may be given by place before those it inherits: cyclopts reads them in order."""
    fields = options.__dataclass_fields__  # type: ignore[attr-defined]
    options.__dataclass_fields__ = dict(sorted(fields.items(), key=lambda item: bool(item[1].kw_only)))  # type: ignore[attr-defined]
    return options


FLAT = Parameter(name="*")  # each field of the options is a flag
