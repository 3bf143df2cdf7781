"""Names burned into radiographs, in many fonts and four alphabets: whether they are seen, and covered in pictures; and what is taken for one."""

import csv
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from plainfilm.data import burned_text, phantom

from .row import Row, Told

SIDE, FINE = 256, 4
FILMS = Path(__file__).resolve().parents[3] / "shared" / "data" / "several"
UNWRITTEN = {"jsrt", "shenzhen", "guangzhou-pediatric"}  # collections without text but markers
NAMES = ("MUELLER, HANS 12.03.1961", "Иванова Мария 1957", "Παπαδόπουλος Γ. 64", "GARCÍA LÓPEZ MARÍA", "DUPONT^Émilie 1949-02-11", "Nguyen Van An 00482913",
         "KOWALSKI ŁUKASZ", "St. Mary's Hospital", "Öztürk Ayşe 45K", "ID 00482913")  # fmt: skip
MARKERS = ("L", "R", "PA", "AP", "L PA")
HEIGHTS_PX = (5, 6, 8, 10, 14, 20)  # of capitals, of 256
Pixels = NDArray[np.uint8]


def run(told: Told) -> Row:
    """Burn names and markers into films and look for them."""
    rng, count = np.random.default_rng(told.seed), told.cases or 600
    films = _films(rng, count)
    alarms = sum(burned_text.is_seen(film) for film in films)
    clean = [film for film in films if not burned_text.is_seen(film)]
    missed, bare = 0, []
    for number in range(count):
        film, name = clean[number % len(clean)], NAMES[number % len(NAMES)]
        written, letters = _burned(film, name, HEIGHTS_PX[number % len(HEIGHTS_PX)], rng)
        seen = burned_text.seen(written)
        missed += not seen.any()
        bare.append(1 - seen[letters].mean() if letters.any() else 0.0)
    marked = sum(
        burned_text.is_seen(_burned(film, MARKERS[number % len(MARKERS)], 9, rng)[0])
        for number, film in enumerate(clean[: count // 2])
    )
    return Row(
        tried=f"names burned into {'real' if FILMS.is_dir() else 'made'} films, {len(films)} films as they are, {count // 2} with a marker",
        cases=count,
        found=f"{missed} names missed, {np.mean(np.array(bare) > 0.1):.1%} with more than a tenth of their strokes bare; {alarms} films and {marked} markers taken for text",
        promised="at most 1 % missed, 5 % partly bare, 1 % of films and 2 % of markers taken for text",
        holds=missed <= count / 100
        and np.mean(np.array(bare) > 0.1) <= 0.05
        and alarms <= len(films) / 100
        and marked <= count / 100,
    )


def _films(rng: np.random.Generator, count: int) -> list[Pixels]:
    if not FILMS.is_dir():
        made = [phantom.render(visit).pixels for visit in phantom.plan(min(count, 200), seed=int(rng.integers(99)))]
        return [_sized(Image.fromarray(film)) for film in made]
    with (FILMS / "metadata.csv").open(encoding="utf-8") as file:
        names = [row["file_name"] for row in csv.DictReader(file) if row["source"] in UNWRITTEN]
    return [_sized(Image.open(FILMS / names[at])) for at in rng.permutation(len(names))[:count]]


def _sized(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _burned(film: Pixels, text: str, height: int, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.bool_]]:
    """Write bright on what is dark there, or dark on a label; give the film and the pixels of the strokes."""
    fonts = sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVuS*[!y].ttf"))
    font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), round(height * FINE / 0.72))
    large = Image.fromarray(film).resize((SIDE * FINE, SIDE * FINE))
    draw = ImageDraw.Draw(large)
    left = int(rng.integers(4 * FINE, max(4 * FINE + 1, SIDE * FINE - draw.textlength(text, font) - 4 * FINE)))
    top = int(rng.integers(2 * FINE, 24 * FINE))
    box = draw.textbbox((left, top), text, font)
    is_dark = rng.random() < 0.2
    if is_dark or np.asarray(large)[box[1] : box[3], box[0] : box[2]].mean() > 150:
        draw.rectangle((box[0] - 12, box[1] - 12, box[2] + 12, box[3] + 12), fill=235 if is_dark else 15)
    before = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX)).astype(int)
    draw.text((left, top), text, fill=10 if is_dark else int(rng.integers(220, 256)), font=font)
    after = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX))
    return after, np.abs(after - before) > 60
