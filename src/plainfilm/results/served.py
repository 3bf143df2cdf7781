"""Answers of the REST interface, whose version stands in its path."""

from collections.abc import Mapping

from plainfilm.results.audit import Reason
from plainfilm.results.documents import Record
from plainfilm.results.drift import DriftWeek
from plainfilm.results.estimate import Estimate
from plainfilm.results.predictions import Context, GroupedPrediction, Prediction
from plainfilm.results.severity import Level, Verdict


class ModelName(Record, frozen=True, kw_only=True):
    """Which model answers."""

    name: str
    version: str


class NamedModel(ModelName, frozen=True, kw_only=True):
    """A model, and the name that it answers under."""

    served_as: str


class ModelNames(Record, frozen=True, kw_only=True):
    """What `/models` answers: who answers, and who answers where none is named; null where that is for other tokens."""

    default: str | None
    models: tuple[NamedModel, ...]


class ModelChange(Record, frozen=True, kw_only=True):
    """What `/reload` and `/rollback` answer: the versions before and now, the same where there was nothing new."""

    request_id: str
    served_as: str
    before: ModelName
    now: ModelName
    changed: bool


class ServedPrediction(Prediction, frozen=True, kw_only=True):
    """One answer, and what it means among those examined; "" where it means nothing."""

    meaning: str


class ServedGroup(GroupedPrediction, frozen=True, kw_only=True):
    """One answer for several films, and what it means among those examined; "" where it means nothing."""

    meaning: str


class PredictAnswer(Context, frozen=True, kw_only=True):
    """What `/predict` answers."""

    request_id: str
    model: ModelName
    notice: str
    predictions: tuple[ServedPrediction | ServedGroup, ...]


class ExplainAnswer(Record, frozen=True, kw_only=True):
    """What `/explain` answers: the class that is explained, and two pictures of one size as data: URLs."""

    request_id: str
    prediction: ServedPrediction
    explained: str | None
    method: str
    picture: str | None
    heatmap: str | None


class DriftAnswer(Record, frozen=True, kw_only=True):
    """What `/drift` answers: the week before and this one; `watched` says whether the bundle carries what that needs."""

    model: ModelName
    watched: bool
    weeks: tuple[DriftWeek, ...]


class AuditSummary(Record, frozen=True, kw_only=True):
    """What the audit found, in short."""

    verdict: Verdict
    sentence: str
    reasons: tuple[Reason, ...]
    cues: tuple[str, ...]


class RequestLimits(Record, frozen=True, kw_only=True):
    """What one request may hold, and how long it may take."""

    file_bytes: int
    files: int
    request_bytes: int
    pixels: int
    seconds: float


class ModelAnswer(Context, frozen=True, kw_only=True):
    """What `/model` answers; `tested` names the part of the data, its size and the metrics."""

    name: str
    version: str
    sha256: str
    made: str
    worth_level: Level
    backbone: str
    licences: tuple[str, ...]
    input_size: int
    is_signed: bool
    tested: Mapping[str, str | int | Estimate]
    audit: AuditSummary | None
    intended_use: str
    explains_by: str
    limits: RequestLimits
    notice: str
