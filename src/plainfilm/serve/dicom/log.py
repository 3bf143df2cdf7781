"""Log events of the node: what happened and to which hash, never patient data, file names or UIDs."""

import logging
from typing import Any

_LOG = logging.getLogger("plainfilm.serve")


def told(event: str, *, key: str = "", level: int = logging.INFO, **fields: Any) -> None:
    """Log an event; of a key its first 12 digits."""
    _LOG.log(level, event, extra={"event": {**({"key": key[:12]} if key else {}), **fields}})
