import threading
import time
from concurrent.futures import CancelledError, wait
from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError, UsageError
from plainfilm.results.predictions import Prediction
from plainfilm.serve.batching import BATCH, Judge
from plainfilm.serve.turns import Turn, Turns
from waiting import WAIT_S, until

PREPARE = SimpleNamespace(image_size=8, fit="pad")


class Decoding:
    """Stands for the processes: the bytes say what happens, and `gate` when."""

    def __init__(self):
        self.gate, self.seen = threading.Event(), []
        self.gate.set()

    def radiograph(self, data, *, size, fit, is_wanted):
        assert (size, fit) == (8, "pad")
        until(lambda: self.gate.is_set() or not is_wanted())
        self.seen.append(bytes(data))
        if data == b"fault":
            raise ZeroDivisionError("a fault of ours")
        if data == b"bad":
            return ImageError("bad", "Expected a film; received none.")
        return Radiograph(np.full((8, 8), data[0], np.uint8), "", {})


class Predicting:
    """Stands for the predictor: keeps the batches that it is asked."""

    preprocessing = PREPARE

    def __init__(self):
        self.batches, self.gate, self.is_asked = [], threading.Event(), threading.Event()
        self.gate.set()

    def answer(self, block, *, prevalence=None):
        self.is_asked.set()
        self.gate.wait(WAIT_S)
        self.batches.append((len(block), prevalence))
        if prevalence == 7:
            raise UsageError("Expected a prevalence; received 7.")
        for name, film in block:
            if name == "poison":
                raise ValueError("a film that no network takes")
            level = "unreadable" if isinstance(film, ImageError) else "ok"
            yield Prediction(file=name, label=None, probabilities={}, level=level, at_prevalence=prevalence)


class Asking(Judge):
    """Asks one predictor for one client in one turn, where a test is not about that."""

    def __init__(self, predictor, decoders, turns):
        self._predictor = predictor
        super().__init__(decoders, turns)

    def ask(self, name, data, turn=None, *, predictor=None, **more):
        self.turn = turn or getattr(self, "turn", Turn("a"))
        return super().ask(predictor or self._predictor, name, data, self.turn, **more)

    def close(self):
        self._turns.close()
        super().close()


@pytest.fixture
def judge():
    made = Asking(Predicting(), Decoding(), Turns(3))
    yield made
    made._predictor.gate.set()
    made._decoders.gate.set()
    made.close()


def names(futures):
    return [future.result(WAIT_S).file for future in futures]


def held_up(judge, asked):
    """Ask while the predictor is held up at a first film, so that the others wait together."""
    judge._predictor.gate.clear()
    first = judge.ask("first", b"x")
    assert judge._predictor.is_asked.wait(WAIT_S)
    futures = [judge.ask(name, data, prevalence=prevalence) for name, data, prevalence in asked]
    until(lambda: len(judge._decoded) == len(asked))
    judge._predictor.gate.set()
    first.result(WAIT_S)
    return futures


def test_each_asks_and_gets_its_own_answer(judge):
    futures = [judge.ask(str(number), b"x") for number in range(50)]
    assert names(futures) == [str(number) for number in range(50)]


def test_what_waits_is_judged_together_up_to_a_batch(judge):
    held_up(judge, [(str(number), b"x", None) for number in range(BATCH + 3)])[-1].result(WAIT_S)
    assert [n for n, _ in judge._predictor.batches] == [1, BATCH, 3]


def test_each_gets_its_own_prevalence_also_in_one_batch(judge):
    asked = [(str(number), b"x", [0.1, 0.1, None, 0.2][number % 4]) for number in range(8)]
    answers = [future.result(WAIT_S) for future in held_up(judge, asked)]
    assert [answer.at_prevalence for answer in answers] == [prevalence for _, _, prevalence in asked]


def test_each_is_judged_by_the_bundle_that_was_asked_also_in_one_batch(judge):
    other = Predicting()
    judge._predictor.gate.clear()
    first = judge.ask("first", b"x")
    assert judge._predictor.is_asked.wait(WAIT_S)
    asked = [judge.ask(str(n), b"x", predictor=other if n % 2 else None) for n in range(4)]
    until(lambda: len(judge._decoded) == 4)
    judge._predictor.gate.set()
    assert names([first, *asked]) == ["first", "0", "1", "2", "3"]
    assert (sum(n for n, _ in judge._predictor.batches), sum(n for n, _ in other.batches)) == (3, 2)


def test_an_unreadable_file_is_an_answer(judge):
    assert judge.ask("a", b"bad").result(WAIT_S).level == "unreadable"


def test_a_fault_in_decoding_reaches_who_asked_and_the_judge_goes_on(judge):
    with pytest.raises(ZeroDivisionError):
        judge.ask("a", b"fault").result(WAIT_S)
    assert names([judge.ask("b", b"x")]) == ["b"]


def test_a_film_that_breaks_the_network_does_not_take_its_batch_along(judge):
    good, poison, other = held_up(judge, [("a", b"x", None), ("poison", b"x", None), ("b", b"x", None)])
    assert names([good, other]) == ["a", "b"]
    with pytest.raises(ValueError, match="no network takes"):
        poison.result(WAIT_S)
    assert judge.is_alive


def test_a_prevalence_that_cannot_be_meant_reaches_who_stated_it_alone(judge):
    wrong, right = held_up(judge, [("a", b"x", 7), ("b", b"x", 0.5)])
    assert names([right]) == ["b"]
    with pytest.raises(UsageError):
        wrong.result(WAIT_S)


def test_what_is_cancelled_is_neither_decoded_nor_judged(judge):
    judge._decoders.gate.clear()
    futures = [judge.ask(str(number), b"x") for number in range(20)]
    time.sleep(0.05)
    for future in futures:
        assert future.cancel()
    judge._decoders.gate.set()
    assert names([judge.ask("after", b"y")]) == ["after"]
    assert len(judge._decoders.seen) <= 3, "two were under way, and are given up"
    assert sum(n for n, _ in judge._predictor.batches) == 1
    with pytest.raises(CancelledError):
        futures[0].result(WAIT_S)


def test_of_what_waits_a_client_with_more_left_is_judged_first(judge):
    greedy, modest = Turn("greedy"), Turn("modest")
    judge._turns.charge(greedy, 4.0)
    judge._predictor.gate.clear()
    first = judge.ask("first", b"x", greedy)
    assert judge._predictor.is_asked.wait(WAIT_S)
    ended = []
    for number in range(2 * BATCH):
        judge.ask(f"greedy {number}", b"x", greedy).add_done_callback(lambda _: ended.append("greedy"))
    judge.ask("modest", b"x", modest).add_done_callback(lambda _: ended.append("modest"))
    until(lambda: len(judge._decoded) == 2 * BATCH + 1)
    judge._predictor.gate.set()
    first.result(WAIT_S)
    until(lambda: len(ended) == 2 * BATCH + 1)
    assert ended[0] == "modest"


def test_closing_answers_what_was_asked_before():
    made = Asking(Predicting(), Decoding(), Turns(3))
    futures = [made.ask(str(number), b"x") for number in range(30)]
    made.close()
    assert not made.is_alive
    assert not wait(futures, WAIT_S).not_done
    assert names(futures) == [str(number) for number in range(30)]


@pytest.mark.slow
def test_the_real_judge_answers_as_the_predictor_does(small_predictor, small_films, tmp_path):
    decoders = Decoders(3)
    judge = Asking(small_predictor, decoders, Turns(3))
    broken = tmp_path / "broken.png"
    broken.write_bytes(small_films[-1].read_bytes()[:200])
    paths = [*small_films[:12], broken, small_films[-1]]
    futures = [judge.ask(str(path), path.read_bytes(), prevalence=0.05) for path in paths]
    told = [future.result(WAIT_S) for future in futures]
    judge.close()
    decoders.close()
    for answer, expected in zip(told, small_predictor.predict(paths, prevalence=0.05), strict=True):
        assert (answer.file, answer.label, answer.level, answer.reasons, answer.notes) == (
            expected.file, expected.label, expected.level, expected.reasons, expected.notes)  # fmt: skip
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert answer.at_prevalence == pytest.approx(expected.at_prevalence, abs=1e-5)


@pytest.mark.slow
def test_several_threads_may_ask_one_predictor_for_lungs(small_predictor):
    """The judge and the examiner do."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 96, 96), dtype=np.uint8)
    alone = small_predictor.lungs.find(noise).masks
    found = []
    threads = [threading.Thread(target=lambda: found.append(small_predictor.lungs.find(noise).masks)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for masks in found:
        np.testing.assert_array_equal(masks, alone)
    assert len(found) == 6
