"""What the server tells those who run it: JSON log lines and Prometheus metrics, without file names or patient data."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

LOG = logging.getLogger("plainfilm.serve")
_PLAIN = ("plainfilm", "uvicorn")  # whose messages hold nothing of a request; of others the name alone is logged
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
Gauges = Callable[[], Mapping[str, float]]


class Telemetry:
    """Counts requests and answers of one server.

    `gauges` gives numbers of this moment by name, such as {"files_waiting": 3}; `others` have their own.
    """

    def __init__(self, gauges: Gauges, *others: Collector) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "plainfilm_requests", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "plainfilm_request_seconds",
            "From the head of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._files = Counter("plainfilm_files", "Files answered for.", ("level",), registry=self._registry)
        self._turned_away = Counter(
            "plainfilm_turned_away", "Requests told 503, by what was wanting.", ("wanting",), registry=self._registry
        )
        for each in (_Now(gauges), *others):
            self._registry.register(each)

    def answered(self, *, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a template of ours, never a path that a client made up."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def files(self, levels: Iterable[str]) -> None:
        """Count answers by level."""
        for level in levels:
            self._files.labels(level).inc()

    def turned_away(self, wanting: str) -> None:
        """Count a request for which there was no room."""
        self._turned_away.labels(wanting).inc()

    def page(self) -> bytes:
        """Give all of it in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Now(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"plainfilm_{name}", name.replace("_", " ").capitalize(), value=value)


class _JsonLines(logging.Formatter):
    """One object a line: time, level, event, and the fields of `extra={"event": {…}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith(_PLAIN) else record.name,
            **getattr(record, "event", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _where(record.exc_info[1])
        return json.dumps(line)


def _where(error: BaseException) -> str:
    """Name an error's kind and place, and those of its cause; its text might hold what a file or a sender wrote."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = "" if at is None else f" at {at.tb_frame.f_globals.get('__name__')}:{at.tb_lineno}"
    cause = "" if error.__cause__ is None else f", for {_where(error.__cause__)}"
    return f"{type(error).__name__}{place}{cause}"


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        LOG.error("a thread failed", exc_info=failed.exc_value)


def log_to_stderr(*, quiet: bool) -> None:
    """Send all logs to stderr as JSON lines; warnings and errors alone of others, and if `quiet` of ours too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_failed
    LOG.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each broken body
