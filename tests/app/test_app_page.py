"""The page of `plainfilm app` in a real browser, against the real app: from a folder to a report, and all that can come between."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from browsing import faults, needs_chromium
from plainfilm.data import phantom
from waiting import WAIT_S

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive a browser")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
expect = sync_api.expect

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SMALL = {"--epochs": "2", "--input-size": "96", "--set": "backbone.depth=3"}
COUNT_CLICKS = "addEventListener('click', () => sessionStorage.clicks = 1 + Number(sessionStorage.clicks ?? 0), true)"
pytestmark = [pytest.mark.slow, needs_chromium]


@dataclass
class App:
    """A running `plainfilm app`: its root, its process and the address that it gave."""

    root: Path
    process: subprocess.Popen
    address: str

    @property
    def work(self):
        return self.root / "plainfilm"


@contextmanager
def started(root):
    log = root.with_name(f"{root.name}.log")
    environment = {**os.environ, "PLAINFILM_CACHE": str(root.with_name(f"{root.name}.cache"))}
    with log.open("ab") as err:
        words = [sys.executable, "-m", "plainfilm", "app", "--root", str(root), "--no-browser", "--json"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=err, text=True, env=environment)
    try:
        yield App(root, process, json.loads(process.stdout.readline())["address"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_S)
        process.stdout.close()


def put_films(root):
    """Radiographs of two classes, some that are neither, and a file that is none."""
    phantom.write_phantoms(root / "films", n=44, seed=4)
    (root / "films" / "OTHER").mkdir()
    table = root / "films" / "metadata.csv"
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    for row in [row for row in rows if "NORMAL" in row][:2]:
        film = row.split(",")[0]
        shutil.copy(root / "films" / film, root / "films" / film.replace("NORMAL", "OTHER"))
        rows.append(row.replace("NORMAL", "OTHER"))
    table.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    (root / "films" / "notes.txt").write_text("not a film", encoding="utf-8")


@dataclass
class Windows:
    """Windows on one app, and all that they asked for and complained of."""

    browser: object
    asked: list = field(default_factory=list)
    said: list = field(default_factory=list)
    contexts: list = field(default_factory=list)

    def of(self, address, size, **options):
        """A browser of its own that has come in."""
        context = self.browser.new_context(viewport=size, bypass_csp=True, **options)  # axe is no script of ours
        context.set_default_timeout(1000 * WAIT_S)
        context.add_init_script(COUNT_CLICKS)
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda message: self.said.append(message.text))
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        self.contexts.append(context)
        page = context.new_page()
        page.goto(address)
        return page


@pytest.fixture(scope="module", autouse=True)
def _patience():
    expect.set_options(timeout=1000 * WAIT_S)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    root = tmp_path_factory.mktemp("home")
    put_films(root)
    with started(root) as running:
        yield running


@pytest.fixture(scope="module")
def windows(browser):
    made = Windows(browser)
    yield made
    for context in made.contexts:
        context.close()
    local = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:|about:)")
    assert [url for url in made.asked if not local.match(url)] == []
    assert [said for said in made.said if not re.search("Failed to load resource|ERR_CONNECTION", said)] == []


def at(page, view):
    page.goto(f"{page.url.split('#')[0]}#/{view}")


def heading(page, words):
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def no_fault(page):
    """Nothing that axe finds, and nothing that runs out of the window."""
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def made_small(page):
    """Set the app's own options so that a training takes seconds."""
    page.get_by_text("More options").click()
    page.locator(".group summary", has_text="Recipe").click()
    for flag, value in SMALL.items():
        page.get_by_label(flag, exact=True).fill(value)
    page.get_by_label(flag, exact=True).blur()
    expect(page.locator(".commands")).to_contain_text("backbone.depth=3")


@pytest.fixture(scope="module")
def trained(app, windows):
    """The way at 1280 px from the first page to a report, with corrections; the window that went it."""
    page = windows.of(app.address, DESK)
    heading(page, "Which radiographs?")
    no_fault(page)
    page.get_by_role("button", name="films").click()
    expect(page.locator("#folder")).to_be_focused()
    no_fault(page)
    page.get_by_role("button", name="Use this folder").click()
    expect(page.locator(".class")).to_have_count(3)
    expect(page.locator(".facts")).to_contain_text("46")
    expect(page.locator(".passed")).to_contain_text("notes.txt")
    expect(page.locator(".strip img").first).to_have_js_property("complete", True)
    no_fault(page)

    page.get_by_role("checkbox", name="OTHER").uncheck()
    expect(page.locator(".class.left")).to_have_count(1)
    page.go_back()
    expect(page.locator(".class.left")).to_have_count(0)
    page.go_forward()
    expect(page.locator(".class.left")).to_have_count(1)
    page.get_by_label("Positive class").select_option("NORMAL")
    made_small(page)
    no_fault(page)
    commands = page.locator(".commands pre").inner_text()
    assert "--classes COVID,NORMAL" in commands
    assert "--positive NORMAL" in commands

    page.locator("#train").click()
    heading(page, "Training: films")
    expect(page.locator(".stages")).to_contain_text("Reading radiographs")
    no_fault(page)
    assert page.locator(".commands pre").inner_text() == commands
    page.wait_for_url("**/#/run/films/run")
    return page


def test_the_report_opens_by_itself_and_is_the_one_that_was_written(app, trained):
    frame = trained.frame_locator("iframe.report")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("COVID or NORMAL")
    with trained.expect_download() as given:
        trained.get_by_role("link", name="The report, one file").click()
    assert Path(given.value.path()).read_bytes() == (app.work / "films" / "run" / "report.html").read_bytes()
    no_fault(trained)


def test_everything_can_be_taken_along(app, trained):
    for words, name in {
        "The classifier": "model.plainfilm",
        "Model card": "card.md",
        "Predictions": "predictions.csv",
    }.items():
        with trained.expect_download() as given:
            trained.get_by_role("link", name=words, exact=True).click()
        assert given.value.suggested_filename == name
        assert Path(given.value.path()).read_bytes() == (app.work / "films" / "run" / name).read_bytes()
    trained.get_by_text("Figures, tables and the rest").click()
    expect(trained.get_by_role("link", name="figures/roc.png")).to_be_visible()
    no_fault(trained)


def test_the_classifier_can_be_tried_in_a_tab(app, trained):
    with trained.expect_popup() as opened:
        trained.get_by_role("button", name="Try it on radiographs").click()
    answers = opened.value
    expect(answers.locator("#standing")).to_have_attribute("aria-busy", "false")
    assert "token" not in answers.url
    answers.set_input_files("#choose", sorted((app.root / "films" / "COVID").iterdir())[0])
    expect(answers.locator("#running")).to_have_text("Done.")
    expect(answers.locator("#summary")).to_contain_text("1 file")
    answers.close()
    no_fault(trained)


def test_doubtful_labels_are_decided_by_key_and_click_undone_and_written(app, windows, trained):
    page = trained
    at(page, "project/films")
    no_fault(page)
    page.locator(".store").get_by_role("link", name="Doubtful labels").click()
    heading(page, "Find doubtful labels")
    no_fault(page)
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**/#/doubts/films/doubts")
    expect(page.locator("#film-title")).to_have_text(re.compile(r"(COVID|NORMAL)/\d+\.\w+"))
    first = page.locator("#film-title").inner_text()
    no_fault(page)
    page.keyboard.press("1")
    expect(page.locator(".doubt-foot")).to_contain_text("1 label decided")
    page.keyboard.press("z")
    expect(page.locator("#film-title")).to_have_text(first)
    expect(page.locator(".doubt-foot")).to_contain_text("0 labels decided")
    label = page.locator(".doubt-label strong").first.inner_text()
    page.locator(".choice", has_text="NORMAL" if label == "COVID" else "COVID").click()
    expect(page.locator(".doubt-foot")).to_contain_text("1 label decided")
    page.reload()
    expect(page.locator(".doubt-foot")).to_contain_text("1 label decided")
    page.get_by_role("link", name="Write the corrected data").click()
    page.get_by_label("Who corrects").fill("A. Reader")
    expect(page.locator(".commands")).to_contain_text("A. Reader")
    no_fault(page)
    page.get_by_role("button", name="Write").click()
    page.wait_for_url("**/#/project/films")
    expect(page.locator(".store")).to_have_count(2)


def test_a_phone_goes_the_whole_way_in_four_clicks_closed_in_the_middle(app, windows, trained):
    page = windows.of(app.address, PHONE, color_scheme="dark")
    at(page, "choose")
    page.evaluate("sessionStorage.clicks = 0")
    page.get_by_role("button", name="films").click()
    no_fault(page)
    page.get_by_role("button", name="Use this folder").click()
    expect(page.locator("#train")).to_be_enabled()
    expect(page.locator(".class")).to_have_count(3)
    no_fault(page)
    assert page.evaluate("sessionStorage.clicks") == "2"
