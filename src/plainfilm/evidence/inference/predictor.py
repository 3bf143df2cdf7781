"""A bundle at work: files or arrays in, one answer each out, with what stands against believing it.

Needs ONNX Runtime, NumPy, Pillow and msgspec alone (for DICOM pydicom).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, overload

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import ArrayLike, NDArray

from plainfilm import NOTICE
from plainfilm.arguments import By, Device, Method, Prevalence, checked
from plainfilm.data import decoder_pool, images
from plainfilm.data.cataloguing.folders import survey
from plainfilm.data.decoder_pool import chunks
from plainfilm.data.images import Radiograph
from plainfilm.data.places.place import Folder
from plainfilm.data.spelling import listed, plain_id
from plainfilm.engines.current import elsewhere
from plainfilm.engines.engine import Engine
from plainfilm.errors import BundleError, ImageError, UsageError
from plainfilm.evidence.outliers import detector, judging
from plainfilm.extras import frames
from plainfilm.harmless import as_html, harmless
from plainfilm.model import bundle as bundles
from plainfilm.model import devices, sites
from plainfilm.model.bundle import Bundle
from plainfilm.model.cpus import processors
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.model.scaling import logit, moved
from plainfilm.model.shared_bundle import SharedBundle
from plainfilm.model.view import ViewFinder
from plainfilm.results.predictions import UNSURE, GroupedPrediction, Prediction
from plainfilm.results.task import BETWEEN, combination

if TYPE_CHECKING:
    import pandas

    from plainfilm.evidence.inference.overlays import Explanation, Overlays

BLOCK = 32  # radiographs a step
FEW = 16  # files that are not worth starting several processes for
_PLAIN = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"}
_UNREADABLE = "unreadable"
_SHOWN = 20  # answers that a cell shows

Film = str | Path | NDArray[np.uint8]
Watcher = Callable[..., float | None]  # of a file, its pixels, the class, and what it `wants` of the pass by name
Running = Callable[..., AbstractContextManager[Engine]]  # `engines.opening.running`, which serving must not reach


def _silent(_stage: str, _done: int, _all: int, _note: str) -> None:
    """Progress that nobody sees."""


class ClassNames(tuple[str, ...]):
    """Names of classes in order; compared with one name they give bool (n), as scikit-learn's `classes_` do."""

    __slots__ = ()
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> Any:
        return np.array([name == other for name in self]) if isinstance(other, str) else tuple.__eq__(self, other)

    @property
    def shape(self) -> tuple[int]:
        """Of the array that they stand for."""
        return (len(self),)

    def tolist(self) -> list[str]:
        """Give the names as a list."""
        return list(self)


class Predictions(Sequence[Prediction]):
    """Answers in the order of the files, with columns: `labels`, `probabilities` float64 (n, classes), NaN if unreadable.

    As an array they are class names (n), as `Predictor.score` counts them: of refused radiographs too, by their probability.
    """

    def __init__(
        self, answers: Sequence[Prediction], classes: Sequence[str], called: Sequence[str | None] = ()
    ) -> None:
        self._answers, self._called, self._classes = list(answers), called, tuple(classes)
        self.labels = [answer.label for answer in self._answers]
        self.probabilities = np.array(
            [[answer.probabilities.get(name, np.nan) for name in classes] for answer in self._answers], np.float64
        ).reshape(-1, len(classes))

    def __len__(self) -> int:
        return len(self._answers)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> list[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | list[Prediction]:
        return self._answers[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        self.check_readable()
        return np.array(self._called or self.labels, dtype or str)

    def check_readable(self) -> None:
        """Raise ImageError if a file could not be read."""
        for answer in self._answers:
            if answer.level == _UNREADABLE:
                raise ImageError(_UNREADABLE, f"{answer.file}: {answer.reasons[0]}")

    def __repr__(self) -> str:
        said = (f"{a.file}: {a.label or a.level}" for a in self._answers[:5])
        return harmless(f"<{len(self):,} predictions: {', '.join(said)}{', …' if len(self) > 5 else ''}>")

    def _repr_html_(self) -> str:
        shown = [*islice(self._rows(), _SHOWN)]
        told = [name for name in (shown[0] if shown else ()) if any(_short(row[name]) != "" for row in shown)]
        more = f"<p>and {len(self) - _SHOWN:,} more</p>" if len(self) > _SHOWN else ""
        return as_html([[_short(row[name]) for name in told] for row in shown], told) + more

    def to_frame(self) -> "pandas.DataFrame":
        """Give a pandas DataFrame, a row an answer: file, class, level, a probability a class, at_prevalence, reasons, notes.

        Of findings with two thresholds each there is also `unsure`, `Effusion|Mass`.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        unsure = ["unsure"] if self._tells_unsure else []
        columns = ["file", "class", "level", *map(_column, self._classes), *unsure, "at_prevalence", "reasons", "notes"]
        table: pandas.DataFrame = frames("answers").DataFrame.from_records([*self._rows()], columns=columns)
        return table

    @property
    def _tells_unsure(self) -> bool:
        return any(answer.unsure is not UNSET for answer in self._answers)

    def _rows(self) -> Iterator[dict[str, Any]]:
        tells_unsure = self._tells_unsure
        for answer in self._answers:
            chances = {_column(name): answer.probabilities.get(name, np.nan) for name in self._classes}
            told = {"reasons": "; ".join(answer.reasons), "notes": "; ".join(answer.notes)}
            named = {"file": answer.file, "class": answer.label, "level": answer.level}
            unsure = {"unsure": BETWEEN.join(answer.unsure or ())} if tells_unsure else {}
            yield named | chances | unsure | {"at_prevalence": answer.at_prevalence} | told


def _short(value: object) -> object:
    """Write a probability with three decimals, and nothing where there is none."""
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return ""
    return f"{value:.3f}" if isinstance(value, float) else value


def _column(name: str) -> str:
    return f"probability {name}"


class Finders:
    """The networks that every bundle looks through beside its own, each opened when it is first needed: predictors may share them."""

    @cached_property
    def views(self) -> ViewFinder:
        """Tells the views of radiographs."""
        return ViewFinder()

    @cached_property
    def lungs(self) -> LungFinder:
        """Finds lung fields."""
        return LungFinder()


class Predictor:
    """An opened bundle that answers for files and arrays; `plainfilm.load` makes one.

    Attributes
    ----------
    bundle : Bundle
        Classifier, manifest, metrics, recipe and card.
    classes_ : tuple of str
        In the order of the columns of `predict_proba`.
    preprocessing : FilePreprocessing
        Size and fit that radiographs are decoded to, and the size that the network looks at.
    prevalence : float or None
        Of the positive class in the data that the probabilities were calibrated on; None with more than two classes,
        and where they are not calibrated.
    prevalences : dict of str to float
        Of each finding in the data that its probability was calibrated on; empty of classes, and without those that are not
        calibrated.
    site : str or None
        The hospital whose calibration is used; None for the bundle's own.
    watch : callable or None
        Called with each radiograph, or the error in its place, and the answer, by `answer` and what goes through it.
    finders : Finders
        Of its own, unless they are replaced by those of another.
    shared : SharedBundle or None
        The bundle as other processes open it; None where no path is known.
    """

    def __init__(
        self, bundle: Bundle, *, site: str | None = None, path: Path | None = None, running: Running | None = None
    ) -> None:
        self.site = site
        if site is not None:
            bundle = sites.at(bundle, sites.find(bundle, site))
        self.shared = SharedBundle.of(bundle, path, site) if path else None
        self._running = running
        self.bundle, self.classes_ = bundle, ClassNames(bundle.classifier.classes_)
        self._decision, self.preprocessing = bundle.classifier.decision, bundle.manifest.preprocessing
        self._detector, self.finders = detector.opened(bundle.outliers), Finders()
        positive = self._decision.positive
        share = bundle.manifest.prevalence[positive] if positive else None
        if share is not None and not 0 < share < 1:
            raise BundleError(
                f"Expected a bundle whose prevalence is between 0 and 1; received one of {share}. Train it again."
            )
        self.prevalence = share if bundle.metrics.is_calibrated else None
        self.prevalences = _prevalences(bundle)
        self.watch: Callable[[Radiograph | ImageError, Prediction], None] | None = None

    @checked
    def predict(
        self,
        films: Film | Iterable[Film],
        *,
        prevalence: Prevalence | None = None,
        explain: str | Path | None = None,
        explain_by: Method = "auto",
        explain_seconds: float = 10.0,
        show_text: bool = False,
        workers: int = 0,
        cluster: str | None = None,
        mixed: bool = False,
        by: By | None = None,
        patients: str | Path | Sequence[str] | None = None,
        progress: Callable[[str, int, int, str], None] = _silent,
    ) -> Predictions:
        """Answer for paths (also of folders and DICOM files), or for gray uint8 arrays (h, w) or (n, h, w), bones bright.

        Parameters
        ----------
        films
            One or many. A file that cannot be read gives an answer of level "unreadable".
        prevalence
            Share of the positive class, 0 to 1, where the answers are used; by default `self.prevalence`. Of findings by name,
            ``{"Effusion": 0.1}``; one that is left out keeps its own of `self.prevalences`.
        explain
            A folder for one picture a radiograph of where the model looked.
        explain_by
            "gradcam", "occlusion", which is slower, or "auto": the first where the network has maps.
        explain_seconds
            Seconds that occlusion may take for a radiograph: a slow network is asked with fewer, larger squares.
        show_text
            Leave text in these pictures, such as a burned-in name, uncovered.
        workers
            Processes that decode; 0 for one a processor where there are many files.
        cluster
            here, local:N for N processes of this machine, or a Dask scheduler, tls://HOST:8786: docs/cluster.md. By default what
            PLAINFILM_CLUSTER says, or here. Arrays are answered here.
        mixed
            Let processors of several kinds answer: probabilities differ in their last bits by the machine that gave them.
        by
            "study" or "patient": one answer for all films of one, `GroupedPrediction`, joined as training chose.
        patients
            With `by`, who is on the films: a table with file names and patients or studies, or a text for each film; by default DICOM headers.
            A film of which nothing is known, or a placeholder such as `Anonymous`, stands alone.
        progress
            Called with a stage, files done, all files, and a note, while others answer.

        Raises
        ------
        UsageError
            An array of another kind, or a prevalence that cannot be meant.
        EngineError
            The cluster cannot do the work.
        """

        def advance(done: int, every: int) -> None:
            progress("Predicting", done, every, "")

        overlays = self._overlays(Path(explain), explain_by, explain_seconds, shows_text=show_text) if explain else None
        with self._running(cluster or "", mixed=mixed) if self._running else nullcontext():
            given, sent, units = _several(films), None, list[int]()
            if by is not None:
                given, units = self._grouped(given, by, patients)
            if elsewhere():
                from plainfilm.evidence.inference.pieces import sent_of  # it knows predictors

                given = [*given]
                sent = sent_of(self, given, prevalence=prevalence, workers=workers, overlays=overlays, advance=advance)
            found = sent or self.stream(given, prevalence=prevalence, workers=workers, explain=overlays)
            answers: list[Prediction] = list(found)
        if by is not None:
            from plainfilm.evidence.inference import grouping  # it knows predictors

            answers = [*grouping.joined(self, answers, units, by, prevalence=prevalence)]
        return Predictions(answers, self.classes_, [self._called(answer) for answer in answers])

    def _grouped(
        self, films: Iterable[Film], by: By, patients: str | Path | Sequence[str] | None
    ) -> tuple[list[Film], list[int]]:
        """Give films one by one, with the number of the study or patient of each."""
        from plainfilm.evidence.inference import grouping  # it knows predictors

        grouping.ways_of(self)
        given = [*films]
        if patients is not None and not isinstance(patients, str | Path):
            if len(patients) != len(given):
                raise UsageError(
                    f"Expected a patient for each of {len(given):,} films; received {len(patients):,}. Give one for each."
                )
            return given, grouping.apart([text if plain_id(text) else "" for text in map(str, patients)])
        if not all(isinstance(film, str | Path) for film in given):
            raise UsageError("Expected patients with arrays, a text for each; received none. Add patients=[…].")
        named = paths([film for film in given if isinstance(film, str | Path)])[0]
        return [*named], grouping.units_of(named, by, patients)[0]

    def _overlays(self, folder: Path, method: Method, seconds: float, *, shows_text: bool) -> "Overlays":
        from plainfilm.evidence.inference.overlays import Overlays  # it knows predictors

        return Overlays(folder, self, method=method, seconds=seconds, shows_text=shows_text)

    def _called(self, answer: Prediction) -> str | None:
        """Class of an answer at the threshold, refused or not; None where it could not be read."""
        if not answer.probabilities:
            return None
        chances, ways = np.array([[answer.probabilities[name] for name in self.classes_]]), self._decision.ways
        if ways and isinstance(answer, GroupedPrediction):
            cuts = np.array([how.threshold for how in ways.values()])
            if self._decision.task == "findings":
                return combination(np.array(self.classes_.tolist())[self._decision.called(chances, cuts)[0]].tolist())
            return self.classes_[int(self._decision.predict(chances, cuts)[0])]
        return self._decision.named(chances)[0]

    @checked
    def stream(
        self,
        films: Film | Iterable[Film],
        *,
        prevalence: Prevalence | None = None,
        workers: int = 0,
        explain: Watcher | None = None,
    ) -> Iterator[Prediction]:
        """Give the same answers one by one, in constant memory, however many radiographs there are.

        `explain(file, pixels, class_index)` is called for each radiograph that can be read, and returns `in_lungs`.
        """
        self.stated(prevalence)
        return (
            each
            for block in chunks(self._read(_several(films), workers), BLOCK)
            for each in self.answer(block, prevalence=prevalence, explain=explain)
        )

    @checked
    def predict_proba(self, films: Film | Iterable[Film]) -> NDArray[np.float64]:
        """Calibrated probabilities float64 (n, classes); a file that cannot be read is an error here.

        Raises
        ------
        ImageError
            A file that cannot be read.
        """
        answers = self.predict(films)
        answers.check_readable()
        return answers.probabilities

    def score(self, films: Film | Iterable[Film], labels: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy at the threshold against class names (n). Refused radiographs count by their probability, like any other.

        `sample_weight` float (n) says how much each counts.

        Raises
        ------
        UsageError
            Labels that are no names of classes, or not one a radiograph.
        ImageError
            A file that cannot be read.
        """
        if self._decision.task == "findings":
            raise UsageError(
                "Expected a classifier of classes, whose accuracy is one number; received one of several findings. Count each of them from predict_proba."
            )
        truth = np.asarray(labels)
        unknown = sorted({str(label) for label in truth.ravel().tolist() if label not in self.classes_.tolist()})
        if unknown:
            raise UsageError(
                f"Expected labels among {', '.join(self.classes_)}; received {listed(unknown)}. Give names of classes: a store's "
                "numbers are named by store.classes[number]."
            )
        called = np.asarray(self.predict(films))
        if truth.shape != called.shape:
            raise UsageError(f"Expected {len(called)} labels, one a radiograph; received shape {truth.shape}.")
        return float(np.average(called == truth, weights=None if sample_weight is None else np.asarray(sample_weight)))

    # What scikit-learn asks of a classifier; it is not imported here.

    _estimator_type = "classifier"

    def fit(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a bundle is fitted, and `plainfilm.train` makes another."""
        raise UsageError("Expected no training of a bundle, which is trained. Train another with plainfilm.train.")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> "Predictor":
        return self  # as FrozenEstimator does: there is nothing to begin anew

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: ARG002 - its name in scikit-learn
        """Give what a training could be set by: nothing."""
        return {}

    def __sklearn_tags__(self) -> SimpleNamespace:
        return SimpleNamespace(
            estimator_type=self._estimator_type,
            requires_fit=True,
            no_validation=True,
            non_deterministic=False,
            array_api_support=False,
            _skip_test=False,
            transformer_tags=None,
            regressor_tags=None,
            classifier_tags=SimpleNamespace(poor_score=False, multi_class=True, multi_label=False),
            target_tags=SimpleNamespace(
                required=True,
                one_d_labels=True,
                two_d_labels=False,
                positive_only=False,
                multi_output=False,
                single_output=True,
            ),
            input_tags=SimpleNamespace(
                one_d_array=True,
                two_d_array=False,
                three_d_array=True,
                sparse=False,
                categorical=False,
                string=True,
                dict=False,
                positive_only=False,
                allow_nan=False,
                pairwise=False,
            ),
        )

    def stated(self, prevalence: Prevalence | None) -> Prevalence | None:
        """Give the prevalence that answers are for: the one that is stated, or that of the calibration.

        Of findings one each, by name; None where none is stated of them.

        Raises
        ------
        UsageError
            One that cannot be meant.
        """
        if prevalence is None:
            return self.prevalence
        several = len(self.classes_) > 2 and self._decision.task == "classes"
        if several or (self.prevalence is None and not self.prevalences):
            why = "answers are of more than two classes" if several else "probabilities are not calibrated"
            raise UsageError(f"Expected no prevalence: this classifier's {why}. Leave it out.")
        self._decision.check_prevalence(prevalence)
        if not isinstance(prevalence, Mapping):
            return prevalence
        if unknown := [name for name in prevalence if name not in self.prevalences]:
            raise UsageError(
                f"Expected prevalence of findings whose probability is calibrated at one ({listed([*self.prevalences])}); received {listed(unknown)}. Leave it out."
            )
        return {**self.prevalences, **prevalence}

    def _read(self, films: Iterable[Film], workers: int) -> Iterator[tuple[str, Radiograph | ImageError]]:
        """Read what comes, arrays and files in turn as they stand."""
        size, fit = self.preprocessing.image_size, self.preprocessing.fit
        alone = self.bundle.classifier.device != devices.CPU
        named: list[str] = []
        number = 0
        for film in films:
            if not isinstance(film, str | Path | np.ndarray):
                raise UsageError(f"Expected films that are paths or gray uint8 arrays; received {film!r:.60}.")
            if not isinstance(film, np.ndarray):
                named += paths([film])[0]
                continue
            yield from decoded(named, size, fit, workers, alone=alone)
            named = []
            for gray in [film] if film.ndim == 2 else film:
                square = images.fitted(gray, size=size, fit=fit)
                height, width = gray.shape
                yield f"array {number}", Radiograph(square, "", {"width": width, "height": height})
                number += 1
        yield from decoded(named, size, fit, workers, alone=alone)

    def answer(
        self,
        block: Sequence[tuple[str, Radiograph | ImageError]],
        *,
        prevalence: Prevalence | None = None,
        explain: Watcher | None = None,
    ) -> Iterator[Prediction]:
        """Answer for radiographs that are decoded already, at the size and fit of the manifest's preprocessing, in one pass.

        Parameters
        ----------
        block
            Names, each with its radiograph, or with the error that came in its place.
        prevalence, explain
            As in `stream`. Outputs of the network that `explain.wants` names are given to it by name, of the same pass.
        """
        for (_, film), made in zip(block, self._answers(block, prevalence, explain), strict=True):
            if self.watch:
                self.watch(film, made)
            yield made

    def _answers(
        self,
        block: Sequence[tuple[str, Radiograph | ImageError]],
        prevalence: Prevalence | None,
        explain: Watcher | None,
    ) -> Iterator[Prediction]:
        stated = self.stated(prevalence)
        films = [film for _, film in block if isinstance(film, Radiograph)]
        found = iter(self._judge(films, getattr(explain, "wants", ())) if films else ())
        for file, film in block:
            if isinstance(film, ImageError):
                yield Prediction(file=file, label=None, probabilities={}, level=_UNREADABLE, reasons=(str(film),))
                continue
            chance, level, reasons, notes, seen = next(found)
            chosen = self._chosen(chance)
            yield Prediction(
                file=file,
                **self._said(chance, level),
                probabilities=dict(zip(self.classes_, chance.tolist(), strict=True)),
                reasons=reasons,
                notes=notes,
                at_prevalence=self._moved(chance, stated),
                at_prevalences=self._each_moved(chance, stated),
                in_lungs=explain(file, film.pixels, chosen, **seen) if explain else None,
            )

    def _chosen(self, chance: NDArray[np.float64]) -> int:
        """Index of the class that is called; of findings the one that stands highest above its threshold, or least below."""
        if self._decision.task == "findings":
            return int(np.argmax(logit(chance) - logit(np.array(self._decision.thresholds))))
        return int(self._decision.predict(chance[None])[0])

    def _said(self, chance: NDArray[np.float64], level: str) -> dict[str, Any]:
        """Give the answer and its level, by their names in `Prediction`."""
        decision = self._decision
        if decision.task == "findings":
            return called_of(decision.classes, chance, decision.thresholds, decision.lower_thresholds, level)
        if level != "refused" and decision.unsure(chance[None])[0]:
            level = UNSURE
        return {
            "label": None if level in {"refused", UNSURE} else decision.named(chance[None])[0],
            "level": level,
        }

    def _judge(
        self, films: Sequence[Radiograph], wanted: Sequence[str] = ()
    ) -> Iterator[tuple[NDArray[np.float64], str, tuple[str, ...], tuple[str, ...], dict[str, NDArray[np.float32]]]]:
        """Give probabilities (classes), level, reasons and notes of each radiograph, and what is wanted of the network's outputs."""
        pixels = np.stack([film.pixels for film in films])
        logits, features, *seen = self.bundle.classifier.run(pixels, "logits", "features", *wanted)
        chances = self._decision.probabilities(logits)
        views = self.finders.views.find(pixels)
        judged = judging.judge(self._detector, features, views=views, pixels=pixels)
        levels, why = judged.level, judged.reason
        doubtful = (levels == "refused") | ((levels != "ok") & ~views.known)
        odd = np.flatnonzero(doubtful) if self._detector is not None else np.arange(len(films))
        without = set(odd[~self._find_lungs(pixels[odd])].tolist())
        for row, film in enumerate(films):
            notes = (*(("no lungs found",) if row in without else ()), *_quality(film, self.preprocessing.input_size))
            looked = {name: output[row] for name, output in zip(wanted, seen, strict=True)}
            yield chances[row], str(levels[row]), (str(why[row]),) if why[row] else (), notes, looked

    @checked
    def explain(self, film: Film, *, method: Method | None = None) -> "Explanation":
        """Answer for one radiograph, and say where in it what spoke for the answer lies.

        Parameters
        ----------
        film
            A path, or a gray uint8 array (h, w), bones bright.
        method
            "gradcam", or "occlusion", which is slower; by default, or by "auto", Grad-CAM where the network has maps.

        Raises
        ------
        ImageError
            A file that cannot be read.
        UsageError
            Another method, or one that this network has not; a folder or several arrays.
        """
        from plainfilm.evidence.inference import overlays

        return overlays.explain_one(self, film, method=method)

    def __repr__(self) -> str:
        where = f" for {self.site}" if self.site else ""
        told = (", " if self._decision.task == "findings" else " or ").join(self.classes_)
        return harmless(f"<Predictor of {told}, {self.bundle.manifest.backbone.name}{where}>")

    def _repr_html_(self) -> str:
        from plainfilm.evidence.inference.context import About, in_one  # it knows predictors

        said = About.of(self)
        at = (
            f"{said.positive} from a probability of {said.threshold:.3f}"
            if said.positive
            else "each finding from its own threshold on"
            if said.task == "findings"
            else "the most probable class"
        )
        rows = [
            ["Findings", ", ".join(self.classes_)]
            if said.task == "findings"
            else ["Classes", " or ".join(self.classes_)],
            ["Answers", at],
            ["Backbone", self.bundle.manifest.backbone.name],
        ]
        rows += [["Calibrated", said.calibration]] if said.calibration else []
        rows += [["Worth", in_one(said.worth)], ["Use", NOTICE]]
        return as_html(rows)

    @property
    def lungs(self) -> LungFinder:
        """The lung fields' model, opened when it is first needed."""
        return self.finders.lungs

    def _find_lungs(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return self.lungs.find(pixels).found if len(pixels) else np.ones(0, bool)

    def _each_moved(self, chance: NDArray[np.float64], stated: Prevalence | None) -> dict[str, float] | UnsetType:
        """Move each finding's probability to its prevalence, where some are stated."""
        if not isinstance(stated, Mapping):
            return UNSET
        told = dict(zip(self.classes_.tolist(), chance.tolist(), strict=True))
        return {name: moved(told[name], self.prevalences[name], share) for name, share in stated.items()}

    def _moved(self, chance: NDArray[np.float64], prevalence: Prevalence | None) -> float | None:
        """Move the positive class's probability from the prevalence of the calibration to another one."""
        if (
            prevalence is None
            or isinstance(prevalence, Mapping)
            or self.prevalence is None
            or not self._decision.positive
        ):
            return None
        value = float(chance[self.classes_.index(self._decision.positive)])
        return moved(value, self.prevalence, prevalence)


def called_of(
    names: Sequence[str], chance: NDArray[np.float64], upper: Sequence[float], lower: Sequence[float], level: str
) -> dict[str, Any]:
    """Give the findings that are called and those that are unsure, and what comes of them, by the names in `Prediction`.

    Parameters
    ----------
    names, chance
        The findings, and the probability of each, float64 (k).
    upper, lower
        Their thresholds, 0 to 1; `lower` empty where there is one each.
    level
        What was made of the radiograph; where nothing is called, and one finding is unsure, the answer is too.
    """
    if level == "refused":
        return {"label": None, "level": level, "findings": (), "unsure": () if lower else UNSET}
    is_called = chance >= np.array(upper)
    called = tuple(name for name, own in zip(names, is_called, strict=True) if own)
    open_ = ~is_called & (chance >= np.array(lower or upper))
    unsure = tuple(name for name, own in zip(names, open_, strict=True) if own)
    is_unsure = bool(unsure) and not called
    return {
        "label": None if is_unsure else combination(called),
        "level": UNSURE if is_unsure else level,
        "findings": called,
        "unsure": unsure if lower else UNSET,
    }


def _prevalences(bundle: Bundle) -> dict[str, float]:
    """Give the prevalence that each finding's probability is right at, by finding; nothing of classes."""
    if bundle.classifier.decision.task == "classes":
        return {}
    shares, told = bundle.manifest.prevalence, bundle.metrics.findings or {}
    fitted = {name for name, own in told.items() if own.recalibrated}
    known = [name for name in bundle.classifier.classes_ if bundle.metrics.is_calibrated or name in fitted]
    return {name: shares[name] for name in known if 0 < shares[name] < 1}


def opened(
    path: str | Path,
    *,
    require_signature: str | Path | None = None,
    site: str | None = None,
    device: Device | None = None,
    running: Running | None = None,
    prepare: bool = False,
) -> Predictor:
    """Open a bundle as `plainfilm.load` does, which says what the arguments are; beside another engine, for the processor.

    `running` opens engines: without it the predictor answers here alone. `prepare` is that of `model.bundle.load`.
    """
    place = bundles.place_of(path)
    with devices.using(devices.CPU if elsewhere() and device in {None, "auto"} else device):
        bundle = bundles.load(place, require_signature=require_signature, prepare=prepare)
    if bundle.classifier.device != devices.CPU:
        bundle.classifier.prepare()
    return Predictor(bundle, site=site, path=place, running=running)


def paths(films: Iterable[str | Path]) -> tuple[list[str], list[str]]:
    """Files as they are named, and of a folder the radiographs below it; and for each folder what was passed over there."""
    found, passed_over = list[str](), list[str]()
    for film in map(Path, films):
        if not film.is_dir():
            found.append(str(film))
            continue
        contents = survey(Folder(film))
        found += [str(film / name) for name in contents.images]
        told = [contents.passed_over()] if contents.others or contents.masks else []
        told += [f"{problem.file} ({problem.code})" for problem in contents.problems]
        passed_over += [f"{film}: {', '.join(told)}"] if told else []
    return found, passed_over


def _several(films: Film | Iterable[Film]) -> Iterable[Film]:
    return [films] if isinstance(films, str | Path) or _holds_pixels(films) else _column_of(films)


def _column_of(films: Iterable[Film]) -> Iterable[Film]:
    """Take a table of one column, such as a DataFrame of file names, as what stands in it, not as its heading."""
    columns = getattr(films, "columns", None)
    if columns is None:
        return films
    if len(columns) != 1:
        raise UsageError(
            f"Expected films as a list or one column; received a table of {len(columns)} columns. Pick the one with the files."
        )
    return list(films[columns[0]])  # type: ignore[index]  # only a table comes here


def _holds_pixels(films: object) -> TypeGuard[NDArray[np.uint8]]:
    """Whether it is an array of radiographs, not one of their names."""
    return isinstance(films, np.ndarray) and films.dtype.kind not in "UO"


def decoded(
    named: Sequence[str], size: int, fit: str, workers: int, *, alone: bool = False
) -> Iterator[tuple[str, Radiograph | ImageError]]:
    """Read files in order, each with its name: few of them one by one, many in `workers` processes.

    0 are as many as fit; `alone` says that no network keeps the processors busy beside them.
    """
    if workers or len(named) > FEW:
        workers = workers or (processors() if alone else _workers(named))
        found = decoder_pool.read_many(named, size=size, fit=fit, workers=workers)
    else:
        found = decoder_pool.read_few(named, size=size, fit=fit)
    return zip(named, found, strict=True)


def _workers(named: Sequence[str]) -> int:
    """Half the processors, for a network beside them needs them more; all where a file may be DICOM."""
    plain = all(Path(name).suffix.lower() in _PLAIN for name in named)
    return max(1, processors() // 2) if plain else processors()


def _quality(film: Radiograph, input_size: int) -> Iterator[str]:
    width, height = film.provenance.get("width"), film.provenance.get("height")
    if isinstance(width, int | float) and isinstance(height, int | float) and min(width, height) < input_size:
        yield f"low resolution: {width} × {height} px, the network looks at {input_size}"
    if "depth" in film.provenance:
        yield f"its depth is not stated and was taken as {film.provenance['depth']} bits"
    yield from (code.replace("-", " ") for code, _ in film.remarks)
