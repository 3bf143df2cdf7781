"""axe-core finds nothing in any kind of page that plainfilm writes or serves, light or dark, on a desk or a phone."""

import pytest

from browsing import APPEARANCES, SIZES, faults, needs_chromium
from made_desk import put_reports, put_store_and_run

pytestmark = [pytest.mark.slow, needs_chromium]
PAGES = [
    "run/report.html",
    "run/checklists.html",
    "audit/audit.html",
    "both/comparison.html",
    "search/tuning.html",
    "elsewhere/report.html",
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(folder / "cache"))
        put_store_and_run(folder)
        put_reports(folder)
    return folder


@pytest.fixture(scope="module", params=APPEARANCES, ids="-".join)
def page(request, browser):
    scheme, size = request.param
    context = browser.new_context(
        viewport=SIZES[size], color_scheme=scheme, bypass_csp=True
    )  # axe is no script of ours
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_in_a_report(desk, page, name):
    page.goto((desk / name).as_uri())
    assert faults(page) == []


def test_every_page_that_is_written_is_looked_at(desk):
    found = {path.relative_to(desk).as_posix() for path in desk.rglob("*.html") if "cache" not in path.parts}
    assert found == set(PAGES)


def test_axe_finds_what_is_planted(page):
    page.set_content("<title>t</title><main><h1>A film</h1><img src='data:,'></main>")
    assert any(fault.startswith("image-alt") for fault in faults(page))
