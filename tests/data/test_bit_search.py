"""Rows of bits that differ in few places meet in a table, each pair once."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.data import bit_search


@given(data=st.data(), n=st.integers(0, 40), block=st.integers(1, 60))
@settings(max_examples=80)
def test_rows_of_one_code_and_different_groups_meet_once(data, n, block):
    code = data.draw(hnp.arrays(np.uint32, n, elements=st.integers(0, 4)))
    group = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 6)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bit_search, "_PAIRS_AT_ONCE", block)
        met = [tuple(pair) for pairs in bit_search.meetings(code, group) for pair in pairs.tolist()]
    expected = {(i, j) for i in range(n) for j in range(i + 1, n) if code[i] == code[j] and group[i] != group[j]}
    assert len(met) == len(set(met))
    assert set(met) == expected


@given(packed=hnp.arrays(np.uint8, st.tuples(st.integers(0, 9), st.just(4))), data=st.data())
def test_a_code_is_the_chosen_bits_as_a_number(packed, data):
    chosen = np.array(data.draw(st.lists(st.integers(0, 31), unique=True)), np.int64)
    bits = np.unpackbits(packed, axis=1)[:, chosen]
    expected = [int("".join(map(str, row)) or "0", 2) for row in bits.tolist()]
    assert bit_search.codes(packed, chosen).tolist() == expected


@pytest.mark.parametrize("n", [100, 4_000, 60_000])
@pytest.mark.parametrize("differing", [0.05, 0.177])
def test_rows_that_differ_as_much_as_they_may_hardly_ever_miss_each_other(n, differing):
    rng = np.random.default_rng(1)
    left = rng.integers(0, 2, (6_000, 512), np.uint8)
    right = left ^ (rng.random(left.shape) < differing)
    met = np.zeros(len(left), bool)
    for chosen in bit_search.tables(n, 512, differing):
        met |= (left[:, chosen] == right[:, chosen]).all(axis=1)
    assert (~met).mean() <= 6 * bit_search.MISS  # of 512 bits, not of infinitely many


def test_few_rows_all_meet_in_one_table():
    assert [chosen.tolist() for chosen in bit_search.tables(8, 512, 0.177)] == [[]]
