"""`plainfilm worker`."""

import sys
from typing import Annotated

from cyclopts import Parameter

from plainfilm.cli.options import Certificates
from plainfilm.errors import UsageError


def worker(
    address: Annotated[str, Parameter(metavar="ADDRESS")],
    *,
    processes: int = 0,
    host: Annotated[str | None, Parameter(show_default=False)] = None,
    certificates: Certificates = None,
) -> None:
    """Work for a scheduler: do what commands with --cluster ADDRESS give out. Ctrl-C stops.

    Parameters
    ----------
    address
        The scheduler's: tls://HOST:PORT, or tcp://127.0.0.1:PORT on this machine.
    processes
        How many jobs at a time; 0 for one per processor.
    host
        Address of this machine to listen at; by default the one by which it reaches the scheduler.
    """
    from plainfilm.cli import terminal
    from plainfilm.engines.addresses import check_address
    from plainfilm.extras import EXTRAS, require
    from plainfilm.model.cpus import processors

    check_address(address)
    if processes < 0:
        raise UsageError(f"Expected --processes of 0 or more; received {processes}. Set it within that range.")
    require("working for a scheduler", *EXTRAS["cluster"])
    from plainfilm.engines.dask import nodes

    several = processes or processors()
    said = f"Working for {address}, {several} job{'s' * (several != 1)} at a time. Whoever holds a certificate of the cluster runs programs here as you. Ctrl-C stops."
    nodes.run_workers(
        address,
        several,
        host=host,
        certificates=certificates or "",
        waiting=lambda: print(f"Waiting for the scheduler at {address}", file=sys.stderr, flush=True),
        started=lambda: terminal.say(said),
    )
