"""Which store a result is of."""

from typing import Annotated

from msgspec import Meta

from plainfilm.results.documents import Record


class StoreIdentity(Record, frozen=True, kw_only=True):
    """The store that a result is of."""

    store: Annotated[str, Meta(description="File name of the store.")]
    kept_at: Annotated[
        str | None,
        Meta(
            description="Where the store lies in the cache that folders were read into; null where a store was named, and in a bundle."
        ),
    ] = None
    fingerprint: Annotated[str, Meta(description="SHA-256 over the pixels of all images.")]
