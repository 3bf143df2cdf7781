"""A training in MLflow: recipe, metrics, verdict and what the run folder holds, for `train --mlflow`."""

import dataclasses
import logging
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm.errors import PlainfilmError
from plainfilm.extras import require
from plainfilm.model.recipe_schema import Recipe
from plainfilm.results import documents
from plainfilm.results.metrics import RunMetrics

EXPERIMENT = "plainfilm"
ARTEFACTS = ("report.html", "metrics.json", "model.plainfilm", "recipe.toml", "history.csv", "card.md")
_BATCH = 500  # metrics a call; MLflow takes 1,000
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_LONGEST = 5000  # characters of a tag


@dataclass(frozen=True, slots=True)
class Tracking:
    """A tracking server or a local store that answers: where a run is going to be logged."""

    client: Any
    experiment: str
    started_ms: int
    joins_active: bool = False

    @property
    def active(self) -> Any:
        """The caller's run of MLflow that is open, where no other store was named; None where there is none."""
        mlflow = sys.modules.get("mlflow") if self.joins_active else None
        return mlflow.active_run() if mlflow else None


def opened(asked: bool | str) -> Tracking | None:
    """Find MLflow's store before the training starts; None where nothing is asked.

    Parameters
    ----------
    asked
        The URI of a tracking server or store; True for the one that MLFLOW_TRACKING_URI or MLflow itself names.

    Raises
    ------
    MissingExtraError
        MLflow is not installed.
    PlainfilmError
        The store does not answer.
    """
    if not asked:
        return None
    require("logging to MLflow", "mlflow")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    from mlflow import MlflowClient, get_tracking_uri

    _check_writable(get_tracking_uri() if asked is True else str(asked))
    with _one_line("to answer", "Check its address, or leave mlflow out."), _few_retries():
        client = MlflowClient(tracking_uri=None if asked is True else str(asked))
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
    return Tracking(client, experiment, round(time.time() * 1000), joins_active=asked is True)


def _check_writable(uri: str) -> None:
    """Find out at once whether a file of SQLite can be written: MLflow tries for minutes to open one that cannot."""
    if not uri.startswith("sqlite:///") or uri == "sqlite:///":
        return
    file = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    above = next(each for each in (file, *file.absolute().parents) if each.exists())
    if not os.access(above, os.W_OK) or (above == file) == above.is_dir():
        raise PlainfilmError(
            f"Expected a file that MLflow can write; received {file}. Name another, or leave mlflow out."
        )


def log(
    tracking: Tracking, folder: Path, metrics: RunMetrics, recipe: Recipe, history: Sequence[Mapping[str, float]]
) -> None:
    """Log a finished training: into the caller's active run of MLflow, or else into a new one of the folder's name.

    Raises
    ------
    PlainfilmError
        The store does not take it; the run folder is whole all the same.
    """
    with _one_line("to take the run", f"The run is whole in {folder}."), _run(tracking, folder.name) as run_id:
        client = tracking.client
        for name, value in parameters(metrics, recipe).items():
            client.log_param(run_id, name, value)
        for name, value in _tags(metrics).items():
            client.set_tag(run_id, name, value[:_LONGEST])
        _log_metrics(client, run_id, metrics, history)
        for name in ARTEFACTS:
            if (folder / name).is_file():
                client.log_artifact(run_id, str(folder / name))


@contextmanager
def noting_failure(tracking: Tracking | None, name: str) -> Iterator[None]:
    """Log a training that fails in the block as FAILED, one that is stopped as KILLED, unless it is part of an active run."""
    try:
        yield
    except BaseException as error:
        if tracking is not None and tracking.active is None:
            with suppress(Exception), _few_retries(), _run(tracking, name) as run_id:
                tracking.client.set_tag(run_id, "plainfilm.error", (str(error) or type(error).__name__)[:_LONGEST])
                raise
        raise


@contextmanager
def _run(tracking: Tracking, name: str) -> Iterator[str]:
    """Give the id of the caller's active run, which stays open, or of a new one, which ends with the block as the block does."""
    client, active = tracking.client, tracking.active
    run = active or client.create_run(tracking.experiment, start_time=tracking.started_ms, run_name=name)
    try:
        yield run.info.run_id
    except BaseException as error:
        if active is None:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            with suppress(Exception):
                client.set_terminated(run.info.run_id, status)
        raise
    if active is None:
        client.set_terminated(run.info.run_id)


@contextmanager
def _few_retries() -> Iterator[None]:
    """Let MLflow give up within seconds on a server that does not answer; by itself it tries for minutes."""
    before = os.environ.get(_RETRIES)
    os.environ[_RETRIES] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_RETRIES]


def parameters(metrics: RunMetrics, recipe: Recipe) -> dict[str, Any]:
    """Give the recipe by its keys, and what it was trained on."""
    flat = dict(_flat(dataclasses.asdict(recipe), "."))
    asked = {"store": metrics.data.store, "positive": metrics.positive, "folds": metrics.folds}
    return flat | {"classes": ", ".join(metrics.classes), **{name: value for name, value in asked.items() if value}}


def _tags(metrics: RunMetrics) -> dict[str, str]:
    found = {"plainfilm.worth": metrics.worth.sentence}
    if metrics.audit is not None:
        found |= {"plainfilm.verdict": metrics.audit.verdict, "plainfilm.audit": metrics.audit.sentence}
    return found


def _log_metrics(client: Any, run_id: str, metrics: RunMetrics, history: Sequence[Mapping[str, float]]) -> None:
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    final = [Metric(_named(name), value, now, 0) for name, value in _numbers(documents.plain(metrics)["splits"])]
    epochs = [
        Metric(f"epoch/{name}", value, now, step)
        for step, row in enumerate(history, 1)
        for name, value in _numbers(row)
        if name != "epoch"
    ]
    every = final + epochs
    for at in range(0, len(every), _BATCH):
        client.log_batch(run_id, metrics=every[at : at + _BATCH])


def _named(name: str) -> str:
    """A name that MLflow takes: a class may be called anything."""
    return re.sub(r"[^\w\-. /]", "_", name.removesuffix("/value"))


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in _flat(values, "/"):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)


def _flat(values: Mapping[str, Any], between: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}{between}{inner}", each) for inner, each in _flat(value, between))
        else:
            yield name, value


@contextmanager
def _one_line(what: str, then: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        told = " ".join(str(error).split())[:300].rstrip(".")
        raise PlainfilmError(f"Expected MLflow {what}; received: {told or type(error).__name__}. {then}") from error
