"""axe-core finds nothing in any kind of page that plainfilm writes or serves, light or dark, on a desk or a phone."""

import pytest

import plainfilm
from browsing import APPEARANCES, SIZES, faults, needs_chromium
from made_desk import put_reports, put_store_and_run
from made_requests import started

pytestmark = [pytest.mark.slow, needs_chromium]
PAGES = [
    "run/report.html",
    "run/checklists.html",
    "audit/audit.html",
    "both/comparison.html",
    "search/tuning.html",
    "elsewhere/report.html",
    "doubtful/relabel.html",
]
TOKEN = "a-token-for-the-tests"
PAPER_PX = 680  # A4 between the margins of the style sheet


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(folder / "cache"))
        put_store_and_run(folder)
        put_reports(folder)
        plainfilm.relabel(folder / "my.h5", folder / "doubtful")
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


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_cut_on_a_desk_or_on_paper(desk, browser, name):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((desk / name).as_uri())
    cut = (
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)"
    )
    assert page.evaluate(cut) == []
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER_PX, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == PAPER_PX
    page.close()


def test_every_page_that_is_written_is_looked_at(desk):
    pages = (path.relative_to(desk) for path in desk.rglob("*.html"))
    found = {path.as_posix() for path in pages if not {"cache", "trainings"} & set(path.parts)}  # trainings are runs
    assert found == set(PAGES)


@pytest.fixture(scope="module")
def address(desk):
    with started(desk / "run" / "model.plainfilm", desk / "serve.log", env={"PLAINFILM_TOKEN": TOKEN}) as server:
        yield server.address


def test_axe_finds_nothing_on_the_served_page_in_any_state(address, desk, page):
    page.goto(address)
    page.get_by_role("textbox", name="Access token").wait_for()
    found = {"asks for a token": faults(page)}
    page.get_by_role("textbox", name="Access token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#standing[aria-busy=false]").wait_for()
    found["waits for files"] = faults(page)
    films = sorted((desk / "OTHER_HOSPITAL").rglob("*.jpg"))[:3]
    page.set_input_files("#choose", [*films, desk / "my.h5.log"])
    page.locator("#running", has_text="Done.").wait_for()
    found["has answers"] = faults(page)
    page.locator("#rows .name", has_text=films[0].name).first.click()
    page.locator("#invert:enabled").wait_for()
    found["shows a film"] = faults(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Audit and test results").click()
    page.locator("#audit").wait_for()
    found["shows the audit"] = faults(page)
    assert not any(found.values()), found


def test_axe_finds_nothing_in_the_served_card(address, page):
    page.goto(f"{address}/api/v1/card")
    assert page.get_by_role("heading", level=1).is_visible()
    assert faults(page) == []


def test_axe_finds_what_is_planted(page):
    page.set_content("<title>t</title><main><h1>A film</h1><img src='data:,'></main>")
    assert any(fault.startswith("image-alt") for fault in faults(page))
