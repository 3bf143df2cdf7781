"""What each part of the siege is told and gives, and the model that those which serve one send their cases to."""

import os
from dataclasses import dataclass
from pathlib import Path

import plainfilm
from plainfilm.data import phantom


@dataclass(frozen=True, slots=True)
class Told:
    """What a part is told: the seed, how many cases to try (0 for the part's own number), and an empty folder."""

    seed: int
    cases: int
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came out: what was tried, in words and how often; what was found and what is promised; whether it holds."""

    tried: str
    cases: int
    found: str
    promised: str
    holds: bool


def small_bundle(folder: Path) -> Path:
    """Train on 90 synthetic radiographs, with a cache of its own and without an audit: which model answers does not matter."""
    phantom.write_phantoms(folder / "films", n=90, seed=4)
    os.environ["PLAINFILM_CACHE"] = str(folder / "cache")
    plainfilm.ingest(folder / "films", folder / "s.h5", size=96, fit="pad", workers=1)
    settings = {"backbone.input_size": 96, "training.epochs": 3}
    return plainfilm.train(folder / "s.h5", folder / "run", settings=settings, audit=False).folder / "model.plainfilm"
