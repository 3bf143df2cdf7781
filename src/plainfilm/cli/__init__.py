"""The command line: parse, call, print."""

from plainfilm.cli.application import app, main

__all__ = ["app", "main"]
