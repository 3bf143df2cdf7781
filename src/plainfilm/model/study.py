"""A search that can be killed and gone on with: the only user of Optuna, its trials in one SQLite file."""

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import UsageError
from plainfilm.model import search_space
from plainfilm.model.search_space import SearchSpace, Trial
from plainfilm.model.trials import AtSources, Diverged, Scored, StoppedEarly
from plainfilm.reasons import reason_of
from plainfilm.results.search import Choice, Importance, State, TrialResult

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

RANDOM_TRIALS = 10  # before the search believes what it has seen; none of them is stopped early
FEWEST_FOR_IMPORTANCE = 20
_TOP, _DEALS = 0.25, 100  # of the trials; how often their scores are dealt anew
_NAME, _ABOUT = "plainfilm", "about"
TryOne = Callable[[Trial, Mapping[str, Choice]], Scored]
_FIRST_WORDS = {"store": "another store", "labels and split": "a store with other labels or another split"}


class _Kept(msgspec.Struct):
    """What a study keeps of a trial beside Optuna's own values, as 0.1.0 named it."""

    seconds: float
    state: State = "done"
    name: str = ""
    error: float | None = None
    accuracy: float | None = None
    auroc: float | None = None
    kept: tuple[int, ...] = ()
    at: tuple[AtSources, ...] = ()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log, its notes on what is experimental off the terminal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, in a notebook without ipywidgets
        import optuna

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            warnings.filterwarnings("ignore", module="optuna")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)


class Study:
    """A search and its trials: those that ended are in a file, the one that runs is not, so a kill leaves nothing half."""

    def __init__(self, kept: "optuna.Study", space: SearchSpace) -> None:
        import optuna

        self._kept, self._space = kept, space
        # Optuna writes a file at each of a trial's hundred steps; in memory that costs nothing
        self._study = optuna.create_study(
            pruner=optuna.pruners.MedianPruner(RANDOM_TRIALS, n_warmup_steps=max(1, space.epochs // 4))
        )
        self._study.add_trials(kept.get_trials())

    def results(self) -> list[TrialResult]:
        """Give the trials that ended, in their order."""
        return [_result(number, trial) for number, trial in enumerate(_finished(self._study), 1)]

    def left_out(self) -> dict[int, tuple[AtSources, ...]]:
        """Give what each trial that ran to its end came to at sources left out, one alone and two at once, by its number."""
        kept = [msgspec.convert(trial.user_attrs, _Kept) for trial in _finished(self._study)]
        return {number: own.at for number, own in enumerate(kept, 1) if own.state == "done"}

    def close(self) -> None:
        """Close the file: Windows moves no folder in which one is open. Optuna has no public way."""
        storage = self._kept._storage
        backend: Any = getattr(storage, "_backend", storage)
        backend.remove_session()
        backend.engine.dispose()

    def run(
        self,
        try_one: TryOne,
        *,
        trials: int,
        until: float = float("inf"),
        on_trial: Callable[[Sequence[TrialResult]], None] = lambda _: None,
    ) -> None:
        """Try until there are so many trials in all, those of earlier runs included.

        What is tried next depends on the seed and the trials so far alone, so a search that was stopped goes on as if
        it had not been. Settings are chosen by a tree-structured Parzen estimator over all of them jointly, after the
        recipes of `SearchSpace.starts` and some random ones; a trial that asks is stopped early when its best score so far
        is worse than the median of the others at that epoch.

        Parameters
        ----------
        try_one
            Trains and scores what was chosen.
        until
            No trial begins after this time of `time.monotonic`, but for the first of all.
        on_trial
            Called before the first and after each trial with all that ended.

        References
        ----------
        Bergstra et al., NIPS 2011; Falkner, Klein & Hutter, ICML 2018 (jointly). Golovin et al., KDD 2017 (median rule).
        """
        done = self.results()
        on_trial(done)
        with _quiet():
            while len(done) < trials and (time.monotonic() < until or not done):
                self._prepare(done)
                self._kept.add_trial(_one(self._study, self._space, try_one))
                done = self.results()
                on_trial(done)

    def _prepare(self, done: Sequence[TrialResult]) -> None:
        import optuna

        seed = int(np.random.SeedSequence([self._space.seed, len(done)]).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=RANDOM_TRIALS, multivariate=True, group=True
        )
        names = {each.recipe for each in done}
        start = next(((name, chosen) for name, chosen in self._space.starts() if name not in names), None)
        if start is not None:
            self._study.enqueue_trial(start[1], user_attrs={"name": start[0]})

    def importances(self) -> list[Importance]:
        """Measure which settings mattered for being among the best trials; nothing from fewer than 20 trials.

        PED-ANOVA: how far the choices of the best quarter differ from those of all trials. A trial that was stopped
        early counts with the score it had: it is surely not among the best, and leaving it out would hide what made it
        bad. Chance is what the same gives when the scores are dealt anew among the trials. Tried on 100 real trials:
        with the best tenth nothing passed chance, not even the rate; Optuna's fANOVA took ten times as long, leaves out
        settings that only some trials have, and found less.

        References
        ----------
        Watanabe, Bansal & Hutter, IJCAI 2023 (PED-ANOVA).
        """
        import optuna

        trials = [trial for trial in _finished(self._study) if trial.value is not None and np.isfinite(trial.value)]
        if len(trials) < FEWEST_FOR_IMPORTANCE:
            return []
        scores, rng = np.array([trial.value for trial in trials]), np.random.default_rng(self._space.seed)
        with _quiet():
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=_TOP)
            found = _measure(trials, scores, evaluator)
            dealt = [_measure(trials, rng.permutation(scores), evaluator) for _ in range(_DEALS)]
        total = sum(found.values()) or 1.0
        chance = {name: float(np.quantile([each.get(name, 0.0) for each in dealt], 0.95)) for name in found}
        names = self._space.names()  # their order decides between equal shares
        ordered = sorted(found, key=lambda name: (-found[name], names.index(name)))
        return [
            Importance(
                title=search_space.title(name), name=name, share=found[name] / total, by_chance=chance[name] / total
            )
            for name in ordered
        ]


def open_study(path: Path, space: SearchSpace, about: Mapping[str, object]) -> Study:
    """Open the search in a file, or begin one.

    Parameters
    ----------
    path
        The SQLite file.
    space
        What is searched.
    about
        What the search is of, by name, as JSON holds it; a search goes on only with the same.

    Raises
    ------
    UsageError
        The search there is of another store or other settings, or the file is no search.
    """
    with _opened(path) as kept:
        _check_same(kept, path, about)
        return Study(kept, space)


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[optuna.Study]":
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    url = URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
    with _quiet():
        import optuna

        try:
            yield optuna.create_study(storage=url, study_name=_NAME, load_if_exists=True)
        except (SQLAlchemyError, RuntimeError, optuna.exceptions.StorageInternalError) as error:
            raise UsageError(
                f"Expected the trials of a search; received {path}, which cannot be read or written ({reason_of(error)}). Name another --out."
            ) from error


def form_of(path: Path) -> int:
    """Give the form of the search space that a search's trials are of, so that it goes on in the same.

    Raises
    ------
    UsageError
        The file cannot be read.
    """
    with _opened(path) as kept:
        return int(kept.user_attrs.get(_ABOUT, {}).get("form of the search", search_space.FORM))


def _check_same(kept: "optuna.Study", path: Path, about: Mapping[str, object]) -> None:
    there: Mapping[str, object] | None = kept.user_attrs.get(_ABOUT)
    if there is None:
        kept.set_user_attr(_ABOUT, dict(about))
        return
    other = next((name for name in about if there.get(name) != about[name]), None)
    if other is not None:
        received = (
            _FIRST_WORDS.get(other) or f"other {other} ({_shown(about[other])} instead of {_shown(there.get(other))})"
        )
        raise UsageError(
            f"Expected to go on with the search in {path.parent}; received {received}. Give what it began with, name another --out, or pass --overwrite to begin anew."
        )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _one(study: "optuna.Study", space: SearchSpace, try_one: TryOne) -> "FrozenTrial":
    """Run one trial to whatever end it comes, and give it as Optuna keeps it."""
    import optuna

    trial, start = study.ask(), time.perf_counter()
    score, state, own = None, optuna.trial.TrialState.PRUNED, {}
    try:
        asked = cast(Trial, trial)  # mypy cannot match its overloads with the protocol
        own = dataclasses.asdict(try_one(asked, space.choose(asked)))
        score, state = own.pop("score"), optuna.trial.TrialState.COMPLETE
    except StoppedEarly:
        own["state"] = "stopped early"
    except Diverged:
        own["state"] = "diverged"
    for name, value in {**own, "seconds": time.perf_counter() - start}.items():
        trial.set_user_attr(name, value)
    return study.tell(trial, score, state=state)


def _finished(study: "optuna.Study") -> "list[FrozenTrial]":
    import optuna

    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return list(study.get_trials(deepcopy=False, states=states))


def _result(number: int, trial: "FrozenTrial") -> TrialResult:
    own = msgspec.convert(trial.user_attrs, _Kept)
    return TrialResult(
        number=number,
        state=own.state,
        recipe=own.name,
        log_loss=trial.value if own.state != "diverged" else None,
        standard_error=own.error,
        accuracy=own.accuracy,
        auroc=own.auroc,
        kept_epoch=" ".join(map(str, own.kept)),
        epochs=len(trial.intermediate_values),
        seconds=round(own.seconds, 2),
        chosen=dict(trial.params),
        sources={each.sources[0]: each.areas[0] for each in own.at if len(each.sources) == 1} or None,
    )


def best(done: Sequence[TrialResult]) -> TrialResult | None:
    """Find the trial of the least log loss among those that ran to their end; of equal ones the first."""
    return min((each for each in done if each.state == "done"), key=lambda each: each.log_loss or 0.0, default=None)


def _measure(
    trials: "Sequence[FrozenTrial]", scores: NDArray[np.float64], evaluator: "optuna.importance.BaseImportanceEvaluator"
) -> dict[str, float]:
    import optuna

    study = optuna.create_study()
    study.add_trials(
        [
            optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=float(score))
            for trial, score in zip(trials, scores, strict=True)
        ]
    )
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False))
