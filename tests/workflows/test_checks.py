import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from plainfilm.errors import RecipeError, UsageError
from plainfilm.model import encoder, recipes, weights
from plainfilm.workflows import checks

TUNED = {"finetuning.blocks": "all"}


@pytest.mark.parametrize(
    ("settings", "folds", "mb", "fits"),
    [
        ({}, 0, 900, True),
        ({}, 10, 900, True),
        (TUNED, 5, 300, True),
        (TUNED, 6, 300, False),
        ({"ensemble.members": ["seed=1", "seed=2"]}, 0, 900, True),
        ({"ensemble.members": ["seed=1", "seed=2"], **TUNED}, 0, 900, False),
    ],
)
def test_networks_that_no_bundle_can_hold_are_found_before_the_training(monkeypatch, settings, folds, mb, fits):
    monkeypatch.setattr(weights, "bytes_here", lambda *_: mb * 1_000_000)
    members = recipes.members(recipes.load("hidden-layer", settings))
    if fits:
        checks.check_networks(members, image_size=64, folds=folds)
        return
    with pytest.raises(RecipeError, match=r"^Expected networks of at most 1,074 MB together[^\n]*$"):
        checks.check_networks(members, image_size=64, folds=folds)


@pytest.mark.parametrize(("folds", "fits"), [(0, True), (4, True), (5, False)])
def test_of_a_shortened_backbone_that_is_fine_tuned_the_blocks_that_are_used_count(monkeypatch, tmp_path, folds, fits):
    (tmp_path / "built.network").touch()
    os.truncate(tmp_path / "built.network", 250_000_000)
    monkeypatch.setattr(weights, "bytes_here", lambda *_: 900_000_000)
    monkeypatch.setattr(encoder, "open_encoder", lambda *_, **__: SimpleNamespace(path=tmp_path / "built.network"))
    members = recipes.members(recipes.load("default", TUNED))
    if fits:
        checks.check_networks(members, image_size=64, folds=folds)
        return
    with pytest.raises(RecipeError, match=r"received 1,250 MB\."):
        checks.check_networks(members, image_size=64, folds=folds)


def test_a_folder_where_a_disk_is_mounted_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "disk")
    with pytest.raises(UsageError, match="where a disk is mounted"):
        checks.check_out(tmp_path / "disk", overwrite=False)
    checks.check_out(tmp_path / "disk" / "run", overwrite=False)
