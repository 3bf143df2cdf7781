"""A hundred hostile requests; `benchmarks/serve_hostile.py` sends more, and slower ones."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

import hostile_requests as hostile
from made_files import encoded, gray_film
from made_requests import asked, descendants, form, head, post, started
from plainfilm.serve.isolation import Decoders

pytestmark = pytest.mark.slow


def prediction(port):
    answer = asked(port, post(hostile.PREDICT, form([("a.png", encoded(Image.fromarray(gray_film(300, 260)), "PNG"))])))
    return answer.status, {**answer.json, "request_id": ""}


def test_after_a_hundred_hostile_requests_the_server_is_as_it_was(small_bundle, tmp_path):
    places = tmp_path / "places"
    for name in ("home", "temporary", "here"):
        (places / name).mkdir(parents=True)
    environment = {"HOME": str(places / "home"), "TMPDIR": str(places / "temporary")}
    with started(small_bundle, tmp_path / "log", env=environment, cwd=places / "here") as server:
        before, statuses = prediction(server.port), Counter()
        with ThreadPoolExecutor(12) as pool:
            cases = list(hostile.cases(3, 100, with_heavy=False))
            for (name, _), seen in zip(
                cases, pool.map(lambda case: hostile.send(case[1], server.port), cases), strict=True
            ):
                assert not seen.bare, name
                statuses.update({(name, status) for status in seen.statuses})
        assert {status for _, status in statuses} <= {100, 200, 400, 401, 403, 404, 405, 408, 413, 415, 503}
        assert len({name for name, _ in statuses}) > 25, "most kinds were answered"
        assert asked(server.port, head("GET", "/api/v1/health")).json == {"status": "ok"}
        assert prediction(server.port) == before
        assert not [path for path in places.rglob("*") if path.is_file()]
        below = descendants(server.process.pid)
        assert not [pid for pid, state in below if state == "Z"]
        assert server.stop() == 0
        assert not [pid for pid, _ in below if Path(f"/proc/{pid}").exists()]
        log = server.log.read_text()
        assert hostile.MARKER.lower() not in log.lower()
        assert all(isinstance(json.loads(line), dict) for line in log.splitlines())
        assert '"level": "error"' not in log


@pytest.fixture(scope="module")
def decoders():
    made = Decoders(2, seconds=10)
    yield made
    made.close()


@pytest.mark.parametrize("name", hostile.BOMBS)
def test_a_bomb_is_a_film_or_a_reason_and_the_next_film_is_read(decoders, name):
    found = decoders.radiograph(hostile.BOMBS[name](), size=96, fit="pad")
    assert getattr(found, "code", "read") not in {"too-slow", "out-of-memory"}
    sound = encoded(Image.fromarray(gray_film(300, 260)), "PNG")
    assert decoders.radiograph(sound, size=96, fit="pad").pixels.shape == (96, 96)
