import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from made_audits import EXAMPLES, FOUND, NOTHING, changed, films, probe
from plainfilm.reporting.tables import audit as audit_tables
from plainfilm.reporting.tables.audit import FIRST, FROM_CHANCE, LAST, show, spot
from plainfilm.results.audit import NotRun
from plainfilm.results.estimate import UNDEFINED, Estimate

shares = st.floats(0, 1)


@given(st.lists(shares, min_size=3, max_size=3).map(sorted))
def test_an_estimate_stands_on_its_axis_in_order(numbers):
    low, value, high = numbers
    placed = spot(Estimate(value, low, high))
    assert 0 <= placed.low <= placed.at <= placed.high <= LAST
    assert placed.below is (value < 0.5)
    if value >= 0.5:
        assert placed.at >= FIRST
        expected = (value - 0.5) / 0.5
        assert (placed.at - FIRST) / (LAST - FIRST) == pytest.approx(expected, abs=1e-4)


def test_an_unknown_estimate_has_a_reason_and_no_place():
    placed = spot(UNDEFINED, why="too few images")
    assert (placed.at, placed.low, placed.high) == (None, None, None)
    assert (placed.value, placed.interval, placed.why) == ("–", "", "too few images")


def test_a_value_without_an_interval_has_a_place():
    placed = spot(Estimate(0.75, math.nan, math.nan))
    assert placed.at == pytest.approx((FIRST + LAST) / 2)
    assert (placed.low, placed.high, placed.interval) == (None, None, "")


def test_marks_and_estimates_share_their_places():
    ticks = {label: place for place, label in show(FOUND).axis.ticks}
    assert list(ticks) == ["0.5", "0.6", "0.7", "0.8", "0.9", "1"]
    assert all(spot(Estimate(value, value, value)).at == ticks[f"{value:g}"] for value in FROM_CHANCE)


def test_groups_come_in_order_with_the_highest_first_and_none_empty():
    groups = show(FOUND).groups
    assert [group.sees for group in groups] == ["no lungs", "coarse", "no image", "lungs", "everything"]
    assert [group.colour for group in groups] == ["blind", "coarse", "blind", "whole", "whole"]
    assert [row.title for row in groups[0].rows] == ["lungs blacked out", "four corners"]
    assert show(NOTHING).groups == []
    fewer = changed(FOUND, probes=[each for each in FOUND.probes if each.result.sees != "coarse"])
    assert "coarse" not in [group.sees for group in show(fewer).groups]


def test_a_probe_without_a_value_stands_last_in_its_group():
    probes = [probe("a", "coarse", UNDEFINED), probe("b", "coarse", Estimate(0.2, 0.1, 0.3))]
    assert [row.title for row in show(changed(FOUND, probes=probes)).groups[0].rows] == ["b", "a"]


@pytest.mark.parametrize("check", ["the-probe", "the probe"])
def test_the_reason_is_found_by_name_or_title(check):
    audit = changed(
        FOUND, probes=[probe("the-probe", "lungs", UNDEFINED)], not_run=(NotRun(check=check, reason="No."),)
    )
    assert show(audit).groups[0].rows[0].spot.why == "No."
    assert show(changed(audit, not_run=())).groups[0].rows[0].spot.why == "not known"


def test_each_row_has_its_own_pictures():
    rows = {row.title: row for group in show(FOUND).groups for row in group.rows}
    assert rows["provenance"].films is None
    for title, seen in (("whole image", EXAMPLES), ("four corners", films(4, 1))):
        shown = [np.asarray(pixels)[:: 128 // 64, :: 128 // 64] for pixels, _ in rows[title].films]
        assert np.array_equal(shown, seen)
    assert rows["whole image"].films[3][1] == "whole image: \u2068NORMAL, d.jpg\u2069"


def test_the_histogram_is_drawn_from_the_examples():
    dark, bright = np.full((40, 40), 20, np.uint8), np.full((40, 40), 240, np.uint8)
    dark[:20], bright[:20] = 30, 230
    drawn = [audit_tables.histogram_film(image) > 100 for image in (dark, bright)]
    assert [int(np.flatnonzero(image.any(axis=0)).mean() < 64) for image in drawn] == [1, 0]
    audit = changed(FOUND, probes=[probe("histogram", "coarse", UNDEFINED)], examples=np.stack([dark, bright]))
    assert len(show(audit).groups[0].rows[0].films) == 2


def test_a_meaning_that_only_repeats_the_title_is_left_out():
    meanings = ["aspect ratio tells the class", "markers tell the class"]
    probes = [probe("Aspect-ratio", "no image", Estimate(0.6, 0.5, 0.7), means=means) for means in meanings]
    assert [row.means for row in show(changed(FOUND, probes=probes)).groups[0].rows] == ["", "markers tell the class"]


def test_each_class_says_how_well_its_sources_are_told_or_why_not():
    sources = structs.replace(FOUND.result.sources, told_from_features={"NORMAL": Estimate(0.9, 0.8, 0.95)})
    told = show(changed(FOUND, sources=sources)).sources.told
    assert [(name, row.value, row.why) for name, row in told] == [
        ("COVID", "–", "all from one source"),
        ("NORMAL", "0.900", ""),
    ]
    both = structs.replace(sources, table=((5, 5, 5),) * 2, told_from_features={"COVID": Estimate(0.9, 0.8, 0.95)})
    assert show(changed(FOUND, sources=both)).sources.told[1][1].why == "too few images of a second source"
    assert show(changed(FOUND, sources=structs.replace(sources, told_from_features={}))).sources.told == []


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (8, 8), (700, 3), (64, 64), (65, 65), (512, 512)])
def test_a_picture_is_of_a_size_that_can_be_seen(shape):
    small = audit_tables.film(np.full(shape, 7, np.uint8))
    assert 64 <= max(small.shape) <= 128
    assert small.dtype == np.uint8


def test_few_pixels_stay_squares():
    assert set(np.unique(audit_tables.film(np.array([[0, 255], [255, 0]], np.uint8)))) == {0, 255}


def test_the_axis_of_sources_left_out_reaches_to_where_they_fall():
    assert show(FOUND).sources.left_out_axis.ticks[0][1] == "0.5"
    low = structs.replace(FOUND.result.sources.left_out[0], auroc=Estimate(0.38, 0.3, 0.46))
    sources = show(changed(FOUND, sources=structs.replace(FOUND.result.sources, left_out=(low,)))).sources
    assert sources.left_out_axis.ticks[0][1] == "0"
    assert sources.left_out[0].spot.below is False
    assert sources.left_out[0].spot.at < sources.left_out_axis.chance


def test_sources_left_out_without_a_value_come_last():
    unknown = structs.replace(FOUND.result.sources.left_out[0], auroc=UNDEFINED)
    sources = structs.replace(FOUND.result.sources, left_out=(unknown, *FOUND.result.sources.left_out))
    assert [row.spot.value for row in show(changed(FOUND, sources=sources)).sources.left_out] == ["0.613", "0.834", "–"]


def test_shares_are_of_the_source():
    rows = show(FOUND).sources.rows
    assert [name for name, _, _ in rows] == ["Ward A", "Ward B", "not named"]
    assert [[cell.share for cell in cells] for _, cells, _ in rows] == [[1, 0], [0, 1], [0, 1]]


def test_a_source_without_images_has_no_share():
    empty = structs.replace(FOUND.result.sources, table=((0, 0, 0),) * 2)
    rows = show(changed(FOUND, sources=empty)).sources.rows
    assert {cell.share for _, cells, _ in rows for cell in cells} == {None}
