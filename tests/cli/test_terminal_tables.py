import io
import re

import pytest
from rich.console import Console

from plainfilm.cli.tables import Rows, of

INTERVAL = "98.5 % (94.8 to 99.6)"


def printed(table, width):
    file = io.StringIO()
    Console(file=file, width=width).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("columns", range(1, 9))
def test_no_interval_is_broken_at_80_columns(columns):
    names = ["", *(f"set {number} (95 % interval)" for number in range(columns))]
    said = printed(Rows(names, [[f"Metric {row}", *[INTERVAL] * columns] for row in range(10)]), 80)
    assert "\n".join(said).count(INTERVAL) == 10 * columns
    assert max(map(len, said)) <= 80


def test_columns_that_find_no_room_stand_below_with_the_first_once_more():
    classes = [f"class {number}" for number in range(14)]
    said = printed(Rows(["truth \\ called", *classes], [[name, *range(14)] for name in classes], right=True), 80)
    assert sum(line.startswith("truth") for line in said) == 3
    assert sum(line.startswith("class 3 ") for line in said) == 3
    assert max(map(len, said)) <= 80
    assert {"13"} <= {line.split()[-1] for line in said if line}


def test_texts_take_several_lines_beside_numbers_that_do_not():
    sees = "the border of the radiograph, its size, and nothing else that lies within"
    row = {"probe": "Border", "sees": sees, "AUROC": "0.973 (0.951 to 0.986)"}
    said = printed(of([row], columns=tuple(row)), 80)
    assert sum("0.973 (0.951 to 0.986)" in line for line in said) == 1
    assert len(said) > 2
    assert re.sub(r"\s+", "", sees) in re.sub(r"\s+|0\.973.*?\)|Border|probe|AUROC", "", "".join(said))


def test_a_name_wider_than_the_terminal_is_folded_and_loses_nothing():
    name = "".join(map(str, range(100)))
    said = printed(Rows(["class", "n"], [[name, 5]]), 60)
    assert name in re.sub(
        r"\s+5?|classn", "", "".join(line.removesuffix("5") if i == 1 else line for i, line in enumerate(said))
    ).replace("class", "").lstrip("n")


def test_names_are_no_markup_and_steer_nothing():
    said = printed(Rows(["[red]a"], [["[bold]\x1b[2J"]]), 80)
    assert said == ["[red]a", "[bold]\\x1b[2J"]


def test_below_stand_the_rows_that_have_something_there():
    names = ["", *(f"set {number} (95 % interval)" for number in range(3))]
    rows = [["AUROC", INTERVAL, INTERVAL, "+0.1"], ["ECE", INTERVAL, INTERVAL, ""]]
    assert [line.split()[0] for line in printed(Rows(names, rows), 60) if line][-2:] == ["set", "AUROC"]
