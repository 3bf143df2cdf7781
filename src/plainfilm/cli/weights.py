"""`plainfilm weights list`, `fetch` and `import`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from plainfilm.cli.options import AsJson
from plainfilm.cli.output import print_document
from plainfilm.errors import UsageError


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


def weights_fetch(
    name: str,
    *,
    accept_terms: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a backbone's weights to this machine.

    Parameters
    ----------
    name
        A backbone.
    accept_terms
        Say that you have read the licence of a hub's weights and accept it.
    """
    from plainfilm.model import weights

    try:
        found = weights.fetch(name, accept_terms=accept_terms)
    except UsageError as error:
        raise UsageError(str(error).replace("then accept it.", "then add --accept-terms.")) from error
    _say_weights(name, found, as_json=as_json)


def weights_import(name: str, file: Path, *, as_json: AsJson = False) -> None:
    """Keep a file of weights for a backbone, after loading it once.

    Parameters
    ----------
    name
        A backbone.
    file
        .h5 of Keras; for efficientnet_lite0 also .pth or .safetensors; for a network from a hub the folder with its files, or a .pt file.
    """
    from plainfilm.model import weights

    found = weights.import_file(name, file)
    _say_weights(name, found, as_json=as_json)


def _say_weights(name: str, found: Any, *, as_json: bool) -> None:
    from plainfilm.cli import terminal
    from plainfilm.results.inspection import KeptWeights

    if as_json:
        print_document(KeptWeights(name=name, path=found.path, origin=found.origin, sha256=found.sha256))
        return
    terminal.say(f"{name}: {found.path} ({found.origin})", f"SHA-256 {found.sha256}")
