"""JPEG 2000: whether samples stay in their range, which wrong coefficients leave far behind."""

from contextlib import suppress

import numpy as np

from plainfilm.data.decoding import codestreams
from plainfilm.data.decoding.codestreams import Frame
from plainfilm.data.decoding.decoded import Remarks

BEYOND: Remarks = (
    (
        "seam",
        "Expected samples in the range of JPEG 2000 data; received some far beyond it, as damaged ones have. Look at the picture.",
    ),
)
_SIZ, _COD, _QCD, _QCC, _SOT = 0x51, 0x52, 0x5C, 0x5D, 0x90
_SIGNED = 0x80
_MORE_BITS = 4
_REVERSIBLE = 1
# times that data are smaller than plain samples -> share of the range that most samples of a sound picture go beyond it
_OVERSHOOTS = (25, 0.06), (50, 0.12)
_MOST = 3e-4  # share of the samples that may go further


def remarks(data: bytes, frame: Frame) -> Remarks:
    """Decode so that no sample is cut to its range, and flag what lies far beyond it."""
    from openjpeg.utils import decode

    found = _with_headroom(data)
    if found is None:
        return ()
    changed, more_bits, shrunk = found
    ratio = frame.rows * frame.columns * frame.bits / 8 / len(data)
    most = next((most for least, most in _OVERSHOOTS if ratio <= least), None)
    if most is None:
        return ()
    with suppress(RuntimeError):  # of a decoder that takes no more bits
        span = float(1 << frame.bits)
        away = np.abs(decode(changed).astype(np.float32) - span / 2 * (1 << more_bits)) * (1 << shrunk)
        return BEYOND if (away > (0.5 + most) * span).mean() > _MOST else ()
    return ()


def _with_headroom(data: bytes) -> tuple[bytes, int, int] | None:
    """Make room above and below the range of samples; give the bits that they have more, and those by which they are smaller.

    With the reversible transformation, samples are declared wider (SIZ, T.800 A.5.1). With the other, whose steps follow from the bits of samples,
    guard bits go over to the exponents of the steps (QCD, A.6.4): as many planes of bits, in smaller steps. None for signed samples, and where a
    component has steps of its own.
    """
    changed = bytearray(data[data.find(codestreams.JPEG_2000) :])
    found, at = dict[int, int](), 2
    while changed[at] == 0xFF and changed[at + 1] != _SOT:
        found[changed[at + 1]] = at
        at += 2 + int.from_bytes(changed[at + 2 : at + 4])
    first, steps = found[_SIZ] + 40, found[_QCD]
    depths = range(first, first + 3 * int.from_bytes(changed[first - 2 : first]), 3)
    if _QCC in found or any(changed[depth] & _SIGNED for depth in depths):
        return None
    if changed[found[_COD] + 13] == _REVERSIBLE:
        for depth in depths:
            changed[depth] += _MORE_BITS
        return bytes(changed), _MORE_BITS, 0
    guards = changed[steps + 4] >> 5
    changed[steps + 4] &= 0x1F
    exponents = range(steps + 5, steps + 2 + int.from_bytes(changed[steps + 2 : steps + 4]), 2)
    if not guards or any((changed[each] >> 3) + guards > 0x1F for each in exponents):
        return None
    for each in exponents:
        changed[each] += guards << 3
    return bytes(changed), 0, guards
