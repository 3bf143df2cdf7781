import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import made_outliers
from plainfilm.data import phantom
from plainfilm.evidence.outliers import detector as outliers
from plainfilm.evidence.outliers import feature_space
from plainfilm.evidence.outliers.detector import Detector, Turned, fit
from plainfilm.model import backbones, encoder

WIDTH = 120
MIXING = np.random.default_rng(99).normal(size=(6, WIDTH))
SHIFTS = {"inverted": np.eye(WIDTH)[:3].sum(0) * 4, "on its side, head left": np.eye(WIDTH)[3:6].sum(0) * 4}


def usual(n, seed=0):
    """Rectified mixtures of six hidden causes, as features of radiographs might be."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, 6)) @ MIXING + 3 + rng.normal(0, 0.5, (n, WIDTH)), 0).astype(np.float32)


def turned_of(features, rows):
    moved = {name: features[rows] + shift.astype(np.float32) for name, shift in SHIFTS.items()}
    return Turned(features=moved, group=dict.fromkeys(moved, np.asarray(rows)))


@pytest.fixture(scope="module")
def detector() -> Detector:
    features = usual(400)
    return fit(features, turned=turned_of(features, np.arange(60)))


# what it finds


def test_what_lies_far_away_is_refused(detector):
    others = np.random.default_rng(1).uniform(0, 9, (50, WIDTH))
    judged = detector.judge(others)
    assert set(judged.level) == {"refused"}
    assert set(judged.reason) == {"unlike the training images"}
    assert judged.score.min() > detector.refuse_above


def test_far_along_a_main_direction_is_far_too(detector):
    space = detector.space
    strong = usual(1) + 30 * np.sqrt(space.variance[0]) * space.basis[0] * space.spread
    assert detector.judge(strong).level[0] == "refused"


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_features_of_any_size_are_judged(scale):
    features = scale * usual(60)
    made = fit(features, turned=turned_of(features, np.arange(20)))
    with np.errstate(invalid="raise"):
        judged = made.judge(np.full((2, WIDTH), 3e38))
    assert judged.level.tolist() == ["refused", "refused"]
    assert np.isfinite(judged.score).all()


def test_a_flicker_of_a_feature_dead_in_training_is_harmless():
    features = usual(200)
    features[:, 7] = 0
    new = usual(100, seed=2)
    new[:, 7] = 0.01
    assert (fit(features).judge(new).level == "ok").mean() > 0.9


def test_a_feature_dead_in_training_that_lights_up_is_noticed():
    features = usual(200)
    features[:, 7] = 0
    strange = usual(20, seed=2)
    strange[:, 7] = 6
    assert (fit(features).judge(strange).level == "refused").all()


def test_turned_images_are_flagged_and_the_turn_is_named(detector):
    new = usual(100, seed=3)
    for name, shift in SHIFTS.items():
        judged = detector.judge(new + shift)
        assert (judged.level != "ok").mean() > 0.95
        flagged = judged.level == "flagged"
        assert flagged.mean() > 0.5
        assert (judged.reason[flagged] == {"inverted": "looks inverted"}.get(name, "looks on its side")).mean() > 0.9


def test_turned_images_are_told_from_a_sample_of_upright_ones(monkeypatch):
    monkeypatch.setattr(outliers, "UPRIGHT_ROWS", 100)
    features = usual(400)
    made = fit(features, turned=turned_of(features, np.arange(60)))
    assert (made.judge(usual(100, seed=3) + SHIFTS["inverted"]).level != "ok").mean() > 0.95
    assert (made.judge(usual(100, seed=3)).level != "ok").mean() < 0.1


def test_a_fold_that_keeps_out_all_turned_images_makes_no_row_look_upright(monkeypatch):
    features = usual(40)
    made = fit(features, turned=turned_of(features, [0]))
    held_out = outliers._folds(np.arange(40), 0)
    turns = outliers._Turns.of(turned_of(features, [0]), WIDTH)
    _, _, _, turning = outliers._learn(features, np.arange(40), turns, held_out, 0)
    without = held_out[held_out[:, 0]][0]
    assert not turning[without].any()
    assert (turning[~without] < -0.2).all()
    assert made.turned_above >= 0


def test_without_turned_images_nothing_is_called_turned():
    features = usual(200)
    judged = fit(features).judge(features + SHIFTS["inverted"])
    assert not any(reason.startswith("looks") for reason in judged.reason)


def test_no_turned_images_at_all_are_as_none():
    features = usual(40)
    empty = Turned(features={"inverted": features[:0]}, group={"inverted": np.arange(0)})
    assert fit(features, turned=empty).to_bytes() == fit(features).to_bytes()


def test_usual_rows_are_ok_and_have_no_reason(detector):
    judged = detector.judge(usual(1000, seed=4))
    ok = judged.level == "ok"
    assert ok.mean() > 0.93
    assert set(judged.reason[ok]) == {""}
    assert "" not in judged.reason[~ok]
    assert np.median(judged.score) == pytest.approx(1, abs=0.3)


# what it promises


def test_many_images_are_judged_as_each_alone(detector, monkeypatch):
    features = np.concatenate([usual(30, seed=3), turned_of(usual(9, seed=4), np.arange(9)).features["inverted"]])
    alone = [detector.judge(row[None]) for row in features]
    monkeypatch.setattr(feature_space, "_BLOCK", 7)
    together = detector.judge(features)
    assert together.level.tolist() == [one.level[0] for one in alone]
    assert together.reason.tolist() == [one.reason[0] for one in alone]
    assert "looks inverted" in together.reason
    np.testing.assert_allclose(together.score, [one.score[0] for one in alone], rtol=1e-6)


@pytest.mark.parametrize("groups", [12, 60, 300])
def test_false_refusals_keep_the_promise_on_average_over_trainings(groups):
    shares, promises = [], []
    for seed in range(40):
        made = fit(usual(groups, seed=10 + seed), seed=seed)
        shares.append((made.score(usual(200, seed=1000 + seed)) > made.refuse_above).mean())
        promises.append(made.promised)
    spread = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= promises[0] + 2 * spread
    assert promises[0] == max(outliers.REFUSED, 1 / (groups + 1))


def test_copies_of_an_image_promise_nothing_more():
    features = np.repeat(usual(10), 50, axis=0)
    made = fit(features, np.repeat(np.arange(10), 50))
    assert (made.groups, made.promised) == (10, 1 / 11)
    assert "Too few unrelated images to learn from (10)" in made.promise
    assert "up to 9 %" in made.promise.replace("%", " %").replace("  ", " ")


def test_copies_do_not_let_an_image_judge_itself():
    beyond = []
    for seed in range(10):
        made = fit(np.repeat(usual(30, seed=seed), 4, axis=0), np.repeat(np.arange(30), 4), seed=seed)
        beyond.append((made.score(usual(100, seed=500 + seed)) > made.flag_above).mean())
    assert np.mean(beyond) < 0.08


def test_enough_images_say_what_is_promised(detector):
    assert "0.5 %" in detector.promise
    assert "Too few" not in detector.promise
    assert detector.promised <= outliers.CEILING


def test_a_training_part_of_ten_still_refuses_what_is_far():
    made = fit(usual(10))
    assert (made.judge(np.random.default_rng(1).uniform(0, 30, (20, WIDTH))).level == "refused").all()


def test_the_same_images_and_seed_give_the_same_detector():
    features = usual(80)
    first, again, other = (fit(features, turned=turned_of(features, [0, 1, 2]), seed=seed) for seed in (1, 1, 2))
    assert first.to_bytes() == again.to_bytes()
    assert first.to_bytes() != other.to_bytes()


def test_more_rows_than_it_needs_are_sampled(monkeypatch):
    monkeypatch.setattr(outliers, "ROWS", 150)
    assert fit(usual(400)).groups == 150


def test_images_that_are_all_the_same_leave_room_for_nothing_else():
    made = fit(np.ones((30, WIDTH)))
    assert made.judge(np.ones((1, WIDTH))).level[0] == "ok"
    assert made.judge(np.full((1, WIDTH), 1.5)).level[0] == "refused"


# other evidence


def test_an_empty_frame_is_refused_whatever_its_features(detector):
    pixels = np.stack([np.full((32, 32), 5), np.linspace(0, 255, 1024).reshape(32, 32)]).astype(np.uint8)
    pixels[0, 0, 0] = 255  # one hot pixel is no picture
    row = usual(1, seed=5)
    judged = detector.judge(np.concatenate([row, row]), pixels=pixels)
    assert judged.level.tolist() == ["refused", "ok"]
    assert "contrast" in judged.reason[0]


def test_no_images_are_judged_as_none(detector):
    judged = detector.judge(np.empty((0, WIDTH)), pixels=np.empty((0, 8, 8), np.uint8))
    assert (len(judged.level), len(judged.reason), len(judged.score)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda made: made.judge(np.ones((2, 7))), rf"features \(n, {WIDTH}\)"),
        (lambda made: made.judge(np.ones(WIDTH)), "shape"),
        (lambda made: made.judge(np.full((1, WIDTH), np.nan)), "finite features"),
        (lambda made: made.judge(usual(2), pixels=np.zeros((3, 8, 8), np.uint8)), "2 images; received 3"),
        (lambda _: fit(usual(4)), "at least 5 unrelated images"),
        (lambda _: fit(usual(40), np.zeros(40)), "at least 5 unrelated images"),
        (lambda _: fit(np.empty((0, WIDTH))), "at least 5 unrelated images"),
        (lambda _: fit(usual(40), np.zeros(39)), "one group a row"),
        (lambda _: fit(np.full((40, 3), np.inf)), "finite features"),
        (lambda _: fit(usual(40), turned=Turned(features={"inverted": usual(3)[:, :9]}, group={"inverted": np.arange(3)})), "shape"),
        (lambda _: fit(usual(40), turned=Turned(features={"inverted": usual(3)}, group={"inverted": np.arange(2)})), "one group a turned"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(detector, call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call(detector)


# samples and turns


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 45))
def test_a_sample_holds_every_group_before_any_twice(group, most):
    rows = outliers.sample(group, most)
    assert len(rows) == min(most, len(group))
    assert (np.diff(rows) > 0).all()
    taken = np.array(group)[rows]
    assert len(np.unique(taken)) == min(most, len(set(group)))


@given(st.lists(st.integers(0, 200), min_size=5, max_size=400), st.integers(0, 5))
def test_each_row_is_turned_one_way_and_all_ways_are_dealt(group, seed):
    ways = outliers.dealt(group, seed=seed)
    rows = np.concatenate(list(ways.values()))
    assert len(rows) == len(np.unique(rows)) == min(256, max(5, round(0.3 * len(group))))
    assert [*ways] == [*outliers.turn(np.zeros((1, 2, 2), np.uint8))]
    inverted, *others = map(len, ways.values())
    assert max(others) <= min(others) + 1
    assert 2 * min(others) <= inverted <= 2 * max(others) + 2


def test_a_turn_can_be_undone():
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    views = outliers.turn(images)
    np.testing.assert_array_equal(outliers.turn(views["inverted"])["inverted"], images)
    back = outliers.turn(views["on its side, head left"])["on its side, head right"]
    np.testing.assert_array_equal(back, images)
    np.testing.assert_array_equal(views["on its side, head left"][0, :, 0], images[0, 0, ::-1])
    assert len({view.tobytes() for view in [images, *views.values()]}) == 5


# as bytes


def test_bytes_bring_the_same_judgements_back(detector):
    rows = np.concatenate([usual(200, seed=6), usual(50, seed=7) + SHIFTS["inverted"], np.full((1, WIDTH), 90)])
    again = Detector.from_bytes(detector.to_bytes())
    for name in ("level", "reason", "score"):
        np.testing.assert_array_equal(getattr(again.judge(rows), name), getattr(detector.judge(rows), name))
    assert again.promise == detector.promise


def test_bytes_without_turns_are_read_too():
    made = fit(usual(40))
    assert Detector.from_bytes(made.to_bytes()).judge(usual(3)).level.shape == (3,)


def test_the_widest_backbone_stays_small():
    features = np.abs(np.random.default_rng(0).normal(size=(60, 2048)))
    turned = Turned(features=dict.fromkeys("abcd", features[:9]), group=dict.fromkeys("abcd", np.arange(9)))
    made = fit(features, turned=turned)
    assert len(made.to_bytes()) < 0.5e6 < outliers.MOST_BYTES


@settings(max_examples=100)
@given(st.data())
def test_damaged_bytes_are_refused(detector, data):
    whole = detector.to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for damaged in (flipped, whole[:at], whole + b"\0"):
        with pytest.raises(ValueError, match="whole detector of outliers"):
            Detector.from_bytes(damaged)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"width": 120', b'"width": 119'),
        (b'"width": 120', b'"width": -4'),
        (b'"width": 120', b'"width": 1e999'),
        (b'"width": 120', b'"width": "x"'),
        (b'"directions": 32', b'"directions": 31'),
        (b'"rest": ', b'"rest": 0, "x": '),
        (b'"rest": ', b'"rest": -1, "x": '),
        (b'"directions": 32', b'"directions": 120'),
        (b'"groups": 400', b'"groups": []'),
        (b'"refuse_above": ', b'"refuse_above": NaN, "x": '),
        (b'"refuse_above"', b'"refuse"'),
        (b'"turns": [', b'"turns": 7, "y": ['),
        (b"{", b"[" * 100_000 + b"{"),
        (b"{", b""),
    ],
)
def test_forged_bytes_with_a_right_hash_are_refused(detector, old, new):
    whole = detector.to_bytes()
    start = whole.index(b"{")
    assert old in whole[start:]
    body = whole[start:].replace(old, new, 1)
    forged = whole[: start - 32] + hashlib.sha256(body).digest() + body
    with pytest.raises(ValueError, match="whole detector of outliers"):
        Detector.from_bytes(forged)


def test_prediction_needs_numpy_alone():
    code = (
        "import sys, plainfilm.evidence.outliers.detector; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"scipy", "sklearn", "keras", "tensorflow", "onnxruntime", "h5py", "PIL"} & set(loaded)


# on pictures


@pytest.mark.slow
def test_strangers_are_refused_and_turned_radiographs_flagged(tmp_path, monkeypatch):
    from sklearn.datasets import load_sample_images

    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path))

    def square(picture):
        return np.asarray(Image.fromarray(picture).convert("L").resize((128, 128), Image.Resampling.BICUBIC))

    row = backbones.find("efficientnet_lite0")
    opened = encoder.open_encoder(row, encoder.preprocessing(row, image_size=128, input_size=128))
    made = np.stack([square(phantom.render(visit).pixels) for visit in phantom.plan(150, seed=4, duplicates=0)])
    train, test = made[:110], made[110:]
    chosen = np.arange(40)
    views = {name: opened.encode(view) for name, view in outliers.turn(train[chosen]).items()}
    detector = fit(opened.encode(train), turned=Turned(features=views, group=dict.fromkeys(views, chosen)))
    level = detector.judge(opened.encode(test), pixels=test).level
    assert (level == "refused").mean() <= 0.05
    assert (level != "ok").mean() <= 0.15
    for kind in made_outliers.KINDS:
        pixels = np.stack([square(made_outliers.draw(kind, seed)) for seed in range(8)])
        assert (detector.judge(opened.encode(pixels), pixels=pixels).level != "ok").mean() >= 0.9, kind
    real = np.stack([square(each) for each in load_sample_images().images])
    assert (detector.judge(opened.encode(real)).level == "refused").all()
    for name, view in outliers.turn(test).items():
        assert (detector.judge(opened.encode(view)).level != "ok").mean() >= 0.9, name
