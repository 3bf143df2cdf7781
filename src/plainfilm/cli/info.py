"""`plainfilm info`."""

import json
from pathlib import Path

from plainfilm.cli.options import AsJson, Signed


def info(path: Path, *, require_signature: Signed = None, as_json: AsJson = False) -> None:
    """Show what a store, a bundle or a run holds.

    Parameters
    ----------
    path
        NAME.h5, model.plainfilm, or a run folder.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import info as contents

    found = contents.describe(path, require_signature=require_signature)
    if as_json:
        print(json.dumps(found))
    else:
        terminal.say(*terminal.outline(found))
