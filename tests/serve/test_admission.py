import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.serve.admission import Admission, Full

STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 60), st.booleans()), max_size=40)


@given(STEPS)
def test_whatever_comes_and_goes_the_bounds_hold_and_all_returns_to_zero(steps):
    admission = Admission(files=5, held_bytes=100)
    rooms = [admission.room() for _ in range(4)]
    inside = [room.__enter__() for room in rooms]
    for which, files, held, leaves in steps:
        if leaves:
            inside[which].leave()
            continue
        before = (admission.under_way, admission.held)
        try:
            inside[which].take(files=files, held=held)
        except Full:
            assert (admission.under_way, admission.held) == before
            assert before[0] + files > 5 or before[1] + held > 100
        assert admission.under_way == sum(room.files for room in inside) <= 5
        assert admission.held == sum(room.held for room in inside) <= 100
    for room in rooms:
        room.__exit__(None, None, None)
    assert (admission.under_way, admission.held) == (0, 0)


def test_one_request_with_more_files_than_the_bound_is_let_in_alone():
    admission = Admission(files=2, held_bytes=10)
    with admission.room() as first, admission.room() as second:
        first.take(files=3)
        assert admission.is_full
        with pytest.raises(Full):
            second.take(files=1)
    assert not admission.is_full


def test_what_fails_inside_leaves_all_the_same():
    admission = Admission(files=2, held_bytes=10)
    with suppress(ZeroDivisionError), admission.room() as room:
        room.take(files=2, held=10)
        assert admission.is_full
        raise ZeroDivisionError
    assert (admission.under_way, admission.held) == (0, 0)


def test_threads_that_come_and_go_never_exceed_the_bounds():
    admission, most, turned_away = Admission(files=3, held_bytes=30), [], []

    def come_and_go():
        for _ in range(300):
            try:
                with admission.room() as room:
                    room.take(files=1)
                    room.take(held=11)
                    most.append((admission.under_way, admission.held))
            except Full:
                turned_away.append(1)

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(files for files, _ in most) <= 3
    assert max(held for _, held in most) <= 22
    assert len(most) + len(turned_away) == 2400
    assert (admission.under_way, admission.held) == (0, 0)
