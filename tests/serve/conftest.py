"""A bundle trained in seconds, shared by the tests of the server."""

from pathlib import Path

import pytest

import plainfilm
from made_server import trained

pytest.importorskip("fastapi", reason="needs the extra `serve`")


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(folder / "cache"))
        return trained(folder)


@pytest.fixture(scope="session")
def small_films(small_bundle) -> list[Path]:
    folder = small_bundle.parents[1] / "films"
    return sorted(folder.rglob("*.jpg")) + sorted(folder.rglob("*.png"))


@pytest.fixture(scope="session")
def small_predictor(small_bundle):
    return plainfilm.load(small_bundle)
