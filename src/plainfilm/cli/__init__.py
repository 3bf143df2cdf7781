"""The command line: parse, call, print."""

import sys

try:
    from plainfilm.cli.application import main
except KeyboardInterrupt:
    print("plainfilm: Stopped. Nothing was begun.", file=sys.stderr)
    sys.exit(130)

__all__ = ["main"]
