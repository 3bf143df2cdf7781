"""A bundle trained in seconds, shared by the tests of the server."""

from pathlib import Path

import pytest

import plainfilm
from plainfilm import wording
from plainfilm.data import phantom

pytest.importorskip("fastapi", reason="needs the extra `serve`")
_QUICK = {"backbone.input_size": 96, "training.epochs": 3}


@pytest.fixture(autouse=True)
def _started_by_a_command():
    """A server has no other beginning: its messages name flags."""
    with wording.flags():
        yield


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory) -> Path:
    """Of 90 synthetic radiographs, without an audit."""
    folder = tmp_path_factory.mktemp("small")
    phantom.write_phantoms(folder / "films", n=90, seed=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(folder / "cache"))
        plainfilm.ingest(folder / "films", folder / "s.h5", size=96, fit="pad", workers=1)
        run = plainfilm.train(folder / "s.h5", folder / "run", settings=_QUICK, audit=False).folder
    return run / "model.plainfilm"


@pytest.fixture(scope="session")
def small_films(small_bundle) -> list[Path]:
    folder = small_bundle.parents[1] / "films"
    return sorted(folder.rglob("*.jpg")) + sorted(folder.rglob("*.png"))


@pytest.fixture(scope="session")
def small_predictor(small_bundle):
    return plainfilm.load(small_bundle)
