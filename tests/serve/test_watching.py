"""Every answer of a server is logged and held against its bundle's reference, and Prometheus is told."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError
from plainfilm.evidence.drift.image_statistics import NAMES, image_statistics
from plainfilm.evidence.drift.log import read
from plainfilm.evidence.drift.reference import _described
from plainfilm.results.drift import DriftReference
from plainfilm.results.predictions import Prediction
from plainfilm.serve.answer_log import AnswerLog
from plainfilm.serve.watching import Watch

SHA = "ab" * 32


def films(n, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        pixels = rng.integers(60, 200, (64, 64), dtype=np.uint8)
        yield Radiograph(pixels, hashlib.sha256(pixels.tobytes()).hexdigest(), {})


def made(level="ok", chance=0.3):
    return Prediction(
        file="MARY.png", label="NORMAL", probabilities={"COVID": chance, "NORMAL": 1 - chance}, level=level
    )


@pytest.fixture
def reference():
    rng = np.random.default_rng(0)
    measured = np.array([image_statistics(film.pixels) for film in films(200, seed=9)])
    return DriftReference(statistics=(
        _described("COVID", "scores", rng.random(200), rng),
        *(_described(name, "image", measured[:, at], rng) for at, name in enumerate(NAMES)),
    ))  # fmt: skip


def predictor(reference):
    decision = SimpleNamespace(positive="COVID", threshold=0.5, thresholds=(), task="classes")
    bundle = SimpleNamespace(classifier=SimpleNamespace(decision=decision), metrics=SimpleNamespace(audit=SimpleNamespace(verdict="possible")), manifest=SimpleNamespace(drift=reference))  # fmt: skip
    return SimpleNamespace(bundle=bundle, classes_=("COVID", "NORMAL"), site=None, watch=None)


def told(watch):
    registry = CollectorRegistry()
    registry.register(watch)
    return generate_latest(registry).decode()


def test_a_model_that_is_reloaded_while_prometheus_asks_stops_nothing(reference, monkeypatch):
    watch, weeks = Watch(), Watch.weeks
    watch.over(predictor(reference), SHA)

    def meanwhile(self, sha256):
        self.over(predictor(reference), "cd" * 32)
        return weeks(self, sha256)

    monkeypatch.setattr(Watch, "weeks", meanwhile)
    assert "plainfilm_drift_limit" in told(watch)


def test_answers_are_logged_and_counted_without_their_names(reference, tmp_path):
    log = AnswerLog(tmp_path / "log")
    watch, answering = Watch(log), predictor(reference)
    watch.over(answering, SHA)
    for film in films(5):
        answering.watch(film, made())
    answering.watch(ImageError("damaged", "x"), Prediction(file="x", label=None, probabilities={}, level="unreadable"))
    start, *lines = read([tmp_path / "log"])
    assert (start.bundle, start.verdict, start.reference) == (SHA, "possible", reference)
    assert [line.level for line in lines] == ["ok"] * 5 + ["unreadable"]
    assert b"MARY" not in (tmp_path / "log").read_bytes()
    assert 'plainfilm_drift_images{bundle="abababababab"} 5.0' in told(watch)
    assert "plainfilm_answers_logged_total 6.0" in told(watch)
    log.close()


def test_another_device_is_an_alarm(reference):
    watch, answering = Watch(), predictor(reference)
    watch.over(answering, SHA)
    for film in films(100):
        answering.watch(film, made(chance=0.5))
    assert 'plainfilm_drift_alarm{bundle="abababababab",of="image"} 0.0' in told(watch)
    for film in films(100, seed=3):
        answering.watch(Radiograph(film.pixels // 2 + 40, film.sha256, {}), made(chance=0.5))
    assert 'plainfilm_drift_alarm{bundle="abababababab",of="image"} 1.0' in told(watch)
    assert watch.weeks(SHA)[-1].alarms[-1:] == ["image"]


def test_a_bundle_without_a_reference_says_so(tmp_path):
    watch, answering = Watch(), predictor(None)
    watch.over(answering, SHA)
    for film in films(3):
        answering.watch(film, made())
    assert watch.weeks(SHA) is None
    assert "plainfilm_drift_alarm{" not in told(watch)
