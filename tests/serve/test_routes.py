import base64
import io
import json
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from made_files import dataset, dicom_bytes, encoded, film
from made_requests import BOUNDARY, InThread, asked, closes, connected, form, head, part, post, received
from plainfilm import NOTICE
from plainfilm.data.decoder_pool import Decoders
from plainfilm.evidence.inference.context import About
from plainfilm.results import documents
from plainfilm.serve import http_errors, http_limits
from plainfilm.serve.admission import Admission, Amount
from plainfilm.serve.batching import Judge
from plainfilm.serve.card_page import card_page
from plainfilm.serve.http_errors import CSP
from plainfilm.serve.middleware import API, Door, Guard
from plainfilm.serve.models import Models, Opening
from plainfilm.serve.multipart import Limits
from plainfilm.serve.page_files import PageFiles
from plainfilm.serve.routes import RestService, application
from plainfilm.serve.telemetry import Telemetry
from plainfilm.serve.turns import Turns
from plainfilm.serve.watching import Watch
from waiting import WAIT_S, until

pytestmark = pytest.mark.slow
PREDICT, EXPLAIN = f"{API}/predict", f"{API}/explain"
LIMITS = Limits(files=12, file_bytes=400_000, request_bytes=1_500_000, fields=4)
DICOM = dicom_bytes(dataset(film(200, 180), PatientName="Doe^Jane"))


@pytest.fixture(scope="module")
def service(small_bundle):
    decoders, turns, watch = Decoders(3), Turns(3), Watch()
    judge = Judge(decoders, turns)
    admission = Admission(Amount(uploads=8, files=24, held=8_000_000))
    yield RestService(
        models=Models(
            {"chest": small_bundle}, Opening(decoders=decoders, limits=LIMITS, seconds=30.0, watch=watch.over)
        ),
        judge=judge,
        turns=turns,
        admission=admission,
        telemetry=Telemetry(lambda: {"files_under_way": admission.under_way.files}),
        limits=LIMITS,
        watch=watch,
        is_ready=lambda: judge.is_alive,
    )
    turns.close()
    judge.close()
    decoders.close()


@contextmanager
def opened(service, **changes):
    changed = replace(service, telemetry=Telemetry(lambda: {"files_under_way": 0}), **changes)
    pages = PageFiles.of("plainfilm.serve")
    with InThread(Guard(application(changed, pages), Door(hosts={"127.0.0.1"}), changed.telemetry)) as server:
        yield server.port


@pytest.fixture(scope="module")
def port(service):
    with opened(service) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left_under_way(service):
    yield
    until(lambda: service.admission.under_way == Amount())
    until(lambda: not service.turns._running)


def refused(answer):
    """Status and code of a refusal, which is one in every respect."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(answer.json) == {"error", "request_id"}
    assert set(answer.json["error"]) == {"code", "message"}
    assert answer.json["error"]["message"].startswith("Expected ")
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (answer.status == 503)
    return answer.status, answer.code


def same(told, expected, about):
    assert {name: told[name] for name in ("file", "class", "level", "reasons", "notes")} == {
        "file": expected.file, "class": expected.label, "level": expected.level,
        "reasons": list(expected.reasons), "notes": list(expected.notes),
    }  # fmt: skip
    assert told["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert told["at_prevalence"] == pytest.approx(expected.at_prevalence, abs=1e-5)
    assert told["meaning"] == about.meaning(expected)


def test_one_answer_a_study_joins_the_films_of_a_request_and_names_no_id(port, small_predictor, small_films):
    films = {
        f"{number}.dcm": dicom_bytes(dataset(film(200, 180 + number), PatientID=f"SECRET-{number % 2}", StudyInstanceUID=f"1.2.3.{number}"))
        for number in range(3)
    } | {path.name: path.read_bytes() for path in small_films[:2]}  # fmt: skip
    for by, groups in {"patient": [[0, 2], [1], [3, 4]], "study": [[0], [1], [2], [3, 4]]}.items():
        answer = asked(port, post(PREDICT, form([*films.items()], by=by)))
        assert answer.status == 200
        told, names = answer.json, [*films]
        assert [each["films"] for each in told["predictions"]] == [[names[place] for place in own] for own in groups]
        assert [each["file"] for each in told["predictions"]] == [f"{by} {number + 1}" for number in range(len(groups))]
        assert told["by"] == by
        how = small_predictor.bundle.classifier.decision.combining
        assert told["threshold"] == pytest.approx(how.threshold)
        assert "SECRET" not in json.dumps(told)
        assert "1.2.3." not in json.dumps(told)
    assert refused(asked(port, post(PREDICT, form([*films.items()][:1], by="hospital")))) == (400, "by")
    assert refused(asked(port, post(EXPLAIN, form([*films.items()][:1], by="study")))) == (400, "unknown-field")


@pytest.mark.parametrize("prevalence", [None, 0.02])
def test_answers_are_those_of_the_library_in_the_order_of_the_files(port, service, small_films, tmp_path, prevalence):
    paths = [
        small_films[0],
        small_films[-1],
        tmp_path / "film.dcm",
        tmp_path / "bad.png",
        tmp_path / "noise.png",
        *small_films[3:8],
    ]
    paths[2].write_bytes(DICOM)
    paths[3].write_bytes(b"no picture")
    paths[4].write_bytes(
        encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)), "PNG")
    )
    fields = {} if prevalence is None else {"prevalence": str(prevalence)}
    answer = asked(port, post(PREDICT, form([(str(path), path.read_bytes()) for path in paths], **fields)))
    assert answer.status == 200
    about = About.of(service.models.default.predictor, prevalence)
    expected = service.models.default.predictor.predict(paths, prevalence=prevalence)
    assert {each.level for each in expected} >= {"unreadable", "refused"}
    for told, each in zip(answer.json["predictions"], expected, strict=True):
        same(told, each, about)
    assert answer.json.items() >= documents.plain(about.context).items()
    assert answer.json["notice"] == NOTICE
    assert answer.json["model"]["version"] == service.models.default.examiner.identity.version


def test_requests_at_the_same_time_get_each_its_own_prevalence_and_files(port, service, small_films):
    stated = [0.01, 0.3, 0.9]
    links = [connected(port) for _ in range(9)]
    opened_links = [link.__enter__() for link in links]
    for number, link in enumerate(opened_links):
        path = small_films[number]
        link.sendall(post(PREDICT, form([(str(path), path.read_bytes())], prevalence=str(stated[number % 3]))))
    for number, link in enumerate(opened_links):
        (told,) = received(link).json["predictions"]
        (expected,) = service.models.default.predictor.predict(small_films[number], prevalence=stated[number % 3])
        same(told, expected, About.of(service.models.default.predictor, stated[number % 3]))
    for link in links:
        link.__exit__(None, None, None)


def test_an_explanation_is_two_pictures_of_one_size(port, service, small_films):
    path = next(path for path in small_films if service.models.default.predictor.predict(path).labels[0])
    told = asked(port, post(EXPLAIN, form([(str(path), path.read_bytes())]))).json
    same(
        told["prediction"] | {"attribution_in_lungs": None},
        service.models.default.predictor.predict(path)[0],
        About.of(service.models.default.predictor),
    )
    assert (told["explained"], told["method"]) == (told["prediction"]["class"], service.models.default.examiner.method)
    shown, heat = (
        Image.open(io.BytesIO(base64.b64decode(told[name].partition(",")[2]))) for name in ("picture", "heatmap")
    )
    assert (shown.mode, heat.mode, shown.size) == ("L", "L", heat.size)
    assert shown.size == Image.open(path).size
    low, high = heat.getextrema()
    assert (low < 128, high) == (True, 255)
    bad = asked(port, post(EXPLAIN, form([("a", b"no picture")]))).json
    assert (bad["prediction"]["level"], bad["picture"], bad["heatmap"], bad["explained"]) == (
        "unreadable",
        None,
        None,
        None,
    )
    assert refused(asked(port, post(EXPLAIN, form([("a", b"x")] * 2)))) == (400, "one-file")


@pytest.mark.parametrize("text", ["0", "1", "1.5", "-0.1", "nan", "inf", "1e999", "half", "0,5", "<script>"])
@pytest.mark.parametrize("path", [PREDICT, EXPLAIN])
def test_a_prevalence_that_cannot_be_meant_is_refused(port, path, text):
    assert refused(asked(port, post(path, form([("a.png", b"x")], prevalence=text)))) == (400, "prevalence")


def test_a_field_that_nobody_knows_is_refused_since_it_may_be_a_misspelt_prevalence(port):
    assert refused(asked(port, post(PREDICT, form([("a.png", b"x")], prevalance="0.05")))) == (400, "unknown-field")


@pytest.mark.parametrize("query", ["prevalence=0.05", "by=patient", "x=1&by="])
def test_a_field_behind_the_address_is_refused_since_the_answer_would_be_another(port, query):
    assert refused(asked(port, post(f"{PREDICT}?{query}", form([("a.png", b"x")])))) == (400, "unknown-field")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (form([("a", bytes(400_001))]), (413, "too-many-bytes")),
        (form([(str(n), bytes(399_000)) for n in range(4)]), (413, "too-many-bytes")),
        (form([("a", b"x")] * 13), (413, "too-many-files")),
        (form([("a", b"x")], **{f"f{n}": "1" for n in range(40)}), (413, "too-many-parts")),
        (form([("a", b"x")], prevalence="1" * 2000), (413, "too-many-bytes")),
        (form([]), (400, "no-files")),
        (b"no form", (400, "broken-body")),
        (form([("a", b"x")])[:-6], (400, "broken-body")),
        (b"", (400, "broken-body")),
    ],
)
def test_a_body_beyond_a_limit_or_broken_is_refused_with_its_reason(port, body, expected):
    assert refused(asked(port, post(PREDICT, body))) == expected


def test_a_refusal_is_heard_even_by_a_client_that_goes_on_sending(port):
    body = form([("a", bytes(1_400_000))])
    for _ in range(5):
        with connected(port) as link:
            link.sendall(post(PREDICT, body))  # all of it, or it fails here
            assert refused(received(link)) == (413, "too-many-bytes")
            assert closes(link)


def test_a_refused_body_that_was_not_read_ends_the_connection_and_one_that_was_read_does_not(port):
    with connected(port) as link:
        link.sendall(head("POST", PREDICT, {"Content-Length": 10_000_000, "Content-Type": "text/plain"}) + b"x" * 100)
        answer = received(link)
        assert refused(answer) == (415, "not-multipart")
        assert answer.headers["connection"] == "close"
        assert closes(link)
    with connected(port) as link:
        for _ in range(3):
            link.sendall(post(PREDICT, form([])))
            assert refused(received(link)) == (400, "no-files")


def test_a_body_without_a_length_is_bounded_too(port):
    with connected(port) as link:
        link.sendall(
            head(
                "POST",
                PREDICT,
                {"Transfer-Encoding": "chunked", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
            )
        )
        piece = part(b"")[:-2] + bytes(50_000)
        try:
            for _ in range(40):
                link.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
                piece = bytes(50_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert refused(received(link)) == (413, "too-many-bytes")


def test_a_slow_body_is_refused_in_time(service):
    with opened(service, body_s=0.4) as port, connected(port) as link:
        link.sendall(post(PREDICT, form([("a.png", bytes(9000))]))[:-5000])
        assert refused(received(link)) == (408, "slow-body")
        assert closes(link)


def test_a_client_that_leaves_in_the_middle_of_its_body_holds_nothing(service, port):
    for _ in range(5):
        with connected(port) as link:
            link.sendall(post(PREDICT, form([("a.png", bytes(300_000))]))[:-1000])
    assert asked(port, head("GET", f"{API}/health")).status == 200


def test_without_room_a_request_is_told_to_come_again(service, port):
    for more in (Amount(files=12), Amount(held=4_000_000), Amount(uploads=4)):
        with service.admission.room("127.0.0.1") as room:
            room.take(more)
            for request in (post(PREDICT, form([("a", b"x")])), post(EXPLAIN, form([("a", b"x")]))):
                answer = asked(port, request)
                assert refused(answer) == (503, "busy")
                assert int(answer.headers["retry-after"]) >= 1


def test_room_that_runs_out_in_the_middle_of_a_request_is_no_fault(service, port):
    for more in (Amount(files=11), Amount(held=3_900_000)):
        with service.admission.room("127.0.0.1") as room:
            room.take(more)
            assert refused(asked(port, post(PREDICT, form([("a", bytes(150_000))] * 2)))) == (503, "busy")


def test_a_full_server_does_not_wait_for_a_slow_body(service, port):
    with service.admission.room("127.0.0.1") as room, connected(port) as link:
        room.take(Amount(uploads=4))
        link.sendall(post(PREDICT, form([("a", bytes(1000))]))[:-500])
        assert refused(received(link)) == (503, "busy")


def test_a_body_that_comes_too_slowly_is_refused_before_its_time(service):
    with opened(service, grace_s=0.2, least_rate=1e6) as port, connected(port) as link:
        link.sendall(post(PREDICT, form([("a.png", bytes(9000))]))[:-5000])
        assert refused(received(link)) == (408, "slow-body")
    with opened(service, grace_s=0.2, least_rate=100.0) as port, connected(port) as link:
        whole = post(PREDICT, form([("a.png", bytes(9000))]))
        link.sendall(whole[:-5000])
        time.sleep(0.5)
        link.sendall(whole[-5000:])
        assert received(link).status == 200


def test_what_cannot_fit_is_refused_before_its_body_is_asked_for(service, port):
    """Also where a client waits to be told to send."""
    for more in (Amount(uploads=4), Amount(held=3_999_000)):
        with service.admission.room("127.0.0.1") as room, connected(port) as link:
            room.take(more)
            told = {
                "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                "Content-Length": 1_000_000,
                "Expect": "100-continue",
            }
            link.sendall(head("POST", PREDICT, told))
            assert refused(received(link)) == (503, "busy")


def test_what_one_client_holds_is_not_held_against_another(service, port, small_films):
    body = post(PREDICT, form([("a", small_films[0].read_bytes())]))
    with service.admission.room("127.0.0.1") as room:
        room.take(Amount(files=12, held=4_000_000, uploads=4))
        assert refused(asked(port, body)) == (503, "busy")
        assert asked(port, body, source="127.0.0.2").status == 200


def test_a_compressed_body_is_refused(port):
    answer = asked(port, post(PREDICT, form([("a", b"x")]), {"Content-Encoding": "gzip"}))
    assert refused(answer) == (415, "encoded")


def test_a_refusal_does_not_wait_for_the_rest_of_a_body(service, port):
    with service.admission.room("127.0.0.1") as room, connected(port) as link:
        room.take(Amount(uploads=4))
        link.sendall(post(PREDICT, form([("a", bytes(300_000))]))[:-1000])
        assert refused(received(link)) == (503, "busy")
        link.sendall(bytes(900))  # what still comes is passed over, so that the answer is not lost to a reset
        assert closes(link)


def test_drift_is_told_of_each_model_by_what_it_has_answered_for(port, service, small_films):
    films = [(film.name, film.read_bytes()) for film in small_films[:3]]
    asked(port, post("/api/v1/predict", form(films)))
    for path in ("/api/v1/drift", "/api/v1/models/chest/drift"):
        told = asked(port, head("GET", path)).json
        assert told["model"]["version"] == service.models.default.model.version
        assert told["watched"] is (service.models.default.predictor.bundle.manifest.drift is not None)
        assert not told["watched"] or told["weeks"][-1]["images"] >= 3
    assert asked(port, head("GET", "/api/v1/models/other/drift")).status == 404


@pytest.fixture
def slow(service, monkeypatch):
    """Decoding that waits for `let(n)`, which lets n files through; `seen` are last bytes of what it was given."""
    plain, permits, seen = service.judge._decoders.radiograph, threading.Semaphore(0), []

    def radiograph(data, **options):
        seen.append(bytes(data[-1:]))
        permits.acquire(timeout=WAIT_S)
        return plain(data, **options)

    monkeypatch.setattr(service.judge._decoders, "radiograph", radiograph)
    yield SimpleNamespace(seen=seen, let=permits.release)
    permits.release(1000)


def test_what_is_late_is_told_to_come_again_and_its_rest_is_dropped(service, slow):
    with opened(service, answer_s=0.3) as port:
        answer = asked(port, post(PREDICT, form([(str(n), b"x") for n in range(12)])))
        assert refused(answer) == (503, "too-slow")
    slow.let(1000)
    with opened(service) as port:
        assert asked(port, post(PREDICT, form([("a", b"y")]))).status == 200
    assert slow.seen.count(b"x") == 2, "the rest was decoded though nobody waited"


@pytest.mark.parametrize("behind", [b"", head("GET", f"{API}/health") * 2], ids=["alone", "more behind it"])
def test_a_client_that_leaves_is_no_longer_worked_for(service, slow, behind):
    with opened(service, answer_s=2 * WAIT_S) as port:
        with connected(port) as link:
            link.sendall(post(PREDICT, form([(str(n), b"x") for n in range(12)])) + behind)
            until(lambda: len(slow.seen) == 2)
        until(lambda: service.admission.under_way == Amount())
        slow.let(1000)
        assert asked(port, post(PREDICT, form([("a", b"y")]))).status == 200
    assert slow.seen.count(b"x") == 2, "the rest was decoded though nobody waited"


def test_a_fault_of_ours_is_answered_and_logged_by_its_name(service, monkeypatch, caplog):
    monkeypatch.setattr(Telemetry, "page", lambda _: 1 / 0)
    with opened(service) as port:
        assert refused(asked(port, head("GET", f"{API}/metrics"))) == (500, "failed")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_a_refused_prevalence_leaves_no_files_behind_it(service, slow):
    slow.let(1)
    with opened(service) as port:
        answer = asked(port, post(PREDICT, form([(str(n), b"x") for n in range(12)], prevalence="7")))
        assert refused(answer) == (400, "prevalence")
        assert service.admission.under_way.files == 0
        assert asked(port, head("GET", f"{API}/health")).status == 200  # so the server has come to drop them
        slow.let(1000)
        assert asked(port, post(PREDICT, form([("a", b"y")]))).status == 200
    assert slow.seen.count(b"x") <= 3, "files went on that nobody counts any more"


def test_what_nobody_waits_for_any_more_is_not_decoded(service, slow):
    with opened(service) as port:
        with connected(port) as link:
            link.sendall(post(PREDICT, form([(str(n), b"x") for n in range(12)])))
            until(lambda: len(slow.seen) == 2)
        until(lambda: service.admission.under_way == Amount())
        slow.let(1000)
        assert asked(port, post(PREDICT, form([("a", b"y")]))).status == 200
    assert slow.seen.count(b"x") == 2


def test_costly_files_of_one_client_do_not_keep_another_waiting(service, slow, small_films):
    light = small_films[0].read_bytes()
    with opened(service) as port, ExitStack() as stack:
        for number in range(2, 8):
            link = stack.enter_context(connected(port, source=f"127.0.0.{number}"))
            link.sendall(post(PREDICT, form([("a", b"x")])))
        until(lambda: len(slow.seen) == 2)
        stack.enter_context(connected(port)).sendall(post(PREDICT, form([("a", light)])))
        until(lambda: light[-1:] in slow.seen)  # though six wait, of whom two are decoded and never end
        assert slow.seen == [b"x", b"x", light[-1:]]
        page = asked(port, head("GET", f"{API}/metrics")).body.decode()
    assert "plainfilm_turned_away_total" in page


def test_who_waits_behind_others_costly_files_is_told_so_soon(service, slow):
    with opened(service) as port, ExitStack() as stack:
        for number in (2, 3):
            link = stack.enter_context(connected(port, source=f"127.0.0.{number}"))
            link.sendall(post(PREDICT, form([("a", b"x")])))
        until(lambda: len(slow.seen) == 2)
        assert refused(asked(port, post(PREDICT, form([("a", b"y")])))) == (503, "busy")
        page = asked(port, head("GET", f"{API}/metrics")).body.decode()
    assert 'plainfilm_turned_away_total{wanting="turns"} 1.0' in page


def test_a_late_explanation_is_told_to_come_again(service, monkeypatch, small_films):
    monkeypatch.setattr(
        service.models.default.examiner, "_decoders", SlowDecoders(service.models.default.examiner._decoders)
    )
    with opened(service, answer_s=0.2) as port:
        assert refused(asked(port, post(EXPLAIN, form([("a", small_films[0].read_bytes())])))) == (503, "too-slow")


class SlowDecoders:
    def __init__(self, plain):
        self._plain = plain

    def __getattr__(self, name):
        time.sleep(0.4)
        return getattr(self._plain, name)


def test_a_fault_of_ours_is_one_answer_without_its_text(service, monkeypatch, caplog):
    def fail(*_, **__):
        raise ZeroDivisionError("Doe^Jane")

    monkeypatch.setattr(service.judge._decoders, "radiograph", fail)
    with opened(service) as port:
        answer = asked(port, post(PREDICT, form([("Doe.png", b"x")])))
        assert refused(answer) == (500, "failed")
        assert b"Doe" not in answer.body
        assert answer.headers["content-security-policy"] == CSP


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "not-found")),
        ("GET", "/page/../web.py", (404, "not-found")),
        ("GET", "/page/%2e%2e%2fweb.py", (404, "not-found")),
        ("GET", "/page/..%5c..%5cweb.py", (404, "not-found")),
        ("GET", "/page/%00", (404, "not-found")),
        ("GET", "//etc/passwd", (404, "not-found")),
        ("GET", f"{API}/health/", (404, "not-found")),
        ("GET", "/docs", (404, "not-found")),
        ("GET", "/openapi.json", (404, "not-found")),
        ("GET", PREDICT, (405, "method")),
        ("DELETE", "/", (405, "method")),
        ("OPTIONS", PREDICT, (405, "method")),
        ("TRACE", "/", (405, "method")),
        ("POST", "/dicom-web/studies", (404, "not-found")),
    ],
)
def test_other_paths_and_methods_are_refused_in_our_words(port, method, path, expected):
    answer = asked(port, head(method, path))
    assert refused(answer) == expected
    assert ("allow" in answer.headers) == (answer.status == 405)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/", "/page/page.css", f"{API}/health", f"{API}/ready", f"{API}/card", f"{API}/model"]
)
def test_head_is_answered_as_get_without_the_body(port, path):
    with connected(port) as link:
        for _ in range(2):
            link.sendall(head("HEAD", path))
            answer = received(link, is_head=True)
            assert answer.status == 200
        assert answer.headers["content-type"] == asked(port, head("GET", path)).headers["content-type"]


@pytest.mark.parametrize(
    "path", ["/", "/page/page.css", f"{API}/card", f"{API}/model", f"{API}/metrics", f"{API}/openapi.json", "/nothing"]
)
def test_every_answer_bears_the_headers(port, path):
    headers = asked(port, head("GET", path)).headers
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert len(headers["x-request-id"]) == 16
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]


def test_the_card_is_a_page_in_which_the_bundles_html_is_text(service):
    page = card_page("# <script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1))").decode()
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page
    assert NOTICE in page


def test_ready_says_so_and_says_so_when_it_is_not(service, port):
    assert asked(port, head("GET", f"{API}/ready")).json == {"status": "ready"}
    with opened(service, is_ready=lambda: False) as other:
        assert refused(asked(other, head("GET", f"{API}/ready"))) == (503, "not-ready")
        assert asked(other, head("GET", f"{API}/health")).json == {"status": "ok"}


def test_ready_says_why_the_node_s_work_does_not_move(service):
    with opened(service, trouble=lambda: "the spool or its disk is full") as other:
        answer = asked(other, head("GET", f"{API}/ready"))
        assert refused(answer) == (503, "not-ready")
        assert "the spool or its disk is full" in answer.json["error"]["message"]
        assert asked(other, head("GET", f"{API}/health")).json == {"status": "ok"}


def test_metrics_count_by_route_and_no_label_is_made_of_what_a_client_wrote(service):
    with opened(service) as port:
        asked(port, post(PREDICT, form([("a", b"x"), ("b", b"y")])))
        for path in ("/marker-1", "/page/marker-2", f"{API}/marker-3", f"{API}/health?marker-4", "/marker%0a5{}"):
            asked(port, head("GET", path))
        asked(port, head("OPTIONS", PREDICT))
        page = asked(port, head("GET", f"{API}/metrics"))
    text = page.body.decode()
    assert "marker" not in text
    found = {
        (each.labels.get("route"), each.labels.get("status"), each.labels.get("level")): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name in {"plainfilm_requests_total", "plainfilm_files_total"}
    }
    assert found == {
        (PREDICT, "200", None): 1, (PREDICT, "405", None): 1, ("other", "404", None): 3, ("/page/{name}", "404", None): 1,
        (f"{API}/health", "200", None): 1, (None, None, "unreadable"): 2,
    }  # fmt: skip


def alike(shown, told):
    """Whether an example has the names of an answer, at every depth; the framework leaves out of examples what is null."""
    if isinstance(told, list) and told and isinstance(told[0], dict):
        return alike(shown[0], told[0])
    if not isinstance(told, dict) or "COVID" in told:
        return True
    given = {name for name, value in told.items() if value is not None}
    return given <= shown.keys() <= told.keys() and all(alike(shown[name], told[name]) for name in given)


def test_the_description_shows_what_is_really_answered(port, small_films):
    described = asked(port, head("GET", f"{API}/openapi.json")).json
    assert described["openapi"].startswith("3.")

    def example(path, method, status):
        content = described["paths"][path][method]["responses"][str(status)]["content"]
        return content["application/json"]["example"]

    files = form([(path.name, path.read_bytes()) for path in small_films[:1]])
    assert alike(example(PREDICT, "post", 200), asked(port, post(PREDICT, files)).json)
    assert alike(example(EXPLAIN, "post", 200), asked(port, post(EXPLAIN, files)).json)
    for name in ("model", "models", "health", "ready", "drift"):
        assert alike(example(f"{API}/{name}", "get", 200), asked(port, head("GET", f"{API}/{name}")).json), name
    assert alike(example(PREDICT, "post", 413), asked(port, post(PREDICT, form([("a", b"")] * 13))).json)
    names = {path for path in described["paths"] if not path.startswith("/dicom-web/")}
    of_all = ("predict", "explain", "model", "models", "health", "ready", "metrics", "drift")
    of_one = ("", "/predict", "/explain", "/reload", "/rollback", "/drift")
    assert names == {f"{API}/{name}" for name in of_all} | {f"{API}/models/{{name}}{name}" for name in of_one}


def test_model_tells_the_limits_and_the_test(port, service):
    told = asked(port, head("GET", f"{API}/model")).json
    assert told["limits"]["file_bytes"] == LIMITS.file_bytes
    assert told["tested"]["n"] > 0
    assert told["sha256"] == service.models.default.examiner.identity.sha256
    assert json.loads(json.dumps(told, allow_nan=False)) == told


# Connections


def test_a_head_that_does_not_come_is_not_waited_for(service, monkeypatch):
    with opened(service) as port, connected(port) as second:
        second.sendall(head("GET", f"{API}/health"))
        assert received(second).status == 200
        monkeypatch.setattr(http_limits, "HEAD_S", 0.4)
        with connected(port) as silent, connected(port) as slow:
            with suppress(BrokenPipeError, ConnectionResetError):
                for byte in b"GET / HT":
                    slow.sendall(bytes([byte]))
            second.sendall(b"GET ")
            assert closes(silent)
            assert closes(slow)
            assert closes(second)


def test_the_time_for_a_head_does_not_end_an_answer_under_way(service, monkeypatch, slow):
    monkeypatch.setattr(http_limits, "HEAD_S", 1.0)
    threading.Timer(2.0, slow.let, [6]).start()
    with opened(service) as port:
        assert asked(port, post(PREDICT, form([(str(n), b"x") for n in range(6)]))).status == 200


def endless_head():
    return b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"y" * 8192


def endless_heads():
    return b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X: y\r\n" * 1000


def endless_url():
    return b"GET /", b"y" * 8192


def chunked(piece):
    told = {"Transfer-Encoding": "chunked", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return head("POST", PREDICT, told) + b"1\r\n-\r\n" + piece


def endless_trailers():
    return chunked(b"0\r\n"), b"X: y\r\n" * 1000


def endless_trailer():
    return chunked(b"0\r\nX: "), b"y" * 8192


def endless_extension():
    return chunked(b"1;x="), b"y" * 8192


@pytest.mark.parametrize(
    "made", [endless_head, endless_heads, endless_url, endless_trailers, endless_trailer, endless_extension]
)
def test_what_is_no_body_is_bounded(port, made):
    begin, more = made()
    with connected(port) as link:
        sent = 0
        try:
            link.sendall(begin)
            while sent < 20_000_000:
                link.sendall(more)
                sent += len(more)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 8_000_000, "what the sockets hold, and no more"
    assert asked(port, head("GET", f"{API}/health")).status == 200


@pytest.mark.parametrize(("length", "status"), [(60_000, 200), (66_000, 431), (100_000, 431), (300_000, 431)])
def test_a_head_may_be_as_large_as_is_documented_and_no_larger(port, length, status):
    for lines in ({"X": "y" * length}, {f"X-{number:03}": "y" * (length // 50 - 9) for number in range(50)}):
        with connected(port) as link:
            link.sendall(head("GET", f"{API}/health", lines))
            answer = received(link)
            assert answer.status == status
            if status == 431:
                assert answer.code == "head-too-large"
                assert closes(link)


def test_a_body_in_one_byte_chunks_is_taken(port):
    body = form([("a", b"x" * 500)])
    with connected(port) as link:
        told = {"Transfer-Encoding": "chunked", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        link.sendall(head("POST", PREDICT, told) + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert received(link).status == 200


@pytest.mark.parametrize(
    "wild",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x00\xa5",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(port, wild):
    with connected(port) as link:
        link.sendall(wild)
        answer = received(link)
        assert 400 <= answer.status < 500
        assert answer.headers["content-type"] == "application/json"
        assert http_errors.HEADERS.items() <= answer.headers.items()
        assert set(json.loads(answer.body)) == {"error", "request_id"}
        assert json.loads(answer.body)["error"]["code"]
        assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]
        assert closes(link)


def uploading(port, stack, *, source="127.0.0.1"):
    """A connection on which a body is coming."""
    link = stack.enter_context(connected(port, source=source))
    link.sendall(post(PREDICT, form([("a", bytes(5000))]))[:-100])
    return link


def test_more_connections_than_a_clients_share_are_turned_away_and_others_are_not(service, monkeypatch):
    monkeypatch.setattr(http_limits, "MOST", 6)
    with opened(service) as port, ExitStack() as stack:
        one, *_ = [uploading(port, stack) for _ in range(3)]
        until(lambda: service.admission.under_way.uploads == 3)
        answer = received(fourth := stack.enter_context(connected(port)))
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "connections", "1")
        assert closes(fourth)
        assert asked(port, head("GET", f"{API}/health"), source="127.0.0.2").status == 200
        one.close()
        until(lambda: serves(port))


def test_a_connection_with_nothing_under_way_makes_room_for_the_next_of_its_client(service, monkeypatch):
    monkeypatch.setattr(http_limits, "MOST", 6)
    with opened(service) as port, ExitStack() as stack:
        other = stack.enter_context(connected(port, source="127.0.0.2"))
        idle = [stack.enter_context(connected(port)) for _ in range(2)]
        for link in (other, *idle):
            link.sendall(head("GET", f"{API}/health"))
            assert received(link).status == 200
        busy = uploading(port, stack)
        until(lambda: service.admission.under_way.uploads == 1)
        for _ in idle:
            assert asked(port, head("GET", f"{API}/health")).status == 200
        assert closes(idle[0])
        other.sendall(head("GET", f"{API}/health"))
        assert received(other).status == 200
        busy.sendall(post(PREDICT, form([("a", bytes(5000))]))[-100:])
        assert received(busy).status == 200


def serves(port):
    try:
        return asked(port, head("GET", f"{API}/health")).status == 200
    except ConnectionResetError:  # turned away before it had asked
        return False


def test_pipelined_requests_are_answered_in_order(port):
    names = ["health", "nothing", "ready", "model"] * 20
    with connected(port) as link:
        link.sendall(b"".join(head("GET", f"{API}/{name}") for name in names))
        reader = link.makefile("rb")
        statuses = []
        for _ in names:
            statuses.append(int(reader.readline().split()[1]))
            headers = dict(line.split(b": ", 1) for line in iter(lambda: reader.readline().strip(), b""))
            reader.read(int(headers[b"content-length"]))
    assert statuses == [200, 404, 200, 200] * 20


def test_a_flood_of_pipelined_requests_ends_the_connection_without_an_answer_that_fits_none(port):
    with connected(port) as link:
        link.sendall(head("GET", f"{API}/health") * 3000)
        assert closes(link)


def test_what_is_no_request_behind_one_is_not_taken_for_its_answer(port):
    with connected(port) as link:
        link.sendall(head("GET", f"{API}/health") + b"GARBAGE\r\n\r\n")
        assert b"400" not in link.makefile("rb").read()


def test_a_client_that_does_not_take_its_answers_is_left(service, monkeypatch):
    monkeypatch.setattr(http_limits, "TAKE_S", 0.5)
    monkeypatch.setattr(http_limits, "PIPELINED", 1_000_000)
    with opened(service) as port, connected(port) as link:
        flood = head("GET", f"{API}/openapi.json") * 300_000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            link.sendall(flood)


def test_a_client_that_takes_its_answers_slowly_gets_them_all(service, monkeypatch):
    monkeypatch.setattr(http_limits, "TAKE_S", 1.0)
    with opened(service) as port, connected(port) as link:
        link.sendall(head("GET", f"{API}/health"))
        assert received(link).status == 200
        time.sleep(1.3)  # longer than TAKE_S, with nothing left to take
        link.sendall(head("GET", f"{API}/health"))
        assert received(link).status == 200


def test_a_client_that_waits_to_be_told_to_send_is_told(port):
    body = form([("a", b"x")])
    with connected(port) as link:
        told = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": len(body),
            "Expect": "100-continue",
        }
        link.sendall(head("POST", PREDICT, told))
        assert link.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(body)
        assert received(link).status == 200
        link.sendall(head("POST", "/nothing", told))
        assert received(link).status == 404, "without being told to send"
