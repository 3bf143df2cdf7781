"""What the tests of the app share: places below a temporary folder."""

import pytest

from plainfilm import wording
from plainfilm.app.places import Places

pytest.importorskip("starlette", reason="needs the extra `app`")


@pytest.fixture(autouse=True)
def _started_by_a_command():
    """An app has no other beginning: its messages name flags."""
    with wording.flags():
        yield


@pytest.fixture
def places(tmp_path) -> Places:
    (tmp_path / "home" / "films").mkdir(parents=True)
    found = Places.of(tmp_path / "home", None)
    found.own.mkdir(parents=True)
    return found
