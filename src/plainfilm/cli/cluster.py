"""`plainfilm cluster certificate`, `plan`, `run` and `join`."""

import contextlib
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from plainfilm.errors import UsageError

Command = Annotated[str, Parameter(metavar="COMMAND", allow_leading_hyphen=True)]


def cluster_certificate(folder: Annotated[Path, Parameter(metavar="DIR")], *, days: int = 365) -> None:
    """Make the certificates of a cluster: who holds them runs programs on every machine of it.

    Parameters
    ----------
    folder
        A new folder for ca.pem, certificate.pem and key.pem. Copy it to each machine, and name it there in PLAINFILM_CERTIFICATES.
    days
        How long they are valid.
    """
    from plainfilm.cli import terminal
    from plainfilm.engines import certificates

    if not 1 <= days <= 3650:
        raise UsageError(f"Expected --days from 1 to 3650; received {days}. Set it within that range.")
    made = certificates.make(folder, days=days)
    terminal.say(
        f"Certificates for {days} days: {', '.join(file.name for file in (made.authority, made.certificate, made.key))} in {folder}",
        "Copy the folder to each machine of the cluster, readable by you alone, and say there where it is:",
        f"export PLAINFILM_CERTIFICATES={folder.resolve()}",
        "Whoever holds them runs programs on every machine of the cluster, as you.",
    )


def cluster_plan(plan: Path, *command: Command, slices: int = 1000) -> None:
    """Plan a command for a Slurm array or an indexed Job of Kubernetes: write its jobs, and do none.

    Parameters
    ----------
    plan
        The plan to write, NAME.json, in a folder that all machines share.
    command
        The command, without plainfilm: ingest FOLDER --out my.h5
    slices
        Indices of the array at most.
    """
    from plainfilm.engines import array

    if not command:
        raise UsageError(
            "Expected a command to plan; received none. Write: plainfilm cluster plan plan.json ingest FOLDER --out my.h5"
        )
    if slices < 1:
        raise UsageError(f"Expected --slices of 1 or more; received {slices}. Set it within that range.")
    array.begin(plan, command, slices=slices)
    try:
        _go_on(plan)
    except BaseException:
        if not array.read(plan).jobs:
            array.remove(plan)
        raise


def cluster_run(plan: Path, index: int, *, processes: int = 1) -> None:
    """Do the jobs of one index of a plan.

    Parameters
    ----------
    plan
        What plainfilm cluster plan wrote.
    index
        Of the array, from 0: $SLURM_ARRAY_TASK_ID, $JOB_COMPLETION_INDEX.
    processes
        How many jobs at a time.
    """
    from plainfilm.cli import terminal
    from plainfilm.engines import array
    from plainfilm.engines.local import Local

    if processes < 1:
        raise UsageError(f"Expected --processes of 1 or more; received {processes}. Set it within that range.")
    with Local(processes) as engine:
        done = array.run(plan, index, engine)
    terminal.say(f"Index {index}: {done:,} job{'s' * (done != 1)} done.")


def cluster_join(plan: Path) -> None:
    """Go on with a planned command once its indices are done, to its end or to its next jobs.

    Parameters
    ----------
    plan
        What plainfilm cluster plan wrote.
    """
    from plainfilm.engines import array

    if missing := array.missing(plan):
        raise UsageError(
            f"Expected results of every index; received none of {len(missing):,}. Run them (again): --array={_ranges(missing)}"
        )
    _go_on(plan)


def _go_on(path: Path) -> None:
    """Run a planned command, and say what there is to do next."""
    from plainfilm import shell
    from plainfilm.cli import terminal
    from plainfilm.cli.application import app
    from plainfilm.engines import array
    from plainfilm.engines.opening import PLANNED

    plan, whole = array.read(path), path.absolute()
    try:
        with contextlib.chdir(plan.folder):
            app([*plan.command, "--cluster", f"{PLANNED}{whole}"], exit_on_error=False, print_error=False)
    except array.PlannedError as planned:
        last = array.read(path).indices - 1
        run = f"{shell.command('cluster', 'run', whole)} $SLURM_ARRAY_TASK_ID"
        terminal.say(
            str(planned),
            f"Run each index from 0 to {last}, for example: sbatch --array=0-{last} --wrap '{run}'",
            f"Then: {shell.command('cluster', 'join', path)}",
        )
    else:
        array.remove(path)
        print("The command is done, and the plan is removed.", file=sys.stderr)


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers as Slurm does: 0-3,7."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
