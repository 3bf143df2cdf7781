"""Masks by content: all of them, and no film."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from plainfilm.data import images
from plainfilm.data.decoding.tones import is_mask
from plainfilm.data.phantom import plan, render


def lungs(side: int = 200) -> Image.Image:
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    draw.ellipse((side * 0.1, side * 0.2, side * 0.45, side * 0.8), fill=255)
    draw.ellipse((side * 0.55, side * 0.25, side * 0.9, side * 0.85), fill=255)
    return mask


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("L")


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_a_mask_is_known_whatever_jpeg_does_to_it(quality):
    assert is_mask(as_jpeg(lungs(), quality))
    assert is_mask(as_jpeg(lungs(400).resize((200, 200), Image.Resampling.BILINEAR), quality))


def test_masks_of_several_classes_and_dark_ones_are_known():
    labels = np.asarray(lungs()) // 255
    labels[90:120, 80:120] = 2
    assert is_mask(Image.fromarray(labels))
    assert is_mask(Image.fromarray(labels * 100))
    assert is_mask(Image.eval(lungs(), lambda value: 255 - value))


def test_no_film_is_a_mask():
    for visit in plan(12, duplicates=0):
        film = Image.fromarray(render(visit).pixels)
        assert not is_mask(film)
        assert not is_mask(Image.eval(film, lambda value: min(255, 2 * value)))
        assert not is_mask(film.filter(ImageFilter.GaussianBlur(3)))
    noise = np.random.default_rng(0).integers(100, 140, (64, 64), dtype=np.uint8)
    assert not is_mask(Image.fromarray(noise))


def test_a_mask_is_told_by_its_name():
    stream = io.BytesIO()
    lungs().save(stream, "PNG")
    assert [code for code, _ in images.decode(stream.getvalue()).remarks] == ["mask"]
