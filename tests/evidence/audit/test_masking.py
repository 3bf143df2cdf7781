import numpy as np
import pytest

from plainfilm.evidence.audit import masking
from plainfilm.evidence.audit.looks import LOOKS
from plainfilm.model.lung_segmentation import SIDE, LungFields


def _fields(*, found=True):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[30:90, 25:55] = mask[30:90, 75:105] = found
    return LungFields(np.stack([mask, mask]), np.array([found, found]))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(1, 256, (2, 256, 256)).astype(np.uint8)


def test_lungs_and_what_lies_between_are_black_and_the_rest_is_as_it_was(images):
    hidden = masking.hide(_fields())
    seen = masking.without_lungs(images, hidden)
    assert not seen[:, 60:180, 50:210].any()
    assert np.array_equal(seen[:, :40], images[:, :40])


def test_lungs_only_is_black_outside_the_margin(images):
    seen = masking.lungs_only(images, masking.hide(_fields()))
    assert np.array_equal(seen[0, 70:170, 55:105], images[0, 70:170, 55:105])
    assert not seen[:, :40].any()
    assert not seen[:, :, 125:135].any()


def test_border_and_corners_show_only_themselves_and_never_the_lungs(images):
    hidden = masking.hide(LungFields(np.ones((2, SIDE, SIDE), bool), np.ones(2, bool)))
    assert not masking.border(images, hidden).any()
    hidden = masking.hide(_fields())
    border, corners = masking.border(images, hidden), masking.corners(images, hidden)
    assert not border[:, 26:-26, 26:-26].any()
    assert border[:, 0].all()
    assert corners[:, :38, :38].all()
    assert not corners[:, 128].any()


@pytest.mark.parametrize(("sees", "look"), [(look.sees, look.show) for look in LOOKS])
def test_what_a_probe_sees_is_the_image_or_black_and_only_lungs_where_it_says_so(sees, look, images):
    hidden = masking.hide(_fields())
    seen, chest = look(images, hidden), masking.sized(hidden.chest, images.shape[1])
    assert np.array_equal(seen, np.where(seen > 0, images, 0))
    assert seen.any(axis=(1, 2)).all()
    assert seen[chest].any() == (sees == "lungs")
    assert seen[~chest].any() == (sees == "no lungs")


def test_an_image_without_lungs_hides_what_the_others_share(images):
    fields = _fields()
    fields.masks[1], fields.found[1] = False, False
    hidden = masking.hide(fields)
    assert np.array_equal(hidden.chest[0], hidden.chest[1])


def test_nothing_is_hidden_where_no_lungs_are_found_at_all(images):
    assert np.array_equal(masking.without_lungs(images, masking.hide(_fields(found=False))), images)


def test_thumbnail_histogram_brightness_and_grain_measure_what_they_say(images):
    hidden = masking.hide(_fields())
    dark = (images // 2).astype(np.uint8)
    flat = np.full_like(images, 128)
    assert np.allclose(masking.thumbnails(flat), 128)
    assert np.allclose(np.square(masking.histograms(images)).sum(axis=1), 1)
    assert (masking.brightness(dark, hidden) < masking.brightness(images, hidden)).all()
    assert (masking.texture(flat, hidden)[:, :3] < masking.texture(images, hidden)[:, :3]).all()
    framed = images.copy()
    framed[:, :10] = 255
    assert (masking.frame(framed)[:, 0] > masking.frame(images)[:, 0]).all()


@pytest.mark.parametrize("size", [32, 200, 512])
def test_any_size_of_image(size):
    images = np.full((2, size, size), 200, np.uint8)
    hidden = masking.hide(_fields())
    assert masking.without_lungs(images, hidden).shape == images.shape
    assert 0 < (masking.without_lungs(images, hidden) == 0).mean() < 1


def test_marks_see_a_bright_spot_alike_wherever_it_lies_in_a_corner(images):
    plain = np.full_like(images[:1], 90)
    spots = np.repeat(plain, 2, axis=0)
    spots[0, 4:10, 4:10] = spots[1, 22:28, 14:20] = 250
    base, one, other = masking.marks(np.concatenate([plain, spots]), np.zeros((SIDE, SIDE), bool))
    assert base.shape == (272,)
    anywhere, elsewhere = slice(48, 68), slice(68, None)  # of the first corner, wherever it lies; the other corners
    assert np.allclose(one[anywhere], other[anywhere])
    assert not np.allclose(one[anywhere], base[anywhere])
    assert np.array_equal(one[elsewhere], base[elsewhere])


def test_framing_is_the_box_around_both_lungs_and_nothing_else():
    fields = _fields()
    fields.masks[1] = np.roll(fields.masks[1], -20, axis=0)
    one, higher = masking.framing(masking.hide(fields))
    assert np.allclose(one, [30 / SIDE, 90 / SIDE, 25 / SIDE, 105 / SIDE, np.log(80 / 60)])
    assert np.allclose(higher - one, [-20 / SIDE, -20 / SIDE, 0, 0, 0])


def test_a_film_without_lungs_is_framed_as_the_others_are():
    fields = _fields()
    fields.masks[1], fields.found[1] = False, False
    one, other = masking.framing(masking.hide(fields))
    assert np.array_equal(one, other)
    assert not masking.framing(masking.hide(_fields(found=False))).any()


def test_brightness_and_detail_within_the_lungs_see_nothing_around_them(images):
    hidden = masking.hide(_fields())
    inside = masking.sized(hidden.fields, 256)
    for measure in (masking.lung_brightness, masking.lung_detail):
        around = np.where(masking.sized(hidden.lungs, 256), images, 7)
        assert np.allclose(measure(around, hidden), measure(images, hidden))
        assert not np.allclose(measure(np.where(inside, images // 2, images), hidden), measure(images, hidden))
    assert masking.lung_brightness(np.full_like(images, 90), hidden)[0].tolist() == [90, 0]


def test_without_lungs_brightness_and_detail_are_those_of_where_lungs_lie(images):
    fields = _fields()
    fields.masks[1], fields.found[1] = False, False
    hidden = masking.hide(fields)
    common = masking.sized(hidden.common[None], 256)[0]
    assert masking.lung_brightness(images, hidden)[1, 0] == pytest.approx(images[1][common].mean())
    assert not masking.lung_brightness(images, masking.hide(_fields(found=False))).any()
