import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import plainfilm
from plainfilm.data import store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.evidence.evaluation import source_baseline
from plainfilm.evidence.evaluation.evaluate import Scores, lines
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.model import recipes
from plainfilm.model.augmentation import alter
from plainfilm.model.classifier import Decision
from plainfilm.reporting import environment, report_data, train

SIZE = 8


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.h5"
    n = 60
    labels = np.arange(n) % 3 - (np.arange(n) >= 57) * 10
    labels = np.where(labels < 0, -1, labels)  # three rows without a label
    columns = Columns(
        classes=("A", "B", "C"),
        labels=labels,
        split=np.where(labels < 0, "", np.array(["train", "validation", "test"])[np.arange(n) // 3 % 3]),
        patient=np.array([f"p{i // 2}" if i < 40 else "" for i in range(n)]),
        source=np.array(["north", "south"])[np.arange(n) % 2],
        file=np.array([f"{i:02d}.jpg" for i in range(n)]),
        sha256=np.array([f"{i:064x}" for i in range(n)]),
        group=np.arange(n) // 2,
    )
    problems = {
        "too-large": {"count": 1, "sentence": "Too large.", "files": ["x.png"]},
        "not-an-image": {"count": 4, "sentence": "No image.", "files": ["a", "b", "c"]},
    }
    attributes = {
        "fit": "pad", "seed": 0, "exact_duplicates": 3, "near_duplicates": 4, "label_conflicts": 2, "leaking_images": 1, "left_out": 5,
        "problems": json.dumps(problems),
    }  # fmt: skip
    with store_writer.create(path, size=SIZE, expected=n) as writer:
        writer.append(np.arange(n, dtype=np.uint8)[:, None, None] + np.zeros((n, SIZE, SIZE), np.uint8))
        writer.finish(columns, attributes=attributes)
    with Store(path) as made:
        yield made


def scores(opened, chance):
    rows = opened.rows("test")
    return Scores(rows=rows, labels=opened.labels[rows], probabilities=chance, group=opened.group[rows], threshold=0.5)


def softmaxed(opened, seed=0):
    rng = np.random.default_rng(seed)
    rows = opened.rows("test")
    raw = rng.normal(0, 1, (len(rows), 3)) + 0.7 * np.eye(3)[opened.labels[rows]]
    return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)


def test_the_tables_count_images_by_class_split_and_source(opened):
    rule = source_baseline.source_rule(
        opened.labels, opened.source, opened.group, [(opened.rows("train"), opened.rows("test"))], opened.classes
    )
    by_split, by_source = report_data.tables(opened, rule)
    assert (by_split.rows, tuple(by_split.columns)) == (("A", "B", "C"), ("train", "validation", "test"))
    for number, counts in enumerate(by_split.counts):
        for part, count in zip(by_split.columns, counts, strict=True):
            assert count == np.sum((opened.labels == number) & (opened.split == part))
    for number, counts in enumerate(by_source.counts):
        for name, count in zip(by_source.columns, counts, strict=True):
            assert count == np.sum((opened.labels == number) & (opened.source == name))


def test_the_facts_say_how_many_radiographs_patients_and_groups(opened):
    facts = dict(report_data.facts(opened))
    assert facts["Radiographs"] == "60"
    assert facts["Known patients"] == "20"
    assert facts["Radiographs of unknown patients"] == "20"
    assert facts["Patients or unrelated images"] == "30"
    assert facts["Stored at"] == "8 × 8 px (pad)"


def test_patients_that_were_kept_apart_by_source_are_said_to_be(opened, monkeypatch):
    monkeypatch.setitem(opened.attributes, "patients", "apart by source")
    assert "two patients, as was asked (--separate-sources)" in dict(report_data.facts(opened))["Known patients"]


def test_samples_are_training_images_of_each_class_with_their_own_pixels(opened):
    shown = report_data.samples(opened)
    assert list(shown) == ["A", "B", "C"]
    for number, name in enumerate(shown):
        assert len(shown[name]) == report_data.SAMPLES
        for picture in shown[name]:
            row = int(picture.caption.removesuffix(".jpg"))
            assert (opened.labels[row], opened.split[row]) == (number, "train")
            assert (picture.pixels == row).all()


def test_problems_come_with_the_commonest_first(opened):
    found = report_data.problems(opened)
    assert [(each.code, each.count, list(each.examples)) for each in found] == [
        ("not-an-image", 4, ["a", "b", "c"]),
        ("too-large", 1, ["x.png"]),
    ]


def test_duplicates_are_those_that_ingest_found(opened):
    found = report_data.duplicate_counts(opened)
    assert (found.exact, found.near, found.groups, found.conflicts, found.leaks) == (3, 4, 30, 2, 1)


def test_mistakes_are_the_surest_wrong_answers_with_their_images(opened):
    chance = softmaxed(opened, seed=1)
    own = scores(opened, chance)
    decision = Decision(classes=opened.classes, positive=None)
    wrong = [
        (chance[k].max(), f"{row:02d}.jpg", int(row))
        for k, row in enumerate(own.rows)
        if chance[k].argmax() != opened.labels[row]
    ]
    wrong.sort(reverse=True)
    found = report_data.mistakes(opened, own, decision)
    assert 1 < len(found) == min(len(wrong), report_data.MISTAKES)
    for mistake, (sure, file, row) in zip(found, wrong, strict=False):
        assert (mistake.file, mistake.truth) == (file, opened.classes[opened.labels[row]])
        assert mistake.probability == pytest.approx(sure)
        assert mistake.predicted != mistake.truth
        assert (mistake.pixels == row).all()


def test_no_mistakes_are_no_pictures(opened):
    rows = opened.rows("test")
    perfect = np.eye(3)[opened.labels[rows]]
    decision = Decision(classes=opened.classes, positive=None)
    assert report_data.mistakes(opened, scores(opened, perfect), decision) == []


@pytest.mark.parametrize("positive", ["A", "B"])
def test_two_classes_get_one_line_each_of_the_positive_class(opened, positive):
    rows = opened.rows("test")
    labels = opened.labels[rows] % 2
    rng = np.random.default_rng(0)
    score = np.clip(0.3 * labels + rng.uniform(0, 0.7, len(rows)), 0, 1)
    chance = np.stack([1 - score, score], axis=1)
    own = Scores(rows=rows, labels=labels, probabilities=chance, group=opened.group[rows], threshold=0.5)
    decision = Decision(classes=("A", "B"), positive=positive)
    metrics = evaluate(labels, chance, classes=("A", "B"), positive=positive, threshold=0.5, group=own.group)
    roc, precision_recall, reliability = report_data.lines(lines(own, decision), metrics)
    [curve], [other] = roc, precision_recall
    assert (curve.name, other.name) == (positive, positive)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(roc_auc_score(labels, score))
    assert curve.area == metrics.auroc
    assert other.area == metrics.auprc
    assert sum(reliability.count) == len(rows)


def test_three_classes_get_a_line_each_and_reliability_of_the_answer_given(opened):
    chance = softmaxed(opened)
    own = scores(opened, chance)
    decision = Decision(classes=opened.classes, positive=None)
    metrics = evaluate(own.labels, chance, classes=opened.classes, positive=None, threshold=0.5, group=own.group)
    roc, precision_recall, reliability = report_data.lines(lines(own, decision), metrics)
    assert [curve.name for curve in roc] == [curve.name for curve in precision_recall] == ["A", "B", "C"]
    for column, curve in enumerate(roc):
        expected = roc_auc_score(own.labels == column, chance[:, column])
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(expected)
        assert curve.area.value == pytest.approx(expected)
    right = np.dot(reliability.observed, reliability.count) / len(own.labels)
    assert right == pytest.approx((chance.argmax(axis=1) == own.labels).mean())


def test_versions_and_hardware_are_this_machines():
    found = environment.versions()
    assert found["plainfilm"] == plainfilm.__version__
    assert found["numpy"] == np.__version__
    hardware = dict(environment.hardware(3))
    assert hardware["Processors used"] == "3"
    assert float(hardware["Memory"].split()[0]) > 0


def test_altered_views_are_shown_as_the_training_saw_them_and_told_in_words(opened):
    recipe = recipes.load("default", {"augmentation.views": 2, "augmentation.blur": 0, "seed": 5})
    shown = report_data.altered(opened, recipe)
    assert [picture.caption for picture in shown] == ["as it is", "view 1", "view 2"] * len(opened.classes)
    rows = opened.rows("train")
    first = rows[opened.labels[rows] == 0][:1]
    view = alter(opened.images(first), first, np.array([2]), recipe.augmentation, seed=5)[0]
    np.testing.assert_array_equal(shown[2].pixels, view)
    told = report_data.altered_means(recipe.augmentation)
    assert "one of 2 altered views" in told
    assert "turned by up to 5°" in told
    assert "blur" not in told
    none = recipes.load("default")
    assert (report_data.altered(opened, none), report_data.altered_means(none.augmentation)) == ([], "")


def test_how_to_repeat_a_run_names_its_subgroups():
    result = SimpleNamespace(positive="B", folds=None, subgroups=SimpleNamespace(columns={"room": {}, "ward 2": {}}))
    made = SimpleNamespace(result=result, trained=SimpleNamespace(recipe=SimpleNamespace(seed=1)))
    run = SimpleNamespace(name="run", store=SimpleNamespace(attributes={}))
    assert "--subgroups 'room,ward 2'" in train._repeat(run, made, "s.h5")[-1]


@pytest.mark.parametrize(
    ("weights", "said"), [(None, "3 of 4"), (object(), "the mean of the second half, up to 3 of 4")]
)
def test_the_epoch_kept_is_that_of_the_training(weights, said):
    """By group DRO the mean of the weights is kept, of which the epoch is the last."""
    fitted = SimpleNamespace(epoch=3, history=[{}] * 4, weights=weights)
    trained = SimpleNamespace(
        recipe=recipes.load("default"), fitted=fitted, encoder=SimpleNamespace(name="e", preprocessing=SimpleNamespace(crop="none", intensities="stored", input_size=8, scaling="lite"))
    )  # fmt: skip
    whole = SimpleNamespace(trained=trained, result=SimpleNamespace(encoded=None))
    run = SimpleNamespace(trained=trained, measured=SimpleNamespace(whole=whole, folds=[]), store=SimpleNamespace(shown="s.h5"))  # fmt: skip
    assert dict(train._asked(run))["Epoch kept"] == said
