"""`plainfilm info`."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from plainfilm.cli.options import AsJson, Signed


def info(
    path: Path,
    *,
    verify: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    require_signature: Signed = None,
    as_json: AsJson = False,
) -> None:
    """Show what a store, a bundle, a run or the cache holds.

    Parameters
    ----------
    path
        NAME.h5, model.plainfilm, a run folder, or the folder of the cache.
    verify
        Read all of it, and hold it against its checksums: exit code 1 where something is damaged.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import info as contents

    found = contents.describe(path, require_signature=require_signature, verify=verify)
    if as_json:
        print(json.dumps(found))
    else:
        terminal.say(*terminal.outline(found))
