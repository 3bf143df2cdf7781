import json
import logging
import threading
import warnings

import pytest
from prometheus_client.parser import text_string_to_metric_families

from plainfilm.serve import telemetry
from plainfilm.serve.telemetry import LOG, Telemetry


def samples(made):
    return {
        (each.name, *sorted(each.labels.items())): each.value
        for family in text_string_to_metric_families(made.page().decode())
        for each in family.samples
    }


def test_requests_files_and_gauges_are_counted():
    made = Telemetry(lambda: {"files_under_way": 3, "held_bytes": 17})
    for status, seconds in ((200, 0.003), (200, 0.3), (503, 60.0)):
        made.answered(route="/api/v1/predict", status=status, seconds=seconds)
    made.files(["ok", "ok", "unreadable"])
    found, route = samples(made), ("route", "/api/v1/predict")
    assert found["plainfilm_requests_total", route, ("status", "200")] == 2
    assert found["plainfilm_requests_total", route, ("status", "503")] == 1
    assert found["plainfilm_request_seconds_count", route] == 3
    assert found["plainfilm_request_seconds_sum", route] == pytest.approx(60.303)
    assert found["plainfilm_request_seconds_bucket", ("le", "0.005"), route] == 1
    assert found["plainfilm_request_seconds_bucket", ("le", "30.0"), route] == 2
    assert found["plainfilm_files_total", ("level", "ok")] == 2
    assert (found[("plainfilm_files_under_way",)], found[("plainfilm_held_bytes",)]) == (3, 17)


def test_two_servers_count_each_for_itself():
    one, other = Telemetry(dict), Telemetry(dict)
    one.files(["ok"])
    assert ("plainfilm_files_total", ("level", "ok")) not in samples(other)


@pytest.fixture
def log(capsys, monkeypatch):
    """What goes to stderr, with the loggers put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers, LOG.handlers, LOG.propagate, LOG.level)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers, LOG.handlers, LOG.propagate, LOG.level = before
    logging.captureWarnings(capture=False)


def test_our_lines_are_objects_with_their_fields(log):
    telemetry.log_to_stderr(quiet=False)
    LOG.info("request", extra={"event": {"status": 200, "ms": 1.5}})
    (line,) = log()
    assert (line["level"], line["event"], line["status"], line["ms"]) == ("info", "request", 200, 1.5)
    assert line["time"].endswith("Z")


def test_quiet_leaves_warnings_and_errors(log):
    telemetry.log_to_stderr(quiet=True)
    LOG.info("request")
    LOG.warning("slow")
    assert [line["event"] for line in log()] == ["slow"]


def test_of_what_others_log_the_name_alone_is_kept(log):
    telemetry.log_to_stderr(quiet=False)
    for name in ("asyncio", "python_multipart.multipart", "httptools", "PIL.Image"):
        logging.getLogger(name).warning("Doe^Jane %r", b"\xff\n")
        logging.getLogger(name).info("Doe^Jane")
    warnings.warn("Doe^Jane", UserWarning, stacklevel=1)
    try:
        int("Doe^Jane")
    except ValueError:
        logging.getLogger("asyncio").exception("Doe^Jane")
    told = log()
    assert [line["event"] for line in told] == ["asyncio", "httptools", "PIL.Image", "py.warnings", "asyncio"]
    assert told[-1]["error"].startswith("ValueError at test_telemetry:")
    assert "Doe" not in json.dumps(told)


def test_a_fault_in_a_thread_is_a_line_too(log):
    telemetry.log_to_stderr(quiet=False)
    thread = threading.Thread(target=lambda: int("Doe^Jane"))
    thread.start()
    thread.join()
    (line,) = log()
    assert (line["level"], line["error"].split(" ")[0]) == ("error", "ValueError")
    assert "Doe" not in json.dumps(line)
