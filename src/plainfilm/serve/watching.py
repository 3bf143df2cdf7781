"""The answers of a server, watched: each is logged, if that is asked for, and held against what its bundle knows of its training."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from plainfilm import __version__
from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError
from plainfilm.evidence.drift.log import answer_line, now
from plainfilm.evidence.drift.monitor import LIMITS, Monitor
from plainfilm.evidence.inference.predictor import Predictor
from plainfilm.results.drift import DriftWeek, LogStart
from plainfilm.results.predictions import Prediction
from plainfilm.serve.answer_log import AnswerLog


@dataclass(frozen=True, slots=True)
class Watched:
    """A bundle that answers, and what its answers are held against; None where it carries no reference."""

    start: LogStart
    monitor: Monitor | None


class Watch(Collector):
    """Sees every answer of every bundle of a server. Thread-safe.

    Parameters
    ----------
    log
        Where answers are kept; None for nowhere.
    named
        Whether the name of each file is kept there as its id.
    """

    def __init__(self, log: AnswerLog | None = None, *, named: bool = False) -> None:
        self._log, self._named = log, named
        self._bundles: dict[str, Watched] = {}
        self._lock = threading.Lock()

    def over(self, predictor: Predictor, sha256: str) -> None:
        """Watch what a predictor answers from now on; `sha256` is its bundle's.

        Raises
        ------
        BundleError
            Its reference is damaged.
        """
        start = _start(predictor, sha256)
        with self._lock:
            if sha256 not in self._bundles:
                self._bundles[sha256] = Watched(start, Monitor(start.reference) if start.reference else None)
        if self._log:
            self._log.begin(sha256, start)

        def seen(film: Radiograph | ImageError, made: Prediction) -> None:
            self._note(sha256, film, made)

        predictor.watch = seen

    def weeks(self, sha256: str) -> tuple[DriftWeek, ...] | None:
        """Give the week before and this one of a bundle's answers; None where it carries no reference."""
        with self._lock:
            own = self._bundles.get(sha256)
            return own.monitor.latest() if own and own.monitor else None

    def _note(self, sha256: str, film: Radiograph | ImageError, made: Prediction) -> None:
        own = self._bundles[sha256]
        read = film if isinstance(film, Radiograph) else None
        if self._log is None and own.monitor is None:
            return
        line = answer_line(own.start, read, made, time=now(), image=read.sha256 if read else "", named=self._named)
        if self._log:
            self._log.answer(line)
        if own.monitor and line.watched:
            with self._lock:
                own.monitor.note(line.time, line.image, line.watched)

    def collect(self) -> Iterable[Metric]:
        """Give what Prometheus asks for."""
        alarm = GaugeMetricFamily(
            "plainfilm_drift_alarm", "Whether this week's answers drifted from the training.", labels=("bundle", "of")
        )
        evidence = GaugeMetricFamily(
            "plainfilm_drift_evidence",
            "Evidence of that, at most, as a factor; the limit is plainfilm_drift_limit.",
            labels=("bundle", "of"),
        )
        images = GaugeMetricFamily(
            "plainfilm_drift_images",
            "Radiographs of this week that were held against the training.",
            labels=("bundle",),
        )
        limit = GaugeMetricFamily("plainfilm_drift_limit", "Evidence from which it is an alarm.", labels=("of",))
        for name, value in LIMITS.items():
            limit.add_metric([name], value)
        for sha256, weeks in [
            (each, self.weeks(each)) for each in tuple(self._bundles)
        ]:  # a reload may add one meanwhile
            for week in (weeks or ())[-1:]:
                images.add_metric([sha256[:12]], week.images)
                for name, own in week.families.items():
                    alarm.add_metric([sha256[:12], name], own.alarm)
                    evidence.add_metric([sha256[:12], name], own.evidence)
        yield from (alarm, evidence, images, limit)
        if self._log:
            yield CounterMetricFamily("plainfilm_answers_logged", "Answers in the log.", value=self._log.written)
            yield CounterMetricFamily(
                "plainfilm_answers_not_logged", "Answers that could not be written to the log.", value=self._log.lost
            )


def _start(predictor: Predictor, sha256: str) -> LogStart:
    bundle = predictor.bundle
    decision, audit = bundle.classifier.decision, bundle.metrics.audit
    return LogStart(
        time=now(),
        bundle=sha256,
        version=__version__,
        classes=tuple(predictor.classes_),
        task=decision.task,
        positive=decision.positive,
        threshold=decision.threshold if decision.positive else None,
        thresholds=decision.thresholds,
        site=predictor.site,
        verdict=audit.verdict if audit else None,
        reference=bundle.manifest.drift,
    )
