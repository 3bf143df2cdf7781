"""From `--cluster WHERE` to an engine."""

import os
import re

from plainfilm.engines.engine import Engine
from plainfilm.engines.here import Here
from plainfilm.engines.local import Local
from plainfilm.errors import UsageError

VARIABLE = "PLAINFILM_CLUSTER"
_MOST_PROCESSES = 1024


def open_engine(where: str = "") -> Engine:
    """Open the engine of an address; close it by leaving its `with`.

    Parameters
    ----------
    where
        `here`, or `local:N` for N processes on this machine; "" for what PLAINFILM_CLUSTER says, or `here`.

    Raises
    ------
    UsageError
        Another address.
    """
    where = where or os.environ.get(VARIABLE, "") or "here"
    if where == "here":
        return Here()
    if (found := re.fullmatch(r"local:([0-9]{1,4})", where)) and 0 < int(found[1]) <= _MOST_PROCESSES:
        return Local(int(found[1]))
    raise _unknown(where)


def _unknown(where: str) -> UsageError:
    return UsageError(f"Expected --cluster here, or local:N with N from 1 to {_MOST_PROCESSES}; received {where}.")
