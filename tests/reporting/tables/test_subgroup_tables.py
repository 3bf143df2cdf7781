"""Subgroups as the page lays them out."""

import numpy as np
import pytest

from plainfilm.evidence.attributes import NAMES
from plainfilm.evidence.evaluation.subgroups import MOST_SUBGROUPS, measure
from plainfilm.reporting.tables.metrics import BAR_PX
from plainfilm.reporting.tables.subgroups import show

CLASSES = ("COVID", "NORMAL")


def subgroups(known, *, n=200, wrong=20, labels=None, positive="COVID"):
    """Answers of which every `wrong`-th pair is wrong."""
    labels = np.arange(n) % 2 if labels is None else labels
    chances = np.eye(2)[np.where(np.arange(n) // 2 % wrong == 0, 1 - labels, labels)]
    known = {kind: names if names is None else np.asarray(names, np.str_) for kind, names in known.items()}
    return measure(known, labels, chances, classes=CLASSES, positive=positive, threshold=0.5)


def test_a_block_a_kind_that_is_recorded_and_a_row_a_subgroup():
    shown = show(subgroups({"sex": ["F", "M"] * 100, "view": None, "age": ["18-39", "under 18"] * 100}))
    assert [(block.kind, block.title) for block in shown.blocks] == [("sex", "Sex"), ("age", "Age, years")]
    assert [(row.name, row.child) for row in shown.blocks[1].rows] == [("under 18", True), ("18–39", False)]
    assert shown.not_recorded == ["view", "source", "manufacturer"]
    assert shown.whole.n == 200
    assert shown.whole.classes == [("COVID", 100), ("NORMAL", 100)]


def test_all_bars_share_one_scale_and_a_higher_value_stands_further_right():
    sex = np.where(np.arange(200) < 100, "F", "M")
    shown = show(subgroups({"sex": sex}, wrong=4))
    cells = [cell.cell for row in (shown.whole, *shown.blocks[0].rows) for cell in row.cells]
    ends = {tuple(place for place, _ in ticks) for _, ticks in shown.columns}
    assert ends == {(5.0, BAR_PX - 5.0)}
    values = sorted((float(cell.value.split("\N{NARROW NO-BREAK SPACE}")[0]), cell.at) for cell in cells if "%" in cell.value)  # fmt: skip
    assert [at for _, at in values] == sorted(at for _, at in values)
    assert all(cell.low <= cell.at <= cell.high for cell in cells)


def test_one_uncertain_subgroup_does_not_squeeze_the_scale():
    rows = np.arange(800)
    sex, view, maker = (np.array(list("abcd"))[rows // (2 * step) % 4] for step in (1, 4, 16))
    known = {"source": np.where(rows < 20, "small", "large"), "sex": sex, "view": view, "manufacturer": maker}
    shown = show(subgroups(known, n=800))
    least = float(shown.least.split("\N{NARROW NO-BREAK SPACE}")[0])
    small = next(block for block in shown.blocks if block.kind == "source").rows[-1]
    assert least > 60 > float(small.cells[1].cell.interval.split("–")[0])
    assert small.cells[1].cell.low == 5.0, "its bar begins at the edge"
    assert [name for _, name in shown.columns[-1][1]] == [f"{least / 100:g}", "1"], "AUROC has no %"


@pytest.mark.parametrize(
    ("labels", "whys"),
    [
        (np.zeros(40, int), ["", "", "no NORMAL", "no NORMAL"]),
        (np.ones(40, int), ["", "no COVID", "", "no COVID"]),
        (np.arange(40) % 8 > 0, ["", "too small to say", "", "too small to say"]),
        (np.ones(5, int), ["too small to say", "no COVID", "too small to say", "no COVID"]),
        (np.arange(4) % 2, ["too small to say"] * 4),
    ],
)
def test_what_is_not_known_has_its_reason(labels, whys):
    row = show(subgroups({}, n=len(labels), labels=labels.astype(int))).whole
    assert [cell.why for cell in row.cells] == whys
    assert all((cell.cell.at is None) == bool(cell.why) for cell in row.cells)


def test_differences_are_written_with_both_intervals():
    sex = np.where(np.arange(200) < 100, "F", "M")
    labels = np.arange(200) % 2
    chances = np.eye(2)[np.where((sex == "F") & (np.arange(200) % 4 < 2), 1 - labels, labels)]
    shown = show(measure({"sex": sex}, labels, chances, classes=CLASSES, positive="COVID", threshold=0.5))
    first = shown.apart[0]
    assert (first.metric, first.kind, first.pairs) == ("Accuracy", "sex", 1)
    assert [name for name, _ in first.ends] == ["F", "M"]
    assert first.ends[0][1].replace("\N{NARROW NO-BREAK SPACE}", " ") == "50.0 % (40.4 to 59.6)"


def test_subgroups_left_out_are_counted():
    found = show(subgroups({"source": [f"s{row // 2}" for row in range(200)]}))
    assert len(found.blocks[0].rows) == MOST_SUBGROUPS
    assert found.blocks[0].left_out == (100 - MOST_SUBGROUPS, 200 - 2 * MOST_SUBGROUPS)


def test_nothing_to_say_is_laid_out_too():
    shown = show(subgroups({}, n=0, labels=np.zeros(0, int)))
    assert (shown.whole.n, shown.blocks, shown.not_recorded) == (0, [], list(NAMES))
