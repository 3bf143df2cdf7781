"""Whether decoding a file is little work, told from its head and its length: what is not waits with others that are not."""

from plainfilm.data.decoding.declared import declared

_LIGHT_BYTES = 4_000_000
_LIGHT_PIXELS = 30_000_000  # times the scans of a JPEG: some 0.3 s


def is_light(data: bytes | bytearray) -> bool:
    """Whether this is a JPEG or PNG whose bytes and declared pixels bound the work to a fraction of a second."""
    found = declared(data) if len(data) <= _LIGHT_BYTES else None
    return found is not None and found.pixels * found.scans <= _LIGHT_PIXELS
