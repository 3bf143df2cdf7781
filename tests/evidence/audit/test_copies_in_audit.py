"""Changed copies that a store has in two groups: found, told what was done, and spoken of by the verdict."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from made_copies import bodies
from plainfilm.data import store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.evidence.audit import copies, data_issues, verdict
from plainfilm.evidence.audit.copies import described, find

SIZE, N = 128, 40


def cropped(image: np.ndarray, share: float) -> np.ndarray:
    edge = share * SIZE
    box = (edge, edge, SIZE - edge, SIZE - edge)
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Rows 40 to 42 are changed copies of rows 0 to 2; 40 stands in another part, 41 has another label, 42 is in the group."""
    images = bodies(N, size=SIZE, finest=40)
    changed = [images[0][:, ::-1], cropped(images[1], 0.03), np.asarray(ImageOps.invert(Image.fromarray(images[2])))]
    images = np.concatenate([images, np.stack(changed)])
    row = np.arange(N + 3)
    labels, group = row % 2, row.copy()
    labels[40:], group[42] = (0, 0, 0), 2
    columns = Columns(
        classes=("COVID", "NORMAL"),
        labels=labels,
        split=np.array(["test" if r == 40 else "train" for r in row]),
        patient=np.full(N + 3, "", dtype="<U1"),
        source=np.full(N + 3, "A"),
        file=np.array([f"{r}.png" for r in row]),
        sha256=np.array([f"{r:064x}" for r in row]),
        group=group,
    )
    path = tmp_path_factory.mktemp("copies") / "s.h5"
    with store_writer.create(path, size=SIZE, expected=len(row)) as writer:
        writer.append(images)
        writer.finish(columns, attributes={})
    with Store(path) as opened:
        yield opened


def test_copies_of_other_groups_are_found_by_their_pixels_alone(store):
    found = find(store, np.arange(0), np.empty((0, 4), np.float32))
    assert sorted(found.pairs.tolist()) == [[0, 40], [1, 41]]


def test_nearest_features_of_different_images_are_no_copies(store):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(len(store), 8)).astype(np.float32)
    features[11] = features[10]  # twins in features, not on the pixels
    found = find(store, np.arange(len(store)), features)
    assert sorted(found.pairs.tolist()) == [[0, 40], [1, 41]]


def test_features_bring_together_what_sketches_do_not(store, monkeypatch):
    monkeypatch.setattr(copies.CopyFinder, "find", lambda *_: copies.Copies.none())
    features = np.random.default_rng(1).normal(size=(len(store), 8)).astype(np.float32)
    features[40] = features[0] + 0.01
    assert find(store, np.arange(len(store)), features).pairs.tolist() == [[0, 40]]


def test_what_was_done_is_said(store):
    found = find(store, np.arange(0), np.empty((0, 4), np.float32))
    said = {tuple(pair): described(found, place, store.images(pair)) for place, pair in enumerate(found.pairs)}
    assert said[0, 40].startswith("Mirrored; the fine texture agrees by ")
    assert said[1, 41].startswith("Cropped by 3 %; the fine texture agrees by ")


def test_they_stand_among_the_doubtful_images(store):
    found = find(store, np.arange(0), np.empty((0, 4), np.float32))
    parts, labels = data_issues.neighbours(store, found)
    assert (parts.code, parts.result.count) == ("split-neighbours", 2)
    assert (labels.code, labels.result.count) == ("label-neighbours", 2)
    assert parts.strips[0].captions == ("0.png, COVID, train", "40.png, COVID, test")
    assert labels.strips[0].images.shape == (2, SIZE, SIZE)


@pytest.mark.parametrize(
    ("found", "images", "said"),
    [(0, 100, None), (1, 100, "shortcut possible"), (2, 100, "not to be believed")],
)
def test_the_verdict_speaks_of_copies_in_two_parts(found, images, said):
    reason = verdict.copied(found, images)
    assert (reason and reason.verdict) == said
