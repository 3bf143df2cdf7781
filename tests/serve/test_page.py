"""The page of `plainfilm serve` in a real browser, against the real server."""

import csv
import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browsing import needs_chromium
from made_bundles import rewritten
from made_requests import started
from plainfilm import NOTICE
from plainfilm.cli.predictions import as_csv
from plainfilm.evidence.inference.context import About
from waiting import WAIT_S

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive a browser")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
expect = sync_api.expect
expect.set_options(timeout=1000 * WAIT_S)

TOKEN = "a-token-for-the-tests"
HOSTILE = "<img src=x onerror=alert(1)>.png"
DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 360, "height": 640}

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="session")
def address(small_bundle, tmp_path_factory):
    """Where a server that asks for a token runs."""
    log = tmp_path_factory.mktemp("served") / "log"
    with started(small_bundle, log, "--quiet", env={"PLAINFILM_TOKEN": TOKEN}) as server:
        yield server.address


@pytest.fixture
def films(small_films):
    return small_films


@pytest.fixture
def predictor(small_predictor):
    return small_predictor


@dataclass
class Site:
    """A page of the server, and all that it asked for and complained of."""

    page: object
    address: str
    asked: list = field(default_factory=list)
    said: list = field(default_factory=list)
    forgiven: str = "^$"  # complaints that a test provokes
    agrees: bool = False  # to what the page asks before it goes on

    def open(self):
        self.page.goto(self.address)
        expect(self.page.locator("#standing")).to_have_attribute("aria-busy", "false")
        return self.page

    def give(self, *files):
        self.page.set_input_files("#choose", list(files))
        expect(self.page.locator("#running")).to_have_text("Done.")

    def show(self, name):
        self.page.locator("#rows .name", has_text=name).first.click()
        expect(self.page.locator("#invert")).to_be_enabled(timeout=20_000)

    def count(self, path):
        return sum(request.url.endswith(path) for request in self.asked)


def answer(site, dialog):
    if site.agrees and dialog.type == "confirm":
        dialog.accept()
    else:
        site.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def make_site(browser, address):
    """Open pages; when the test ends, none of them has asked elsewhere or complained of anything."""
    sites, contexts = [], []

    def made(*, token=TOKEN, **options):
        contexts.append(browser.new_context(viewport=options.pop("viewport", DESKTOP), **options))
        if token:
            contexts[-1].add_init_script(f"sessionStorage.setItem('plainfilm-token', {json.dumps(token)})")
        contexts[-1].set_default_timeout(1000 * WAIT_S)
        site = Site(contexts[-1].new_page(), address)
        site.page.on("request", lambda request: site.asked.append(request))
        site.page.on("console", lambda message: site.said.append(message.text))
        site.page.on("pageerror", lambda error: site.said.append(f"error: {error}"))
        site.page.on("dialog", lambda dialog: answer(site, dialog))
        sites.append(site)
        return site

    yield made
    for context in contexts:
        context.close()
    for site in sites:
        elsewhere = [r.url for r in site.asked if not r.url.startswith((f"{site.address}/", "data:", "blob:"))]
        assert elsewhere == []
        assert [said for said in site.said if not re.search(site.forgiven, said)] == []


@pytest.fixture
def site(make_site):
    made = make_site()
    made.open()
    return made


def file(name, data, kind="image/png"):
    return {"name": name, "mimeType": kind, "buffer": data}


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def noise():
    return png(np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8))


def answers(request_body, **changes):
    """What the server would answer for the files of a body, each alike."""
    usual = {
        "class": "COVID", "level": "ok", "probabilities": {"COVID": 0.8, "NORMAL": 0.2}, "at_prevalence": 0.8,
        "reasons": [], "notes": [], "attribution_in_lungs": None, "meaning": "",
    }  # fmt: skip
    names = re.findall(rb'name="files"; filename="([^"]*)"', request_body)
    return {"predictions": [{"file": name.decode(), **usual, **changes} for name in names]}


def drawn(site):
    return np.asarray(Image.open(io.BytesIO(site.page.locator("#film").screenshot())).convert("RGB"), np.int16)


def colourfulness(pixels):
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())


# Files in, answers out


def test_a_file_is_answered_as_by_the_library(site, films, predictor):
    site.give(films[0])
    answer = predictor.predict(films[0])[0]
    row = site.page.locator("#rows tr")
    expect(row.locator(".name")).to_have_text(films[0].name)
    expect(row.locator(".class")).to_have_text(answer.label)
    expect(row.locator(".figure")).to_have_text(re.compile(rf"{100 * answer.probabilities['COVID']:.1f}.%|[<>].*%"))
    expect(site.page.locator("#summary")).to_have_text(f"1 file: 1 {answer.label}.")


def test_many_files_go_in_requests_of_a_few_one_after_the_other(site, films):
    bodies, under_way, most = [], [0], [0]

    def note(route):
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        bodies.append(route.request.post_data_buffer)
        route.fulfill(response=route.fetch())
        under_way[0] -= 1

    site.page.route("**/api/v1/predict", note)
    site.give(*films[:20])
    assert site.page.locator("#rows tr[data-state=done]").count() == 20
    assert [body.count(b'name="files"') for body in bodies] == [8, 8, 4]
    assert most[0] == 1


def test_the_same_file_twice_is_two_rows(site, films):
    site.give(films[0])
    site.give(films[0])
    assert site.page.locator("#rows tr[data-state=done]").count() == 2


def test_refused_and_unreadable_are_said_in_words_with_their_reasons(site, noise, predictor):
    site.give(file("noise.png", noise), file("broken.png", b"no picture at all"))
    told = site.page.locator("#rows").inner_text()
    assert "Refused" in told
    assert "unlike" in told
    assert "Unreadable" in told
    assert "Expected JPEG" in told
    expect(site.page.locator("#summary")).to_have_text("2 files: 1 refused, 1 unreadable.")
    expect(site.page.locator("#needs-count")).to_have_text("(2)")
    site.page.locator("#rows .name", has_text="broken.png").click()
    expect(site.page.locator("#stage-says")).to_have_text("No picture: the file cannot be read.")
    assert site.count("/explain") == 0


def test_flagged_answers_keep_their_class_and_say_so(site, films):
    changed = {"level": "flagged", "reasons": ["unlike most of the training images"]}
    site.page.route(
        "**/api/v1/predict", lambda route: route.fulfill(json=answers(route.request.post_data_buffer, **changed))
    )
    site.give(films[0])
    assert site.page.locator(".c-answer").last.inner_text().split() == ["COVID", "Flagged"]
    site.page.locator("#needs-look").check()
    assert site.page.locator("#rows tr").count() == 1


def test_thousands_of_files_are_shown_in_steps(site):
    site.page.route("**/api/v1/predict", lambda route: route.fulfill(json=answers(route.request.post_data_buffer)))
    site.page.set_input_files("#choose", [file(f"{number}.png", b"x") for number in range(1500)])
    expect(site.page.locator("#rows tr")).to_have_count(200)
    expect(site.page.locator("#running")).to_have_text("Done.")
    expect(site.page.locator("#summary")).to_have_text("1,500 files: 1,500 COVID.")
    assert site.page.locator("#rows tr").count() < 1500
    site.page.locator("#find").fill("1499")
    expect(site.page.locator("#rows .name")).to_have_text(["1499.png"])


def test_a_pasted_picture_is_taken(site, noise):
    site.page.evaluate(
        """bytes => { const data = new DataTransfer(); data.items.add(new File([Uint8Array.from(bytes)], "pasted.png"));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true })); }""",
        list(noise),
    )
    expect(site.page.locator("#rows .name")).to_have_text(["pasted.png"])
    expect(site.page.locator("#running")).to_have_text("Done.")


def test_a_dropped_file_is_taken(site, noise):
    transfer = site.page.evaluate_handle(
        """bytes => { const data = new DataTransfer(); data.items.add(new File([Uint8Array.from(bytes)], "dropped.png"));
        return data; }""",
        list(noise),
    )
    site.page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
    expect(site.page.locator("#veil")).to_be_visible()
    site.page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(site.page.locator("#rows .name")).to_have_text(["dropped.png"])
    expect(site.page.locator("#veil")).to_be_hidden()


def test_a_folder_is_taken_with_the_paths_below_it(site, tmp_path, noise):
    (tmp_path / "films" / "ward").mkdir(parents=True)
    (tmp_path / "films" / "ward" / "a.png").write_bytes(noise)
    (tmp_path / "films" / ".hidden").write_bytes(b"x")
    site.page.set_input_files("#choose-folder", tmp_path / "films")
    expect(site.page.locator("#rows .name")).to_have_text(["films/ward/a.png"])


def test_all_can_be_removed_after_a_question(site, films):
    site.give(*films[:2])
    site.agrees = True
    site.page.get_by_role("button", name="Remove all").click()
    expect(site.page.locator("#results")).to_be_hidden()
    site.give(films[2])
    expect(site.page.locator("#rows .name")).to_have_text([films[2].name])


def test_an_unsure_answer_has_no_class_and_says_between_which_thresholds_it_lies(make_site, films):
    site, promise = (
        make_site(),
        "With 95 % confidence new patients from the same place see a sensitivity of at least 95 %.",
    )
    told = {"threshold": 0.9, "lower_threshold": 0.1, "three_answers": promise}
    changed = {"class": None, "level": "unsure"}
    site.page.route("**/model", lambda route: route.fulfill(json={**route.fetch().json(), **told}))
    site.page.route("**/predict", lambda route: route.fulfill(json=answers(route.request.post_data_buffer, **changed)))
    page = site.open()
    site.give(films[0])
    assert page.locator(".c-answer").last.inner_text() == "Unsure"
    assert page.locator("#rows .figure").inner_text().startswith("80.0")
    page.locator("#needs-look").check()
    assert page.locator("#rows tr").count() == 1
    site.show(films[0].name)
    assert page.locator("#answer-word").inner_text() == "Unsure"
    assert page.locator("#answer-meaning").inner_text() == f"Between the thresholds of both classes. {promise}"
    said = page.locator("#answer-bars").inner_text().replace("\u202f", " ")
    assert "COVID is called from 90.0 % on, NORMAL below 10.0 %; between them the answer is unsure" in said


def test_with_three_classes_the_most_probable_one_is_shown(make_site, films):
    site, classes = make_site(), ["COVID", "NORMAL", "PNEUMONIA"]
    none = dict.fromkeys(("positive", "threshold", "calibrated_at_prevalence", "prevalence"))
    chances = dict(zip(classes, (0.2, 0.1, 0.7), strict=True))
    changed = {"class": "PNEUMONIA", "probabilities": chances, "at_prevalence": None}
    site.page.route("**/model", lambda route: route.fulfill(json={**route.fetch().json(), **none, "classes": classes}))
    site.page.route("**/predict", lambda route: route.fulfill(json=answers(route.request.post_data_buffer, **changed)))
    page = site.open()
    site.give(films[0])
    expect(page.locator("#rows .figure")).to_have_text(re.compile("70.0.%"))
    expect(page.locator("#prevalence")).to_be_hidden()
    assert page.locator(".meter b").count() == 0
    (row,) = csv.DictReader(io.StringIO(downloaded(site)))
    assert [row[f"probability {name}"] for name in classes] == ["0.200000", "0.100000", "0.700000"]
    assert row["at_prevalence"] == ""
    site.show(films[0].name)
    assert page.locator("#answer-bars").inner_text().startswith("Probability of PNEUMONIA")


# The table


def test_rows_stand_as_the_files_were_given_until_they_are_sorted(site, films):
    given = [films[3], films[1], films[2], films[0]]
    site.give(*given)
    expect(site.page.locator("#rows .name")).to_have_text([film.name for film in given])
    site.page.get_by_role("button", name="File", exact=True).click()
    expect(site.page.locator("#rows .name")).to_have_text(sorted(film.name for film in given))


def test_a_head_sorts_and_says_how(site, films):
    site.give(*films[:4], *films[-4:])
    chance = site.page.locator("th.c-chance").first
    chance.get_by_role("button").click()
    expect(chance).to_have_attribute("aria-sort", "descending")
    bars = site.page.locator("#rows .meter i").evaluate_all("all => all.map(each => parseFloat(each.style.inlineSize))")
    assert bars == sorted(bars, reverse=True)
    assert bars[0] > bars[-1]
    chance.get_by_role("button").click()
    expect(chance).to_have_attribute("aria-sort", "ascending")
    assert site.page.locator("th[aria-sort=none]").count() == 3


def downloaded(site):
    with site.page.expect_download() as waiting:
        site.page.get_by_role("button", name="Download CSV").click()
    return Path(waiting.value.path()).read_bytes().decode()


def test_the_csv_is_what_predict_prints(site, films, predictor, noise, tmp_path, capsys):
    (tmp_path / "noise.png").write_bytes(noise)
    (tmp_path / "broken, or not.png").write_bytes(b"no picture")
    given = [films[0], films[-1], *sorted(tmp_path.iterdir())]
    site.give(*given)
    as_csv(predictor.predict(given), About.of(predictor))
    wanted, found = (list(csv.DictReader(io.StringIO(text))) for text in (capsys.readouterr().out, downloaded(site)))
    assert [list(row) for row in found] == [list(row) for row in wanted]
    for own, other in zip(found, wanted, strict=True):
        assert own["file"] == Path(other["file"]).name
        for name in ("class", "level", "reasons", "notes", "attribution_in_lungs"):
            assert own[name] == other[name]
        for name in ("probability", "at_prevalence"):
            assert own[name] == other[name] == "" or float(own[name]) == pytest.approx(float(other[name]), abs=2e-6)


def test_the_csv_names_the_site_whose_calibration_is_used_as_predict_does(site):
    model = {"positive": "COVID", "classes": ["COVID", "NORMAL"], "calibrated_at_prevalence": 0.3, "site": "St. X"}
    asked = "model => import('/page/answers.js').then(({ csv }) => csv([{ name: 'a.png' }], model, 0.1))"
    (row,) = csv.DictReader(io.StringIO(site.page.evaluate(asked, model)))
    assert row["site"] == "St. X"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t"])
def test_no_name_becomes_a_formula_in_a_spreadsheet(site, first):
    site.page.route("**/api/v1/predict", lambda route: route.fulfill(json=answers(route.request.post_data_buffer)))
    site.give(file(f'{first}1+1"a", b.png', b"x"))
    (row,) = csv.DictReader(io.StringIO(downloaded(site)))
    assert row["file"] == {"\t": "\\t"}.get(first, f"'{first}") + '1+1"a", b.png'


def test_a_hostile_name_is_shown_as_text_and_runs_nothing(site, noise):
    site.give(file(HOSTILE, noise))
    expect(site.page.locator("#rows .name")).to_have_text(HOSTILE)
    site.page.locator("#rows .name").click()
    expect(site.page.locator("#detail-title")).to_have_text(HOSTILE)
    expect(site.page.locator("#invert")).to_be_enabled()
    assert site.page.locator("img").count() == 0


# One film


def test_the_detail_says_what_the_library_says_and_shows_the_film(site, films, predictor):
    site.give(films[0])
    site.show(films[0].name)
    answer = predictor.predict(films[0])[0]
    told = site.page.locator("#answer-meaning").inner_text().replace("\u202f", " ")
    assert told == About.of(predictor).meaning(answer) != ""
    assert "not why, nor that the answer is right" in site.page.locator("#heat-says").inner_text()
    assert "lies in the lungs" in site.page.locator("#against").inner_text()
    assert site.page.locator("#chances tr").count() == 2


def test_the_slider_takes_the_heatmap_off_the_film_and_lays_it_on(site, films):
    site.give(films[0])
    site.show(films[0].name)
    whole = colourfulness(drawn(site))
    site.page.locator("#strength").fill("50")
    half = colourfulness(drawn(site))
    site.page.locator("#strength").fill("0")
    expect(site.page.locator("#strength")).to_have_attribute("aria-valuetext", "plain film")
    assert whole > half + 0.5 > half > colourfulness(drawn(site)) < 0.1  # a row of the page may show at the edge


def test_window_and_inversion_change_the_grays_and_reset_brings_them_back(site, films):
    site.give(films[0])
    site.show(films[0].name)
    site.page.locator("#strength").fill("0")
    plain = drawn(site)
    site.page.locator("#window").fill("64")
    narrow = drawn(site)
    assert narrow.std() > 1.2 * plain.std()
    site.page.locator("#invert").click()
    expect(site.page.locator("#invert")).to_have_attribute("aria-pressed", "true")
    middle = tuple(side // 2 for side in plain.shape[:2])
    assert abs(255 - narrow[middle] - drawn(site)[middle]).max() <= 1
    site.page.locator("#reset").click()
    np.testing.assert_array_equal(drawn(site), plain)


def test_the_film_is_shown_with_the_grays_of_the_file(site):
    ramp = np.tile(np.linspace(0, 255, 256).astype(np.uint8), (256, 1))
    site.give(file("ramp.png", png(ramp)))
    site.show("ramp.png")
    row = drawn(site)[300, :, 0]
    row = row[np.flatnonzero(row)[0] : np.flatnonzero(row)[-1] + 1]
    wanted = np.interp(np.linspace(0, 1, len(row)), np.linspace(0, 1, 256), ramp[0])
    assert abs(row - wanted).mean() < 3


def test_keys_and_wheel_zoom_and_move_the_film(site, films):
    site.give(films[0])
    site.show(films[0].name)
    before, zoom = drawn(site), site.page.locator("#zoom-says")
    site.page.locator("#film").focus()
    site.page.keyboard.press("+")
    expect(zoom).to_have_text("125 %")
    near = drawn(site)
    site.page.keyboard.press("ArrowDown")
    assert (drawn(site) != near).any()
    site.page.locator("#film").hover()
    site.page.mouse.wheel(0, -100)
    expect(zoom).not_to_have_text("125 %")
    site.page.keyboard.press("0")
    expect(zoom).to_have_text("100 %")
    site.page.locator("h2#detail-title").focus()
    np.testing.assert_array_equal(drawn(site), before)


def test_dragging_with_shift_or_the_right_button_sets_the_window(site, films):
    site.give(films[0])
    site.show(films[0].name)
    box = site.page.locator("#film").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    site.page.mouse.move(x, y)
    site.page.mouse.down(button="right")
    site.page.mouse.move(x - 60, y + 40)
    site.page.mouse.up(button="right")
    expect(site.page.locator("#window")).to_have_value("196")
    expect(site.page.locator("#level")).to_have_value("148")


def test_another_prevalence_moves_the_answer_as_in_the_library(site, films, predictor):
    site.give(films[0])
    site.show(films[0].name)
    expect(site.page.locator("#prevalence-says-2")).to_contain_text(f"{100 * predictor.prevalence:.3g}")
    site.page.locator("#prevalence-2").fill("0.5")
    stated = About.of(predictor, 0.005)
    told = site.page.locator("#answer-meaning").inner_text().replace("\u202f", " ")
    assert told == stated.meaning(predictor.predict(films[0], prevalence=0.005)[0])
    expect(site.page.locator("#prevalence")).to_have_value("0.5")
    site.page.locator("#prevalence-2").fill("120")
    expect(site.page.locator("#prevalence-2")).to_have_attribute("aria-invalid", "true")
    expect(site.page.locator("#prevalence-wrong-2")).to_contain_text("Expected a share between 0 and 100")


def test_films_are_explained_once_and_the_way_leads_from_one_to_the_next(site, films):
    site.give(*films[:3])
    names = sorted(film.name for film in films[:3])
    site.show(names[0])
    site.page.keyboard.press("PageDown")
    expect(site.page.locator("#detail-title")).to_have_text(names[1])
    expect(site.page.locator("#invert")).to_be_enabled()
    site.page.get_by_role("button", name="Previous").click()
    expect(site.page.locator("#detail-title")).to_have_text(names[0])
    expect(site.page.locator("#previous")).to_have_attribute("aria-disabled", "true")
    expect(site.page.locator("#invert")).to_be_enabled()
    assert site.count("/explain") == 2


# When something fails


def test_a_busy_server_is_asked_again(site, films):
    site.forgiven, times = "503", []

    def busy(route):
        times.append(route)
        if len(times) <= 2:
            error = {"error": {"code": "busy", "message": "busy"}, "request_id": "x"}
            route.fulfill(status=503, headers={"Retry-After": "1"}, json=error)
        else:
            route.continue_()

    site.page.route("**/api/v1/predict", busy)
    site.page.set_input_files("#choose", films[:2])
    expect(site.page.locator("#running")).to_contain_text("busy; trying again in 1 s")
    expect(site.page.locator("#running")).to_have_text("Done.")
    assert len(times) == 3
    assert site.page.locator("#rows tr[data-state=done]").count() == 2


def test_what_fails_is_said_at_its_file_and_the_others_are_answered(site, films):
    site.forgiven, failing = "413", [True]

    def refuse(route):
        if failing[0] and films[1].name.encode() in route.request.post_data_buffer:
            error = {"error": {"code": "bytes", "message": "Expected less; received more."}, "request_id": "x"}
            route.fulfill(status=413, json=error)
        else:
            route.continue_()

    site.page.route("**/api/v1/predict", refuse)
    site.give(*films[:3])
    failed = site.page.locator("#rows tr[data-state=failed]")
    expect(failed).to_have_count(1)
    assert films[1].name in failed.inner_text()
    assert "Expected less; received more." in failed.inner_text()
    assert "not answered" in downloaded(site)
    failing[0] = False
    site.page.get_by_role("button", name="Send 1 again").click()
    expect(site.page.locator("#rows tr[data-state=done]")).to_have_count(3)


def test_a_server_that_is_gone_loses_no_file(site, films):
    site.forgiven = "ERR_FAILED"
    site.page.clock.install()
    site.page.route("**/api/v1/*", lambda route: route.abort())
    site.page.set_input_files("#choose", films[:10])
    running = site.page.locator("#running")
    while "cannot be reached. Send the rest again" not in running.inner_text():
        site.page.clock.fast_forward(9000)
        site.page.wait_for_timeout(50)
    site.page.unroute("**/api/v1/*")
    site.page.get_by_role("button", name="Send 10 again").click()
    expect(site.page.locator("#rows tr[data-state=done]")).to_have_count(10)


def test_a_stopped_run_can_be_taken_up_again(site, films):
    held = []
    site.page.route("**/api/v1/predict", lambda route: held.append(route))
    site.page.set_input_files("#choose", films[:10])
    site.page.get_by_role("button", name="Stop").click()
    expect(site.page.locator("#running")).to_have_text("Stopped.")
    site.page.unroute("**/api/v1/predict")
    site.page.get_by_role("button", name="Send 10 again").click()
    expect(site.page.locator("#rows tr[data-state=done]")).to_have_count(10)


def test_the_token_is_asked_for_until_it_is_right_and_kept_for_the_tab(make_site, films):
    site = make_site(token=None)
    site.forgiven = "401"
    site.page.goto(site.address)
    for given, wrong in (("not the token", "That token was not accepted."), (TOKEN, "")):
        site.page.get_by_role("textbox", name="Access token").fill(given)
        site.page.keyboard.press("Enter")
        if wrong:
            expect(site.page.locator("#token-wrong")).to_have_text(wrong)
    expect(site.page.locator("#access")).to_be_hidden()
    expect(site.page.locator("#name")).to_contain_text("COVID or NORMAL")
    site.give(films[0])
    assert site.page.evaluate("localStorage.length") == 0
    site.open()
    expect(site.page.locator("#access")).to_be_hidden()


# What always stands there


def in_sight(page, text):
    """Whether a place in the window shows this text on top of everything."""
    return page.evaluate(
        """text => [...document.querySelectorAll(".only")].some(each => {
            const box = each.getBoundingClientRect();
            const inside = box.width > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
            const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
            return inside && each.textContent === text && (top === each || each.contains(top));
        })""",
        text,
    )


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_research_use_only_is_in_sight_wherever_one_is(make_site, films, viewport):
    site = make_site(viewport=viewport)
    page = site.open()
    site.give(*films[:12])
    assert in_sight(page, NOTICE)
    page.mouse.wheel(0, 900)
    page.wait_for_function("scrollY > 50")
    assert in_sight(page, NOTICE)
    site.show(films[0].name)
    assert in_sight(page, NOTICE)
    page.locator("#answer-worth").get_by_role("button", name="Why").click()
    expect(page.locator("#audit")).to_be_visible()
    assert in_sight(page, NOTICE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_verdict_stands_as_large_as_the_accuracy_and_the_audit_is_a_click_away(make_site):
    site = make_site()
    reason = {"sentence": "It sees no lungs.", "also": "Others: border 0.9.", "advice": "Add images."}
    audit = {
        "verdict": "not to be believed",
        "sentence": "It never sees the lungs.",
        "reasons": [reason],
        "cues": ["source"],
    }

    def audited(route):
        told = {
            **route.fetch().json(),
            "audit": audit,
            "worth": "Not to be believed. It never sees the lungs. Nor else.",
        }
        route.fulfill(json=told)

    site.page.route("**/api/v1/model", audited)
    page = site.open()
    expect(page.locator("#verdict")).to_have_text("Not to be believed")
    expect(page.locator("#sentence")).to_have_text("It never sees the lungs.")
    expect(page.locator("#also")).to_have_text("Nor else.")
    sizes = [
        page.locator(each).evaluate("each => getComputedStyle(each).fontSize") for each in ("#accuracy", "#sentence")
    ]
    assert sizes[0] == sizes[1]
    page.get_by_role("button", name="Audit and test results").click()
    told = page.locator("#audit").inner_text()
    assert all(part in told for part in (*reason.values(), "Source.", "Accuracy", " to ", "Sensitivity"))
    expect(page.locator("#audit a")).to_have_attribute("href", "api/v1/card")


def test_a_model_without_an_audit_says_that_nobody_looked(site, predictor):
    expect(site.page.locator("#verdict")).to_have_text("Not audited")
    expect(site.page.locator("#sentence")).to_have_text(predictor.bundle.metrics.worth.sentence)


def test_a_token_in_the_address_is_used_and_taken_out_of_it(make_site, films):
    site = make_site(token=None)
    site.page.goto(f"{site.address}/?from=app#token={TOKEN}")
    expect(site.page.locator("#standing")).to_have_attribute("aria-busy", "false")
    assert site.page.url == f"{site.address}/?from=app"
    site.give(films[0])
    site.page.reload()
    expect(site.page.locator("#standing")).to_have_attribute("aria-busy", "false")
    assert not [request.url for request in site.asked if TOKEN in request.url.partition("#")[0]]


def test_the_card_opens_without_the_token(make_site):
    site = make_site(token=None)
    site.page.goto(f"{site.address}/api/v1/card")
    expect(site.page.get_by_role("heading", level=1)).to_be_visible()
    expect(site.page.get_by_text(NOTICE).first).to_be_visible()


def test_without_javascript_the_page_says_what_to_do(make_site):
    site = make_site(token=None, java_script_enabled=False)
    site.page.goto(site.address)
    expect(site.page.locator("noscript code")).to_contain_text("curl -F files=@film.png")
    expect(site.page.locator("noscript code")).to_be_visible()
    expect(site.page.get_by_text(NOTICE).first).to_be_visible()


# For everyone


def test_the_keyboard_alone_leads_from_a_file_to_its_detail_and_back(site, films):
    page = site.page
    focused = "document.activeElement.id || document.activeElement.textContent.trim()"
    page.on("filechooser", lambda _: None)  # from here on the browser asks us, not the desktop
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to the files
    assert page.evaluate(focused) == "choose"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(films[:2])
    expect(page.locator("#running")).to_have_text("Done.")
    names = sorted(film.name for film in films[:2])
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == names[0]:
            break
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == names[1]
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#invert")).to_be_enabled()
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.add(page.evaluate(focused))
    assert {"film", "strength", "window", "level", "prevalence-2", "reset"} <= seen
    assert not seen & {"choose", "find", "download"}
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    assert page.evaluate(focused) == names[1]


def test_the_focus_goes_back_to_what_opened_a_dialog(site):
    button = site.page.get_by_role("button", name="Audit and test results")
    button.focus()
    site.page.keyboard.press("Enter")
    expect(site.page.locator("#audit")).to_be_visible()
    site.page.keyboard.press("Escape")
    expect(site.page.locator("#audit")).to_be_hidden()
    expect(button).to_be_focused()


def test_every_control_has_a_name_and_every_id_stands_once(site, films):
    site.give(films[0])
    site.show(films[0].name)
    bare = site.page.evaluate(
        """() => [...document.querySelectorAll("input, button, canvas, progress, output, table, dialog")].filter(each => {
            const named = each.getAttribute("aria-label") || document.getElementById(each.getAttribute("aria-labelledby"))
                || [...(each.labels ?? [])].some(label => label.textContent.trim()) || each.querySelector("caption");
            return !named && !(each.tagName === "BUTTON" && (each.textContent.trim() || each.hidden));
        }).map(each => each.outerHTML)"""
    )
    assert bare == []
    ids = site.page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
    pointed = site.page.evaluate(
        """['for', 'aria-labelledby', 'aria-describedby'].flatMap(kind => [...document.querySelectorAll(`[${kind}]`)]
            .flatMap(each => each.getAttribute(kind).split(" ")))"""
    )
    assert set(pointed) <= set(ids)
    assert [element for element in ("main", "header", "h1") if site.page.locator(element).count() != 1] == []


def contrast(ink, ground):
    """WCAG 2.2, relative luminance of sRGB."""

    def luminance(colour):
        parts = np.array(re.findall(r"[\d.]+", colour)[:3], float) / 255
        return (np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)) @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_stand_out_from_their_ground_in_light_and_dark(make_site, films, noise, scheme):
    site = make_site(color_scheme=scheme)
    page = site.open()
    site.give(file("film.jpg", films[0].read_bytes()), file("noise.png", noise), file("broken.png", b"no"))
    site.page.locator("#prevalence").fill("101")
    site.show("film.jpg")
    pairs = page.evaluate(
        """() => {
            const words = [...document.querySelectorAll("body *")].filter(each => each.offsetParent && !each.closest(".stage")
                && [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()) && !each.matches(":disabled, [aria-disabled=true]"));
            const ground = each => { for (let at = each; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (!/rgba\\(.*, 0\\)/.test(colour)) return colour; } return "rgb(255, 255, 255)"; };
            return words.map(each => [getComputedStyle(each).color, ground(each), each.textContent.trim().slice(0, 40)]);
        }"""
    )
    assert len({text for *_, text in pairs}) > 40
    assert [text for ink, ground, text in pairs if contrast(ink, ground) < 4.5] == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (contrast(paper, "rgb(0, 0, 0)") > 10) == (scheme == "light")


def test_of_several_classifiers_one_is_chosen_and_answers(small_bundle, films, browser, tmp_path):
    second = rewritten(small_bundle, tmp_path / "second.plainfilm", threshold=0.77)
    with started(small_bundle, tmp_path / "log", second, "--quiet") as server:
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(server.address)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(server.address)
        expect(page.locator("#which-model option")).to_have_count(2)
        first = page.locator("#which-model").input_value()
        page.set_input_files("#choose", [films[0]])
        expect(page.locator("#running")).to_have_text("Done.")
        page.get_by_label("Classifier").select_option("second")
        page.wait_for_url("**/?model=second")
        expect(page.locator("#says-threshold")).to_contain_text("77.0")
        expect(page.locator("#results")).to_be_hidden()
        page.set_input_files("#choose", [films[0]])
        expect(page.locator("#running")).to_have_text("Done.")
        assert [url for url in asked if url.endswith("/predict")] == [
            f"/api/v1/models/{name}/predict" for name in (first, "second")
        ]
        assert page.locator("[data-card]").first.get_attribute("href") == "api/v1/models/second/card"
        page.goto(f"{server.address}/?model=gone")
        expect(page.locator("#which-model")).to_have_value(first)
        page.close()
