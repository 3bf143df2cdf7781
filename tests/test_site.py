"""`make docs`: the site builds strictly, says what the parser and the docstrings say, and asks nothing of a network."""

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


def test_every_public_name_and_every_argument_of_train_stands_in_the_reference(site):
    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in set(plainfilm.__all__) - {"__version__"}:
        assert f"plainfilm.{name}</" in page or f"plainfilm.{name}<a" in page, name
    assert "Cross-validate with 2 to 100 folds" in page


def test_every_flag_stands_in_the_reference(site):
    page = (site / "command-line" / "index.html").read_text(encoding="utf-8")
    for flag in ("--label-pattern", "--recalibrate", "--dicom-port", "--finetune"):
        assert flag in page
    assert page.count("<code>--") > 100


def test_the_search_finds_words_of_every_kind_of_page(site):
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    found = {entry["location"].partition("/")[0] for entry in entries}
    assert {"tutorial", "data", "command-line", "api", "metrics", "audit", "CHANGELOG"} <= found


@needs_chromium
@pytest.mark.parametrize("appearance", APPEARANCES, ids="-".join)
def test_the_tutorial_can_be_read_by_everyone(site, browser, appearance):
    scheme, size = appearance
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    page = context.new_page()
    page.goto((site / "tutorial" / "index.html").as_uri())
    assert faults(page) == []
    context.close()
