"""Classes that put findings together, and the findings of images that stand under such names."""

import pytest

from plainfilm.data.cataloguing.combinations import as_findings, check_no_combinations, parts_of
from plainfilm.data.cataloguing.entry import Entry
from plainfilm.data.places.place import Folder
from plainfilm.errors import CatalogError


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("Effusion|Mass", ("Effusion", "Mass")),
        ("effusion + MASS", ("effusion", "MASS")),
        ("Effusion and Mass", ("Effusion", "Mass")),
        ("Effusion with pneumonia", ("Effusion", "pneumonia")),
        ("Effusion, Mass", ("Effusion", "Mass")),
        ("Effusion_Mass", ("Effusion", "Mass")),
        ("Effusion, Pneumonia", ("Effusion, Pneumonia",)),  # a comma joins classes alone
        ("Pneumonia, viral", ("Pneumonia, viral",)),
        ("Lung_Opacity", ("Lung_Opacity",)),
        ("COVID-19", ("COVID-19",)),
        ("Sick and tired", ("Sick and tired",)),
    ],
)
def test_parts(label, parts):
    assert parts_of(label, ("Effusion", "Mass", "Normal")) == parts


def test_the_question_names_both_answers_and_either_silences_it():
    classes = ("Effusion", "Effusion|Mass", "Mass")
    with pytest.raises(CatalogError, match=r"received Effusion\|Mass, .*`?task.*findings.*classes") as caught:
        check_no_combinations(classes, None)
    assert "\n" not in str(caught.value)
    check_no_combinations(classes, "classes")
    check_no_combinations(("Effusion", "Mass", "Normal"), None)


def entry(tmp_path, label, states=()):
    held = bytes(state & 0xFF for state in states)
    return Entry(Folder(tmp_path), "a.png", "a.png", label, None, "s", None, {}, findings=held)


def test_names_of_folders_become_findings_beside_those_of_a_table(tmp_path):
    rows = [("Effusion|Mass", ()), ("Normal", ()), (None, (1, -1)), (None, (-2, -2)), ("x", (0, 1))]
    found = as_findings([entry(tmp_path, label, states) for label, states in rows], ("Effusion", "Nodule"), None)
    assert (found.names, found.trained) == (("Effusion", "Nodule", "Mass", "Normal"), ("Effusion", "Mass", "Nodule"))
    states = [[byte - 256 if byte > 127 else byte for byte in each.findings] for each in found.entries]
    assert states == [[1, 0, 1, 0], [0, 0, 0, 1], [1, -1, -2, -2], [-2, -2, -2, -2], [0, 1, -2, -2]]
    assert [each.label for each in found.entries] == ["Effusion|Mass", "No Finding", "Effusion", None, "Nodule"]


def test_where_only_what_is_present_is_written_a_blank_is_absent(tmp_path):
    found = as_findings([entry(tmp_path, None, each) for each in ((1, -2), (-2, 1), (-2, -2))], ("A", "B"), None)
    assert [list(each.findings) for each in found.entries] == [[1, 0], [0, 1], [0, 0]]
    assert [problem.code for problem in found.problems] == ["blank-is-absent"]


def test_findings_that_are_asked_for_are_there_and_more_than_one(tmp_path):
    rows = [entry(tmp_path, None, each) for each in ((1, 0, 1), (0, 1, 0))]
    assert as_findings(rows, ("A", "B", "C"), ["c", "a"]).trained == ("A", "C")
    with pytest.raises(CatalogError, match="received D"):
        as_findings(rows, ("A", "B", "C"), ["D"])
    with pytest.raises(CatalogError, match="received 1 finding: A. Ask for one by itself with `label_of`"):
        as_findings(rows, ("A", "B", "C"), ["A"])
    with pytest.raises(CatalogError, match=r"without \|, which stands between several of them; received B\|C. Rename"):
        as_findings(rows, ("A", "B|C", "D"), None)
    assert as_findings(rows, ("A", "B|C", "D"), ["A", "D"]).trained == ("A", "D")
