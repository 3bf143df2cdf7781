from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec import structs

import made_bundles
from made_networks import SIZE, square_finder
from plainfilm.errors import BundleError, UsageError
from plainfilm.model import bundle as bundles
from plainfilm.model import sites
from plainfilm.results import documents
from plainfilm.results.drift import DriftReference, WatchedStatistic
from plainfilm.results.manifest import MOST_SITES, Combining, Manifest, Site
from plainfilm.results.metrics import Recalibrated


def site(**changed):
    how = Recalibrated(shift=-2.0, radiographs=50, data_fingerprint="a" * 64)
    told = {"temperature": 2.0, "shift": -2.0, "threshold": 0.1, "prevalence": 0.09, "created": "2026-01-02T03:04:05+00:00"}  # fmt: skip
    return Site(**told | {"recalibrated": how} | changed)


def written(folder, name="b.plainfilm", **about):
    made = square_finder(folder)
    stated = made_bundles.provenance(made.classes_, made_bundles.preprocessing(SIZE), **about)
    bundles.write(folder / name, made, about=stated, metrics=made_bundles.metrics(), recipe="")
    return folder / name


def test_a_bundle_keeps_sites_and_its_own_answers(tmp_path):
    own = bundles.load(written(tmp_path))
    kept = bundles.load(
        written(tmp_path, "kept.plainfilm", sites={"Guangzhou": site(), "São José, 2": site(shift=0.5)})
    )
    assert [*kept.manifest.sites] == ["Guangzhou", "São José, 2"]
    assert kept.classifier.decision == own.classifier.decision
    assert kept.manifest.least_version == own.manifest.least_version  # an older reader passes over the sites


def test_at_a_site_calibration_threshold_and_prevalence_are_its_own(tmp_path):
    kept = bundles.load(written(tmp_path, sites={"Guangzhou": site()}))
    there = sites.at(kept, sites.find(kept, "Guangzhou"))
    decision = there.classifier.decision
    assert (decision.temperature, decision.shift, decision.threshold) == (2.0, -2.0, 0.1)
    assert there.manifest.prevalence == {"square": 0.09, "empty": 0.91}
    assert there.metrics.threshold == 0.1
    images = np.zeros((2, SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(there.classifier.logits(images), kept.classifier.logits(images))
    np.testing.assert_allclose(decision.log_odds(kept.classifier.logits(images)), kept.classifier.decision.log_odds(kept.classifier.logits(images)) / 2 - 2)  # fmt: skip


def test_at_a_site_the_share_of_patients_moves_as_that_of_films(tmp_path):
    kept = bundles.load(written(tmp_path))
    how = Combining(rule="mean", threshold=0.5, prevalence=0.6, decided=True)
    own = replace(kept.classifier.decision, combining=how)
    kept = replace(kept, classifier=kept.classifier.deciding(own))
    films = kept.manifest.prevalence["square"]
    there = sites.at(kept, site()).classifier.decision.combining.prevalence
    odds = np.array([films, 0.09, 0.6, there]) / (1 - np.array([films, 0.09, 0.6, there]))
    assert odds[3] / odds[2] == pytest.approx(odds[1] / odds[0])
    all_sick = replace(own, combining=structs.replace(how, prevalence=1.0))
    assert (
        sites.at(
            replace(kept, classifier=kept.classifier.deciding(all_sick)), site()
        ).classifier.decision.combining.prevalence
        == 1
    )


def test_what_answers_are_watched_by_moves_with_the_calibration_of_a_site(tmp_path):
    chances = np.array([1e-9, 0.001, 0.2, 0.5, 0.9, 1 - 1e-9, 1.0, 1 + 1e-9])
    about = WatchedStatistic(name="square", family="scores", edges=tuple(chances), gaps=(3,) * 9)
    image = WatchedStatistic(name="sharpness", family="image", edges=(0.1,), gaps=(3, 3))
    kept = bundles.load(written(tmp_path, drift=DriftReference(statistics=(about, image)), sites={"There": site(temperature=1e-3)}))  # fmt: skip
    moved, same = sites.at(kept, site()).manifest.drift.statistics
    own = kept.classifier.decision
    odds = (np.log(chances[:6] / (1 - chances[:6])) - own.shift) * own.temperature / 2.0 - 2.0
    np.testing.assert_allclose(moved.edges[:6], 1 / (1 + np.exp(-odds)), rtol=1e-5)
    assert list(moved.edges) == sorted(moved.edges)
    assert (same, moved.gaps) == (image, about.gaps)
    steep = sites.at(kept, sites.find(kept, "There")).manifest.drift.statistics[0].edges
    assert np.isfinite(steep).all()


def test_a_site_that_is_not_known_is_told_which_are(tmp_path):
    kept = bundles.load(written(tmp_path, sites={"Guangzhou": site(), "Hill": site()}))
    with pytest.raises(UsageError, match="one of Guangzhou, Hill; received guangzhou. Correct it"):
        sites.find(kept, "guangzhou")
    with pytest.raises(UsageError, match="a bundle that knows sites; received one that knows none, and Hill"):
        sites.find(replace(kept, manifest=structs.replace(kept.manifest, sites={})), "Hill")


@pytest.mark.parametrize("name", ["", " ", " Hill", "Hill\n", "a\x1b[31m", "\u202eHill", "x" * 201, "\ud800", "--site"])
def test_a_name_that_a_bundle_cannot_keep_is_refused_in_one_line(name):
    with pytest.raises(UsageError, match="a name of 1 to 200 signs") as caught:
        sites.check_name(name, {})
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["Guangzhou", "São José, 2", "広州", "../../etc", "=1+1", "a" * 200])
def test_any_name_that_can_be_printed_is_kept(tmp_path, name):
    sites.check_name(name, {})
    assert [*bundles.load(written(tmp_path, sites={name: site()})).manifest.sites] == [name]


def test_there_are_never_more_sites_than_a_bundle_opens_with(tmp_path):
    known = {f"site {number}": site() for number in range(MOST_SITES)}
    assert len(bundles.load(written(tmp_path, sites=known)).manifest.sites) == MOST_SITES
    sites.check_name("site 3", known)
    with pytest.raises(UsageError, match=f"at most {MOST_SITES} sites"):
        sites.check_name("one more", known)
    with pytest.raises(BundleError):
        written(tmp_path, "more.plainfilm", sites=known | {"one more": site()})


@pytest.mark.parametrize(
    "changed",
    [
        {"prevalence": 0.0},
        {"prevalence": 1.0},
        {"temperature": 0.0},
        {"shift": 1e9},
        {"threshold": -1.0},
        {"shift": "1"},
    ],
)
def test_a_site_that_makes_no_sense_is_no_site(changed):
    told = documents.plain(site()) | changed
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, Site)


def test_sites_of_more_than_two_classes_or_that_cannot_be_printed_are_refused(tmp_path):
    with pytest.raises(BundleError, match="one that cannot be printed"):
        written(tmp_path, sites={"a\u202eb": site()})


def test_a_manifest_without_sites_is_read_as_before():
    assert Manifest.__struct_fields__[-1] == "members"
    assert "sites" not in documents.plain(made_bundles.provenance())


def test_a_site_of_findings_belongs_to_a_bundle_that_tells_them(tmp_path):
    with pytest.raises(BundleError, match="a site for a finding that it does not tell"):
        bundles.load(written(tmp_path, finding_sites={"Hill": {"square": site()}}))


def test_a_bundle_of_many_findings_holds_fewer_sites():
    known = {f"Site {k}": {} for k in range(20)}
    sites.check_name("One more", known, 14)
    with pytest.raises(UsageError, match="at most 20 sites in a bundle; received One more"):
        sites.check_name("One more", known, 100)
