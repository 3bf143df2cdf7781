"""A hundred hostile requests; `benchmarks/serve_hostile.py` sends more, and slower ones."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

import hostile_requests as hostile
from made_files import encoded, gray_film
from made_requests import own_places, started
from plainfilm.data.decoder_pool import Decoders
from unharmed import harm, harm_at_the_end, prediction
from waiting import WAIT_S

pytestmark = pytest.mark.slow


def test_after_a_hundred_hostile_requests_the_server_is_as_it_was(small_bundle, tmp_path):
    places = tmp_path / "places"
    with started(small_bundle, tmp_path / "log", **own_places(places)) as server:
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
        assert harm(server, before, places, tries=100) == {}
        assert harm_at_the_end(server) == {}


@pytest.fixture(scope="module")
def decoders():
    made = Decoders(2, seconds=WAIT_S)
    yield made
    made.close()


@pytest.mark.parametrize("name", hostile.BOMBS)
def test_a_bomb_is_a_film_or_a_reason_and_the_next_film_is_read(decoders, name):
    found = decoders.radiograph(hostile.BOMBS[name](), size=96, fit="pad")
    assert getattr(found, "code", "read") not in {"too-slow", "out-of-memory"}
    sound = encoded(Image.fromarray(gray_film(300, 260)), "PNG")
    assert decoders.radiograph(sound, size=96, fit="pad").pixels.shape == (96, 96)
