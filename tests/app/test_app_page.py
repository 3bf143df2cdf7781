"""The page of `plainfilm app` in a real browser, against the real app: from a folder to a report, and all that can come between."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
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
    """A running `plainfilm app`: its root, and its process with the address that it gave."""

    root: Path
    process: subprocess.Popen | None = None
    address: str = ""

    @property
    def work(self):
        return next(self.root.glob("plainfilm*"))

    def run(self):
        """Start it, or ask the one that runs for another address."""
        environment = {**os.environ, "PLAINFILM_CACHE": str(self.root.with_name("cache"))}
        words = [sys.executable, "-m", "plainfilm", "app", "--root", str(self.root), "--no-browser", "--json"]
        with self.root.with_name("app.log").open("ab") as err:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=err, text=True, env=environment)
        self.address = json.loads(process.stdout.readline())["address"]
        return process

    def start(self):
        self.process = self.run()

    def end(self, sign):
        self.process.send_signal(sign)
        self.process.wait(WAIT_S)
        self.process.stdout.close()

    def new_address(self):
        """What a second `plainfilm app` opens: the same app, by another key."""
        with self.run() as asking:
            assert asking.wait(WAIT_S) == 0
        return self.address


def put_films(root):
    """Radiographs of two classes, some that are neither, and a file that is none; and a smaller folder without a fault."""
    phantom.write_phantoms(root / "wards", n=40, seed=6)
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


def come_in(page, address):
    """Open an address that is good once; it leads on to the page."""
    page.goto(address)
    page.locator("main h1").wait_for()
    return page


@dataclass
class Windows:
    """Windows on one app, and all that they asked for and complained of."""

    browser: object
    asked: list = field(default_factory=list)
    said: list = field(default_factory=list)
    contexts: list = field(default_factory=list)

    def of(self, address, size, **options):
        """A browser of its own that has come in."""
        context = self.browser.new_context(viewport=size, **{"bypass_csp": True, **options})  # axe is no script of ours
        context.set_default_timeout(1000 * WAIT_S)
        context.add_init_script(COUNT_CLICKS)
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda message: self.said.append(message.text))
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        self.contexts.append(context)
        return come_in(context.new_page(), address)


@pytest.fixture(scope="module", autouse=True)
def _patience():
    expect.set_options(timeout=1000 * WAIT_S)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    made = App(tmp_path_factory.mktemp("app") / "home")
    made.root.mkdir()
    put_films(made.root)
    made.start()
    yield made
    made.end(signal.SIGTERM)


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


def correct(page):
    """Join classes, name columns faster than they are looked at, and take it all back."""
    page.get_by_text("Something is not right").click()
    joins = page.locator(".joins")
    for each in ("NORMAL", "OTHER"):
        joins.get_by_label(each).check()
    joins.get_by_label("Name of the joined class").fill("WELL, so")
    joins.get_by_role("button", name="Join").click()
    expect(page.locator(".class")).to_have_count(2)
    expect(page.locator(".class")).to_have_text([re.compile("COVID"), re.compile("WELL, so.*24 radiographs")])
    expect(page.locator(".commands")).to_contain_text("""--map 'NORMAL="WELL, so"' --map 'OTHER="WELL, so"'""")
    expect(page.locator(".train")).to_contain_text("do not say which of them is the positive one")
    expect(page.locator("#train")).to_be_disabled()
    joins.get_by_role("button", name="Take apart").click()
    expect(page.locator(".class")).to_have_count(3)
    page.get_by_label("Table", exact=True).select_option(label="metadata.csv")
    expect(page.get_by_label("Column of patients").locator("option")).to_contain_text(["As found", "patient_id"])
    columns = {"patients": "patient_id", "sources": "source", "labels": "label"}
    for words, column in columns.items():  # faster than they are looked at
        page.get_by_label(f"Column of {words}").select_option(column)
    for flag in ("--patient-column patient_id", "--source-column source", "--label-column label"):
        expect(page.locator(".commands")).to_contain_text(flag)
    no_fault(page)
    page.evaluate("history.go(-4)")
    expect(page.get_by_label("Table", exact=True)).to_have_value("")


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

    correct(page)
    page.locator(".classes").get_by_role("checkbox", name="OTHER").uncheck()
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
    expect(page.locator(".stages li").first).to_contain_text("Reading radiographs")
    expect(page.locator(".stages li").first).to_be_visible()
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
    expect(page.get_by_role("link", name="Add radiographs")).to_have_count(1)  # none for the corrected one


def test_a_phone_goes_the_whole_way_in_four_clicks_though_the_app_is_killed_in_the_middle(app, windows, trained):
    page = windows.of(app.new_address(), PHONE, color_scheme="dark")
    at(page, "choose")
    page.evaluate("sessionStorage.clicks = 0")
    page.get_by_role("button", name="wards").click()
    no_fault(page)
    page.get_by_role("button", name="Use this folder").click()
    expect(page.locator("#train")).to_be_enabled()
    expect(page.locator(".class")).to_have_count(2)
    no_fault(page)
    page.locator("#train").click()
    expect(page.locator(".stages li").first).to_contain_text("Reading radiographs")
    expect(page.locator(".stages li").first).to_be_visible()
    no_fault(page)
    app.end(signal.SIGKILL)
    expect(page.locator("#lost")).to_contain_text("plainfilm does not answer")
    no_fault(page)
    clicks = int(page.evaluate("sessionStorage.clicks"))
    page.close()

    app.start()
    page = windows.of(app.address, PHONE, color_scheme="dark")
    page.evaluate("sessionStorage.clicks = 0")
    heading(page, "Projects")
    no_fault(page)
    other = page.context.new_page()  # a second window sees the same
    other.goto(page.url)
    for window in (page, other):
        expect(window.locator(".line")).to_contain_text("Training: wards")
    page.locator(".line").get_by_role("link", name="Training: wards").click()
    page.wait_for_url("**/#/run/wards/run")
    expect(page.frame_locator("iframe.report").get_by_role("heading", level=1)).to_contain_text("COVID or NORMAL")
    assert clicks + int(page.evaluate("sessionStorage.clicks")) <= 4
    no_fault(page)
    expect(other.get_by_role("link", name="run", exact=True)).to_have_count(2)
    other.close()


def test_a_folder_that_is_taken_away_ends_in_one_line_and_the_work_can_be_done_again(app, trained):
    page = trained
    come_in(page, app.new_address())
    at(page, "choose")
    page.get_by_label("Path of a folder or an archive").fill(str(app.root / "wards"))
    page.keyboard.press("Enter")
    expect(page.locator("#folder")).to_have_text("wards")
    page.get_by_role("button", name="Use this folder").click()
    expect(page.locator("#train")).to_be_enabled()
    away = (app.root / "wards").rename(app.root / "elsewhere")
    page.locator("#train").click()
    expect(page.locator("main .problem")).to_contain_text("Expected")
    no_fault(page)
    away.rename(app.root / "wards")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Stop")).to_be_focused()
    no_fault(page)
    dialog.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    no_fault(page)
    page.get_by_role("button", name="Take off the list").click()
    heading(page, "Projects")
    expect(page.locator(".line")).to_be_hidden()


def test_a_folder_can_be_given_to_the_page_stopped_and_given_again(app, trained):
    page = trained
    at(page, "choose")
    held = []
    page.route("**/api/drop?**", lambda route: held.append(route))
    page.set_input_files("#give-folder", app.root / "wards")
    heading(page, "Copying")
    no_fault(page)
    page.get_by_role("button", name="Stop").click()
    heading(page, "Which radiographs?")
    page.unroute("**/api/drop?**")
    page.set_input_files("#give-folder", app.root / "wards")
    expect(page.locator(".class")).to_have_count(2)
    copied = next(app.work.rglob("dropped")) / "wards"
    assert sorted(path.name for path in copied.rglob("*.jpg")) == sorted(
        path.name for path in (app.root / "wards").rglob("*.jpg")
    )
    expect(page.locator(".commands")).to_contain_text(str(copied))
    at(page, f"project/{copied.parent.parent.name}")
    page.get_by_role("link", name="Look at them").click()
    expect(page.locator(".class")).to_have_count(2)


def test_the_keyboard_alone_goes_the_way(app, windows, trained):
    page = windows.of(app.new_address(), DESK, reduced_motion="reduce", bypass_csp=False)
    at(page, "choose")
    page.reload()
    page.get_by_role("button", name="films").wait_for()

    def to(words):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == words:
                return
        raise AssertionError(f"no way by Tab to {words}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    to("films")
    page.keyboard.press("Enter")
    expect(page.locator("#folder")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    to("Use this folder")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator("#train")).to_be_enabled()
    expect(page.locator("#live")).to_contain_text("46 radiographs, 3 classes.")
    to("Train")
    to("Copy")
    at(page, "run/films/run")  # its policy keeps nothing of the page's own from it
    expect(page.frame_locator("iframe.report").get_by_role("heading", level=1)).to_contain_text("COVID or NORMAL")
    at(page, "doubts/films/doubts")
    expect(page.locator(".side-by-side img").first).to_be_visible()
    page.wait_for_function("() => [...document.images].every((each) => each.complete && each.naturalWidth)")


STATES = ["", "choose", "look?in={root}/films", "project/films", "train?project=films&store={work}/films/films.h5", "run/films/run",
          "doubts/films/doubts", "step/compare/films", "step/export/films?in={work}/films/run/model.plainfilm", "step/audit/films?in={work}/films/films.h5", "choose?then=step/add/films&in={work}/films/films.h5",
          "step/evaluate/films?in={work}/films/run/model.plainfilm&in={root}/wards", "project/none", "run/films/none", "job/none", "choose?path={root}/none", "look?in={root}/none"]  # fmt: skip
ZOOMED = {"width": 320, "height": 256}  # 1280 by 1024 at 400 %


def test_axe_finds_nothing_in_any_state_light_or_dark_on_a_phone_or_at_400_percent(app, windows, trained):
    page = windows.of(app.new_address(), PHONE, locale="de-DE")
    page.locator("h1").wait_for()
    found = {}
    for state in STATES:
        asked = state.format(root=app.root, work=app.work)
        at(page, asked)
        page.locator(f"main[data-view={json.dumps(asked.partition('?')[0])}] h1").wait_for()
        page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
        for part in page.locator("main details").all():
            part.evaluate("each => each.open = true")
        assert page.evaluate("document.documentElement.lang") == "de"
        for scheme, size in (("light", PHONE), ("dark", ZOOMED)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(size)
            width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found[state, scheme] = [*faults(page), *([f"{width} px too wide"] if width > 0 else [])]
    assert {state: said for state, said in found.items() if said} == {}


def test_a_click_ends_the_app(app, windows, trained):
    page = windows.of(app.new_address(), DESK)
    page.get_by_role("button", name="End plainfilm").click()
    dialog = page.get_by_role("dialog")
    no_fault(page)
    dialog.get_by_role("button", name="End plainfilm").click()
    expect(page.locator("#lost")).to_have_text("plainfilm has ended. This window can be closed.")
    assert app.process.wait(WAIT_S) == 0
