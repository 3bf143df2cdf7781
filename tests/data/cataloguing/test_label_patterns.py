"""Labels out of file names by a pattern."""

import re

import pytest

from plainfilm.data.cataloguing import label_patterns
from plainfilm.data.cataloguing.label_patterns import labels_in
from plainfilm.errors import UsageError


def test_the_group_called_label_counts_else_the_first():
    names = ["a_0.png", "b_1.png", "c.png"]
    assert labels_in(names, re.compile(r"_(\d)")) == {"a_0.png": "0", "b_1.png": "1", "c.png": None}
    assert labels_in(names, re.compile(r"(.)_(?P<label>\d)"))["b_1.png"] == "1"


def test_a_pattern_that_never_ends_on_a_name_is_one_line(monkeypatch):
    monkeypatch.setattr(label_patterns, "SECONDS_A_NAME", 0.2)
    with pytest.raises(UsageError, match=r"`label_pattern` .* takes over 0.2 s on one: \(\(a\+\)\+\)\$"):
        labels_in(["a.png", "a" * 60 + "!.png"], re.compile(r"((a+)+)$"))
