import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import made_outliers
import plainfilm
from plainfilm.data import phantom
from plainfilm.data.copies import Copies
from plainfilm.data.store import Store
from plainfilm.evidence.audit import copies, data_issues
from plainfilm.evidence.audit.audit import audit
from plainfilm.results import documents


class Coarse:
    """An encoder of nothing but 16 x 16 block means: quick, and blind to fine detail."""

    key = "coarse"

    def encode(self, images):
        n, size, _ = images.shape
        block = size // 16
        return images.reshape(n, 16, block, 16, block).mean((2, 4)).reshape(n, -1).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def _store(folder, shortcut, n=120):
    phantom.write_phantoms(folder / "films", n=n, seed=4, shortcut=shortcut)
    plainfilm.ingest(folder / "films", folder / "s.h5", seed=0)
    return Store(folder / "s.h5")


@pytest.fixture(scope="module")
def bordered(tmp_path_factory):
    with _store(tmp_path_factory.mktemp("border"), "border") as store:
        yield store


def test_a_planted_border_is_caught_and_named(bordered):
    found = audit(bordered, Coarse()).result
    assert found.verdict == "not to be believed"
    assert found.cues == ("border",)
    assert found.sentence.startswith("A classifier that never sees the lungs")


def test_every_probe_of_images_stands_in_the_table_of_the_docs(bordered):
    table = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    for name, found in audit(bordered, Coarse()).result.probes.items():
        assert f"`{name}`" in table or found.sees == "no image", name


@pytest.mark.slow
def test_clean_phantoms_raise_no_alarm(tmp_path):
    with _store(tmp_path, None) as store:
        found = audit(store, Coarse()).result
    assert found.verdict == "no shortcut found"
    assert not found.reasons
    assert found.probes.keys() >= {
        "lungs_hidden",
        "border",
        "corners",
        "thumbnail",
        "histogram",
        "provenance",
        "lungs_only",
        "framing",
        "lung_brightness",
        "lung_detail",
    }


def test_of_the_test_part_nothing_but_copies_is_looked_at(bordered, monkeypatch):
    monkeypatch.setattr(copies, "find", lambda *_: Copies.none())
    before = bordered.test_openings()
    seen = []
    images = bordered.images
    bordered.images = lambda rows: seen.extend(np.asarray(rows).tolist()) or images(rows)
    audit(bordered, Coarse(), seed=9)
    assert bordered.test_openings() == before
    assert seen
    assert not set(bordered.split[seen]) - {"train", "validation"}


def test_the_same_seed_gives_the_same_and_json_holds_it(bordered):
    one, two = (documents.plain(audit(bordered, Coarse(), seed=1).result) for _ in range(2))
    one.pop("seconds")
    two.pop("seconds")
    assert json.dumps(one) == json.dumps(two)
    assert one["probes"]["border"]["auroc"].keys() == {"value", "low", "high"}


def test_ten_images_cannot_be_examined_and_nothing_counts_as_passed(tmp_path):
    with _store(tmp_path, "border", n=24) as store:
        found = audit(store, Coarse()).result
    assert not found.probes
    assert "Probes" in {each.check for each in found.not_run}
    assert "Nothing could be examined" in found.sentence


@pytest.mark.slow
def test_films_that_are_cut_otherwise_are_told_by_their_framing(tmp_path):
    phantom.write_phantoms(tmp_path / "films", n=110, seed=4)
    rng = np.random.default_rng(0)
    cut = sorted((tmp_path / "films").rglob("*.*"))
    films = [path for path in cut if path.suffix in {".png", ".jpg", ".jpeg"}]
    assert films
    for path in films:
        with Image.open(path) as film:
            wide, high = film.size
            off = 0.14 if path.parent.name == sorted({each.parent.name for each in films})[0] else 0.0
            film.crop((0, round((off + rng.uniform(0, 0.02)) * high), wide, high)).save(path)
    plainfilm.ingest(tmp_path / "films", tmp_path / "s.h5", size=128, seed=0)
    with Store(tmp_path / "s.h5") as store:
        found = audit(store, Coarse()).result
    assert found.probes["framing"].auroc.value > 0.85
    (reason,) = [each for each in found.reasons if each.rule.startswith("framing")]
    assert reason.verdict == "shortcut possible"


def test_lateral_views_are_counted_and_shown():
    drawn = [made_outliers.draw("lateral", seed) for seed in range(8)]
    films = [phantom.render(visit).pixels for visit in phantom.plan(12, seed=5, duplicates=0)]
    pixels = np.stack([np.asarray(Image.fromarray(each).resize((96, 96))) for each in (*films, *drawn)])
    names = np.array([f"{row}.png" for row in range(20)])
    store = SimpleNamespace(
        pictures=lambda rows: pixels[rows],
        images=lambda rows: pixels[rows],
        file=names,
        classes=("A",),
        labels=np.zeros(20, int),
        split=names,
    )
    found = data_issues.laterals(store, np.arange(20))
    assert found.result.count == 8
    assert found.result.sentence.startswith("8 of 20 images look lateral")
    assert [strip.captions[0][:2] for strip in found.strips] == ["12", "13", "14", "15", "16", "17"]
    clean = data_issues.laterals(store, np.arange(12))
    assert (clean.result.count, clean.result.sentence) == (0, "None found.")
