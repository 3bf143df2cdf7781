"""Duplicates: hashes that survive copying, pairs that are one film, groups that hold together."""

import io
import tempfile
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy.fft import dctn
from scipy.ndimage import uniform_filter

from plainfilm.data import duplicates
from plainfilm.data.duplicates import Duplicates, find_duplicates, join_groups, label_conflicts, perceptual_hash

SEEDS = st.integers(0, 2**32 - 1)


def blobs(n: int, *, seed: int = 0, size: int = 64) -> np.ndarray:
    """Smooth random images with fine structure, like no chest but with the same spread of frequencies."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, size, size))
    for grain, weight in ((4, 60), (8, 40), (16, 25), (32, 15)):
        for image in images:
            noise = Image.fromarray(rng.normal(size=(grain, grain)).astype(np.float32))
            image += weight * np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC))
    return np.clip(images + 128, 0, 255).astype(np.uint8)


def bits_apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.bitwise_count(left ^ right)


def find_by_content(images: np.ndarray, sha256: list[str] | None = None) -> Duplicates:
    digests = sha256 or [str(row) for row in range(len(images))]
    return find_duplicates(digests, perceptual_hash(images), duplicates.thumbnails(images))


def components(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Connected components by repeated relabelling: slow, and plainly right."""
    group = list(range(n))
    for _ in range(n):
        for i, j in pairs:
            group[i] = group[j] = min(group[i], group[j])
    seen: dict[int, int] = {}
    return [seen.setdefault(g, len(seen)) for g in group]


# Hash and thumbnails


def test_the_hash_is_the_median_sign_of_the_low_cosine_frequencies():
    images = blobs(5)
    means = images.reshape(5, 32, 2, 32, 2).mean(axis=(2, 4))
    for image, value in zip(means, perceptual_hash(images), strict=True):
        low = dctn(image, type=2)[1:9, 1:9].ravel()
        expected = "".join("1" if coefficient > np.median(low) else "0" for coefficient in low)
        assert f"{int(value):064b}" == expected


@pytest.mark.parametrize("size", [32, 33, 50, 64, 100])
def test_thumbnails_are_area_means_at_any_size(size):
    images = blobs(2, size=size)
    oracle = [Image.fromarray(image).resize((32, 32), Image.Resampling.BOX, reducing_gap=None) for image in images]
    repeated = np.kron(images, np.ones((1, 32, 32)))  # 32 x 32 cells of `size` x `size` equal parts: exact by counting
    exact = repeated.reshape(2, 32, size, 32, size).mean(axis=(2, 4))
    thumbs = duplicates.thumbnails(images)
    assert thumbs.dtype == np.uint8
    assert np.abs(thumbs - exact).max() <= 0.51
    if size % 32 == 0:
        assert np.abs(thumbs.astype(int) - np.stack(oracle)).max() <= 1


@given(lengths=st.lists(st.integers(0, 5), max_size=4), data=st.data())
@settings(max_examples=40)
def test_a_file_of_thumbnails_gives_the_rows_that_an_array_of_them_gives(lengths, data):
    thumbs = np.random.default_rng(0).integers(0, 256, (sum(lengths), 32, 32), np.uint8)
    rows = np.array(data.draw(st.lists(st.integers(0, len(thumbs) - 1))) if len(thumbs) else [], np.int64)
    with tempfile.TemporaryFile() as file:
        kept = duplicates.ThumbnailFile(file)
        for block in np.split(thumbs, np.cumsum(lengths)):
            kept.append(block)
            assert np.array_equal(kept[rows[rows < len(kept)]], thumbs[rows[rows < len(kept)]])
        assert len(kept) == len(thumbs)


@given(seed=SEEDS, shift=st.integers(-20, 20))
@settings(max_examples=25)
def test_the_hash_does_not_see_brightness(seed, shift):
    image = blobs(1, seed=seed) // 2 + 40
    moved = (image.astype(int) + shift).astype(np.uint8)
    assert bits_apart(perceptual_hash(image), perceptual_hash(moved))[0] <= 2


@given(seed=SEEDS, factor=st.sampled_from([2, 3, 5]))
@settings(max_examples=15)
def test_the_hash_does_not_see_magnification(seed, factor):
    image = blobs(1, seed=seed, size=32)
    larger = image.repeat(factor, axis=1).repeat(factor, axis=2)
    assert bits_apart(perceptual_hash(image), perceptual_hash(larger))[0] <= 2


@given(image=hnp.arrays(np.uint8, (1, 32, 32)))
@settings(max_examples=25)
def test_any_image_has_a_hash_of_at_most_half_ones(image):
    assert np.bitwise_count(perceptual_hash(image))[0] <= 32


def test_hashes_do_not_depend_on_the_company_of_other_images():
    images = blobs(300, size=32)
    together = perceptual_hash(images)
    alone = np.concatenate([perceptual_hash(images[row : row + 1]) for row in (0, 255, 256, 299)])
    assert np.array_equal(together[[0, 255, 256, 299]], alone)


@pytest.mark.parametrize("shape", [(2, 31, 31), (2, 40, 48), (40, 40)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(n, s, s\)"):
        perceptual_hash(np.zeros(shape, np.uint8))


def test_no_images_give_no_hashes_and_no_pairs():
    found = find_by_content(np.empty((0, 64, 64), np.uint8))
    assert found.pairs.shape == (0, 2)
    assert found.exact.shape == (0,)
    assert join_groups(0, found.pairs, []).shape == (0,)


# Candidates


def groups_of_all_pairs(hashes: np.ndarray, thumbs: np.ndarray) -> list[int]:
    """Join whatever pairs of all fulfil the rule: slow, and plainly right."""
    n = len(hashes)
    is_near = bits_apart(hashes[:, None], hashes) <= duplicates.HASH_BITS
    for margin in (0, duplicates._MARGIN_PX):
        texture = duplicates._texture(thumbs, np.arange(n), margin=margin).astype(np.float32)
        is_near &= texture @ texture.T >= duplicates.TEXTURE
    return join_groups(n, np.argwhere(np.triu(is_near, 1)), [""] * n).tolist()


def films_and_copies(films: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """Append copies in another tone, with noise, so that some lie close to the limit of what is joined."""
    rng = np.random.default_rng(seed)
    source = films[rng.integers(0, len(films), copies)].astype(float)
    noise = rng.normal(size=source.shape) * rng.uniform(0, 25, (copies, 1, 1))
    changed = source * rng.uniform(0.8, 1.1, (copies, 1, 1)) + rng.uniform(0, 20, (copies, 1, 1)) + noise
    return np.concatenate([films, np.clip(changed, 0, 255).astype(np.uint8)])


@given(seed=SEEDS, copies=st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_the_groups_are_those_of_comparing_all_pairs(seed, copies):
    images = films_and_copies(blobs(40, seed=seed), copies, seed)
    hashes, thumbs = perceptual_hash(images), duplicates.thumbnails(images)
    found = find_duplicates(list(map(str, range(len(images)))), hashes, thumbs)
    assert join_groups(len(images), found.pairs, [""] * len(images)).tolist() == groups_of_all_pairs(hashes, thumbs)


def test_films_that_all_have_one_hash_are_told_apart():
    images = films_and_copies(blobs(300), 100, seed=1)
    hashes, thumbs = np.zeros(400, np.uint64), duplicates.thumbnails(images)
    found = find_duplicates(list(map(str, range(400))), hashes, thumbs)
    assert join_groups(400, found.pairs, [""] * 400).tolist() == groups_of_all_pairs(hashes, thumbs)


def test_progress_goes_on_to_its_end():
    told = []
    images = blobs(30)
    find_duplicates(
        list(map(str, range(30))),
        perceptual_hash(images),
        duplicates.thumbnails(images),
        advance=lambda *steps: told.append(steps),
    )
    assert told == sorted(told)
    assert told[-1] == (60, 60)


def one_pair(hash_bits: int, thumbs: np.ndarray) -> bool:
    hashes = np.array([0, (1 << hash_bits) - 1], np.uint64)
    return len(find_duplicates(["a", "b"], hashes, thumbs).pairs) == 1


def test_hashes_may_differ_in_ten_bits_and_not_in_eleven():
    thumbs = duplicates.thumbnails(blobs(1)[[0, 0]])
    assert [one_pair(bits, thumbs) for bits in (9, 10, 11, 12)] == [True, True, False, False]


# Texture


def agreement(thumbs: np.ndarray, margin: int) -> float:
    """Correlation of what a 3 x 3 mean leaves of two thumbnails, each clipped at half a level beyond two medians."""
    inside = slice(margin, 32 - margin)
    detail = [(each - uniform_filter(each, 3, mode="nearest"))[inside, inside] for each in thumbs.astype(np.float64)]
    limits = [2 * np.median(np.abs(each)) + 0.5 for each in detail]
    clipped = [np.clip(each, -limit, limit).ravel() for each, limit in zip(detail, limits, strict=True)]
    return float(np.corrcoef(clipped)[0, 1])


@given(levels=hnp.arrays(np.uint8, (5, 32, 32), elements=st.integers(100, 101)), margin=st.sampled_from([0, 6]))
@settings(max_examples=40)
def test_a_texture_has_mean_0_and_length_1_or_is_0_everywhere(levels, margin):
    texture = duplicates._texture(levels, np.arange(5), margin=margin).astype(np.float64)
    assert texture.shape == (5, (32 - 2 * margin) ** 2)
    np.testing.assert_allclose(texture.mean(axis=1), 0, atol=1e-4)
    flat = (
        np.ptp(levels[:, max(margin - 1, 0) : 33 - margin, max(margin - 1, 0) : 33 - margin].reshape(5, -1), axis=1)
        == 0
    )
    length = np.linalg.norm(texture, axis=1)
    np.testing.assert_allclose(length[~flat], 1, atol=2e-3)
    np.testing.assert_allclose(length[flat], 0, atol=1e-2)


def mixed(rng: np.random.Generator, frame: float, middle: float, *, contrast: float = 1.0) -> np.ndarray:
    """Two thumbnails of noise; shares of it in the frame of 6 px and in the middle are each one's own."""
    own = np.full((32, 32), frame)
    own[6:26, 6:26] = middle
    common, first, second = rng.normal(size=(3, 32, 32))
    parts = np.stack([np.sqrt(1 - own) * common + np.sqrt(own) * each for each in (first, second)])
    parts[:, 6:26, 6:26] *= contrast
    return np.clip(np.rint(128 + 30 * parts), 0, 255).astype(np.uint8)


def test_textures_must_correlate_by_085_over_the_whole_and_in_the_middle():
    rng, near, seen = np.random.default_rng(0), 0.004, set()
    for _ in range(400):
        thumbs = mixed(rng, *rng.uniform(0.05, 0.25, 2))
        whole, middle = agreement(thumbs, 0), agreement(thumbs, 6)
        if min(abs(whole - 0.85), abs(middle - 0.85)) > 0.0005:  # float16 keeps three digits
            assert one_pair(0, thumbs) == (whole >= 0.85 and middle >= 0.85), (whole, middle)
            seen |= {
                (name, value > 0.85)
                for name, value in (("whole", whole), ("middle", middle))
                if abs(value - 0.85) < near
            }
    assert len(seen) == 4  # each limit was met closely from both sides


@pytest.mark.parametrize(("middle", "joined"), [(0.02, True), (1.0, False)])
def test_a_common_frame_does_not_join_different_images(middle, joined):
    thumbs = mixed(np.random.default_rng(1), 0.0, middle, contrast=0.2)
    assert agreement(thumbs, 0) > 0.9
    assert one_pair(0, thumbs) == joined


def test_where_the_middle_is_shared_the_whole_decides():
    thumbs = mixed(np.random.default_rng(1), 1.0, 0.0)
    assert agreement(thumbs, 6) > 0.95
    assert not one_pair(0, thumbs)


# Pairs


def test_equal_bytes_are_exact_duplicates_and_are_all_connected():
    images = blobs(4)[[0, 1, 0, 2, 0, 3, 1]]
    found = find_by_content(images, ["a", "b", "a", "c", "a", "d", "b"])
    assert found.pairs.tolist() == [[0, 2], [0, 4], [1, 6]]
    assert found.exact.all()
    assert join_groups(7, found.pairs, [""] * 7).tolist() == [0, 1, 0, 2, 0, 3, 1]


def test_a_changed_copy_is_a_near_duplicate_and_another_image_is_not():
    images = blobs(6)
    darker = (images[2] * 0.8 + 5).astype(np.uint8)
    found = find_by_content(np.concatenate([images, darker[None]]))
    assert found.pairs.tolist() == [[2, 6]]
    assert not found.exact.any()


def test_a_copy_of_a_file_that_has_byte_copies_joins_them_all():
    images = blobs(2)[[0, 1, 0, 0]]
    images[3] = images[3] // 2 + 30
    found = find_by_content(images, ["a", "b", "a", "near"])
    assert join_groups(4, found.pairs, [""] * 4).tolist() == [0, 1, 0, 0]
    assert found.exact.tolist() == [pair == [0, 2] for pair in found.pairs.tolist()]


def test_a_large_set_of_copies_is_connected_without_all_its_pairs():
    image = blobs(1)[0].astype(int)
    rng = np.random.default_rng(0)
    copies = np.clip(image + rng.integers(-2, 3, (400, 64, 64)), 0, 255).astype(np.uint8)
    found = find_by_content(copies)
    assert set(join_groups(400, found.pairs, [""] * 400)) == {0}
    assert len(found.pairs) == 399


@given(seed=SEEDS)
@settings(max_examples=10)
def test_groups_do_not_depend_on_the_order_of_the_images(seed):
    rng = np.random.default_rng(seed)
    images = blobs(6)[[0, 1, 2, 3, 4, 5, 0, 0, 3]]
    images[6:] = images[6:] // 2 + rng.integers(0, 60)
    order = rng.permutation(9)
    group = join_groups(9, find_by_content(images[order]).pairs, [""] * 9)
    back = group[np.argsort(order)]
    assert back[0] == back[6] == back[7]
    assert back[3] == back[8]
    assert len(set(back)) == 6


def test_images_without_texture_are_not_joined():
    flat = np.full((3, 64, 64), 7, np.uint8)
    assert len(find_by_content(flat).pairs) == 0


def test_the_pairs_are_the_same_whether_thumbnails_lie_in_memory_or_in_a_file(tmp_path):
    images = blobs(40)[np.arange(60) % 40]
    images[40:] = images[40:] // 2 + 30
    digests, hashes, thumbs = (
        [str(row % 55) for row in range(60)],
        perceptual_hash(images),
        duplicates.thumbnails(images),
    )
    expected = find_duplicates(digests, hashes, thumbs)
    with (tmp_path / "thumbs").open("w+b") as file:
        kept = duplicates.ThumbnailFile(file)
        kept.append(thumbs)
        found = find_duplicates(digests, hashes, kept)
    assert len(expected.pairs) == 20
    assert np.array_equal(found.pairs, expected.pairs)
    assert np.array_equal(found.exact, expected.exact)


def test_columns_of_different_length_are_refused():
    images = blobs(2)
    with pytest.raises(ValueError, match="one row an image"):
        find_duplicates(["a"], perceptual_hash(images), duplicates.thumbnails(images))


# Real radiographs


def resaved(image: Image.Image, *, scale: float, quality: int, contrast: float, brightness: float) -> Image.Image:
    size = (round(image.width * scale), round(image.height * scale))
    changed = ImageEnhance.Contrast(image.convert("L").resize(size)).enhance(contrast)
    kept = io.BytesIO()
    ImageEnhance.Brightness(changed).enhance(brightness).save(kept, "JPEG", quality=quality)
    return Image.open(kept)


def square(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((256, 256), Image.Resampling.BILINEAR, reducing_gap=2.0))


@pytest.fixture(scope="session")
def radiographs(shared: Path) -> list[Path]:
    return sorted((shared / "data/darkcovidnet").glob("*/*.jpg"))[::4]


def test_copies_of_real_radiographs_are_found_and_nothing_else(radiographs):
    rng = np.random.default_rng(1)
    films, copies = [], []
    for path in radiographs:
        with Image.open(path) as film:
            films.append(square(film))
            scale, contrast, brightness = rng.uniform((0.5, 0.85, 0.9), (2, 1.2, 1.15))
            quality = int(rng.integers(30, 96))
            copies.append(square(resaved(film, scale=scale, quality=quality, contrast=contrast, brightness=brightness)))
    n = len(films)
    pairs = {tuple(pair) for pair in find_by_content(np.stack([*films, *copies])).pairs.tolist()}
    expected = {(row, row + n) for row in range(n)}
    assert len(pairs & expected) >= 0.99 * n
    assert pairs <= expected


def test_the_groups_of_real_radiographs_are_those_of_comparing_all_pairs(shared):
    paths = sorted((shared / "data/mixed").glob("*/*.jpg"))[::3]
    films = np.stack([square(Image.open(path)) for path in paths])
    images = films_and_copies(films, len(films) // 5, seed=1)
    hashes, thumbs = perceptual_hash(images), duplicates.thumbnails(images)
    found = find_duplicates(list(map(str, range(len(images)))), hashes, thumbs)
    expected = groups_of_all_pairs(hashes, thumbs)
    assert join_groups(len(images), found.pairs, [""] * len(images)).tolist() == expected
    assert max(expected) + 1 < len(images)


# Groups


@given(data=st.data())
@settings(max_examples=80)
def test_groups_are_the_connected_components_of_pairs_and_patients(data):
    n = data.draw(st.integers(1, 15))
    row = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=12))
    patient = data.draw(st.lists(st.sampled_from(["", "", "", "p", "q", "r"]), min_size=n, max_size=n))
    shared_patient = [(i, j) for i in range(n) for j in range(i) if patient[i] and patient[i] == patient[j]]
    group = join_groups(n, np.array(pairs, np.int64).reshape(-1, 2), patient)
    assert group.dtype == np.int64
    assert group.tolist() == components(n, pairs + shared_patient)


def test_unknown_patients_are_never_one_patient():
    assert join_groups(3, np.empty((0, 2), np.int64), ["", "", ""]).tolist() == [0, 1, 2]


def test_a_pair_outside_the_table_is_refused():
    with pytest.raises(ValueError, match="rows from 0 to 2"):
        join_groups(3, np.array([[0, 3]]), [""] * 3)


def test_patients_must_be_given_for_every_row():
    with pytest.raises(ValueError, match="one a row"):
        join_groups(3, np.empty((0, 2), np.int64), ["p"])


# Conflicts


def pairs_of(*pairs: tuple[int, int]) -> Duplicates:
    return Duplicates(pairs=np.array(pairs, np.int64).reshape(-1, 2), exact=np.ones(len(pairs), bool))


def test_one_image_under_two_labels_is_a_conflict_along_the_whole_chain():
    conflicts = label_conflicts(pairs_of((0, 1), (1, 2), (3, 4)), np.array([0, 0, 1, 1, 1, 0]))
    assert conflicts.tolist() == [True, True, True, False, False, False]


def test_an_unlabelled_copy_makes_no_conflict_and_takes_part_in_none():
    conflicts = label_conflicts(pairs_of((0, 1), (2, 3), (3, 4)), np.array([0, -1, 0, -1, 1]))
    assert conflicts.tolist() == [False, False, True, False, True]


@given(data=st.data())
@settings(max_examples=60)
def test_conflicts_are_where_a_component_has_two_labels(data):
    n = data.draw(st.integers(1, 10))
    row = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=8))
    labels = data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    group = components(n, pairs)
    expected = [
        labels[i] >= 0 and any(group[i] == group[j] and labels[j] not in (-1, labels[i]) for j in range(n))
        for i in range(n)
    ]
    assert label_conflicts(pairs_of(*pairs), np.array(labels)).tolist() == expected


# The hash of the detail


def test_the_detail_hash_is_the_sign_of_the_fine_cosine_frequencies_of_the_texture():
    thumbs = duplicates.thumbnails(blobs(40))
    texture = duplicates._texture(thumbs, np.arange(40)).astype(np.float64).reshape(40, 32, 32)
    for own, value in zip(texture, duplicates.detail_hash(thumbs), strict=True):
        waves = dctn(own, type=2)[1:17, 1:17]
        fine = [waves[i, j] for i in range(16) for j in range(16) if max(i, j) >= 8]
        clear = np.abs(fine) > 1e-4
        np.testing.assert_array_equal(np.unpackbits(value)[clear], (np.array(fine) > 0)[clear])


def test_the_detail_hash_tells_other_films_from_copies():
    images = blobs(30, size=128)
    copies = np.stack([np.asarray(Image.fromarray(image).resize((80, 80)).resize((128, 128))) for image in images])
    own, other = (duplicates.detail_hash(duplicates.thumbnails(each)) for each in (images, copies))
    apart = np.bitwise_count(own[:, None] ^ other[None]).sum(axis=2)
    assert np.diag(apart).max() <= 24
    assert apart[~np.eye(30, dtype=bool)].min() > 48


def test_no_thumbnails_give_no_detail_hashes():
    assert duplicates.detail_hash(np.empty((0, 32, 32), np.uint8)).shape == (0, duplicates.DETAIL_BYTES)
