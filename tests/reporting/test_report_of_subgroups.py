"""What a reader of the report sees of subgroups, and of answers at other prevalences."""

import re
from pathlib import Path

import numpy as np
import pytest

import made_metrics
from made_audits import EVIL, LONG
from page_reader import Page
from plainfilm.evidence.evaluation import clinical_utility, subgroups
from plainfilm.reporting.report import Report, write_report

CLASSES = ("COVID", "NORMAL")


def written(folder: Path, known, *, n=240, wrong=12, labels=None, with_utility=True, positive="COVID") -> str:
    labels = np.arange(n) % 2 if labels is None else labels
    n = len(labels)
    chances = np.eye(2)[np.where(np.arange(n) // 2 % wrong == 0, 1 - labels, labels)]
    known = {kind: names if names is None else np.asarray(names, np.str_) for kind, names in known.items()}
    report = Report(
        title="COVID or NORMAL?",
        created="2025-11-23T16:20:41+00:00",
        version="9.8.7",
        command="x",
        folder="run",
        result=made_metrics.run(made_metrics.metrics(n=n), classes=CLASSES, positive=positive, threshold=0.41),
        subgroups=subgroups.measure(known, labels, chances, classes=CLASSES, positive=positive, threshold=0.41),
        utility=clinical_utility.measure(labels == 0, chances[:, 0], positive=CLASSES[0], threshold=0.41) if with_utility else None,
    )  # fmt: skip
    write_report(report, folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def words(html: str) -> str:
    return re.sub(r" ([,.:])", r"\1", " ".join(Page(html).text.split()))


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> str:
    ages = np.array(["under 18", "40-64", ""])[np.arange(240) // 2 % 3]
    known = {"sex": ["F", "F", "M", "M"] * 60, "age": ages, "view": None, "manufacturer": None}
    return written(tmp_path_factory.mktemp("run"), known)


def test_each_subgroup_has_a_row_with_its_size(usual):
    found = words(section(usual, "subgroups"))
    assert "All of the test set COVID 120 NORMAL 120" in found
    assert "F COVID 60 NORMAL 60 120 in 120 groups" in found
    assert "under 18 children COVID 40 NORMAL 40" in found
    assert "not known COVID 40" in found
    assert "Not recorded: view, source, manufacturer." in found


def test_a_row_has_a_cell_a_column_for_those_who_listen(usual):
    page = Page(section(usual, "subgroups"))
    rows = sum(attributes.get("role") == "row" for attributes in page.named("tr"))
    assert rows == 1 + 1 + 2 + 2 + 3  # head, all, two kinds, two sexes, three ages
    assert sum(attributes.get("role") == "cell" for attributes in page.named("td")) == 6 * 5


def test_small_subgroups_are_said_to_be_too_small(tmp_path):
    found = words(section(written(tmp_path, {"view": ["AP"] * 4 + ["PA"] * 236}), "subgroups"))
    assert found.count("too small to say") == 4
    assert "fewer than 20 groups for an accuracy, fewer than 10 of a class" in found


def test_a_difference_and_the_comparisons_made_are_said(tmp_path):
    labels = np.arange(240) % 2
    html = written(tmp_path, {"sex": np.where(np.arange(240) // 2 % 3 == 0, "F", "M")}, wrong=3, labels=labels)
    found = words(section(html, "subgroups"))
    assert "Accuracy differs by sex: F: 0.0 % (0.0 to 4.6), M: 100.0 % (97.7 to 100.0). Chance does not explain it, all comparisons counted in." in found  # fmt: skip
    assert "3 comparisons were made" in found


def test_a_kind_that_tells_the_class_is_a_caution(tmp_path):
    labels = np.arange(240) % 2
    found = section(written(tmp_path, {"age": np.where(labels == 0, "65+", "under 18")}, labels=labels), "subgroups")
    assert '<span class="chip caution">' in found
    assert "age alone tells the class here" in words(found)


def test_predictive_values_and_both_drawings_are_shown(usual):
    found = section(usual, "utility")
    assert found.count('<div class="drawing"') == 2
    assert found.count("<tr>") == 2 + 6
    assert "In the test set 50.0 % are COVID" in words(found)
    assert "500 458 42 792" in words(found), "of 10,000 at 5 %: ill, found, missed, false alarms"
    assert "a miss weighs as much as 1.44 false alarms" in words(found)


def test_the_pictures_for_slides_lie_beside_the_page(tmp_path):
    written(tmp_path, {})
    assert {"predictive-values.png", "decision-curve.png"} <= {file.name for file in (tmp_path / "figures").iterdir()}


def test_without_both_classes_it_is_said(tmp_path):
    found = section(written(tmp_path, {"sex": ["F", "M"] * 20}, labels=np.zeros(40, int)), "utility")
    assert "A class is missing in the test set" in words(found)
    assert '<div class="drawing"' not in found


def test_more_than_two_classes_have_no_such_section(tmp_path):
    assert 'id="utility"' not in written(tmp_path, {}, with_utility=False)


def test_names_are_only_text(tmp_path):
    names = [EVIL, LONG, "مستشفى", "a\N{RIGHT-TO-LEFT OVERRIDE}b", "{{ 7 * 7 }}"]
    html = written(tmp_path, {"source": np.array(names)[np.arange(240) % 5], "view": [EVIL] * 240})
    page = Page(html)
    assert not page.crossed
    assert not page.open
    assert not list(page.named("script"))
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    assert EVIL in page.text
    assert "{{ 7 * 7 }}" in page.text
