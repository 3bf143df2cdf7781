"""`python -m plainfilm.cli`."""

from plainfilm.cli import main

main()
