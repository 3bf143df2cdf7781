import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.errors import RecipeError, StoreError, UsageError
from plainfilm.evidence.outliers import detector
from plainfilm.evidence.outliers.feature_space import Space, WayUp
from plainfilm.evidence.outliers.learning import DIRECTIONS
from plainfilm.model import encoder, recipes, weights
from plainfilm.workflows import checks

TUNED = {"finetuning.blocks": "all"}


@pytest.mark.parametrize(
    ("settings", "folds", "mb", "fits"),
    [
        ({}, 0, 900, True),
        ({}, 10, 900, True),
        (TUNED, 10, 300, True),
        (TUNED, 11, 300, False),
        ({"ensemble.members": ["seed=1", "seed=2"]}, 0, 900, True),
        ({"ensemble.members": ["seed=1", "seed=2"], **TUNED}, 0, 1600, False),
    ],
)
def test_networks_that_no_bundle_can_hold_are_found_before_the_training(monkeypatch, settings, folds, mb, fits):
    monkeypatch.setattr(weights, "bytes_here", lambda *_: mb * 1_000_000)
    members = recipes.members(recipes.load("hidden-layer", settings))
    if fits:
        checks.check_networks(members, image_size=64, folds=folds)
        return
    with pytest.raises(RecipeError, match=r"^Expected networks of at most 2,146 MB together[^\n]*$"):
        checks.check_networks(members, image_size=64, folds=folds)


def test_features_of_which_no_bundle_can_tell_what_is_usual_are_found_before_the_training(monkeypatch):
    members = recipes.members(recipes.load("hidden-layer"))
    backbone, prepare = recipes.prepared(members[0], 64)
    wide = replace(backbone, width=detector.MOST_FEATURES + 1)
    monkeypatch.setattr(recipes, "prepared", lambda *_: (wide, prepare))
    with pytest.raises(RecipeError, match=r"^Expected at most 19,\d\d\d features[^\n]*$"):
        checks.check_networks(members, image_size=64)


def test_as_many_features_as_are_allowed_fit_into_a_bundle():
    space = Space(
        mean=np.zeros(detector.MOST_FEATURES, np.float32),
        spread=np.ones(detector.MOST_FEATURES, np.float32),
        basis=np.zeros((DIRECTIONS, detector.MOST_FEATURES), np.float32),
        variance=np.ones(DIRECTIONS, np.float32),
        rest=1.0,
    )
    turns = tuple(detector.turn(np.zeros((1, 2, 2), np.uint8)))
    way_up = WayUp(weights=np.zeros((5, detector.MOST_FEATURES), np.float32), offset=np.zeros(5, np.float32))
    made = detector.Detector(
        space=space, way_up=way_up, turns=turns, refuse_above=1, flag_above=1, turned_above=1, groups=9
    )
    assert detector.Detector.from_bytes(made.to_bytes()).turns == turns


def test_data_that_no_bundle_can_tell_of_are_found_before_the_training():
    checks.check_rows([f"class {number}" for number in range(checks.MOST_CLASSES)], 1_000_000)
    many = [f"class {number}" for number in range(checks.MOST_CLASSES + 1)]
    with pytest.raises(StoreError, match="Expected at most 40 findings, .*; received 41. Ingest fewer with"):
        checks.check_rows(many[: checks.MOST_FINDINGS + 1], 100, "findings")
    for classes, rows, said in (
        (many, 100, "Expected at most 80 classes"),
        (["A", "B" * 201], 100, "Expected names of classes"),
        (["A", "B\n"], 100, "Expected names of classes"),
        (["A", "B"], 1_700_000, "Expected at most 1,677,"),
    ):
        with pytest.raises(StoreError, match=rf"^{said}[^\n]*$"):
            checks.check_rows(classes, rows)


@pytest.mark.parametrize(("folds", "fits"), [(0, True), (8, True), (9, False)])
def test_of_a_shortened_backbone_that_is_fine_tuned_the_blocks_that_are_used_count(monkeypatch, tmp_path, folds, fits):
    (tmp_path / "built.network").touch()
    os.truncate(tmp_path / "built.network", 250_000_000)
    monkeypatch.setattr(weights, "bytes_here", lambda *_: 900_000_000)
    monkeypatch.setattr(encoder, "open_encoder", lambda *_, **__: SimpleNamespace(path=tmp_path / "built.network"))
    members = recipes.members(recipes.load("default", TUNED))
    if fits:
        checks.check_networks(members, image_size=64, folds=folds)
        return
    with pytest.raises(RecipeError, match=r"received 2,250 MB\."):
        checks.check_networks(members, image_size=64, folds=folds)


def test_a_folder_where_a_disk_is_mounted_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "disk")
    with pytest.raises(UsageError, match="where a disk is mounted"):
        checks.check_out(tmp_path / "disk", overwrite=False)
    checks.check_out(tmp_path / "disk" / "run", overwrite=False)
