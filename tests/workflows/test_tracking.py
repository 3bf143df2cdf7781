"""Trainings in MLflow: the real package, a store in SQLite, no network."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

import plainfilm
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.workflows import tracking

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
SETTINGS = {"training.epochs": 2, "backbone.name": str(OLD / "backbone.onnx"), "backbone.scaling": "0..255"}
pytestmark = [pytest.mark.slow]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return shutil.copy(OLD / "store.h5", tmp_path / "s.h5")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One store of MLflow for all: making its tables takes it long."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'm.db'}"


def logged(uri, name):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    [run] = [each for each in client.search_runs([experiment.experiment_id]) if each.info.run_name == name]
    return client, run


def test_a_training_is_logged_with_recipe_metrics_verdict_and_artefacts(store, tmp_path, uri):
    run = plainfilm.train(store, tmp_path / "run", settings=SETTINGS, mlflow=uri)
    client, found = logged(uri, "run")
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert found.data.params["training.epochs"] == "2"
    assert found.data.params["positive"] == "COVID"
    assert found.data.metrics["test/accuracy"] == run.metrics["splits"]["test"]["accuracy"]["value"]
    assert found.data.metrics["test/accuracy/low"] == run.metrics["splits"]["test"]["accuracy"]["low"]
    assert found.data.tags["plainfilm.verdict"] == run.metrics["audit"]["verdict"]
    assert found.data.tags["plainfilm.worth"] == run.metrics["worth"]["sentence"]
    losses = [(each.step, each.value) for each in client.get_metric_history(found.info.run_id, "epoch/val_loss")]
    assert [step for step, _ in losses] == [1, 2]
    artefacts = {each.path for each in client.list_artifacts(found.info.run_id)}
    assert artefacts == set(tracking.ARTEFACTS)
    copied = client.download_artifacts(found.info.run_id, "metrics.json", str(tmp_path))
    assert json.loads(Path(copied).read_text()) == json.loads((run.folder / "metrics.json").read_text())


def test_the_flag_alone_takes_the_store_that_the_environment_names_and_an_active_run_is_logged_into(
    store, tmp_path, monkeypatch, call, uri
):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    code, _, err = call("train", "s.h5", "--out", "r", "--no-audit", "--quiet", *words, "--mlflow")
    assert code == 0, err
    _, found = logged(uri, "r")
    assert "plainfilm.verdict" not in found.data.tags
    mlflow.set_experiment("mine")
    with mlflow.start_run() as own:
        plainfilm.train(store, tmp_path / "again", settings=SETTINGS, audit=False, mlflow=True)
        assert mlflow.get_run(own.info.run_id).info.status == "RUNNING"
        other = f"sqlite:///{tmp_path / 'other.db'}"
        plainfilm.train(store, tmp_path / "elsewhere", settings=SETTINGS, audit=False, mlflow=other)
        assert logged(other, "elsewhere")[1].info.status == "FINISHED"
    assert "test/accuracy" in mlflow.get_run(own.info.run_id).data.metrics


def test_a_store_that_cannot_be_is_one_line_before_the_training(store, tmp_path):
    for uri in ("nonsense://x", str(tmp_path / "mlruns")):
        with pytest.raises(PlainfilmError, match="Expected MLflow to answer; received: ") as refused:
            plainfilm.train(store, tmp_path / "run", settings=SETTINGS, mlflow=uri)
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "run").exists()


def test_a_file_that_cannot_be_written_is_one_line_at_once(store, tmp_path):
    (tmp_path / "file").touch()
    for uri in (f"sqlite:///{tmp_path}", f"sqlite:///{tmp_path / 'file' / 'm.db'}"):
        with pytest.raises(PlainfilmError, match="Expected a file that MLflow can write; received .*leave mlflow out"):
            tracking.opened(uri)


def test_a_server_that_is_not_there_is_given_up_within_seconds(store, tmp_path, monkeypatch):
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES

    tried = []
    monkeypatch.setattr("mlflow.MlflowClient", lambda **_: tried.append(MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()) or 1 / 0)
    with pytest.raises(PlainfilmError, match="Expected MLflow to answer"):
        tracking.opened("http://127.0.0.1:9")
    assert tried == [1]
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() > 1


def test_a_training_that_fails_is_logged_as_failed_and_one_that_is_stopped_as_killed(store, tmp_path, uri):
    for name, error, status in (("fails", ValueError("mine"), "FAILED"), ("stops", KeyboardInterrupt(), "KILLED")):

        def stop(stage, *_, error=error):
            if stage == "Training":
                raise error

        with pytest.raises(type(error)):
            plainfilm.train(store, tmp_path / name, settings=SETTINGS, audit=False, mlflow=uri, progress=stop)
        _, found = logged(uri, name)
        assert found.info.status == status
        assert found.data.tags["plainfilm.error"] == (str(error) or "KeyboardInterrupt")
        assert not (tmp_path / name).exists()


def test_a_store_that_breaks_later_leaves_the_run_whole(store, tmp_path, monkeypatch, uri):
    def broken(*_, **__):
        raise OSError("disk full")

    made = tracking.opened(uri)
    monkeypatch.setattr(made.client, "create_run", broken)
    monkeypatch.setattr(tracking, "opened", lambda _: made)
    with pytest.raises(PlainfilmError, match=r"received: disk full\. The run is whole in .*run\."):
        plainfilm.train(store, tmp_path / "run", settings=SETTINGS, audit=False, mlflow=True)
    assert plainfilm.describe(tmp_path / "run")["kind"] == "run"


def test_without_mlflow_the_extra_is_named(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(PlainfilmError, match=r"pip install 'plainfilm\[mlflow\]'"):
        plainfilm.train(store, tmp_path / "run", settings=SETTINGS, mlflow=True)


def test_callbacks_reach_a_training_and_are_checked_before_the_store_is_opened(store, tmp_path):
    import keras

    seen = []
    follower = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs))))
    plainfilm.train(store, tmp_path / "run", settings=SETTINGS, audit=False, callbacks=[follower])
    assert seen == [(epoch, ["accuracy", "loss", "val_accuracy", "val_loss"]) for epoch in (0, 1)]
    waiting = keras.callbacks.TerminateOnNaN()
    with pytest.raises(UsageError, match="TerminateOnNaN, which waits for"):
        plainfilm.train("none.h5", tmp_path / "other", callbacks=[waiting])
