"""Several radiographs in one picture, each with its name below."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from plainfilm.harmless import harmless

_SIDE_PX, _GAP_PX, _TEXT_PX = 192, 6, 18
_ACROSS = 4


def contact_sheet(images: NDArray[np.uint8], names: Sequence[str]) -> Image.Image:
    """Lay gray images uint8 (n, s, s) out in rows of four, each with a name of one line or more below, cut where it is too long."""
    across = max(1, min(_ACROSS, len(images)))
    down = math.ceil(len(images) / across)
    texts = [name.split("\n") for name in names]
    wide, high = _SIDE_PX + _GAP_PX, _SIDE_PX + _TEXT_PX * max(map(len, texts), default=1) + _GAP_PX
    sheet = Image.new("L", (across * wide - _GAP_PX, max(1, down * high - _GAP_PX)), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (image, text) in enumerate(zip(images, texts, strict=True)):
        left, top = number % across * wide, number // across * high
        sheet.paste(Image.fromarray(image).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS), (left, top))
        for line, words in enumerate(text):
            pen.text((left + 2, top + _SIDE_PX + 1 + line * _TEXT_PX), harmless(words)[:26], fill=20, font=font)
    return sheet
