"""Malformed files of every kind that a command reads: each gives one line, without words of Python's."""

import io
import logging
import os
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from malformed import Case, cases, wrong
from plainfilm import cli

from .row import Row, Told


def run(told: Told) -> Row:
    """Run each command in this process and look at what it says."""
    os.environ["PLAINFILM_CACHE"] = str(told.scratch / "cache")
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    count, bad = told.cases or 1500, 0
    for case in cases(told.scratch, told.seed, count):
        code, out, err = _called(case, told.scratch)
        if said := wrong(case, code, out, err):
            bad += 1
            if bad <= 40:
                print(
                    f"    {case.name}: {said}: {err[-200:]!a} of {' '.join(map(ascii, map(str, case.words)))}"[:500],
                    flush=True,
                )
    return Row(
        tried="malformed files and arguments of ten kinds through the commands",
        cases=count,
        found=f"{bad} answered otherwise than in one line in our own words",
        promised="0",
        holds=not bad,
    )


def _called(case: Case, folder: Path) -> tuple[int, str, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    before, sys.argv = sys.argv, ["plainfilm", *map(str, case.words)]
    os.chdir(folder)
    code: int | str | None = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    sys.argv = before
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined] # BytesIO
    return (code if isinstance(code, int) else 0 if code is None else 1), texts[0], texts[1]
