import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.serve.admission import Admission, Amount, Full, fits

MOST = Amount(uploads=6, files=10, held=200)
STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4), st.integers(0, 60), st.booleans()), max_size=40
)


@given(STEPS)
def test_whatever_comes_and_goes_the_bounds_hold_and_all_returns_to_zero(steps):
    admission = Admission(MOST)
    rooms = [admission.room(client) for client in ("a", "a", "b", "c")]
    inside = [room.__enter__() for room in rooms]
    for which, uploads, files, held, leaves in steps:
        room, before = inside[which], admission.under_way
        if leaves:
            room.give(room.holds)
            continue
        try:
            room.take(Amount(uploads, files, held))
        except Full:
            assert admission.under_way == before
        now = admission.under_way
        assert now.uploads == sum(room.holds.uploads for room in inside) <= MOST.uploads
        assert now.held == sum(room.holds.held for room in inside) <= MOST.held
        assert now.files == sum(room.holds.files for room in inside) < MOST.files + 4
    for room in rooms:
        room.__exit__(None, None, None)
    assert admission.under_way == Amount()
    assert admission.clients == 0


@pytest.mark.parametrize("others", range(8))
def test_clients_that_take_all_they_may_leave_as_much_as_each_has(others):
    """Of n greedy clients each comes to an (n + 1)th, and so does who comes next."""
    held = [0] * others
    for _ in range(2000):
        for number in range(others):
            held[number] += fits(held[number], sum(held), 1, 1000)
    newcomer = 0
    while fits(newcomer, sum(held) + newcomer, 1, 1000):
        newcomer += 1
    assert newcomer >= 1000 // (2 * (others + 1))
    assert all(each <= 1000 // (others + 1) + 1 for each in held[1:])


def test_one_request_with_more_files_than_its_share_is_let_in_where_its_client_has_none():
    admission = Admission(MOST)
    with admission.room("a") as first, admission.room("a") as second, admission.room("b") as other:
        first.take(Amount(files=9))
        with pytest.raises(Full) as caught:
            second.take(Amount(files=1))
        assert (caught.value.what, caught.value.retry_after_s) == ("files", 1)
        other.take(Amount(files=9))
        with admission.room("c") as third, pytest.raises(Full):
            third.take(Amount(files=1))


def test_a_client_that_holds_all_it_may_does_not_keep_another_out():
    admission = Admission(MOST)
    with admission.room("greedy") as greedy, admission.room("other") as other:
        with suppress(Full):
            while True:
                greedy.take(Amount(held=10))
        assert greedy.holds.held == 100
        other.take(Amount(held=50))
        with pytest.raises(Full):
            greedy.take(Amount(held=1))


def test_an_answer_is_held_also_where_it_does_not_fit():
    admission = Admission(MOST)
    with admission.room("a") as room:
        room.take(Amount(held=1000), must_fit=False)
        assert admission.under_way.held == 1000
    assert admission.under_way == Amount()


def test_what_fails_inside_leaves_all_the_same():
    admission = Admission(MOST)
    with suppress(ZeroDivisionError), admission.room("a") as room:
        room.take(Amount(files=2, held=10))
        raise ZeroDivisionError
    assert admission.under_way == Amount()


def test_threads_that_come_and_go_never_exceed_the_bounds():
    admission, most, turned_away = Admission(MOST), [], []

    def come_and_go(client):
        for _ in range(300):
            try:
                with admission.room(client) as room:
                    room.take(Amount(held=40))
                    room.take(Amount(held=11))
                    most.append(admission.under_way.held)
            except Full:
                turned_away.append(1)

    threads = [threading.Thread(target=come_and_go, args=(f"client {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= MOST.held
    assert len(most) + len(turned_away) == 2400
    assert admission.under_way == Amount()
