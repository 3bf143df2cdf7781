"""The way of one file through the server: decoded in a process, then judged, in small batches, by one thread."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError
from plainfilm.evidence.inference.predictor import Predictor
from plainfilm.results.predictions import Prediction

BATCH = 8  # of one network run: more save nothing on a processor, and make the first wait for the last
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    name: str
    film: Radiograph | ImageError
    prevalence: float | None
    answer: "Future[Prediction]"


class Judge:
    """Answers for files as bytes. Thread-safe; how much may wait is for `admission.Admission` to say.

    Parameters
    ----------
    predictor
        The opened bundle.
    decoders
        Processes that decode.
    abreast
        How many files are decoded at one time.
    """

    def __init__(self, predictor: Predictor, decoders: Decoders, *, abreast: int) -> None:
        self._predictor, self._decoders = predictor, decoders
        self._threads = ThreadPoolExecutor(abreast, "decode")
        self._decoded: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._judging = threading.Thread(target=self._judge, name="judge", daemon=True)
        self._judging.start()

    @property
    def is_alive(self) -> bool:
        """Whether anything would still be answered."""
        return self._judging.is_alive()

    def ask(self, name: str, data: bytes | bytearray, *, prevalence: float | None = None) -> "Future[Prediction]":
        """Decode and judge one file. A future that is cancelled costs nothing more."""
        answer: Future[Prediction] = Future()
        self._threads.submit(self._decode, name, data, prevalence, answer)
        return answer

    def close(self) -> None:
        """Answer what was asked, then stop."""
        self._threads.shutdown(wait=True)
        self._decoded.put(None)
        self._judging.join(_STOP_S)

    def _decode(
        self, name: str, data: bytes | bytearray, prevalence: float | None, answer: "Future[Prediction]"
    ) -> None:
        if answer.cancelled():
            return
        try:
            film = self._decoders.radiograph(
                data, size=self._predictor.preprocessing.image_size, fit=self._predictor.preprocessing.fit
            )
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            if answer.set_running_or_notify_cancel():
                answer.set_exception(error)
            return
        self._decoded.put(_Waiting(name, film, prevalence, answer))

    def _judge(self) -> None:
        while (first := self._decoded.get()) is not None:
            wanted = (each for each in self._batch(first) if each.answer.set_running_or_notify_cancel())
            for prevalence, same in groupby(wanted, key=lambda each: each.prevalence):
                self._answer(list(same), prevalence)

    def _batch(self, first: _Waiting) -> Iterator[_Waiting]:
        """Give the first and what else is decoded by now."""
        yield first
        for _ in range(BATCH - 1):
            if self._decoded.empty():
                return
            following = self._decoded.get()
            if following is None:
                self._decoded.put(None)  # stop after this batch
                return
            yield following

    def _answer(self, batch: list[_Waiting], prevalence: float | None) -> None:
        try:
            answers = list(self._predictor.answer([(each.name, each.film) for each in batch], prevalence=prevalence))
        except Exception as error:  # noqa: BLE001 - whoever asked gets it, and the judge goes on
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for each in batch:  # others' files need not suffer
                self._answer([each], prevalence)
            return
        for each, answer in zip(batch, answers, strict=True):
            each.answer.set_result(answer)
