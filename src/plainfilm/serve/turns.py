"""Whose file is decoded next: each client has a budget of decoding time, so that costly files make those wait who sent them.

A budget is a token bucket, in seconds: it fills with the client's share of the places, however many clients there are, and each
second in a place takes one out of it, also below zero. Who has most left is next; a client alone never gets below zero.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from plainfilm.serve.admission import Full

BUDGET_S = 5.0  # the most that is left to anyone, and so what may be taken at once
DEBT_S = 60.0
OTHERS_S = 1.0  # the longest wait for a first turn, where others' files are in the way
OWN_S = 10.0  # the same behind the client's own
_LONGEST_RETRY_S = 30
_WEIGHT = 0.1  # of the last file in the running mean of how long one takes
_LOOK_S = 0.25  # how often a budget is looked at, where work waits for it alone


@dataclass(slots=True, eq=False)
class Turn:
    """One request's way: when it came, `waits_s`, how long it may wait for its first place, `spent_s` in places, and whether it has `begun`."""

    client: str
    came_s: float = 0.0
    waits_s: float = OWN_S
    spent_s: float = 0.0
    begun: bool = False

    @property
    def due_s(self) -> float:
        """Its place among its client's: what a request has had counts as if it had come so much later, so that none waits for ever."""
        return self.came_s + self.spent_s


Work = Callable[["Future[Any]"], None]


@dataclass(slots=True, eq=False)
class _Job:
    turn: Turn
    is_light: bool
    work: Work
    answer: "Future[Any]" = field(default_factory=Future)
    started_s: float = 0.0
    may_take_last: bool = False


@dataclass(slots=True)
class _Budget:
    left_s: float
    at_s: float
    places: int


class Turns:
    """Runs work in threads, as many at one time as there are places, in the order of the clients' budgets. Thread-safe.

    The last place is for light work of clients with a budget left. Work that is not light, of clients without one, has half of
    the others at most.

    Parameters
    ----------
    places
        At least 3.
    clock
        Seconds that only grow.
    """

    def __init__(self, places: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.places, self._clock = places, clock
        self._budgets: dict[str, _Budget] = {}
        self._waiting: list[_Job] = []
        self._running: list[_Job] = []
        self._mean_s = {True: 0.02, False: 0.2}  # by whether work is light
        self._is_closing = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name="decode", daemon=True) for _ in range(places)]
        for thread in self._threads:
            thread.start()

    def turn(self, client: str, *, is_light: bool) -> Turn:
        """Let a request in whose turn will come soon; `is_light` if all that it brings is.

        Raises
        ------
        Full
            It would wait too long, or its client has used its budget up and no place is free.
        """
        with self._changed:
            return Turn(client, self._clock(), self._wait_s(client, is_light))

    def submit(self, turn: Turn, work: Work, *, is_light: bool) -> "Future[Any]":
        """Run work when its turn comes. It is given the future, which it settles; one that was cancelled before costs nothing."""
        job = _Job(turn, is_light, work)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job.answer

    def charge(self, turn: Turn, seconds: float) -> None:
        """Take seconds that were spent elsewhere out of a budget."""
        with self._changed:
            self._settle(turn.client, seconds=seconds)
            turn.spent_s += seconds

    def urgent(self, turns: Sequence[Turn]) -> list[int]:
        """Order turns, the most urgent first: who has most left, and of one client what is due first; by their places in the list."""
        with self._changed:
            left = {client: self._left_s(client) for client in {turn.client for turn in turns}}
        return sorted(range(len(turns)), key=lambda at: (-left[turns[at].client], turns[at].due_s))

    def figures(self) -> dict[str, float]:
        """Say how it stands, for `telemetry`."""
        with self._changed:
            over = sum(self._left_s(client) < 0 for client in self._budgets)
            return {
                "files_waiting": len(self._waiting),
                "decoding_places": self.places,
                "decoding_places_taken": len(self._running),
                "clients_over_budget": over,
            }

    def close(self) -> None:
        """Do what was submitted, then stop."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _wait_s(self, client: str, is_light: bool) -> float:
        """Seconds that a first turn may be waited for; `Full` where it is expected to take longer."""
        before = [job for job in self._waiting if job.is_light == is_light and not job.answer.cancelled()]
        left = self._left_s(client)
        if not before and self._may_start(left, is_light):
            return OWN_S
        if left < 0 and not is_light:
            raise Full("turns", _later(-left / self._filling()))
        blocking = [job for job in self._running if is_light or not job.may_take_last]
        own = sum(job.turn.client == client for job in before)
        others = {job.turn.client for job in before} - {client}
        ahead = own + sum(self._left_s(other) > left for other in others)
        # what has run long is expected to run as long again, but for light work, which is bounded
        now, usual_s = self._clock(), self._mean_s[True]
        ran = [(now - job.started_s, job.is_light) for job in blocking]
        freed = min((min(seconds, usual_s) if light else seconds for seconds, light in ran), default=0.0)
        expected = freed + ahead * self._mean_s[is_light] / self.places
        is_own = not others and all(job.turn.client == client for job in blocking)
        if expected > (may_wait := OWN_S if is_own else OTHERS_S):
            raise Full("turns", _later(expected))
        return OWN_S if is_light else may_wait

    def _may_start(self, left_s: float, is_light: bool) -> bool:
        if len(self._running) >= self.places:
            return False
        if is_light and left_s >= 0:
            return True
        held = [job for job in self._running if not job.may_take_last]
        if left_s < 0 and not is_light:
            over = sum(self._left_s(job.turn.client) < 0 for job in held if not job.is_light)
            return len(held) < self.places - 1 and over < (self.places - 1) // 2
        return len(held) < self.places - 1

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.work(job.answer)
            finally:
                self._ended(job)

    def _next(self) -> _Job | None:
        """Wait for work whose turn it is, and take a place for it; None when all is done."""
        with self._changed:
            while True:
                self._waiting = [job for job in self._waiting if not job.answer.cancelled()]
                if job := self._first():
                    self._waiting.remove(job)
                    self._running.append(job)
                    job.started_s, job.turn.begun = self._clock(), True
                    self._settle(job.turn.client, places=1)
                    return job
                if self._is_closing and not self._waiting:
                    return None
                self._changed.wait(_LOOK_S if self._waiting else None)

    def _first(self) -> _Job | None:
        left = {client: self._left_s(client) for client in {job.turn.client for job in self._waiting}}
        may = [job for job in self._waiting if self._may_start(left[job.turn.client], job.is_light)]
        job = min(may, key=lambda each: (-left[each.turn.client], each.turn.due_s), default=None)
        if job is not None:
            job.may_take_last = job.is_light and left[job.turn.client] >= 0
        return job

    def _ended(self, job: _Job) -> None:
        with self._changed:
            seconds = self._clock() - job.started_s
            self._running.remove(job)
            self._mean_s[job.is_light] += _WEIGHT * (seconds - self._mean_s[job.is_light])
            self._settle(job.turn.client, places=-1)
            job.turn.spent_s += seconds
            self._changed.notify_all()

    def _left_s(self, client: str) -> float:
        budget = self._budgets.get(client)
        if budget is None:
            return BUDGET_S
        gained = (self._clock() - budget.at_s) * (self._filling() - budget.places)
        return max(-DEBT_S, min(BUDGET_S, budget.left_s + gained))

    def _settle(self, client: str, *, places: int = 0, seconds: float = 0.0) -> None:
        """Bring a budget up to now; from now on it pays for so many places more. One that is full again is forgotten."""
        before, left = self._budgets.get(client), self._left_s(client) - seconds
        paid = places + (before.places if before else 0)
        self._budgets[client] = _Budget(max(-DEBT_S, left), self._clock(), paid)
        for each in [
            name for name, budget in self._budgets.items() if not budget.places and self._left_s(name) >= BUDGET_S
        ]:
            del self._budgets[each]

    def _filling(self) -> float:
        """Seconds a second that each budget is filled by: all places, shared by those whose budget is not full."""
        return self.places / max(1, len(self._budgets))


def settle(answer: "Future[Any]", make: Callable[[], Any]) -> None:
    """Set what is made, or the error that it meets, as the answer, if anybody still waits for it."""
    try:
        made = make()
    except Exception as error:  # noqa: BLE001 - whoever asked gets it
        fail(answer, error)
        return
    if answer.set_running_or_notify_cancel():
        answer.set_result(made)


def fail(answer: "Future[Any]", error: Exception) -> None:
    """Set an error as the answer, if anybody still waits for it."""
    if answer.set_running_or_notify_cancel():
        answer.set_exception(error)


def _later(seconds: float) -> int:
    return max(1, min(_LONGEST_RETRY_S, ceil(seconds)))
