"""`plainfilm cache`."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from plainfilm.cli.options import AsJson
from plainfilm.cli.output import print_document


def cache(
    *,
    prune: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    kind: Annotated[Sequence[str], Parameter(metavar="KIND", show_default=False)] = (),
    older_than: Annotated[float | None, Parameter(metavar="DAYS")] = None,
    limit: Annotated[str | None, Parameter(metavar="SIZE")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the cache holds, take some of it away, or say how large it may become.

    Parameters
    ----------
    prune
        Take away what --kind and --older-than choose; what a process uses stays.
    kind
        One kind alone, such as features; repeat it for more.
    older_than
        Days since it was last used.
    limit
        Keep the cache below 20GB, say, from now on: what was not used for longest goes first; none lifts it.
    """
    from plainfilm.cli import terminal
    from plainfilm.errors import UsageError
    from plainfilm.workflows.cache import look

    if prune and not kind and older_than is None:
        raise UsageError(
            "Expected --kind or --older-than with --prune; received neither. Write for example: plainfilm cache --prune --older-than 30"
        )
    if older_than is not None and not older_than >= 0:
        raise UsageError(
            f"Expected --older-than in days, 0 or more; received {older_than:g}. Set it within that range."
        )
    found = look(prune=prune, kind=kind, older_than=older_than, limit=limit)
    if as_json:
        print_document(found)
    else:
        terminal.say(*terminal.cached(found))
