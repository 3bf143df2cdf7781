"""How much compressed data hold, counted piece by piece and not kept: a bomb takes neither memory nor time."""

import zlib

_PIECE_BYTES = 1 << 16
_INFLATED_AT_ONCE = 1 << 20


def inflated_length(packed: bytes, most: int, *, wbits: int = zlib.MAX_WBITS) -> int | None:
    """Count the bytes that a zlib stream holds, until they are more than `most`; None where the stream does not end.

    `wbits` is zlib's: negative for a stream without its header and checksum. What lies behind the stream is passed over.

    Raises
    ------
    zlib.error
        It is damaged.
    """
    inflater, length = zlib.decompressobj(wbits), 0
    for at in range(0, len(packed), _PIECE_BYTES):
        rest = packed[at : at + _PIECE_BYTES]
        while rest and not inflater.eof:
            length += len(inflater.decompress(rest, _INFLATED_AT_ONCE))
            if length > most:
                return length
            rest = inflater.unconsumed_tail
    length += len(inflater.flush())
    return length if inflater.eof else None
