import threading

import pytest

from plainfilm.serve.admission import Full
from plainfilm.serve.turns import BUDGET_S, DEBT_S, OTHERS_S, OWN_S, Turn, Turns, settle
from waiting import WAIT_S, until


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Places:
    """Turns whose clock stands, and work that lasts until it is told to end."""

    def __init__(self, places=3):
        self.time, self.began, self.gates = Time(), [], {}
        self.turns = Turns(places, clock=self.time)

    def begin(self, client, name, *, is_light=False, turn=None):
        """Submit work; it begins when its turn comes."""
        gate = self.gates[name] = threading.Event()

        def work(answer):
            self.began.append(name)
            gate.wait(WAIT_S)
            settle(answer, lambda: name)

        return self.turns.submit(turn or Turn(client), work, is_light=is_light)

    def has_begun(self, *names):
        until(lambda: set(names) <= set(self.began))

    def end(self, name, future):
        self.gates[name].set()
        assert future.result(WAIT_S) == name

    def use(self, client, seconds):
        """Let a client use places for so long."""
        self.turns.charge(Turn(client), seconds)

    def left(self, client):
        with self.turns._changed:
            return self.turns._left_s(client)


@pytest.fixture
def places():
    made = Places()
    yield made
    for gate in made.gates.values():
        gate.set()
    made.turns.close()


def test_work_that_is_not_light_never_takes_the_last_place(places):
    for number in range(4):
        places.begin(f"client {number}", f"costly {number}")
    places.has_begun("costly 0", "costly 1")
    places.begin("other", "light", is_light=True)
    places.has_begun("light")
    assert places.began == ["costly 0", "costly 1", "light"]


def test_a_client_over_its_budget_has_half_of_the_other_places_and_never_the_last(places):
    places.use("greedy", BUDGET_S + 10)
    for number in range(3):
        places.begin("greedy", f"costly {number}")
        places.begin("greedy", f"light {number}", is_light=True)
    places.has_begun("costly 0", "light 0")
    places.begin("modest", "small", is_light=True)
    places.has_begun("small")
    assert sorted(places.began) == ["costly 0", "light 0", "small"]


def test_who_has_most_left_is_next_and_of_one_client_the_request_that_has_had_least(places):
    first, second = Turn("greedy"), Turn("greedy")
    running = [places.begin("greedy", f"running {n}", is_light=True, turn=first) for n in range(3)]
    places.has_begun("running 0", "running 1", "running 2")
    places.use("greedy", 1.0)
    first.spent_s = 1.0
    for name, turn in (("more", first), ("of another request", second), ("modest", Turn("modest"))):
        places.begin("", name, is_light=True, turn=turn)
    for number, next_one in enumerate(["modest", "of another request", "more"]):
        places.end(f"running {number}", running[number])
        places.has_begun(next_one)
        assert places.began[3:] == ["modest", "of another request", "more"][: number + 1]


def test_a_request_that_has_had_much_is_not_passed_over_for_ever(places):
    early = places.turns.turn("busy", is_light=True)
    early.spent_s = 1.0
    places.time.now += 0.9
    soon = places.turns.turn("busy", is_light=True)
    places.time.now += 0.2
    late = places.turns.turn("busy", is_light=True)
    assert places.turns.urgent([late, early, soon]) == [2, 1, 0]


def test_a_budget_pays_for_places_and_fills_with_its_share_of_them(places):
    future = places.begin("greedy", "costly")
    places.has_begun("costly")
    places.time.now += 20  # alone it may use all three places, and so never pays
    assert places.left("greedy") == BUDGET_S
    places.use("other", 100.0)
    places.use("third", 100.0)
    assert places.left("other") == -DEBT_S
    places.time.now += 10
    assert places.left("greedy") == BUDGET_S  # one place used, one place a second its share
    assert places.left("other") == pytest.approx(-DEBT_S + 10)
    places.end("costly", future)
    until(lambda: not places.turns._running)
    places.time.now += 1000
    places.use("other", 0.0)
    assert not places.turns._budgets, "who has a full budget is forgotten"


def test_a_debt_is_bounded(places):
    places.use("greedy", 10_000)
    assert places.left("greedy") == -DEBT_S


def test_over_the_budget_and_without_a_free_place_a_request_is_turned_away_at_once(places):
    places.begin("a", "one")
    places.begin("b", "two")
    places.has_begun("one", "two")
    places.use("greedy", BUDGET_S + 12)
    with pytest.raises(Full) as caught:
        places.turns.turn("greedy", is_light=False)
    assert (caught.value.what, caught.value.retry_after_s) == ("turns", 12)  # three share three places
    assert places.turns.turn("greedy", is_light=True).waits_s == OWN_S
    places.gates["one"].set()
    until(lambda: len(places.turns._running) == 1)
    assert places.turns.turn("greedy", is_light=False).waits_s == OWN_S, "what is idle may be used"


def test_what_has_run_long_is_not_waited_for(places):
    places.begin("a", "one")
    places.begin("b", "two")
    places.has_begun("one", "two")
    assert places.turns.turn("other", is_light=False).waits_s == OTHERS_S
    places.time.now += OTHERS_S + 0.5
    with pytest.raises(Full) as caught:
        places.turns.turn("other", is_light=False)
    assert caught.value.retry_after_s == 2
    assert places.turns.turn("other", is_light=True)


def test_light_work_is_waited_for_however_long_it_has_run_and_all_places_are_taken(places):
    places.begin("a", "one")
    places.begin("b", "two")
    places.begin("c", "light", is_light=True)
    places.has_begun("one", "two", "light")
    places.time.now += 5 * OTHERS_S
    assert places.turns.turn("other", is_light=True).waits_s == OWN_S
    with pytest.raises(Full):
        places.turns.turn("other", is_light=False)


def test_behind_its_own_files_a_client_may_wait_longer(places):
    places.begin("a", "one")
    places.begin("a", "two")
    places.has_begun("one", "two")
    places.time.now += OTHERS_S + 0.5
    assert places.turns.turn("a", is_light=False).waits_s == OWN_S
    places.time.now += OWN_S
    with pytest.raises(Full):
        places.turns.turn("a", is_light=False)


def test_what_many_wait_for_is_not_waited_for(places):
    for number in range(3):
        places.begin(f"client {number}", f"running {number}", is_light=True)
    places.has_begun("running 0", "running 1", "running 2")
    places.turns._mean_s[True] = 1.0
    for number in range(4):
        places.begin("greedy", f"waiting {number}", is_light=True)
    assert places.turns.turn("other", is_light=True), "those of a client count once at most"
    with pytest.raises(Full):
        places.turns.turn("greedy", is_light=True)


def test_what_is_cancelled_is_never_begun_and_what_waits_behind_it_is(places):
    places.begin("a", "one")
    places.begin("b", "two")
    places.has_begun("one", "two")
    futures = [places.begin("c", f"waiting {number}") for number in range(5)]
    for future in futures[:4]:
        assert future.cancel()
    places.gates["one"].set()
    places.has_begun("waiting 4")
    assert places.began == ["one", "two", "waiting 4"]


def test_work_that_waits_for_a_budget_alone_begins_when_it_has_filled(places):
    places.use("greedy", BUDGET_S + 1)
    places.begin("greedy", "one")
    places.has_begun("one")
    places.begin("greedy", "two")
    with pytest.raises(AssertionError):
        until(lambda: "two" in places.began, 0.6)
    places.time.now += 2
    places.has_begun("two")


def test_an_error_is_given_to_who_asked_and_the_place_is_free_again(places):
    for _ in range(5):
        future = places.turns.submit(Turn("a"), lambda answer: settle(answer, lambda: 1 / 0), is_light=False)
        with pytest.raises(ZeroDivisionError):
            future.result(WAIT_S)
    until(lambda: not places.turns._running)


def test_the_figures_say_how_it_stands(places):
    places.use("greedy", BUDGET_S + 1)
    for number in range(3):
        places.begin("a", f"work {number}")
    places.has_begun("work 0", "work 1")
    assert places.turns.figures() == {
        "files_waiting": 1, "decoding_places": 3, "decoding_places_taken": 2, "clients_over_budget": 1,
    }  # fmt: skip


def test_closing_does_what_was_submitted():
    made = Places()
    futures = [made.begin("a", str(number)) for number in range(10)]
    for gate in made.gates.values():
        gate.set()
    made.turns.close()
    assert [future.result(WAIT_S) for future in futures] == [str(number) for number in range(10)]
