"""Options of the command line alone."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Quiet = Annotated[bool, Parameter(help="No progress.", negative="", show_default=False)]
AsJson = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.", negative="", show_default=False)]
Signed = Annotated[Path | None, Parameter(help="A public key (PEM): go on only if the bundle is signed for it.")]
Out = Annotated[Path, Parameter(metavar="PATH")]
FLAT = Parameter(name="*")  # each field of the options is a flag
