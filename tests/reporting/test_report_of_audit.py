"""What a reader of the report, and of the audit's own page, sees of an audit."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

import made_metrics
from made_audits import CLEAN, EXAMPLES, FOUND, NOTHING, changed, compared_with, films, ugly
from page_reader import Page
from plainfilm.evidence.audit.findings import AuditFindings, Strip
from plainfilm.reporting.compare import ComparisonPage, write_page
from plainfilm.reporting.report import (
    AuditPage,
    Report,
    write_audit,
    write_report,
)
from plainfilm.results.audit import ForeignObject, NotRun, Probe, ProbedImages
from plainfilm.results.columns import LeftOutColumn
from plainfilm.results.comparison import Comparison, RecipeResult, Spread
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.severity import Level, Verdict, Worth

ABOUT = {"title": "COVID or NORMAL?", "created": "2025-11-23T16:20:41+00:00", "version": "9.8.7", "command": "x"}
AUDIT_PAGE = AuditPage(**ABOUT, folder="audit-3", audit=FOUND)
SPREAD = Spread(values=(0.9,), mean=0.9, sd=None, low=0.9, high=0.9)
COMPARISON = ComparisonPage(
    **{name: value for name, value in ABOUT.items() if name != "command"},
    folder="cmp",
    result=Comparison(
        recipes=(RecipeResult(recipe="default", accuracy=SPREAD, auroc=SPREAD, seconds=1.0, stability=None),),
        worth=Worth(level="caution", sentence="Nobody knows."),
        test_openings=1,
    ),
)
PLAIN = Report(
    **ABOUT,
    folder="run",
    result=made_metrics.run(made_metrics.metrics(n=3), classes=FOUND.result.sources.classes),
    subgroups=made_metrics.NO_SUBGROUPS,
)

CHIP = re.compile(r'<span class="chip (\w+)">(?:<svg.*?</svg>)?([^<]+)</span>')
WORTH = re.compile(r'<div class="worth (\w+)">(.*?)</div>', flags=re.DOTALL)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return audit_page(tmp_path_factory.mktemp("audit"), FOUND)


def said(sentence: str, level: Level = "none") -> Report:
    return replace(PLAIN, result=structs.replace(PLAIN.result, worth=made_metrics.worth(sentence, level)))


def audit_page(folder: Path, audit: AuditFindings) -> str:
    write_audit(replace(AUDIT_PAGE, audit=audit), folder)
    return (folder / "audit.html").read_text(encoding="utf-8")


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def worth(html: str) -> tuple[str, list[tuple[str, str]], str]:
    """Loudness of the box, its chips, its text."""
    found = WORTH.search(html)
    assert found
    chips = [(level, words.strip()) for level, words in CHIP.findall(re.sub(r"\s+", " ", found[2]))]
    return found[1], chips, Page(found[2]).text


@pytest.mark.parametrize(
    ("verdict", "box", "chip"),
    [
        ("no shortcut found", "none", ("clear", "No shortcut found")),
        ("shortcut possible", "caution", ("caution", "Shortcut possible")),
        ("not to be believed", "warning", ("warning", "Not to be believed")),
    ],
)
def test_the_verdict_stands_beside_the_number_with_its_sentence(
    verdict: Verdict, box: str, chip: tuple[str, str], tmp_path: Path
) -> None:
    audit = changed(FOUND, verdict=verdict)
    write_report(replace(said("Rule of sources."), audit=audit), tmp_path)
    for html in ((tmp_path / "report.html").read_text(encoding="utf-8"), audit_page(tmp_path, audit)):
        level, chips, text = worth(html)
        assert (level, chips) == (box, [chip])
        assert audit.result.sentence in text
        assert "Rule of sources." not in text
        assert html.index(audit.result.sentence) < html.index("<nav")


def test_a_number_that_was_not_audited_says_so(tmp_path: Path) -> None:
    write_report(said("Nobody knows.", "caution"), tmp_path)
    write_page(COMPARISON, tmp_path)
    for name in ("report.html", "comparison.html"):
        level, chips, _ = worth((tmp_path / name).read_text(encoding="utf-8"))
        assert (level, chips) == ("caution", [("open", "Not audited"), ("caution", "Caution")])


def test_a_leak_is_said_beside_a_clean_verdict_and_keeps_the_box_loud(tmp_path: Path) -> None:
    write_report(replace(said("The split leaks.", "warning"), audit=CLEAN), tmp_path)
    level, chips, text = worth((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert (level, chips) == ("warning", [("clear", "No shortcut found"), ("warning", "Warning")])
    assert CLEAN.result.sentence in text
    assert "The split leaks." in text


def test_a_bad_verdict_is_not_softened_by_a_mild_sentence(tmp_path: Path) -> None:
    write_report(replace(said("Small.", "caution"), audit=FOUND), tmp_path)
    assert worth((tmp_path / "report.html").read_text(encoding="utf-8"))[0] == "warning"


def test_the_picture_comes_before_the_numbers_and_the_sources_after(tmp_path: Path) -> None:
    write_report(replace(PLAIN, audit=FOUND), tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    order = [html.index(f'<section id="{name}"') for name in ("why", "result", "sources", "leaks", "limits", "data")]
    assert order == sorted(order)


def test_the_picture_has_a_row_a_probe_in_its_group(page: str) -> None:
    text = Page(section(page, "why")).text
    titles = (
        "Never sees the lungs",
        "lungs blacked out",
        "0.996 0.992–0.998",
        "four corners",
        "0.951 0.936–0.963",
        "Sees too little for a radiologist",
        "histogram",
        "0.931 0.914–0.946",
        "Sees no image at all",
        "provenance",
        "The store has no provenance.",
        "Sees the lungs only",
        "0.981 0.973–0.987",
        "Sees everything",
        "whole image",
        "0.997 0.994–0.999",
        "1,000 of 2,642 radiographs",
        "your model on the test set, 0.998 (0.995–0.999)",
    )
    places = [text.index(title) for title in titles]
    assert places == sorted(places)


def test_each_row_shows_what_the_probe_sees(page: str) -> None:
    rows = re.findall(r'<div class="seen" role="cell">(.*?)</div>', page, flags=re.DOTALL)
    assert [row.count("<img") for row in rows] == [4, 4, 4, 0, 4, 4]
    assert rows[3].count("no-film") == 4, "empty frames for what sees no image"
    assert "lungs blacked out: \u2068COVID, a.jpg\u2069" in rows[0]


def test_the_models_line_goes_through_every_row(page: str) -> None:
    why = section(page, "why")
    lines = re.findall(r'<line class="own" x1="([\d.]+)%"', why)
    assert len(lines) == 6 + 5, "rows and headings of groups"
    assert len(set(lines)) == 1


def test_a_model_without_a_known_auroc_has_no_line(tmp_path: Path) -> None:
    unknown = structs.replace(FOUND.result.compared_with, auroc=UNDEFINED)
    why = section(audit_page(tmp_path, changed(FOUND, compared_with=unknown)), "why")
    assert 'class="own' not in why
    assert "your model on the test set, not known" in Page(why).text


def test_reasons_say_rule_strength_cue_and_what_would_change_them(page: str) -> None:
    text = Page(section(page, "why").split("Reasons for the verdict")[1]).text
    assert "Not to be believed With the lungs blacked out the AUROC is as high." in text
    assert "The cue corner tag" in text
    assert "What would change it Add COVID and NORMAL images from one hospital." in text
    assert "Rule lungs-hidden" in text
    assert "Shortcut possible Each source has one class. Rule one-class-a-source" in text


def test_the_same_advice_is_given_once(tmp_path: Path) -> None:
    reason = FOUND.result.reasons[0]
    why = section(audit_page(tmp_path, changed(FOUND, reasons=(reason,) * 3)), "why")
    assert why.count(reason.sentence) == 3
    assert why.count(reason.advice) == 1


def test_what_could_not_run_is_listed_and_never_as_passed(page: str, tmp_path: Path) -> None:
    text = Page(section(page, "why").split("Could not be checked")[1]).text
    assert "These do not count as passed." in text
    assert "Not checked patients in two classes The store knows no patients." in text
    clean = changed(CLEAN, not_run=[NotRun(check="leave one source out", reason="There is one source.")])
    why = Page(section(audit_page(tmp_path, clean), "why")).text
    assert "No rule spoke against this number. Not every check could run." in why


def test_a_verdict_without_probes_does_not_read_as_passed(tmp_path: Path) -> None:
    html = audit_page(tmp_path, NOTHING)
    text = Page(html).text
    assert "No probe could run: nothing here says whether the lungs were needed." in text
    assert "No reason is recorded." in text
    assert "No rule spoke" not in text
    assert Page(section(html, "leaks")).text.endswith("Not checked. ")


def test_sources_stand_with_their_shares_and_their_association(page: str) -> None:
    sources = section(page, "sources")
    text = Page(sources).text
    assert "Ward A 898 100.0\u202f% 0 898" in text
    assert "not named 0 161 100.0\u202f% 161" in text
    assert "Cramér’s V 0.987 , 95 % interval 0.971–0.993" in text
    assert sources.count('<td class="right q5">') == 3
    assert sources.count('<td class="right q0">') == 3


def test_a_class_from_one_source_says_why_its_source_cannot_be_told(page: str) -> None:
    text = Page(section(page, "sources")).text
    assert "COVID all from one source –" in text
    assert "NORMAL 0.888 0.877–0.899" in text


@pytest.mark.parametrize(("check", "place"), [("Telling sources apart", 0), ("leave one source out", 1)])
def test_a_check_of_sources_that_could_not_run_says_why_in_its_place(check: str, place: int, tmp_path: Path) -> None:
    sources = structs.replace(FOUND.result.sources, told_from_features={}, left_out=())
    audit = changed(FOUND, sources=sources, not_run=(NotRun(check=check, reason="Only one source is known."),))
    halves = Page(section(audit_page(tmp_path, audit), "sources")).text.split("Does it travel?")
    assert ["Only one source is known." in half for half in halves] == [place == 0, place == 1]
    assert ["Not checked." in half for half in halves] == [place == 1, place == 0]


def test_sources_left_out_come_the_lowest_first(page: str) -> None:
    text = Page(section(page, "sources").split("Does it travel?")[1]).text
    assert text.index("Ward A + not named 1,059 images, each class from another source 0.613") < text.index(
        "Ward B 2,481 images 0.834"
    )


def test_more_sources_than_fit_are_counted(tmp_path: Path) -> None:
    sources = section(audit_page(tmp_path, ugly()), "sources")
    assert sources.count('<div class="dot-row" role="row">') == 10 + 30
    assert "11 more, none lower" in Page(sources).text


def test_leaks_are_shown_side_by_side_with_captions(page: str) -> None:
    leaks = section(page, "leaks")
    text = Page(leaks).text
    assert "Near neighbours across splits: 1,234 Some test images" in text
    assert "Similarity 0.991 one.jpg, train two.jpg, test" in text
    assert leaks.count("<img") == 2
    assert "Near neighbours under two labels None found." in text


def test_limits_are_stated_with_the_share_of_lungs_found(page: str, tmp_path: Path) -> None:
    text = Page(section(page, "limits")).text
    assert "A shortcut inside the lungs." in text
    assert "found in 99.5\u202f% of the radiographs" in text
    unknown = audit_page(tmp_path, changed(FOUND, lungs_found=None))
    assert "not known in how many radiographs" in Page(section(unknown, "limits")).text


def test_more_examples_than_a_row_holds_are_drawn_from_all(tmp_path: Path) -> None:
    many = films(12)
    captions = tuple(f"class {i // 3}" for i in range(12))
    probes = [replace(each, seen=None if each.seen is None else many) for each in FOUND.probes]
    html = audit_page(tmp_path, changed(FOUND, examples=many, example_captions=captions, probes=probes))
    shown = re.search(r"Pictures, from the left: (.*)", Page(section(html, "why")).text)
    assert shown
    assert re.findall(r"class \d", shown[1])[:4] == ["class 0", "class 1", "class 2", "class 3"]


def test_the_page_says_whose_number_it_is_and_when(page: str, tmp_path: Path) -> None:
    text = Page(page).text
    for shown in ("AUROC of the model on the test part", "2025-11-23 16:20 UTC", "audit-3", "12.3\u202fs"):
        assert shown in text
    whole = Page(
        audit_page(tmp_path, changed(FOUND, compared_with=compared_with(FOUND.result.compared_with.auroc)))
    ).text
    assert "AUROC of a classifier of the whole images" in whole
    assert "your model" not in whole


def test_the_same_audit_is_the_same_file(tmp_path: Path) -> None:
    one, other = (audit_page(tmp_path / name, FOUND) for name in ("one", "other"))
    assert one == other
    assert audit_page(tmp_path / "one", changed(FOUND, examples=EXAMPLES[::-1])) != other


def test_foreign_objects_are_shown_by_class_with_what_the_detector_misses(tmp_path):
    half, none = Estimate(0.5, 0.4, 0.6), Estimate(0.0, 0.0, 0.04)
    text = ForeignObject(by_class={"COVID": half, "NORMAL": none}, missed=0.23, in_real_films=0.02)
    strip = Strip(images=films(2), captions=("a.jpg, COVID", "b.jpg, COVID"), sentence="Where it is surest:")
    shown = audit_page(tmp_path, changed(FOUND, objects={"text": text}, with_objects=strip))
    table = shown[shown.index("Foreign objects inside the lungs") :].split("</table>")[0]
    assert [words in table for words in ("50", "40", "60", "23", "COVID")] == [True] * 5
    assert "a.jpg, COVID" in shown
    assert "A small detector looks for text" in shown


def test_what_probes_reach_within_each_source_stands_in_a_table(tmp_path, page):
    assert "<h3>Within each source" not in page
    east = ProbedImages(auroc=Estimate(0.912, 0.88, 0.94), n=391)
    probe = Probe(auroc=Estimate(0.61, 0.5, 0.7), n=600, title="Framing of the lungs", sees="framing", by_source={"East <b>": east, "": east})  # fmt: skip
    shown = audit_page(tmp_path, replace(FOUND, result=structs.replace(FOUND.result, probes={"framing": probe})))
    table = shown[shown.index("<h3>Within each source") :].split("</table>")[0]
    assert "Framing of the lungs" in table
    assert re.findall(r"<bdi>(.*?)</bdi>", table) == ["East &lt;b&gt;", "not named"]
    assert table.count('<span class="value">0.912</span>') == 2
    assert "0.880–0.940" in table
    assert ">391<" in table


def test_where_objects_were_not_looked_for_the_page_says_that_they_stay_in_view(page):
    assert "<h3>Foreign objects" not in page
    assert "electrodes and tubes stay in view" in page


def test_columns_that_the_store_lacks_are_named_with_what_they_tell(tmp_path: Path) -> None:
    told = LeftOutColumn(column="ward <b>", values=90, n=87, cramers_v=Estimate(0.91, 0.8, 0.99))
    columns = (
        LeftOutColumn(column="notes", values=90),
        LeftOutColumn(column="room", values=9, n=87, cramers_v=Estimate(0.1, 0, 0.2)),
        told,
    )
    page = audit_page(tmp_path, changed(FOUND, left_out_columns=columns))
    section = page.partition("Columns that are not in the store")[2].partition("</ul>")[0]
    assert "ward &lt;b&gt;</bdi></b> Cramér’s V 0.910, 95 % interval 0.800–0.990" in section
    assert section.index("ward") < section.index("room")
    assert "notes" not in section
    assert "Columns that are not in the store" not in audit_page(tmp_path, FOUND)
