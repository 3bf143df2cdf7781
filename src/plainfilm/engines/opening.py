"""From `--cluster WHERE` to an engine."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plainfilm import extras
from plainfilm.engines.addresses import check_address
from plainfilm.engines.array import Array
from plainfilm.engines.current import using
from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here
from plainfilm.engines.local import Local
from plainfilm.errors import UsageError

PLANNED = "plan:"  # before the path of a plan, which `plainfilm cluster` has begun
VARIABLE = "PLAINFILM_CLUSTER"
_MOST_PROCESSES = 1024


def open_engine(where: str = "", *, mixed: bool = False) -> Engine:
    """Open the engine of an address; leaving its `with` closes it.

    Parameters
    ----------
    where
        `here`, `local:N` for N processes on this machine, or a Dask scheduler: `tls://HOST:PORT`, or `tcp://127.0.0.1:PORT` on this
        machine; "" for what PLAINFILM_CLUSTER says, or `here`.
    mixed
        Let processors of several kinds take part, whose networks may answer differently in the last bits.

    Raises
    ------
    UsageError
        Another address, `tcp://` to another machine, or `tls://` without certificates.
    MissingExtraError
        A scheduler, without the package that talks to it.
    """
    where = where or os.environ.get(VARIABLE, "") or "here"
    if where == "here":
        return Here()
    if (found := re.fullmatch(r"local:([0-9]{1,4})", where)) and 0 < int(found[1]) <= _MOST_PROCESSES:
        return Local(int(found[1]))
    if where.startswith(PLANNED):
        return Array(Path(where.removeprefix(PLANNED)), mixed=mixed)
    if where.startswith(("tls:", "tcp:")):
        check_address(where)
        extras.require(f"work on {where}", *extras.EXTRAS["cluster"])
        from plainfilm.engines.dask.client import Dask

        return Dask(where, mixed=mixed)
    raise UsageError(
        f"Expected --cluster here, local:N with N from 1 to {_MOST_PROCESSES}, tls://HOST:PORT or tcp://127.0.0.1:PORT; received {where}. "
        "See docs/cluster.md."
    )


@contextmanager
def running(where: str = "", *, mixed: bool = False) -> Iterator[Engine]:
    """Let jobs run on the engine of an address until the block ends; arguments and errors are those of `open_engine`."""
    with open_engine(where, mixed=mixed) as engine, using(engine):
        yield engine
