"""Which store a result is of."""

from typing import Annotated

from msgspec import Meta

from plainfilm.results.documents import Record


class StoreIdentity(Record, frozen=True, kw_only=True):
    """The store that a result is of."""

    store: Annotated[str, Meta(description="File name of the store.")]
    fingerprint: Annotated[str, Meta(description="SHA-256 over the pixels of all images.")]
