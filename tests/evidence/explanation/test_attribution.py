import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax, logsumexp
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

import made_networks
from made_networks import CELL, SIZE, films, square_finder
from plainfilm.errors import UsageError
from plainfilm.evidence.explanation import attribution as explain
from plainfilm.evidence.inference.overlays import Way
from plainfilm.model import classifier
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx import gradients


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return square_finder(tmp_path_factory.mktemp("finder"))


@pytest.fixture
def without_maps(tmp_path, monkeypatch):
    def refuse(_model):
        raise gradients.Unsloped

    monkeypatch.setattr(gradients, "add_outputs", refuse)
    return square_finder(tmp_path)


def peaks(maps):
    """Whether each map is 1 somewhere, and where."""
    assert (maps.max(axis=(1, 2)) == 1).all()
    return maps == 1


def test_grad_cam_finds_the_square_that_the_answer_rests_on(finder):
    images, inside = films(40)
    maps = explain.grad_cam(finder, images)
    assert finder.predict(images) == ["square"] * 40
    assert (maps.shape, maps.dtype) == (images.shape, np.float32)
    assert not (peaks(maps) & ~inside).any()
    assert (maps[inside] > 0.2).all()
    far = ~np.array(
        [np.roll(own, (a, b), (0, 1)) for own in inside for a in (-CELL, 0, CELL) for b in (-CELL, 0, CELL)]
    )
    assert maps[far.reshape(40, 9, SIZE, SIZE).all(axis=1)].max() < 0.2  # what spreading the cells leaves


def test_the_peak_lies_in_the_middle_of_the_cells_that_answer_to_a_spot():
    ring = np.zeros((1, 7, 7), np.float32)
    ring[0, 2:5, 1:4] = 1
    ring[0, 3, 2] = 0.5
    (found,) = explain._enlarged(ring, 256)
    assert np.unravel_index(found.argmax(), found.shape) == pytest.approx((3.5 * 256 / 7, 2.5 * 256 / 7), abs=1)
    assert found.max() == 1
    assert not explain._enlarged(np.zeros((2, 7, 7), np.float32), 64).any()


def test_the_negative_class_of_one_logit_has_the_negative_slope(finder, tmp_path):
    images, inside = films(6)
    against = explain.grad_cam(finder, images, np.zeros(6, int))
    assert (peaks(against) & ~inside).any(axis=(1, 2)).all()
    assert against[inside].mean() < 0.7 * against[~inside].mean()
    two = square_finder(tmp_path, outputs=2)
    for label in (0, 1):
        asked = np.full(6, label)
        np.testing.assert_allclose(
            explain.grad_cam(two, images, asked), explain.grad_cam(finder, images, asked), atol=1e-6
        )


@pytest.mark.parametrize("method", [explain.grad_cam, explain.occlusion])
def test_the_class_predicted_is_explained_unless_another_is_named(finder, method):
    with_square, without = films(2)[0], films(2, squares=False)[0]
    images = np.concatenate([with_square, without])
    maps = method(finder, images)
    np.testing.assert_array_equal(maps, method(finder, images, [1, 1, 0, 0]))
    assert not np.array_equal(maps, method(finder, images, [0, 0, 1, 1]))


@pytest.mark.parametrize("method", [explain.grad_cam, explain.occlusion])
def test_a_map_without_anything_that_speaks_for_the_class_is_all_zero(finder, method):
    images = np.full((3, SIZE, SIZE), 200, np.uint8)
    with np.errstate(all="raise"):
        maps = method(finder, images, [0, 0, 0])
    assert (maps == 0).all()


@pytest.mark.parametrize("method", [explain.grad_cam, explain.occlusion])
@pytest.mark.parametrize("labels", [[0], [0, 2], [0, -1], [[0, 1]]])
def test_labels_that_are_none_are_refused(finder, method, labels):
    with pytest.raises(ValueError, match="Expected 2 labels from 0 to 1"):
        method(finder, films(2)[0], labels)


@pytest.mark.parametrize("method", [explain.grad_cam, explain.occlusion])
def test_no_images_have_no_maps(finder, method):
    assert method(finder, np.zeros((0, SIZE, SIZE), np.uint8)).shape == (0, SIZE, SIZE)


def test_many_images_get_the_maps_that_each_gets_alone(finder):
    images, _ = films(explain._BLOCK + 3)
    together = explain.grad_cam(finder, images)
    alone = np.concatenate([explain.grad_cam(finder, images[at : at + 1]) for at in range(len(images))])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_map_follows_the_model_and_not_the_film(tmp_path):
    """Adebayo et al., NeurIPS 2018: with random weights in the head, or in the whole network, the map is another."""
    rng = np.random.default_rng(4)
    decision = Decision(classes=("empty", "square"), positive="square")
    (images, inside), (empty, _) = films(30), films(30, seed=1, squares=False)

    def network(kernels, matrix):
        path = made_networks.encoder_file(tmp_path / "encoder.onnx", kernels, np.zeros(12))
        return Classifier(classifier.join(path.read_bytes(), made_networks.head((matrix, [0.0]))), decision)

    def alike(one, other):
        pairs = zip(one, other, strict=True)
        return np.mean([spearmanr(a.ravel(), b.ravel()).statistic if a.any() and b.any() else 0 for a, b in pairs])

    def maps(kernels, matrix):
        return explain.grad_cam(network(kernels, matrix), images, np.ones(30, int))

    kernels = rng.normal(0, 0.2, (12, CELL, CELL))
    features = network(kernels, np.ones((12, 1))).encode(np.concatenate([images, empty]))
    learnt = Ridge(1e-4).fit(features, np.repeat([1.0, -1.0], 30)).coef_[:, None]
    own = maps(kernels, learnt)
    other_heads = [maps(kernels, rng.normal(0, 1, (12, 1))) for _ in range(10)]
    other_networks = [maps(rng.normal(0, 0.2, kernels.shape), rng.permutation(learnt)) for _ in range(10)]
    assert own[inside].mean() > 3 * own[~inside].mean()
    assert alike(own, maps(kernels, learnt + rng.normal(0, 0.01 * np.abs(learnt).max(), learnt.shape))) > 0.9
    assert np.mean([alike(own, other) for other in other_heads]) < 0.5
    assert np.mean([alike(own, other) for other in other_networks]) < 0.5


def test_grad_cam_says_where_there_are_no_maps(without_maps):
    with pytest.raises(UsageError, match="Use occlusion instead"):
        explain.grad_cam(without_maps, films(1)[0])


def test_occlusion_finds_the_square_without_maps(without_maps):
    images, inside = films(6)
    maps = explain.occlusion(without_maps, images)
    assert (peaks(maps) & inside).any(axis=(1, 2)).all()
    assert maps[inside].mean() > 4 * maps[~inside].mean()


def test_occlusion_takes_as_many_squares_as_its_seconds_allow(without_maps, monkeypatch):
    clock = iter(np.arange(0, 100, 0.3))  # five images in 0.3 s
    monkeypatch.setattr(explain.time, "perf_counter", lambda: next(clock))
    found = [explain.squares_within(without_maps, seconds) for seconds in (1000, 13.6, 13.4, 5, 4.8, 0.1)]
    assert found == [8, 8, 7, 5, 4, 3]  # 225, 225, 169, 81, 49 and 25 passes
    images, inside = films(3)
    coarse = explain.occlusion(without_maps, images, squares=3)
    assert (peaks(coarse) & inside).any(axis=(1, 2)).all()


@pytest.mark.parametrize("named", [None, "auto", "occlusion"])
def test_a_network_without_maps_is_explained_by_occlusion_unless_another_way_is_named(named, without_maps, finder):
    assert Way.of(predictor_of(without_maps), named) == Way("occlusion", 8)
    assert Way.of(predictor_of(without_maps), named, seconds=1e-9) == Way("occlusion", 3)
    assert Way.of(predictor_of(finder), named).method == ("occlusion" if named == "occlusion" else "gradcam")


def test_a_way_that_cannot_be_meant_is_one_line(without_maps):
    with pytest.raises(UsageError, match="this bundle's has none. Use auto or occlusion"):
        Way.of(predictor_of(without_maps), "gradcam")
    with pytest.raises(UsageError, match="Expected seconds above 0 for a picture; received 0"):
        Way.of(predictor_of(without_maps), seconds=0)
    with pytest.raises(UsageError, match="Expected a method of auto, gradcam, occlusion; received magic"):
        Way.of(predictor_of(without_maps), "magic")


def predictor_of(made):
    return SimpleNamespace(bundle=SimpleNamespace(classifier=made))


def test_occlusion_is_the_mean_fall_of_the_log_odds_under_each_square(tmp_path):
    """Three classes and squares that do not divide the side: done by hand, square by square."""
    rng = np.random.default_rng(0)
    path = made_networks.encoder_file(tmp_path / "e.onnx", rng.normal(0, 0.3, (4, CELL, CELL)), np.zeros(4))
    network = classifier.join(path.read_bytes(), made_networks.head((rng.normal(0, 3, (4, 3)), np.zeros(3))))
    made = Classifier(network, Decision(classes=("a", "b", "c"), positive=None, temperature=3.0))
    image = rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)

    def log_odds(films, label):
        logs = log_softmax(made.logits(films).astype(float), axis=1)
        return logs[:, label] - logsumexp(np.delete(logs, label, axis=1), axis=1)

    for label in range(3):
        total, covered, side = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE)), 13  # 64 / 5
        starts = np.rint(np.linspace(0, SIZE - side, 9)).astype(int)
        for top in starts:
            for left in starts:
                hidden = image.copy()
                hidden[top : top + side, left : left + side] = round(image.mean())
                total[top : top + side, left : left + side] += log_odds(image[None], label) - log_odds(
                    hidden[None], label
                )
                covered[top : top + side, left : left + side] += 1
        assert (covered > 0).all()
        expected = np.maximum(total / covered, 0)
        received = explain.occlusion(made, image[None], [label], squares=5)[0]
        np.testing.assert_allclose(received, expected / expected.max(), atol=1e-4)


def test_the_share_in_the_lungs_is_what_lies_there():
    maps = np.zeros((4, 8, 8), np.float32)
    maps[0, :4, :4], maps[0, 4:, 4:] = 1.0, 0.5
    maps[1] = 0.3  # everywhere alike
    maps[3] = 1.0
    masks = np.zeros((4, 16, 16), bool)
    masks[:3, :8, :8] = True  # none in the last
    with np.errstate(all="raise"):
        shares = explain.share_in_lungs(maps, masks)
    np.testing.assert_allclose(shares, [2 / 3, 0.25, np.nan, np.nan])
    np.testing.assert_allclose(explain.lung_area(masks), [0.25, 0.25, 0.25, np.nan])


@given(hnp.arrays(bool, (3, 16, 16)), st.integers(0, 1000))
def test_shares_stay_between_0_and_1_and_whole_lungs_hold_all(masks, seed):
    maps = np.random.default_rng(seed).random((3, 32, 32), np.float32)
    shares = explain.share_in_lungs(maps, masks)
    found = masks.any(axis=(1, 2))
    assert np.isnan(shares[~found]).all()
    assert ((shares[found] >= 0) & (shares[found] <= 1)).all()
    np.testing.assert_allclose(explain.share_in_lungs(maps, np.ones_like(masks)), 1)


def test_an_overlay_keeps_the_size_and_leaves_the_film_gray_where_the_map_is_low():
    film = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    attribution = np.zeros((40, 50), np.float32)
    attribution[10:20, 10:30] = 1
    attribution[30:, :] = 0.2
    shown = explain.overlay(film, attribution)
    assert (shown.shape, shown.dtype) == ((40, 50, 3), np.uint8)
    low = attribution < 0.25
    np.testing.assert_array_equal(shown[low], np.repeat(film[low][:, None], 3, axis=1))
    middle = shown[12:18, 12:28].astype(int)
    assert (middle[..., 0] > middle[..., 2] + 60).all()
    assert np.corrcoef(middle[..., 1].ravel(), film[12:18, 12:28].ravel())[0, 1] > 0.99  # the film shows through
    np.testing.assert_array_equal(shown[10, 10:30], [explain._LINE] * 20)


def test_colours_grow_lighter_with_the_attribution_so_that_none_need_tell_red_from_green():
    shown = explain.overlay(np.full((1, 400), 90, np.uint8), np.linspace(0.25, 1, 400, dtype=np.float32)[None])[0]
    light = shown @ np.array([0.2126, 0.7152, 0.0722])
    light = light[~(shown == explain._LINE).all(axis=1)]
    assert light[-1] > light[0] + 40
    assert (np.diff(light[len(light) // 3 :]) >= -1).all()


@pytest.mark.parametrize("shape", [(4, 5), (4, 4, 1), (5, 4)])
def test_a_map_of_another_shape_than_the_film_is_refused(shape):
    with pytest.raises(ValueError, match="one shape"):
        explain.overlay(np.zeros((4, 4), np.uint8), np.zeros(shape, np.float32))


def test_explaining_needs_neither_keras_nor_onnx_nor_scipy():
    heavy = "keras tensorflow onnx scipy sklearn h5py matplotlib pydicom"
    code = f"import sys, plainfilm.evidence.explanation.attribution; print(*set(sys.modules) & set('{heavy}'.split()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
