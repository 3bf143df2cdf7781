import random
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest

from plainfilm.data import images, phantom
from plainfilm.data.decoding import codestreams, wavelets
from plainfilm.errors import ImageError

GRAY = np.asarray(phantom.render(phantom.plan(8, seed=1)[3]).pixels)


def found(data: bytes) -> list[str]:
    frame = codestreams.frame_of(data)
    assert frame is not None
    return [code for code, _ in wavelets.remarks(data, frame)]


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    "options", [{"reversible": True, "level": 0}, {"level": 30}, {"reversible": True, "level": 30}]
)
def test_sound_jpeg_2000_has_no_remark(bits: int, options: dict[str, int]) -> None:
    values = GRAY if bits == 8 else GRAY.astype(np.uint16) << bits - 8
    for kind in ("j2k", "jp2"):
        assert found(imagecodecs.jpeg2k_encode(values, codecformat=kind, bitspersample=bits, **options)) == []


def test_colour_and_signed_samples_have_no_remark() -> None:
    assert found(imagecodecs.jpeg2k_encode(np.dstack([GRAY] * 3), reversible=True, level=0)) == []
    assert found(imagecodecs.jpeg2k_encode(GRAY.astype(np.int16) - 128, reversible=True, level=0)) == []


def test_samples_far_beyond_their_range_are_flagged() -> None:
    data = imagecodecs.jpeg2k_encode(GRAY, reversible=True, level=0)
    start, flagged = data.index(b"\xff\x93") + 2, 0
    for seed in range(30):
        changed = bytearray(data)
        changed[start + random.Random(seed).randrange(300)] ^= 0x40
        with suppress(ImageError):
            flagged += ("seam", wavelets.BEYOND[0][1]) in images.decode(bytes(changed)).remarks
    assert flagged >= 3
