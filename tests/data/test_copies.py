"""Changed copies: a mirrored, cropped, turned, inverted or padded radiograph is found, another one is not."""

import io
import tempfile
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import made_copies
from plainfilm.data import copies, duplicates
from plainfilm.data.copies import IDENTITY, MIRROR, SIDE_PX, Copies, CopyFinder
from plainfilm.data.duplicates import ThumbnailFile, join_groups

SIZE = 192
bodies = partial(made_copies.bodies, size=SIZE, finest=48)


def saved(image: Image.Image, quality: int = 80) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def cropped(image: Image.Image, share: float) -> Image.Image:
    edge = round(share * SIZE)
    return image.crop((edge, edge, SIZE - edge, SIZE - edge))


def turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, resample=Image.Resampling.BICUBIC)


def padded(image: Image.Image, tone: int = 0) -> Image.Image:
    return ImageOps.expand(image, (SIZE // 8, 0), tone)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "inverted": ImageOps.invert,
    "padded with black": padded,
    "padded with white": lambda image: padded(image, 255),
    "mirrored and cropped": lambda image: cropped(ImageOps.mirror(image), 0.03),
    "mirrored and inverted": lambda image: ImageOps.invert(ImageOps.mirror(image)),
    **{f"cropped by {share} %": lambda image, share=share: cropped(image, share / 100) for share in (1, 2, 3, 5)},
    **{f"turned by {angle}": lambda image, angle=angle: turned(image, angle) for angle in (-3, -1, 2, 3)},
}


def find(images: np.ndarray, group: np.ndarray | None = None) -> Copies:
    with tempfile.TemporaryFile() as file:
        finder = CopyFinder(ThumbnailFile(file, SIDE_PX))
        for start in range(0, len(images), 7):
            finder.append(images[start : start + 7])
        return finder.find(np.arange(len(images)) if group is None else group)


def test_no_image_has_no_copies():
    assert len(find(np.empty((0, SIZE, SIZE), np.uint8))) == 0


def test_different_images_of_one_look_are_no_copies():
    assert len(find(bodies(60))) == 0


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change):
    images = bodies(12)
    found = find(np.concatenate([images, saved(change(Image.fromarray(images[4])))[None]]))
    assert found.pairs.tolist() == [[4, 12]]
    assert found.agreement[0] >= copies.AGREEMENT


def test_the_map_says_what_was_done():
    image = Image.fromarray(bodies(1)[0])
    found = find(np.stack([np.asarray(image), saved(cropped(ImageOps.mirror(image), 0.04))]))
    np.testing.assert_allclose(found.maps[0, :, :2], [[1 / 0.92, 0], [0, -1 / 0.92]], atol=0.01)
    np.testing.assert_allclose(found.maps[0, :, 2], 0, atol=0.01)
    assert not found.inverted[0]
    assert find(np.stack([np.asarray(image), saved(ImageOps.invert(image))])).inverted.tolist() == [True]


def test_many_copies_of_one_image_are_all_connected():
    images = bodies(8)
    changed = [saved(change(Image.fromarray(images[2]))) for change in CHANGES.values()]
    found = find(np.concatenate([images, changed]))
    group = join_groups(len(images) + len(changed), found.pairs, [""] * (len(images) + len(changed)))
    assert np.flatnonzero(group == group[2]).tolist() == [2, *range(8, 8 + len(changed))]


def test_what_is_known_to_be_one_is_not_compared_again():
    images = bodies(6)[[0, 1, 2, 3, 4, 5, 1]]
    assert len(find(images, np.array([0, 1, 2, 3, 4, 5, 1]))) == 0
    assert find(images).pairs.tolist() == [[1, 6]]


def test_images_without_any_texture_are_no_copies():
    assert len(find(np.full((5, SIZE, SIZE), 90, np.uint8))) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.002, 0.05), groups=st.integers(5, 200))
def test_the_nearest_sketch_of_another_group_is_that_of_comparing_all(seed, spread, groups):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, copies._WIDTH))
    centres[0] = 0  # an even image
    sketches = np.repeat(centres, 5, axis=0) * (1 + spread * rng.normal(size=(200, copies._WIDTH)))
    sketches *= rng.choice([-1, 1], (200, 1)) * np.where(
        rng.random((200, 1)) < 0.5, 1, np.where(copies._is_odd(), -1, 1)
    )
    sketches = copies._unit(sketches).astype(np.float16)
    group = rng.integers(0, groups, 200)
    view = copies._View(np.arange(200), sketches, np.broadcast_to(IDENTITY, (200, 2, 3)))
    units = copies._unit(sketches)
    found = list(copies._Neighbours(view, group).of(view, np.arange(200)))
    flips = [sign * flip for flip in (1, np.where(copies._is_odd(), -1, 1)) for sign in (1, -1)]
    for own, flip in zip(found, flips, strict=True):
        cosine = (units * flip) @ units.T
        cosine[group[:, None] == group] = 0
        best = cosine.max(axis=1)
        is_certain = best >= 1 - 0.5 * (copies._REACH / (1 + copies._SLACK)) ** 2
        assert set(np.flatnonzero(is_certain)) <= set(own.pairs[:, 0].tolist())
        assert (own.agreement >= copies.NEAR).all()
        np.testing.assert_allclose(own.agreement, best[own.pairs[:, 0]], atol=2e-3)


def test_among_many_of_one_group_the_nearest_of_another_is_found():
    images = np.concatenate([np.repeat(bodies(5)[:1], 90, axis=0), bodies(5)])
    group = np.array([*[0] * 90, 1, 2, 3, 4, 5])
    assert 90 in find(images, group).pairs


def test_progress_goes_on_to_its_end():
    told = []
    images = bodies(6)[[0, 1, 2, 3, 4, 5, 1]]
    with tempfile.TemporaryFile() as file:
        finder = CopyFinder(ThumbnailFile(file, SIDE_PX))
        finder.append(images)
        finder.find(np.arange(7), advance=lambda *steps: told.append(steps))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.floats(0, 0.05), st.floats(-3, 3), st.integers(50, 95)
)
def test_any_such_change_is_found_and_undone(seed, mirror, invert, share, degrees, quality):
    image = Image.fromarray(bodies(1, seed=seed)[0])
    changed = cropped(turned(ImageOps.mirror(image) if mirror else image, degrees), share)
    changed = ImageOps.invert(changed) if invert else changed
    left, right = (
        np.rint(next(duplicates.area_means(each[None], SIDE_PX))).astype(np.uint8)
        for each in (np.asarray(image), saved(changed, quality))
    )
    maps, agreement = copies.compare(left, right, (MIRROR if mirror else IDENTITY)[None].copy(), np.array([invert]))
    assert agreement[0] >= copies.AGREEMENT
    assert np.sign(np.linalg.det(maps[0, :, :2])) == (-1 if mirror else 1)
    assert abs(np.sqrt(abs(np.linalg.det(maps[0, :, :2]))) - 1 / (1 - 2 * share)) < 0.03


def test_a_frame_of_one_tone_is_cut_off_and_a_wide_one_is_not():
    images = np.zeros((3, 100, 100), np.uint8)
    images[0, 10:90, 20:] = np.random.default_rng(0).integers(0, 255, (80, 80))
    images[1, 45:55, 45:55] = 200
    np.testing.assert_allclose(copies.content_boxes(images), [[-0.8, 0.8, -0.6, 1], [-1, 1, -1, 1], [-1, 1, -1, 1]])
