"""JPEG 2000 with the reversible transformation: whether its samples stay in their range, which wrong coefficients leave far behind."""

from contextlib import suppress

from plainfilm.data.decoding import codestreams
from plainfilm.data.decoding.codestreams import Frame
from plainfilm.data.decoding.decoded import Remarks

BEYOND: Remarks = (
    (
        "seam",
        "Expected samples in the range of JPEG 2000 data; received some far beyond it, as damaged ones have. Look at the picture.",
    ),
)
_SIZ, _COD, _SOT = 0x51, 0x52, 0x90
_MORE_BITS = 4
_REVERSIBLE = 1
_FINE = 8  # times smaller than plain samples, at most
_OVERSHOOT_FINE, _OVERSHOOT = (
    0.1,
    0.25,
)  # of the range, that coefficients of a sound picture may give where they are fine or coarse


def remarks(data: bytes, frame: Frame) -> Remarks:
    """Decode with samples declared wider (SIZ, T.800 A.5.1), so that none is cut to its range, and flag what lies far beyond it."""
    from openjpeg.utils import decode

    wider = _widened(data)
    if wider is None:
        return ()
    with suppress(RuntimeError):  # of a decoder that takes no more bits
        values, span = decode(wider), float(1 << frame.bits)
        middle = span / 2 * (1 << _MORE_BITS)
        reach = max(middle - float(values.min()), float(values.max()) - middle) / span - 0.5
        is_fine = len(data) >= frame.rows * frame.columns * frame.bits / 8 / _FINE
        return BEYOND if reach > (_OVERSHOOT_FINE if is_fine else _OVERSHOOT) else ()
    return ()


def _widened(data: bytes) -> bytes | None:
    """Declare more bits a sample; None with the irreversible transformation, whose steps follow from the bits, and for signed samples."""
    start = data.find(codestreams.JPEG_2000)
    changed, at, is_reversible = bytearray(data[start:]), 2, False
    while changed[at] == 0xFF and changed[at + 1] != _SOT:
        if changed[at + 1] == _SIZ:
            count = int.from_bytes(changed[at + 38 : at + 40])
            if any(changed[at + 40 + 3 * k] & 0x80 for k in range(count)):
                return None
            for k in range(count):
                changed[at + 40 + 3 * k] += _MORE_BITS
        elif changed[at + 1] == _COD:
            is_reversible = changed[at + 13] == _REVERSIBLE
        at += 2 + int.from_bytes(changed[at + 2 : at + 4])
    return bytes(changed) if is_reversible else None
