import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from plainfilm.data import phantom
from plainfilm.model.foreign_objects import CELLS, KINDS, MOST, ObjectFinder, responses
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.model.onnx_session import shrunk


@pytest.fixture(scope="module")
def films():
    made = [phantom.render(visit).pixels for visit in phantom.plan(24, seed=5, duplicates=0)]
    return np.stack([shrunk(pixels, 256) for pixels in made])


def _drawn(film, kind, at):
    picture = Image.fromarray(film)
    draw = ImageDraw.Draw(picture)
    if kind == 0:
        draw.text(at, "ICU 12", fill=240, font=ImageFont.load_default_imagefont())
    elif kind == 1:
        draw.ellipse((at[0] - 7, at[1] - 7, at[0] + 7, at[1] + 7), fill=150)
        draw.ellipse((at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3), fill=240)
    else:
        draw.line((at[0], at[1] - 40, at[0] + 8, at[1], at[0], at[1] + 40), fill=230, width=3, joint="curve")
    return np.asarray(picture)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_responds_where_an_object_is_drawn(films, kind):
    finder, masks = ObjectFinder(), LungFinder().find(films).masks
    middle = [np.argwhere(mask[:, :64]).mean(0)[::-1] * 2 for mask in masks]
    drawn = np.stack([_drawn(film, kind, tuple(at)) for film, at in zip(films, middle, strict=True)])
    before, after = finder.find(films), finder.find(drawn)
    places = [tuple((at[::-1] * CELLS / 256).astype(int)) for at in middle]
    near = [
        after[row, :, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max((1, 2)) for row, (y, x) in enumerate(places)
    ]
    sure = np.array([one.found for one in KINDS])
    assert np.mean([(own >= sure).any() for own in near]) > 0.7
    assert after.max((2, 3)).mean() > before.max((2, 3)).mean()


def test_gives_maps_of_any_size_and_number_of_images():
    finder = ObjectFinder()
    assert finder.find(np.zeros((0, 64, 64), np.uint8)).shape == (0, len(KINDS), CELLS, CELLS)
    maps = finder.find(np.full((9, 300, 300), 128, np.uint8))
    assert maps.shape == (9, len(KINDS), CELLS, CELLS)
    assert np.isfinite(maps).all()


def test_each_kind_has_figures_of_its_own():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind.least < kind.sure
        assert 0 < kind.missed < 1
        assert 0 < kind.in_real_films < 1


def test_a_response_begins_at_its_kind_s_least_and_belongs_to_the_surest_kind():
    least, sure = (np.array(each, np.float32) for each in zip(*((k.least, k.sure) for k in KINDS), strict=True))
    cells = np.stack([least, least + 1, sure, np.array([99, -9, -9])], axis=1).astype(np.float32)[None, :, :, None]
    found = responses(cells)[0, :, :, 0].T
    assert not found[0].any()
    assert found[3].tolist() == [MOST, 0, 0]
    assert found[2] == pytest.approx(sure - least)
    winner = np.argmax(least + 1 - sure)
    assert found[1][winner] == pytest.approx(1)
    assert np.count_nonzero(found[1]) == 1
