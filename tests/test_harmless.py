"""Names of others on a terminal and in a spreadsheet."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.harmless import harmless, write_csv

STEERS = "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\xad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\ufeff\udce4\U000e0041"


def written(*rows: list[object]) -> str:
    """What `write_csv` writes."""
    file = io.StringIO()
    write_csv(file, rows, line_end="\n")
    return file.getvalue()


@pytest.mark.parametrize("sign", STEERS)
def test_what_steers_or_cannot_be_seen_is_escaped(sign):
    shown = harmless(f"a{sign}b")
    assert shown.startswith("a\\")
    assert shown.endswith("b")
    assert shown.isprintable()


@pytest.mark.parametrize(
    "text", ["Müller", "肺炎", "می\u200cشود", "क्\u200dष", "👩\u200d⚕", "a\u00a0b", "a\u3000b", "12\u202f%", "-"]
)
def test_what_people_write_stays(text):
    assert harmless(text) == text


def test_a_joiner_between_plain_letters_is_escaped_and_two_names_stay_two():
    assert harmless("CO\u200dVID") == "CO\\u200dVID"
    assert harmless("a\x1bb") != harmless("a\x9bb")
    assert harmless("a\nb", keep="\n") == "a\nb"


@given(st.text(st.characters()))
def test_nothing_unseen_is_left(text):
    left = {unicodedata.category(sign) for sign in harmless(text) if sign not in "\u200c\u200d"}
    assert not left & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    "formula", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", '=HYPERLINK("http://e.x")', "＝1", "－1+1", "＋1", "＠x"]
)
def test_a_formula_is_text(formula):
    ((cell,),) = csv.reader(io.StringIO(written([formula])))
    assert cell == f"'{formula}"
    assert written([f"a;{formula}", "b"]).count("'") == 1
    assert written([f"\t{formula}"]).startswith(("\\t", '"\\t'))  # a tab or a line end in front hides none
    assert written([f"\r{formula}"]).startswith(("\\r", '"\\r'))


@pytest.mark.parametrize("number", ["-1", "+2.5", "-.5", "-1e-9", "0", -1, -0.5, 3])
def test_a_negative_number_stays_a_number(number):
    assert written([number]) == f"{number}\n"


@given(st.lists(st.lists(st.text(st.characters()), min_size=2, max_size=4), min_size=1, max_size=4))
def test_each_row_is_one_line_and_no_cell_begins_a_formula(rows):
    text = written(*rows)
    assert text.count("\n") == len(rows)
    assert not set(text) & set("\r\t\x1b")
    for separator in ",;":
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            for cell in row:
                assert cell[:1] not in set("=@＝＠")
                assert cell[:1] not in set("+-＋－") or cell[1:2] in set("0123456789.")
