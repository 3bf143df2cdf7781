"""What tests of hospitals left out share: films of three made ones, ingested once, and a cache of what they become."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import plainfilm
from plainfilm.data import phantom


@dataclass(frozen=True)
class Hospitals:
    """The folder of films, its store, which nobody has opened yet, and a folder for runs."""

    films: Path
    store: Path
    folder: Path


@pytest.fixture(scope="session")
def _ingested(tmp_path_factory):
    made = tmp_path_factory.mktemp("hospitals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        phantom.write_phantoms(made / "films", n=120, seed=3)
        plainfilm.ingest(made / "films", made / "films.h5", size=64)
    return made


@pytest.fixture(scope="module")
def hospitals(_ingested, tmp_path_factory):
    """Films of three hospitals, a store of a module's own: openings are counted beside it."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(_ingested / "cache"))
        yield Hospitals(_ingested / "films", Path(shutil.copy(_ingested / "films.h5", folder)), folder)
