"""The command line: parse, call, print."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plainfilm.cli.application import app as app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    try:
        from plainfilm.cli import application

        application.main()
    except KeyboardInterrupt:  # while its own modules were imported
        print("plainfilm: Stopped. Nothing was begun.", file=sys.stderr)
        sys.exit(130)


def __getattr__(name: str) -> Any:
    """Load the application when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from plainfilm.cli.application import app

    return app
