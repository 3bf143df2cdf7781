import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest

from plainfilm.data.decoding import process_pool


def double(item: int) -> int:
    return 2 * item


def slow_at_first(item: int) -> int:
    time.sleep(0.2 if item < 8 else 0.0)
    return item


def deadly(item: int, *, at: frozenset[int]) -> int:
    if item in at:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def stop_at_20(item: int) -> int:
    if item == 20:
        raise ZeroDivisionError("a fault of ours")
    return item


def process_id(_: int) -> int:
    return os.getpid()


def minus(item: int) -> int:
    return -item


def counted(n: int, taken: list[int]) -> Iterator[int]:
    for item in range(n):
        taken.append(item)
        yield item


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_results_come_in_the_order_of_the_items(workers: int, n: int) -> None:
    assert list(process_pool.ordered(double, range(n), workers=workers, held=20, crashed=minus)) == [
        2 * i for i in range(n)
    ]


def test_a_slow_start_does_not_change_the_order() -> None:
    assert list(process_pool.ordered(slow_at_first, range(40), workers=2, held=32, crashed=minus)) == list(range(40))


@pytest.mark.parametrize("at", [{1}, {40}, {3, 4}, {11, 30}])
def test_only_the_deadly_items_are_lost(at: set[int]) -> None:
    results = process_pool.ordered(partial(deadly, at=frozenset(at)), range(1, 41), workers=2, held=24, crashed=minus)
    assert list(results) == [-i if i in at else i for i in range(1, 41)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("held", [1, 10, 64])
def test_no_more_items_are_taken_than_may_be_held(workers: int, held: int) -> None:
    taken: list[int] = []
    results = process_pool.ordered(double, counted(100, taken), workers=workers, held=held, crashed=minus)
    for done, _ in enumerate(results):
        assert len(taken) - done <= held


def test_one_worker_starts_no_process() -> None:
    assert set(process_pool.ordered(process_id, range(3), workers=1, held=8, crashed=minus)) == {os.getpid()}
    assert os.getpid() not in set(process_pool.ordered(process_id, range(30), workers=2, held=8, crashed=minus))


def test_a_fault_of_the_function_is_raised_and_not_taken_for_a_crash() -> None:
    with pytest.raises(ZeroDivisionError):
        list(process_pool.ordered(stop_at_20, range(40), workers=2, held=24, crashed=minus))


def test_leaving_early_stops_the_processes() -> None:
    results = process_pool.ordered(process_id, range(10_000), workers=2, held=64, crashed=minus)
    worker = next(results)
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
