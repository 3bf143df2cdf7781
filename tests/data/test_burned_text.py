"""Names burned into radiographs."""

import csv

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from plainfilm.data import burned_text, ingest
from plainfilm.data.phantom import plan, render
from plainfilm.data.store import Store

SIDE = 256
NAMES = [
    "MUELLER, HANS 12.03.1961",
    "Иванова Мария 1957",
    "Παπαδόπουλος Γ. 64",
    "GARCÍA LÓPEZ MARÍA",
    "Nguyen Van An 00482913",
]
FONTS = ["DejaVuSans.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono-Oblique.ttf"]


def films(count: int) -> list[np.ndarray]:
    """Made radiographs without text, uint8 (256, 256)."""
    return [np.asarray(Image.fromarray(render(visit).pixels).resize((SIDE, SIDE))) for visit in plan(count, seed=3)]


def written(
    film: np.ndarray, text: str, font: str, height: int, *, dark: bool = False, blank: bool = False
) -> np.ndarray:
    """Burn a text into the upper left corner, capitals `height` px high; `dark` on a white label, or the label alone."""
    import matplotlib

    large = Image.fromarray(film).resize((4 * SIDE, 4 * SIDE))
    draw = ImageDraw.Draw(large)
    face = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{font}", round(height * 4 / 0.72))
    box = draw.textbbox((40, 40), text, font=face)
    draw.rectangle((box[0] - 12, box[1] - 12, box[2] + 12, box[3] + 12), fill=240 if dark else 15)
    if not blank:
        draw.text((40, 40), text, font=face, fill=10 if dark else 245)
    return np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX))


@pytest.fixture(scope="module")
def clean() -> list[np.ndarray]:
    return films(60)


def test_films_without_text_have_none(clean):
    assert sum(burned_text.seen(film).any() for film in clean) <= 1


@pytest.mark.parametrize("height", [5, 8, 12])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("font", FONTS)
def test_a_name_is_seen_and_covered_in_any_script(clean, font, height, dark):
    for film, name in zip(clean, NAMES, strict=False):
        burned = written(film, name, font, height, dark=dark)
        letters = np.abs(burned.astype(int) - written(film, name, font, height, dark=dark, blank=True)) > 60
        mark = burned_text.seen(burned)
        assert mark.any(), name
        assert mark[letters].mean() > 0.85, name
        covered = burned_text.covered(burned)
        assert (covered[mark] == covered[mark][0]).all()
        assert np.array_equal(covered[~mark], burned[~mark])


@pytest.mark.parametrize("marker", ["L", "R", "PA", "AP"])
def test_a_marker_is_no_line_of_text(clean, marker):
    for film in clean[:10]:
        assert not burned_text.seen(written(film, marker, FONTS[0], 9)).any()


@pytest.mark.parametrize("shape", [(28, 28), (1, 300), (47, 47), (63, 300), (300, 48)])
def test_a_picture_of_any_shape_can_be_looked_at(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert burned_text.seen(noise).shape == shape


def test_a_grid_is_no_text():
    lines = np.zeros((SIDE, SIDE), np.uint8)
    lines[:, ::5] = 255
    assert not burned_text.seen(lines).any()


def test_real_films_are_not_called_written_on(shared):
    several = shared / "data" / "several"
    with (several / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] in {"jsrt", "shenzhen", "guangzhou-pediatric"}]
    films = [Image.open(several / row["file_name"]).convert("L").resize((SIDE, SIDE)) for row in rows[::10]]
    assert np.mean([burned_text.seen(np.asarray(film)).any() for film in films]) < 0.02


def test_ingest_says_on_how_many_films_text_was_seen(tmp_path, clean, call):
    for place, film in enumerate(clean[:40]):
        folder = tmp_path / "films" / ("SICK" if place % 2 else "WELL")
        folder.mkdir(parents=True, exist_ok=True)
        shown = written(film, NAMES[0], FONTS[0], 7) if place in {0, 1, 2} else film
        Image.fromarray(shown).save(folder / f"{place:02}.png")
    code, out, _ = call("ingest", "films", "--out", "s.h5")
    assert code == 0
    assert "Text, maybe names, is burned into 3 of 40 radiographs" in " ".join(out.split())
    with (tmp_path / "s.problems.csv").open(encoding="utf-8") as file:
        noted = {row["file"] for row in csv.DictReader(file) if row["reason"] == "text" and row["left_out"] == "no"}
    assert {name.rpartition("/")[2] for name in noted} == {"00.png", "01.png", "02.png"}
    for shows in (False, True):
        with Store(tmp_path / "s.h5", shows_text=shows) as store:
            written_on = [row for row, name in enumerate(store.file) if name in noted]
            pictures = store.pictures(written_on)
            assert len(pictures) == 3
            assert np.array_equal(pictures, store.images(written_on)) == shows
            assert any(burned_text.seen(picture).any() for picture in pictures) == shows
            assert store.pictures([]).shape == (0, store.size, store.size)


@pytest.mark.parametrize(
    ("files", "looked"), [(1, 1), (127, 127), (640, 64), (2642, 83), (20_000, 128), (300_000, 128)]
)
def test_a_large_set_is_looked_at_in_part(files, looked):
    assert -(-files // ingest._looked_every(files)) == pytest.approx(looked, abs=2)
