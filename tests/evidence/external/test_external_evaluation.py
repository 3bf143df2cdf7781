import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from made_external import own_metrics, own_run, pictures, write_bundle, write_store
from made_networks import encoder_file, head
from page_reader import Page
from plainfilm.data.store import Store
from plainfilm.errors import BundleError, CatalogError, UsageError
from plainfilm.evidence.external import answers, cohort, evaluate, unlabelled
from plainfilm.evidence.external.recalibrated_bundle import FittedTo, recalibrate
from plainfilm.evidence.external.transportability import METRICS
from plainfilm.model import bundle as bundles
from plainfilm.model import classifier, sites
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.reporting import evaluate as external_folder
from plainfilm.reporting.evaluate_page import About, ExternalReport, UnlabelledReport
from plainfilm.results import documents
from plainfilm.results.external import UnlabelledMetrics

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("external")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def bundle(folder):
    return write_bundle(folder / "b.plainfilm", folder)


@pytest.fixture(scope="module")
def labelled():
    """Eighty films, of which 56 show a square; half of these are labelled "empty", so that far too many are found."""
    truth = (np.arange(80) % 10 < 7).astype(int)
    labels = np.where(np.arange(80) % 2 == 0, 1, 1 - truth)  # of ("square", "empty")
    return truth, labels


@pytest.fixture(scope="module")
def store(folder, labelled):
    truth, labels = labelled
    source = np.where(np.arange(80) % 3 == 0, "harbour", "hill")
    with Store(write_store(folder / "s.h5", pictures(truth, seed=3), labels, source=source)) as opened:
        yield opened


def examined(store, bundle, mapping=None):
    selected = cohort.select(store, bundle, cohort.map_store(store, bundle, mapping or {}))
    return evaluate.evaluate(bundle, selected, evaluate.predict(bundle, selected))


@pytest.fixture(scope="module")
def found(store, bundle):
    return examined(store, bundle)


def written(folder, name, found, recalibrated=None, **changed):
    out = folder / name
    out.mkdir()
    about = About(model="m.plainfilm", data="Harbour", folder=name, command="plainfilm evaluate")
    report = ExternalReport(about=replace(about, **changed), evaluation=found, recalibrated=recalibrated)
    return out, documents.plain(external_folder.write(out, report, started=0.0))


def recalibrated(bundle, found, **changed):
    fitted = FittedTo.labelled(found.recalibration, radiographs=len(found.cohort.rows))
    return recalibrate(bundle, fitted, store=found.cohort.store, created="2026-01-02T03:04:05+00:00", **changed)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# Answers


def test_the_metrics_are_those_of_other_hands(found, store, bundle):
    labels = 1 - store.labels  # the model counts "empty" first, the store "square"
    chance = bundle.classifier.predict_proba(store.images(range(80)))[:, 1]
    assert found.external.n == 80
    assert found.external.accuracy.value == pytest.approx(accuracy_score(labels, chance >= 0.5))
    assert found.external.auroc.value == pytest.approx(roc_auc_score(labels, chance))
    np.testing.assert_array_equal(found.cohort.classes, labels)


def test_blocks_change_no_answer(found, store, bundle, monkeypatch):
    monkeypatch.setattr(answers, "BLOCK", 7)
    steps = []
    again = evaluate.predict(bundle, found.cohort, advance=lambda *step: steps.append(step))
    np.testing.assert_allclose(again.scores.probabilities, found.predictions.scores.probabilities, atol=1e-6)
    np.testing.assert_array_equal(again.level, found.predictions.level)
    assert steps[0] == (0, 80)
    assert steps[-1] == (80, 80)


def test_log_odds_and_probabilities_are_the_same_thing(found):
    odds = found.predictions.log_odds
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), found.predictions.scores.probabilities[:, 1], atol=1e-9)


@pytest.mark.parametrize(("outputs", "positive"), [(1, "square"), (1, "empty"), (2, "square"), (2, "empty")])
def test_log_odds_are_of_the_positive_class_whatever_the_head(outputs, positive):
    decision = Decision(classes=("empty", "square"), positive=positive, temperature=2.5, shift=0.7)
    logits = np.random.default_rng(0).normal(0, 3, (9, outputs))
    chance = decision.probabilities(logits)[:, decision.classes.index(positive)]
    np.testing.assert_allclose(1 / (1 + np.exp(-decision.log_odds(logits))), chance, atol=1e-12)


def test_there_are_no_log_odds_with_three_classes():
    with pytest.raises(ValueError, match="two classes"):
        Decision(classes=("a", "b", "c"), positive=None).log_odds(np.zeros((2, 3)))


# What is said


def test_the_drop_is_its_own_test_set_less_this(found):
    own = own_metrics()
    for name in METRICS:
        drop = getattr(found.drop, name)
        assert drop.value == pytest.approx(getattr(own, name).value - getattr(found.external, name).value)
        assert drop.low < drop.value < drop.high
    assert found.transportability.verdict == "travels in part"
    assert found.transportability.level == "caution"


def test_a_class_that_is_missing_leaves_metrics_undefined_and_is_said(folder, bundle):
    truth = np.ones(30, int)
    path = write_store(folder / "one.h5", pictures(truth, seed=8), np.zeros(30, int), classes=("square",))
    with Store(path) as store:
        found = examined(store, bundle)
        out, metrics = written(folder, "one", found)
    assert found.missing == ("empty",)
    assert metrics["missing_classes"] == ["empty"]
    for name in ("specificity", "auroc", "auprc", "ppv", "npv", "f1"):
        assert metrics["splits"]["external"][name] == {"value": None, "low": None, "high": None}
    assert metrics["splits"]["external"]["sensitivity"]["value"] == 1.0
    assert metrics["drop"]["auroc"] == {"value": None, "low": None, "high": None}
    assert metrics["travels"]["verdict"] == "cannot be said"
    assert "There is no empty among these radiographs" in metrics["travels"]["sentence"]
    assert metrics["recalibration"] == {"offered": False, "reason": found.no_recalibration}
    page = Page((out / "report.html").read_text())
    assert "not defined" in page.text
    assert "Recalibration is not offered" in page.text


def test_sources_that_tell_the_label_are_said_even_where_the_number_is_high(folder, bundle, labelled):
    truth = labelled[0]
    images = pictures(truth, seed=4)
    apart = write_store(folder / "apart.h5", images, 1 - truth, source=np.where(truth == 1, "hill", "harbour"))
    mixed = write_store(folder / "both.h5", images, 1 - truth, source=np.where(np.arange(80) < 40, "hill", "harbour"))
    with Store(apart) as store:
        told = examined(store, bundle)
    with Store(mixed) as store:
        fine = examined(store, bundle)
    assert told.transportability.verdict == fine.transportability.verdict == "travels"
    assert "knowing only which source an image came from gives AUROC 1.00" in told.sources.sentence
    assert (told.transportability.level, fine.transportability.level) == ("caution", "none")
    assert fine.sources.sentence is None


@pytest.mark.parametrize("seed", range(4))
def test_many_small_sources_do_not_seem_to_tell_the_label(folder, bundle, seed):
    """Twenty sources of three films: in one of four all have one class by chance; that must not count as knowing."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(60) % 2)
    source = np.array([f"s{k // 3}" for k in range(60)])
    with Store(write_store(folder / f"many{seed}.h5", pictures(truth, seed=11), 1 - truth, source=source)) as store:
        assert examined(store, bundle).sources.sentence is None


def test_outliers_are_refused_and_the_metrics_without_them_are_given(folder, bundle, labelled):
    truth, _ = labelled
    images = pictures(truth, seed=12)
    images[:8] = 255 - images[:8]
    images[8:12] = 128
    with Store(write_store(folder / "outliers.h5", images, 1 - truth)) as store:
        found = examined(store, bundle)
    outliers = found.outliers
    refused = found.predictions.level == "refused"
    assert refused[:12].all()
    assert outliers.refused.value == pytest.approx(refused.mean())
    assert outliers.without_refused.n == 80 - refused.sum()
    kept = ~refused
    right = found.decision.predict(found.predictions.scores.probabilities)[kept] == found.cohort.classes[kept]
    assert outliers.without_refused.accuracy.value == pytest.approx(right.mean())
    assert outliers.reasons["hardly any contrast: an empty frame"] == 4
    assert outliers.own is None


def test_those_flagged_stay_among_those_not_refused(found, bundle):
    level = np.array(["ok", "flagged", "refused", "ok"] * 20)
    predictions = replace(found.predictions, level=level, reason=np.where(level == "ok", "", "odd"))
    outliers = evaluate.evaluate(bundle, found.cohort, predictions).outliers
    assert (outliers.refused.value, outliers.flagged.value) == (0.25, 0.25)
    assert outliers.without_refused.n == 60
    assert outliers.reasons == {"odd": 40}


def test_a_bundle_without_a_detector_says_so(folder, bundle, store):
    blind = replace(bundle, outliers=b"")
    found = examined(store, blind)
    assert found.outliers is None
    out, metrics = written(folder, "blind", found)
    assert metrics["outliers"] is None
    assert "no outlier detector" in Page((out / "report.html").read_text()).text


def test_a_damaged_detector_is_refused(bundle, store):
    with pytest.raises(BundleError, match="what is usual"):
        examined(store, replace(bundle, outliers=b"x" + bundle.outliers))


# The folder


def test_the_folder_holds_what_the_documents_say(folder, bundle, found, store):
    out, metrics = written(folder, "whole", found)
    names = ["figures", "metrics.json", "predictions.csv", "report.html", "requirements.lock", "tables"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert json.loads((out / "metrics.json").read_text()) == metrics
    keys = "format version classes positive threshold travels splits internal drop overlap left_out stands_for missing_classes sources outliers recalibration subgroups utility data model versions seconds"  # fmt: skip
    assert set(metrics) == set(keys.split())
    assert set(metrics["splits"]) == {"external"}
    rows = table(out / "predictions.csv")
    origin = ["source", "patient", "group"]
    assert list(rows[0]) == ["file", "split", "label", "probability", "predicted", "outlier", "reason", *origin]
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == metrics["splits"]["external"]["accuracy"]["value"]  # fmt: skip
    assert {row["split"] for row in rows} == {"external"}
    assert {path.read_bytes()[:4] for path in (out / "figures").iterdir()} == {b"\x89PNG"}


def test_the_page_says_where_it_was_tested_and_every_number(folder, bundle, found):
    out, metrics = written(folder, "page", found)
    html = (out / "report.html").read_text()
    page = Page(html)
    assert page.crossed == [] == page.open
    assert metrics["travels"]["sentence"] in page.text
    assert "Partly drops" in page.text
    assert "Research use only" in page.text
    assert page.text.index("Where it was tested") < page.text.index("Confusion matrix")
    for count in np.ravel(metrics["splits"]["external"]["confusion_matrix"]):
        assert f" {count} " in page.text
    for part in (metrics["splits"]["external"], metrics["internal"]):
        assert f"{100 * part['accuracy']['value']:.1f}" in page.text
    assert not any(tag == "script" for tag, _ in page.tags)
    assert not any("http" in value for _, attributes in page.tags for name, value in attributes.items() if name in {"src", "href"})  # fmt: skip
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"][1:] for link in page.named("a")} <= anchors


def test_what_users_wrote_stays_text_on_the_page(folder, bundle, labelled):
    truth, _ = labelled
    files = np.array([f"{EVIL} {k}.png" for k in range(80)])
    path = write_store(folder / "evil.h5", pictures(truth, seed=13), np.where(np.arange(80) < 70, 1 - truth, 2),
                       classes=("square", "empty", EVIL), file=files, source=np.array([EVIL, "b"])[truth])  # fmt: skip
    with Store(path) as store:
        out, _ = written(folder, "evil", examined(store, bundle), data=EVIL, model=EVIL, command=EVIL)
    html = (out / "report.html").read_text()
    assert "<script" not in html
    assert Page(html).text.count("alert(") > 5


def test_with_three_classes_everything_but_recalibration_is_told(folder):
    decision = Decision(classes=("a", "b", "c"), positive=None)
    flat = np.full((8, 8), 1 / 64)
    path = encoder_file(folder / "three.onnx", [flat, -flat], [-0.75, 0.75])
    matrix = np.array([[800.0, -400.0, -400.0], [-4.0, 2.0, 2.1]])
    made = Classifier(classifier.join(path.read_bytes(), head((matrix, [0.0, 0.0, 0.0]))), decision)
    three = write_bundle(folder / "three.plainfilm", folder, classifier=made, metrics=own_run(own_metrics(("a", "b", "c"), None)))  # fmt: skip
    truth = np.arange(90) % 3
    with Store(
        write_store(folder / "three.h5", pictures(truth == 0, seed=14), truth, classes=("a", "b", "c"))
    ) as store:
        found = examined(store, three)
        out, metrics = written(folder, "three", found)
    with pytest.raises(UsageError, match="two classes for recalibrate=True; the model has 3"):
        evaluate.check_recalibration(decision)
    assert set(metrics["splits"]["external"]["per_class"]) == {"a", "b", "c"}
    assert (metrics["positive"], metrics["threshold"]) == (None, None)
    assert metrics["recalibration"]["offered"] is False
    assert list(table(out / "predictions.csv")[0])[3:6] == ["probability a", "probability b", "probability c"]
    assert Page((out / "report.html").read_text()).crossed == []


# Recalibrated


def test_the_second_bundle_gives_the_same_answers_and_probabilities_that_fit(folder, bundle, found, store):
    out, metrics = written(folder, "twice", found, recalibrated=recalibrated(bundle, found))
    second = bundles.load(out / "recalibrated.plainfilm")
    images = store.images(range(80))
    assert second.classifier.predict(images) == bundle.classifier.predict(images)
    chance = second.classifier.predict_proba(images)[:, 1]
    labels = 1 - store.labels
    assert chance.mean() == pytest.approx(labels.mean(), abs=0.03)
    assert np.square(chance - labels).mean() < metrics["splits"]["external"]["brier"]["value"]
    assert second.classifier.decision.shift == pytest.approx(metrics["recalibration"]["shift"])
    assert second.classifier.decision.threshold == metrics["recalibration"]["threshold"]
    assert second.manifest.prevalence["square"] == pytest.approx(chance.mean())
    assert second.manifest.recalibrated.radiographs == 80
    assert second.metrics.threshold == second.classifier.decision.threshold
    assert "## Recalibrated" in second.card
    assert (second.seen, second.outliers, second.recipe) == (bundle.seen, bundle.outliers, bundle.recipe)
    assert "Written as recalibrated.plainfilm" in Page((out / "report.html").read_text()).text


def test_recalibrating_twice_adds_up(folder, bundle, found, store):
    out, _ = written(folder, "first", found, recalibrated=recalibrated(bundle, found))
    second = bundles.load(out / "recalibrated.plainfilm")
    again = examined(store, second)
    assert again.recalibration.shift == pytest.approx(0, abs=0.05)
    assert again.external.confusion_matrix == found.external.confusion_matrix
    assert again.external.auroc.value == pytest.approx(found.external.auroc.value)


def test_what_was_added_before_is_kept(folder, bundle, store):
    moved = replace(bundle.classifier.decision, shift=1.5)
    shifted = write_bundle(
        folder / "shifted.plainfilm", folder, classifier=Classifier(bundle.classifier.network, moved)
    )
    again = examined(store, shifted)
    out, metrics = written(folder, "added", again, recalibrated=recalibrated(shifted, again))
    second = bundles.load(out / "recalibrated.plainfilm")
    told, logits = metrics["recalibration"], bundle.classifier.logits(store.images(range(80)))
    before = moved.log_odds(logits)
    np.testing.assert_allclose(second.classifier.decision.log_odds(logits), told["slope"] * before + told["shift"], rtol=1e-9)  # fmt: skip
    assert second.classifier.decision.shift == pytest.approx(1.5 * told["slope"] + told["shift"])


def test_kept_for_a_site_the_bundle_answers_as_before_and_there_with_probabilities_that_fit(folder, bundle, found, store):  # fmt: skip
    kept = recalibrated(bundle, found, site="Guangzhou")
    out, metrics = written(folder, "site", found, kept, kept_for="Guangzhou")
    second, images = bundles.load(out / "recalibrated.plainfilm"), store.images(range(80))
    assert second.classifier.decision == bundle.classifier.decision
    assert second.manifest.prevalence == bundle.manifest.prevalence
    assert second.manifest.recalibrated is None
    there = sites.at(second, sites.find(second, "Guangzhou"))
    applied = recalibrated(bundle, found)
    np.testing.assert_array_equal(there.classifier.predict_proba(images), applied.classifier.predict_proba(images))
    assert there.classifier.predict(images) == bundle.classifier.predict(images)
    assert there.metrics.threshold == there.classifier.decision.threshold == metrics["recalibration"]["threshold"]
    assert there.metrics.is_calibrated
    assert metrics["recalibration"]["site"] == "Guangzhou"
    assert "## Recalibrated for Guangzhou" in second.card
    assert "Kept in recalibrated.plainfilm for the site Guangzhou" in Page((out / "report.html").read_text()).text


def test_sites_add_up_and_hold_whatever_becomes_of_the_bundles_own_calibration(bundle, found, store):
    images = store.images(range(80))
    one = recalibrated(bundle, found, site="Hill")
    told = sites.at(one, sites.find(one, "Hill")).classifier.predict_proba(images)
    two = recalibrated(recalibrated(one, found), found, site="Harbour")  # its own calibration is another by then
    assert [*two.manifest.sites] == ["Hill", "Harbour"]
    np.testing.assert_array_equal(sites.at(two, sites.find(two, "Hill")).classifier.predict_proba(images), told)
    assert [*recalibrated(two, found, site="Hill").manifest.sites] == ["Hill", "Harbour"]


def test_a_site_is_tested_with_its_calibration(folder, bundle, found, store):
    kept = recalibrated(bundle, found, site="Hill")
    there = sites.at(kept, sites.find(kept, "Hill"))
    selected = cohort.select(store, there, cohort.map_store(store, there, {}))
    again = evaluate.evaluate(there, selected, evaluate.predict(there, selected), site="Hill")
    out, metrics = written(folder, "of site", again)
    assert metrics["model"]["site"] == "Hill"
    assert metrics["splits"]["external"]["brier"]["value"] < documents.plain(found.external)["brier"]["value"]
    assert "Calibration of the site Hill" in Page((out / "report.html").read_text()).text


# Without labels


def unlabelled_of(store, bundle, prevalence=0.3):
    selected = cohort.select(store, bundle, cohort.map_store(store, bundle, {}, no_label_will_do=True))
    return unlabelled.evaluate(bundle, selected, evaluate.predict(bundle, selected), prevalence=prevalence)


def test_films_without_labels_are_recalibrated_to_a_known_prevalence(folder, bundle, store):
    found = unlabelled_of(store, bundle)
    fitted = FittedTo(fit=found.fitted["square"].fit, radiographs=80, prevalence=0.3)
    made = recalibrate(bundle, fitted, store=store, created="2026-01-02T03:04:05+00:00")
    out = folder / "no labels"
    out.mkdir()
    about = About(model=EVIL, data=EVIL, folder="no labels", command="plainfilm evaluate")
    metrics = external_folder.write_unlabelled(out, UnlabelledReport(about=about, evaluation=found, recalibrated=made), started=0.0)  # fmt: skip
    told = documents.plain(metrics)
    assert told["format"] == "plainfilm-unlabelled-metrics"
    assert documents.decode((out / "metrics.json").read_bytes(), UnlabelledMetrics, "it") == metrics
    assert told["after"]["mean"] == pytest.approx(0.3, abs=0.02)
    assert told["before"]["mean"] > 0.5
    assert told["recalibration"]["fitted_shift"]["low"] < told["recalibration"]["shift"] < 0
    assert "splits" not in told
    assert "without labels nobody can see" in told["recalibration"]["warning"].lower()
    second = bundles.load(out / "recalibrated.plainfilm")
    assert second.manifest.recalibrated.method == "prevalence"
    assert second.classifier.predict(store.images(range(80))) == bundle.classifier.predict(store.images(range(80)))
    page = (out / "report.html").read_text()
    assert "<script" not in page
    assert Page(page).crossed == []
    assert "No label was looked at" in Page(page).text
    rows = table(out / "predictions.csv")
    assert len(rows) == 80
    assert {row["label"] for row in rows} == {""}


def test_a_detector_says_of_films_without_labels_how_many_are_unlike(bundle, store):
    shares = unlabelled_of(store, bundle).outliers
    assert shares.refused == examined(store, bundle).outliers.refused


def test_recalibration_is_refused_where_nothing_can_be_fitted(folder, bundle):
    truth = np.arange(30) % 6 == 0
    with Store(write_store(folder / "few.h5", pictures(truth, seed=15), 1 - truth)) as store:
        found = examined(store, bundle)
        with pytest.raises(CatalogError, match="10 patients or unrelated images of each class; there are 5"):
            evaluate.check_recalibration(found.decision, ["square"] * 5 + ["empty"] * 25, store.group)
    assert found.recalibration is None
    assert found.no_recalibration.startswith("It needs 10 patients")
