"""The way of one file through the server: decoded in a process, then judged, in small batches, by one thread."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from plainfilm.arguments import Prevalence
from plainfilm.data.decoder_pool import Decoders
from plainfilm.data.decoding.signatures import kind_of
from plainfilm.data.images import Radiograph
from plainfilm.errors import ImageError
from plainfilm.evidence.inference.predictor import Predictor
from plainfilm.results.predictions import Prediction
from plainfilm.serve.costs import is_light
from plainfilm.serve.turns import Turn, Turns, fail

BATCH = 8  # of one network run: more save nothing on a processor, and make the first wait for the last
_STOP_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    predictor: Predictor
    name: str
    film: Radiograph | ImageError
    prevalence: Prevalence | None
    answer: "Future[Prediction]"
    turn: Turn


class Judge:
    """Answers for files as bytes. Thread-safe; how much may wait is for `admission.Admission` and `turns.Turns` to say.

    Parameters
    ----------
    decoders
        Processes that decode, as many as `turns` has places.
    turns
        Whose file is decoded and judged next.
    """

    def __init__(self, decoders: Decoders, turns: Turns) -> None:
        self._decoders, self._turns = decoders, turns
        self._decoded: list[_Waiting] = []
        self._changed, self._is_closing = threading.Condition(), False
        self._judging = threading.Thread(target=self._judge, name="judge", daemon=True)
        self._judging.start()

    @property
    def is_alive(self) -> bool:
        """Whether anything would still be answered."""
        return self._judging.is_alive()

    def ask(
        self,
        predictor: Predictor,
        name: str,
        data: bytes | bytearray,
        turn: Turn,
        *,
        prevalence: Prevalence | None = None,
    ) -> "Future[Prediction]":
        """Decode one file and have it judged by an opened bundle. A future that is cancelled costs nothing more: its decoding is ended."""
        decode = partial(self._decode, predictor, name, data, turn, prevalence)
        return self._turns.submit(turn, decode, is_light=is_light(data))

    def headers(self, files: Sequence[bytes | bytearray]) -> list[Mapping[str, str]]:
        """Read what DICOM files say of patient and study; nothing of other files."""
        dicom = [place for place, data in enumerate(files) if kind_of(data) == "DICOM"]
        found: list[Mapping[str, str]] = [{} for _ in files]
        read = self._decoders.headers(partial(bytes, files[place]) for place in dicom) if dicom else ()
        for place, told in zip(dicom, read, strict=True):
            found[place] = told if isinstance(told, dict) else {}
        return found

    def close(self) -> None:
        """Answer what was asked, when `turns` is closed, then stop."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._judging.join(_STOP_S)

    def _decode(
        self,
        predictor: Predictor,
        name: str,
        data: bytes | bytearray,
        turn: Turn,
        prevalence: Prevalence | None,
        answer: "Future[Prediction]",
    ) -> None:
        try:
            film = self._decoders.radiograph(
                data,
                size=predictor.preprocessing.image_size,
                fit=predictor.preprocessing.fit,
                is_wanted=lambda: not answer.cancelled(),
            )
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            fail(answer, error)
            return
        with self._changed:
            self._decoded.append(_Waiting(predictor, name, film, prevalence, answer, turn))
            self._changed.notify()

    def _judge(self) -> None:
        while batch := self._batch():
            wanted = (each for each in batch if each.answer.set_running_or_notify_cancel())
            for _, same in groupby(wanted, key=lambda each: (id(each.predictor), each.prevalence)):
                self._timed(list(same))

    def _batch(self) -> list[_Waiting]:
        """Wait for what is decoded, and give the most urgent of it; nothing at the end."""
        with self._changed:
            while not self._decoded and not self._is_closing:
                self._changed.wait()
            if len(self._decoded) > BATCH:
                order = self._turns.urgent([each.turn for each in self._decoded])
                self._decoded = [self._decoded[at] for at in order]
            batch, self._decoded = self._decoded[:BATCH], self._decoded[BATCH:]
            return batch

    def _timed(self, batch: list[_Waiting]) -> None:
        begun = time.monotonic()
        self._answer(batch)
        for each in batch:
            self._turns.charge(each.turn, (time.monotonic() - begun) / len(batch))

    def _answer(self, batch: list[_Waiting]) -> None:
        """Answer for files that one bundle judges for one prevalence."""
        predictor, prevalence = batch[0].predictor, batch[0].prevalence
        try:
            answers = list(predictor.answer([(each.name, each.film) for each in batch], prevalence=prevalence))
        except Exception as error:  # noqa: BLE001 - whoever asked gets it, and the judge goes on
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for each in batch:  # others' files need not suffer
                self._answer([each])
            return
        for each, answer in zip(batch, answers, strict=True):
            each.answer.set_result(answer)
