"""The catalogue of the app's page: one file a language, the same keys, and none that is missing or needless."""

import json
import re
from functools import cache
from importlib.resources import files

import pytest

from plainfilm import NOTICE

PAGE = files("plainfilm.app") / "page"
FORMS = {"zero", "one", "two", "few", "many", "other"}
LANGUAGES = sorted(entry.name.removesuffix(".json") for entry in (PAGE / "words").iterdir())


@cache
def words(language):
    return json.loads((PAGE / "words" / f"{language}.json").read_text(encoding="utf-8"))


@cache
def sources():
    return [entry.read_text(encoding="utf-8") for entry in PAGE.iterdir() if entry.name.endswith((".js", ".html"))]


def base(key):
    """A key without the form of its plural."""
    stem, _, form = key.rpartition(".")
    return stem if form in FORMS else key


def asked():
    """Keys that the page names as they are, and patterns of those that it puts together."""
    plain = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', "".join(sources())))
    patterns = [re.escape(each) for each in re.findall(r"\bt\(`([^`]*)`", "".join(sources()))]
    return plain, [re.compile(re.sub(r"\\\$\\\{.*?\\\}", r"[a-z_]+", each)) for each in patterns]


def test_there_are_english_german_and_spanish():
    assert LANGUAGES == ["de", "en", "es"]
    offered = re.search(r"LANGUAGES = \{([^}]*)\}", (PAGE / "words.js").read_text(encoding="utf-8"))[1]
    assert sorted(re.findall(r"(\w\w):", offered)) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_keys_and_placeholders_are_those_of_english(language):
    assert list(words(language)) == list(words("en"))
    for key, text in words(language).items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", words("en")[key])), key
        assert text.strip() == text != "", key


def test_every_key_that_the_page_asks_for_exists():
    known = {base(key) for key in words("en")}
    rooms = {key.partition(".")[0] for key in known}
    plain, patterns = asked()
    assert {key for key in plain if key.partition(".")[0] in rooms} <= known
    assert [each.pattern for each in patterns if not any(each.fullmatch(key) for key in known)] == []


def test_every_key_that_exists_is_asked_for():
    plain, patterns = asked()
    told = {base(key) for key in words("en")}
    assert [key for key in told if key not in plain and not any(each.fullmatch(key) for each in patterns)] == []


def test_a_plural_has_all_forms_that_the_languages_need():
    for key in words("en"):
        if key.endswith(".one"):
            assert f"{base(key)}.other" in words("en")


def test_the_notice_is_the_one_of_the_whole_package():
    assert words("en")["page.notice"] == NOTICE


def test_no_word_stands_in_the_page_itself():
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    body = re.sub(r"<noscript>.*?</noscript>", "", html.partition("<body>")[2], flags=re.DOTALL)
    assert re.sub(r"<[^>]*>", " ", body).split() == ["plainfilm"]
