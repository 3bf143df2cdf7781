"""Commands that show what is there: info, doctor, weights."""

import json
import sys
from pathlib import Path
from typing import Any

from plainfilm.cli.options import AsJson, Signed
from plainfilm.cli.output import print_document


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


def doctor(*, as_json: AsJson = False) -> None:
    """Look over this machine: what is needed, what is here, what to do."""
    from plainfilm.cli import terminal
    from plainfilm.cli.doctor import examine
    from plainfilm.results.inspection import Findings

    with terminal.muted_native_logs():
        findings = tuple(examine())
    if as_json:
        print_document(Findings(checks=findings))
    else:
        terminal.say(*map(terminal.finding, findings))
    if not all(finding.ok for finding in findings):
        sys.exit(1)


def weights_list(*, as_json: AsJson = False) -> None:
    """Show each backbone's weights: here or not, hash, source, licence."""
    from plainfilm.cli import terminal
    from plainfilm.model import weights
    from plainfilm.results.inspection import BackboneList

    listed = tuple(weights.listing())
    if as_json:
        print_document(BackboneList(backbones=listed))
    else:
        terminal.say(*terminal.weights_table(listed))


def weights_fetch(name: str, *, as_json: AsJson = False) -> None:
    """Bring a backbone's weights to this machine.

    Parameters
    ----------
    name
        A backbone.
    """
    from plainfilm.cli import terminal
    from plainfilm.model import weights

    with terminal.muted_native_logs():
        found = weights.fetch(name)
    _say_weights(name, found, as_json=as_json)


def weights_import(name: str, file: Path, *, as_json: AsJson = False) -> None:
    """Keep a file of weights for a backbone, after loading it once.

    Parameters
    ----------
    name
        A backbone.
    file
        .h5 of Keras; for efficientnet_lite0 also .pth or .safetensors.
    """
    from plainfilm.cli import terminal
    from plainfilm.model import weights

    with terminal.muted_native_logs():
        found = weights.import_file(name, file)
    _say_weights(name, found, as_json=as_json)


def _say_weights(name: str, found: Any, *, as_json: bool) -> None:
    from plainfilm.cli import terminal
    from plainfilm.results.inspection import KeptWeights

    if as_json:
        print_document(KeptWeights(name=name, path=found.path, origin=found.origin, sha256=found.sha256))
        return
    terminal.say(f"{name}: {found.path} ({found.origin})", f"SHA-256 {found.sha256}")
