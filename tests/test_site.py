"""`make docs`: the site builds strictly, says what the parser and the docstrings say, and asks nothing of a network."""

import inspect
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import plainfilm
from browsing import APPEARANCES, SIZES, faults, needs_chromium

pytest.importorskip("material", reason="needs the extra `docs`")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """Addresses that a page loads by itself: scripts, styles, pictures, fonts, frames."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe", "source"} or (tag == "link" and values.get("rel") != "canonical"):
            self.found += [value for name in ("src", "href", "srcset") if (value := values.get(name))]


def test_no_page_loads_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = Loaded(page.read_text(encoding="utf-8")).found
        assert loaded
        assert [each for each in loaded if re.match(r"(https?:)?//", each)] == [], page


def test_every_public_name_stands_in_the_reference_with_its_arguments_their_types_and_defaults(site):
    sections = re.split(r"<h2 id=.*?>\s*", (site / "api.html").read_text(encoding="utf-8"))
    by_name = {text.split("<", 1)[0].strip(): text for text in sections}
    for name in set(plainfilm.__all__) - {"__version__"}:
        rows = re.findall(r"<tr class=\"doc-section-item\">(.*?)</tr>", by_name[f"plainfilm.{name}"], re.S)
        told = {re.search(r"<code>(.*?)</code>", row)[1]: re.sub(r"<.*?>|\s+", " ", row) for row in rows}
        if not isinstance(value := getattr(plainfilm, name), type):
            assert set(inspect.signature(value).parameters) <= set(told), name
        if name == "train":
            assert re.search(r"folds +int \| Literal\S+ +Cross-validate with 2 to 100 folds.* 0 +$", told["folds"]), (
                told["folds"]
            )


def test_every_flag_stands_in_the_reference(site):
    page = (site / "command-line.html").read_text(encoding="utf-8")
    for flag in ("--label-pattern", "--recalibrate", "--dicom-port", "--finetune"):
        assert flag in page
    assert page.count("<code>--") > 100


def test_the_search_finds_words_of_every_kind_of_page(site):
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    found = {entry["location"].partition(".")[0] for entry in entries}
    assert {"tutorial", "data", "command-line", "api", "metrics", "audit", "CHANGELOG"} <= found


@pytest.fixture(params=APPEARANCES, ids="-".join)
def page(request, browser):
    scheme, size = request.param
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    yield context.new_page()
    context.close()


@needs_chromium
@pytest.mark.parametrize("name", ["index", "tutorial", "recipes", "architecture"])
def test_a_page_can_be_read_by_everyone(site, page, name):
    page.goto((site / f"{name}.html").as_uri())
    assert faults(page) == []
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]


@needs_chromium
def test_a_page_that_is_opened_from_a_disk_can_be_searched(site, browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "tutorial.html").as_uri())
    page.locator(".md-search__input").press_sequentially("recalibrate")
    page.locator(".md-search-result__item a", has_text="Python").first.wait_for()
    assert all(url.startswith("file:") for url in asked)
    page.close()
