"""Fetches a network's folder from the Hugging Face Hub, with its own client."""

import re
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from plainfilm import extras
from plainfilm.errors import FlawError, RecipeError, WeightsError
from plainfilm.model.hub.folder import CONFIGS, PREPROCESSORS, licence_of
from plainfilm.reasons import reason_of

PREFIX = "hf:"
_NAMED = re.compile(r"hf:([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@([A-Za-z0-9][\w./-]{0,99}))?")
_SETTINGS = [*CONFIGS, *PREPROCESSORS, "README.md", "LICENSE*", "*.safetensors.index.json"]
_SAFE, _PICKLED = (
    ["model*.safetensors", "open_clip_model.safetensors"],
    ["pytorch_model.bin", "open_clip_pytorch_model.bin"],
)
_MOST_BYTES, _BLOCK = 4 << 30, 1 << 20
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository's files on this machine; `revision` is the commit, whatever name was asked for."""

    path: Path
    repository: str
    revision: str
    licence: str


@lru_cache(maxsize=8)
def snapshot(name: str) -> Snapshot:
    """Fetch what is needed of `hf:OWNER/NAME[@REVISION]`, or find it in the client's cache.

    Raises
    ------
    RecipeError
        The name is of another form.
    MissingExtraError
        The client is not installed.
    WeightsError
        There is no such repository or revision, it wants to be asked for first, or the hub is out of reach.
    """
    found = _NAMED.fullmatch(name)
    if found is None:
        raise RecipeError(f"Expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION; received {name}. Correct it.")
    repository, revision = found[1], found[2]
    extras.require(f"fetching {repository}", "huggingface_hub")
    path = _fetched(repository, revision, [*_SETTINGS, *_SAFE])
    if not any(path.glob("*.safetensors")):
        path = _fetched(repository, revision, [*_SETTINGS, *_PICKLED])
    return Snapshot(path, repository, path.name, licence_of(path))


def _fetched(repository: str, revision: str | None, patterns: list[str]) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    address = f"https://huggingface.co/{repository}"
    import_it = "or fetch its files yourself and name their folder"
    try:
        fetched: Any = huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=patterns)
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"Expected leave to fetch {repository}, whose terms are agreed to under one's own name; received none. Agree at {address} and log in "
            f"with: hf auth login; {import_it}."
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        where = f" at revision {revision}" if revision else ""
        raise WeightsError(
            f"Expected a public model {address}{where}; there is none. Correct the name, {import_it}."
        ) from error
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        raise WeightsError(
            f"Expected {address} to answer, or its files on this machine; neither ({reason_of(error)}). Try again, {import_it}."
        ) from error
    return Path(fetched)


def file(url: str, place: Path) -> Path:
    """Fetch a file over HTTPS into a folder.

    Raises
    ------
    WeightsError
        It cannot be fetched, or is larger than a network is.
    """
    target, taken = place / url.rsplit("/", 1)[1], 0
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer, target.open("wb") as file:
            while block := answer.read(_BLOCK):
                taken += len(block)
                if taken > _MOST_BYTES:
                    raise FlawError("it is larger than a network is")
                file.write(block)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"Expected {url} to answer; it does not ({reason_of(error)}). Try again, or fetch it yourself and import it."
        ) from error
    return target
