import datetime as dt

import pytest

from plainfilm.data import study_dates
from plainfilm.errors import CatalogError, UsageError

START = dt.date(2025, 1, 1)


@pytest.mark.parametrize(
    ("text", "first"),
    [("2025-01-15", dt.date(2025, 1, 15)), ("2025-03", dt.date(2025, 3, 1)), ("2025", dt.date(2025, 1, 1))],
)
def test_a_start_is_a_day_a_month_or_a_year(text, first):
    assert study_dates.read_start(text) == first


@pytest.mark.parametrize("text", ["", "2025-13", "2025-02-30", "15.1.2025", "20250115", "2025-1", "soon"])
def test_anything_else_is_no_start(text):
    with pytest.raises(UsageError, match="Expected `test_from` as a day, a month or a year; received"):
        study_dates.read_start(text)


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("20241231", False),
        ("20250101", True),
        ("2025.01.01", True),
        ("2024-12-31T23:59:00", False),
        ("2025-01-01 08:15", True),
        ("20250101081500.000000", True),
        ("20250101081500", True),
        ("31.12.2024", False),
        ("02/2025", None),
        ("2025-02", True),
        ("2024", False),
        ("2025", True),
        ("January 22, 2025", True),
        ("22 Jan 2024", False),
        ("Dec 2024", False),
        ("2025年1月2日", True),
        ("20259999", None),
        ("", None),
        ("unknown", None),
    ],
)
def test_dates_are_read_as_headers_and_tables_write_them(text, later):
    assert study_dates.are_later([text], START) == [later]


def test_a_month_that_the_start_lies_in_says_no_side():
    assert study_dates.are_later(["2025-01", "2025"], dt.date(2025, 1, 15)) == [None, None]


def test_the_order_of_day_and_month_is_told_by_another_date_or_asked_for():
    start = dt.date(2024, 4, 1)
    assert study_dates.are_later(["03/04/2024", "25/12/2023"], start) == [True, False]
    assert study_dates.are_later(["03/04/2024", "12/25/2023"], start) == [False, False]
    assert study_dates.are_later(["03/04/2022", "05/06/2026"], start) == [False, True]
    for unclear in (["03/04/2024"], ["03/04/2024", "25/12/2023", "12/25/2023"]):
        with pytest.raises(CatalogError, match="day and month can be told apart"):
            study_dates.are_later(unclear, start)


def test_the_surest_name_is_the_column_of_dates_and_a_birth_date_never_is():
    assert study_dates.date_column(None, {"Date", "StudyDate_DICOM", "age"}) == "StudyDate_DICOM"
    assert study_dates.date_column(None, {"PatientBirthDate", "Birth Date"}) is None
    assert study_dates.date_column("birth date", {"Birth Date"}) == "Birth Date"
    with pytest.raises(CatalogError, match="Expected a column taken in a table"):
        study_dates.date_column("taken", {"age"})
