"""The work between in and out: each instance in the spool is examined once, and its answers are put into the outbox."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset

from plainfilm.reasons import reason_of
from plainfilm.results.predictions import Prediction
from plainfilm.serve.dicom import header, secondary_capture, structured_report
from plainfilm.serve.dicom.background_task import Task
from plainfilm.serve.dicom.header import HeaderError
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.narrative import DicomAnswer, Examines
from plainfilm.serve.dicom.spool import Spool
from plainfilm.serve.dicom.studies import JudgedFilm, Studies
from plainfilm.serve.explaining import Examined

_MOST_TIMES = 3  # that judging one instance may end the process, before it is answered as unreadable


class Worker(Task):
    """Answers what lies in the spool, in the order of its coming.

    `addressed` gives the name of the peer to be answered, from the sender's AE title; `examiner` judges, and may be another from one
    instance to the next. With `studies` the films of a study have one report, once no more of them come.
    """

    def __init__(
        self, spool: Spool, examiner: Examines, *, addressed: Callable[[str], str], studies: Studies | None = None
    ) -> None:
        super().__init__("judge-dicom")
        self._spool, self.examiner, self._addressed, self._studies = spool, examiner, addressed, studies
        self.judged = 0

    def answer_by(self, examiner: Examines) -> None:
        """Let another judge what is not begun. Raises UsageError where studies are answered, and it cannot."""
        if self._studies is not None:
            examiner.check_studies()
        self.examiner = examiner

    def step(self) -> None:
        """Answer one instance; one that cannot be read or answered is set aside."""
        self._spool.readmit()
        found = self._spool.next(1.0, but=self._studies.keys if self._studies else frozenset())
        if found is not None and not self.is_ending:
            try:
                self._answer(*found)
            except OSError as error:
                if self._spool.is_at_fault(error):
                    raise
                self._spool.give_up(found[0], reason_of(error))
        for films in self._studies.quiet() if self._studies and not self.is_ending else ():
            self._answer_study(films)

    def _answer(self, key: str, file: Path) -> None:
        times = self._spool.begun(key)
        data = self._spool.content(file)
        try:
            read = header.opened(data)
            source = header.source(data, syntax=read.syntax, start=read.start)
        except HeaderError as error:
            self._spool.give_up(key, str(error))
            return
        examiner = self.examiner
        examined = _examined(examiner, data) if times <= _MOST_TIMES else _unreadable("judging it ended the program")
        if self._studies is not None:
            told_of = examined.prediction
            self._studies.add(
                JudgedFilm(key=key, file=file, source=source, prediction=told_of, sender=read.sender, examiner=examiner)
            )
            return
        answer = DicomAnswer(examined=examined, identity=examiner.identity, about=examiner.about)
        try:
            answers = _made(source, answer)
        except Exception as error:  # noqa: BLE001 - whatever a hostile tag may do, this ends here
            told("dicom.no-answer", key=key, level=logging.ERROR, error=type(error).__name__)
            self._spool.give_up(key, "no report can be made of it")
            return
        self._spool.answer(key, answers, to=self._addressed(read.sender))
        self.judged += 1
        told("dicom.judged", key=key, level_of_answer=examined.prediction.level)

    def _answer_study(self, films: Sequence[JudgedFilm]) -> None:
        """Put one report on the films of a study, and a picture of the deciding one, into the outbox; the others are answered with nothing more."""
        first, *others = films
        try:
            prediction, about = first.examiner.of_study([film.prediction for film in films])
            examined = Examined(prediction=prediction, view=None, attribution=None, explained=None)
            answer = DicomAnswer(examined=examined, identity=first.examiner.identity, about=about)
            report = _of_study([film.source for film in films], answer)
        except Exception as error:  # noqa: BLE001 - whatever a hostile tag may do, this ends here
            told("dicom.no-answer", key=first.key, level=logging.ERROR, error=type(error).__name__)
            for film in films:
                self._spool.give_up(film.key, "no report can be made of its study")
            return
        to = self._addressed(first.sender)
        self._spool.answer(first.key, {"1-report": report, **self._picture(films, answer)}, to=to)
        for film in others:
            self._spool.answer(film.key, {}, to=to)
        self.judged += len(films)
        told("dicom.study-judged", key=first.key, films=len(films), level_of_answer=prediction.level)

    def _picture(self, films: Sequence[JudgedFilm], answer: DicomAnswer) -> dict[str, bytes]:
        """Make the picture of the film that speaks most, looked at once more, with the answer to the study; nothing where it cannot be made."""
        try:
            examiner = films[0].examiner
            place = examiner.deciding([film.prediction for film in films])
            if place is None:
                return {}
            seen = examiner.examine(self._spool.content(films[place].file), name="instance")
            told_of = replace(answer, examined=replace(seen, prediction=answer.examined.prediction))
            shown = secondary_capture.made(films[place].source, told_of)
        except Exception as error:  # noqa: BLE001 - a report without a picture is worth more than none
            told("dicom.no-picture", key=films[0].key, level=logging.ERROR, error=type(error).__name__)
            return {}
        return {} if shown is None else {"2-capture": shown}


def _of_study(sources: Sequence[Dataset], answer: DicomAnswer) -> bytes:
    """Make the report on several images; without what they say of the patient where that cannot be written."""
    try:
        return structured_report.made(sources[0], answer, others=sources[1:])
    except Exception:  # noqa: BLE001 - the second try names what cannot be mended
        bare = [header.without_patient(source) for source in sources]
        return structured_report.made(bare[0], answer, others=bare[1:])


def _examined(examiner: Examines, data: bytes) -> Examined:
    try:
        return examiner.examine(data, name="instance")
    except Exception as error:  # noqa: BLE001 - one instance must not stop those behind it
        told("dicom.examining-failed", level=logging.ERROR, error=type(error).__name__)
        return _unreadable("plainfilm failed on it")


def _made(source: Dataset, answer: DicomAnswer) -> dict[str, bytes]:
    """Make report and picture; without what the image says of the patient where that cannot be written."""
    try:
        return _pair(source, answer)
    except Exception:  # noqa: BLE001 - the second try names what cannot be mended
        return _pair(header.without_patient(source), answer)


def _pair(source: Dataset, answer: DicomAnswer) -> dict[str, bytes]:
    shown = secondary_capture.made(source, answer)
    return {"1-report": structured_report.made(source, answer), **({} if shown is None else {"2-capture": shown})}


def _unreadable(reason: str) -> Examined:
    prediction = Prediction(file="instance", label=None, probabilities={}, level="unreadable", reasons=(reason,))
    return Examined(prediction=prediction, view=None, attribution=None, explained=None)
