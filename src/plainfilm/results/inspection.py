"""What commands that look at a machine or start something print with `--json`."""

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count


class Finding(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One thing that `doctor` looked at."""

    name: Annotated[str, Meta(description="What it is.")]
    ok: Annotated[bool, Meta(description="Whether it is as it should be.")]
    found: Annotated[str, Meta(description="What was found.")]
    advice: Annotated[str, Meta(description="What to do if not.")] = ""


class Findings(Document, frozen=True, kw_only=True):
    """What `plainfilm doctor --json` prints."""

    FORMAT: ClassVar[str] = "plainfilm-doctor"

    checks: Annotated[tuple[Finding, ...], Meta(description="All that was looked at.")]


class BackboneWeights(Record, frozen=True, kw_only=True):
    """A backbone, and where its weights lie now."""

    name: Annotated[str, Meta(description="The backbone.")]
    features: Annotated[Count, Meta(description="Features that it gives.")]
    scaling: Annotated[str, Meta(description="How its input is scaled.")]
    licence: Annotated[str, Meta(description="Licence of its weights.")]
    source: Annotated[str, Meta(description="Where its weights come from.")]
    digest: Annotated[str, Meta(description="The digest that is stated there.")]
    present: Annotated[str, Meta(description="How they came to this machine; no: they are not here.")]
    path: Annotated[str, Meta(description="Their file, empty where they are not here.")]
    sha256: Annotated[str, Meta(description="SHA-256 of their file, empty where they are not here.")]


class BackboneList(Document, frozen=True, kw_only=True):
    """Every backbone with its weights: what `weights list --json` prints."""

    FORMAT: ClassVar[str] = "plainfilm-backbones"

    backbones: Annotated[tuple[BackboneWeights, ...], Meta(description="Every backbone.")]


class KeptWeights(Document, frozen=True, kw_only=True):
    """Weights that came to this machine: what `weights fetch --json` and `weights import --json` print."""

    FORMAT: ClassVar[str] = "plainfilm-weights"

    name: Annotated[str, Meta(description="The backbone.")]
    path: Annotated[Path, Meta(description="The file of its weights.")]
    origin: Annotated[str, Meta(description="How it came to this machine.")]
    sha256: Annotated[str, Meta(description="SHA-256 of the file.")]


class CacheKind(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What the cache holds of one kind."""

    name: Annotated[str, Meta(description="The kind, a folder of the cache.")]
    what: Annotated[str, Meta(description="What it is.")]
    entries: Annotated[Count, Meta(description="How many there are.")]
    bytes: Annotated[Count, Meta(description="What they take, in bytes.")]
    oldest_use: Annotated[str, Meta(description="When the one that was not used for longest was used, in UTC.")]
    newest_use: Annotated[str, Meta(description="When one was used last, in UTC.")]
    lost: Annotated[str, Meta(description="What is lost with them.")]
    only_by_name: Annotated[bool, Meta(description="Whether they are taken away only where their kind is named.")]


class Cache(Document, frozen=True, kw_only=True, omit_defaults=False):
    """What `plainfilm cache --json` prints."""

    FORMAT: ClassVar[str] = "plainfilm-cache"

    path: Annotated[Path, Meta(description="The folder.")]
    bytes: Annotated[Count, Meta(description="What it takes, in bytes.")]
    limit: Annotated[Count | None, Meta(description="Bytes that it may take; null: any.")]
    kinds: Annotated[tuple[CacheKind, ...], Meta(description="What lies there.")]
    pruned: Annotated[tuple[CacheKind, ...], Meta(description="What was taken away.")] = ()
    in_use: Annotated[Count, Meta(description="Entries that were left since a process uses them.")] = 0


class Serving(Document, frozen=True, kw_only=True):
    """The first line of `plainfilm serve --json`; its "version" is the model's."""

    FORMAT: ClassVar[str] = "plainfilm-serving"

    address: Annotated[str, Meta(description="Where the page and the API are.")]
    name: Annotated[str, Meta(description="Name of the model.")]
    version: Annotated[str, Meta(description="Version of plainfilm, and the start of the bundle's SHA-256.")]
