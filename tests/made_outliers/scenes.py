"""What is no radiograph at all: a photograph, a page of text, an empty frame."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from made_outliers.sheet import (
    Gray,
    cloud,
    draw_size,
)

_LETTERS = "e" * 12 + "t" * 9 + "a" * 8 + "onisrhld" * 5 + "ucmfpgwybvkxjqz"


def photograph(rng: np.random.Generator) -> Gray:
    """Draw a scene as a camera would take it, in colours turned gray: a town, a landscape, or people."""
    size = draw_size(rng, (0.66, 1.0))
    scene = (_town, _landscape, _people)[rng.integers(3)]
    picture = gaussian_filter(np.asarray(scene(rng, size).convert("L"), float), 0.6)
    picture += 3.5 * cloud(rng, size, coarse=24, octaves=4) + rng.normal(0, 2, size)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _sky(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    height = np.linspace(0, 1, size[0])[:, None, None]
    blue, pale = np.array([80, 130, 210]), np.array([215, 225, 235])
    colour = np.broadcast_to(blue + (pale - blue) * height, (*size, 3)).copy()
    white = np.clip(cloud(rng, size, coarse=2) - rng.uniform(0, 0.8), 0, 1)[..., None]
    colour += (250 - colour) * white
    return Image.fromarray(np.clip(colour * rng.uniform(0.7, 1.05), 0, 255).astype(np.uint8))


def _ground(rng: np.random.Generator, image: Image.Image, horizon: int, colour: tuple[int, int, int]) -> Image.Image:
    pixels = np.asarray(image, float).copy()
    rows = image.height - horizon
    grain = cloud(rng, (rows, image.width), coarse=8, octaves=5, fall=0.8)[..., None]
    pixels[horizon:] = np.array(colour) * (1 + 0.22 * grain)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _town(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    horizon = round(size[0] * rng.uniform(0.6, 0.8))
    image = _ground(rng, _sky(rng, size), horizon, (110, 105, 100))
    draw = ImageDraw.Draw(image)
    left = -20
    while left < size[1]:
        wide, high = int(rng.integers(35, 90)), int(rng.integers(60, max(61, horizon)))
        wall = tuple((rng.uniform(60, 220) * np.array([1, 0.92, 0.85])).astype(int).tolist())
        draw.rectangle((left, horizon - high, left + wide, horizon + 6), fill=wall)
        step, pane = int(rng.integers(11, 18)), tuple(min(255, int(v * rng.choice([0.4, 1.3]))) for v in wall)
        for x in range(left + 5, left + wide - 6, step):
            for y in range(horizon - high + 6, horizon - 8, step + 4):
                draw.rectangle((x, y, x + step // 2, y + step // 2 + 3), fill=pane)
        left += wide + int(rng.integers(-8, 14))
    return image


def _landscape(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    horizon = round(size[0] * rng.uniform(0.4, 0.65))
    image = _ground(rng, _sky(rng, size), horizon, (95, 120, 60))
    draw = ImageDraw.Draw(image)
    for depth in range(3):
        along = np.arange(0, size[1] + 8, 8)
        ridge = horizon + 8 * depth - np.abs(np.cumsum(rng.normal(0, 5, len(along)))) - rng.uniform(5, 40) / (depth + 1)
        shade = (130 - 30 * depth, 145 - 25 * depth, 150 - 45 * depth)
        draw.polygon(
            [(0, horizon + 30), *zip(along.tolist(), ridge.tolist(), strict=True), (size[1], horizon + 30)], fill=shade
        )
    for _ in range(int(rng.integers(3, 9))):
        _tree(rng, draw, rng.uniform(0, size[1]), rng.uniform(horizon + 20, size[0]), rng.uniform(50, 160))
    return image


def _tree(rng: np.random.Generator, draw: ImageDraw.ImageDraw, x: float, foot: float, high: float) -> None:
    draw.rectangle((x - 0.03 * high, foot - 0.5 * high, x + 0.03 * high, foot), fill=(70, 50, 35))
    crown = foot - 0.75 * high
    for u, v, r in zip(*rng.normal(0, 0.16, (2, 60)) * high, rng.uniform(3, 0.12 * high, 60), strict=True):
        green = int(rng.integers(40, 140))
        draw.ellipse((x + u - r, crown + v - r, x + u + r, crown + v + r), fill=(green // 2, green, green // 3))


def _people(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    room = np.array([rng.uniform(60, 230), rng.uniform(60, 220), rng.uniform(60, 220)])
    image = Image.fromarray(np.clip(room + 14 * cloud(rng, size, coarse=2)[..., None], 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for x in np.linspace(0, size[1], int(rng.integers(1, 4)) + 2)[1:-1]:
        _person(
            rng, draw, float(x + rng.normal(0, 8)), size[0] * rng.uniform(0.35, 0.5), size[0] * rng.uniform(0.13, 0.2)
        )
    return image


def _person(rng: np.random.Generator, draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    def oval(u: float, v: float, a: float, b: float, fill: tuple[int, ...]) -> None:
        draw.ellipse((x + r * (u - a), y + r * (v - b), x + r * (u + a), y + r * (v + b)), fill=fill)

    skin = tuple((np.array([232, 190, 160]) * rng.uniform(0.4, 1.05)).astype(int).tolist())
    dark = tuple(int(0.72 * v) for v in skin)
    hair = tuple((np.array([1.0, 0.8, 0.6]) * rng.uniform(15, 190)).astype(int).tolist())
    coat = tuple(rng.integers(20, 235, 3).tolist())
    oval(0, 3.1, 2.0, 1.7, coat)
    draw.rectangle((x - 0.38 * r, y + 0.6 * r, x + 0.38 * r, y + 1.7 * r), fill=dark)
    oval(0, -0.15, 1.02, 1.28, hair)
    oval(0, 0.1, 0.82, 1.12, skin)
    oval(0, -1.02, 0.8, 0.42, hair)
    for side in (-1, 1):
        oval(side * 0.33, -0.05, 0.17, 0.09, (245, 245, 245))
        oval(side * 0.33, -0.05, 0.075, 0.085, (30, 30, 30))
        oval(side * 0.33, -0.24, 0.2, 0.035, hair)
    oval(0, 0.32, 0.12, 0.16, dark)
    oval(0, 0.68, 0.3, 0.075, (150, 60, 60))


def text_page(rng: np.random.Generator) -> Gray:
    """Draw a printed page: a heading, paragraphs, now and then a table, dark on light."""
    size = draw_size(rng, (1.25, 1.45))
    paper = int(rng.integers(222, 256))
    image = Image.new("L", (size[1], size[0]), paper)
    draw = ImageDraw.Draw(image)
    high, margin = float(rng.uniform(8, 13)), 0.08 * size[1]
    font, ink = ImageFont.load_default(high), int(rng.integers(0, 70))
    draw.text((margin, margin), _words(rng, 3).title(), fill=ink, font=ImageFont.load_default(1.8 * high))
    y = margin + 3 * high
    while y < size[0] - margin:
        full = rng.random() > 0.18
        draw.text(
            (margin, y),
            _fitted(rng, font, (size[1] - 2 * margin) * (1 if full else rng.uniform(0.2, 0.8))),
            fill=ink,
            font=font,
        )
        y += (1.35 if full else 2.2) * high
    if rng.random() < 0.4:
        top = rng.uniform(0.3, 0.7) * size[0]
        for row in range(6):
            draw.line((margin, top + 1.6 * high * row, size[1] - margin, top + 1.6 * high * row), fill=ink)
    page = image.rotate(rng.normal(0, 1.5), Image.Resampling.BILINEAR, fillcolor=paper)
    return np.asarray(np.clip(np.asarray(page, float) + rng.normal(0, 2, size), 0, 255), np.uint8)


def _words(rng: np.random.Generator, count: int) -> str:
    return " ".join("".join(rng.choice(list(_LETTERS), int(rng.integers(2, 10)))) for _ in range(count))


def _fitted(rng: np.random.Generator, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    line = _words(rng, 30)
    while font.getlength(line) > width:
        line = line[: line.rindex(" ")] if " " in line else line[:-1]
        if len(line) < 2:
            break
    return line


def black_frame(rng: np.random.Generator) -> Gray:
    """Draw what a detector gives without exposure: black, with a little noise and now and then a lit edge."""
    size = draw_size(rng, (0.8, 1.2))
    frame = rng.uniform(0, 10) + rng.normal(0, rng.uniform(0.3, 2.0), size)
    if rng.random() < 0.3:
        frame[:, : int(rng.integers(2, 12))] += rng.uniform(20, 200)
    return np.asarray(np.clip(frame, 0, 255), np.uint8)
