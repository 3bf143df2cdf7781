import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import made_outliers
from made_outliers import KINDS

SEEDS = range(5)


def pieces(mask, least):
    """Sizes, as shares of the picture, of the connected pieces of a mask that are at least `least`."""
    labels, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, labels, range(1, count + 1)) / mask.size
    return sorted(size for size in sizes if size >= least)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_gray_and_hangs_on_its_seed_alone(kind):
    first, again, other = (made_outliers.draw(kind, seed) for seed in (3, 3, 4))
    assert first.dtype == np.uint8
    assert first.ndim == 2
    assert min(first.shape) >= 190
    assert max(first.shape) <= 560
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).mean() > 0.05


def test_the_kinds_are_those_that_a_detector_must_not_let_pass():
    assert set(KINDS) == {"hand", "lateral", "ct_slice", "photograph", "text_page", "black_frame"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hand_has_fingers_bones_and_air_around(seed):
    picture = made_outliers.draw("hand", seed)
    bones = picture > 130
    across = [len(pieces(row[None], 0.01)) for row in bones[: picture.shape[0] * 2 // 3]]
    assert np.count_nonzero(np.array(across) >= 3) > 20  # fingers beside each other
    assert np.median(picture[:, [0, -1]]) < 25
    assert 0.05 < bones.mean() < 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lateral_chest_is_one_sided_with_dark_lungs_over_a_bright_belly(seed):
    picture = np.asarray(Image.fromarray(made_outliers.draw("lateral", seed)).resize((128, 128)), float)
    asymmetry = np.corrcoef(picture.ravel(), picture[:, ::-1].ravel())[0, 1]
    assert asymmetry < 0.9
    assert picture[45:70, 40:88].mean() < 0.7 * picture[105:125, 40:88].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slice_has_two_lungs_inside_a_body_wider_than_deep(seed):
    picture = made_outliers.draw("ct_slice", seed)
    body = ndimage.binary_fill_holes(ndimage.binary_opening(picture > 90, iterations=3))
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    assert np.ptp(columns) > 1.1 * np.ptp(rows)
    inside = ndimage.binary_erosion(body, iterations=6)
    lungs = pieces(ndimage.binary_opening(inside & (picture < 120), iterations=2), 0.03)
    assert len(lungs) == 2
    assert lungs[1] < 3 * lungs[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_page_is_light_with_dark_lines_of_text(seed):
    picture = made_outliers.draw("text_page", seed)
    assert (picture > 190).mean() > 0.6
    assert 0.02 < (picture < 128).mean() < 0.4
    ink = (picture[:, 30:-30] < 150).mean(axis=1)
    assert np.count_nonzero(np.diff((ink > 0.05).astype(int)) == 1) >= 8  # lines begin


def test_photographs_fill_their_frame_and_are_of_several_scenes():
    pictures = [made_outliers.draw("photograph", seed) for seed in range(12)]
    assert all((picture < 8).mean() < 0.1 for picture in pictures)
    assert all(np.std(picture) > 15 for picture in pictures)
    small = np.stack([np.asarray(Image.fromarray(each).resize((32, 32)), float).ravel() for each in pictures])
    assert np.median(np.corrcoef(small)[np.triu_indices(12, 1)]) < 0.6


def test_a_black_frame_is_black_but_for_a_lit_edge():
    pictures = [made_outliers.draw("black_frame", seed) for seed in range(20)]
    assert all(np.quantile(picture, 0.95) < 25 for picture in pictures)
    assert any(np.ptp(picture) > 20 for picture in pictures)
    assert all(picture.min() != picture.max() for picture in pictures)  # or ingest would refuse them as blank


def test_an_unknown_kind_is_not_drawn():
    with pytest.raises(KeyError, match="foot"):
        made_outliers.draw("foot", 0)
