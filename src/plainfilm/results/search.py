"""What a search for a recipe came to: `tuning.json` of a folder of `plainfilm tune`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from plainfilm.results.comparison import LeftOutChoice
from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Seconds, Share
from plainfilm.results.store import StoreIdentity

Choice = str | int | float
"""One choice of a trial. All of a trial's are a mapping by name, as Optuna keeps them (its "params"): which names there
are depends on the other choices, such as a width for each hidden layer."""
Setting = Choice | tuple[str, ...]  # of a recipe; head.layers are texts
NotNegative = Annotated[float, Meta(ge=0)]
State = Literal["done", "stopped early", "diverged"]


class TrialResult(Record, frozen=True, kw_only=True, rename={"number": "trial"}):
    """A trial: what it chose, and its score on rows it was not trained on; null where it has none."""

    number: Annotated[int, Meta(ge=1, description="Number of the trial, from 1.")]
    state: Annotated[State, Meta(description="How it ended.")]
    recipe: Annotated[str, Meta(description="One of the first trials: name of the recipe it takes its choices from.")]
    log_loss: Annotated[
        NotNegative | None,
        Meta(
            description="Mean log loss of calibrated probabilities; of a stopped trial, where it stood. Where sources are left out, at the worst of them or their mean, with classes weighted alike; accuracy and AUROC likewise."
        ),
    ]
    standard_error: Annotated[NotNegative | None, Meta(description="Standard error of the log loss.")]
    accuracy: Annotated[Share | None, Meta(description="Share of radiographs called right.")]
    auroc: Annotated[Share | None, Meta(description="Area under the ROC curve; with more than two classes their mean.")]
    kept_epoch: Annotated[str, Meta(description="Epoch of least validation loss, one a fold, with spaces between.")]
    epochs: Annotated[Count, Meta(description="Epochs that ran, in the first fold.")]
    seconds: Annotated[Seconds, Meta(description="Time.")]
    chosen: Annotated[Mapping[str, Choice], Meta(description="Its choices, by name.")]
    sources: Annotated[
        Mapping[str, Share] | None, Meta(description="AUROC at each source that was left out; null with other folds.")
    ] = None


class BestTrial(TrialResult, frozen=True, kw_only=True):
    """The trial of the least log loss, with the recipe's settings that its choices come to."""

    settings: Annotated[Mapping[str, Setting], Meta(description="Settings of the recipe, by dotted key.")]


class TrialCounts(Record, frozen=True, kw_only=True):
    """How many trials there were."""

    asked: Annotated[Count, Meta(description="Trials asked for.")]
    in_all: Annotated[Count, Meta(description="Trials that ended.")]
    stopped_early: Annotated[Count, Meta(description="Those stopped early.")]
    diverged: Annotated[Count, Meta(description="Those that diverged: the loss was not finite.")]


class Importance(Record, frozen=True, kw_only=True):
    """How much a setting mattered for being among the best trials (PED-ANOVA)."""

    title: Annotated[str, Meta(description="The setting, for people.")]
    name: Annotated[str, Meta(description="The setting, as it is called among the choices.")]
    share: Annotated[Share, Meta(description="Importance; that of all settings adds up to 1.")]
    by_chance: Annotated[NotNegative, Meta(description="What chance alone gives: 95 % quantile.")]


class ScoredRows(Record, frozen=True, kw_only=True):
    """What each trial was scored on."""

    radiographs: Annotated[Count, Meta(description="Radiographs.")]
    folds: Annotated[Count, Meta(description="Folds; 1 is the validation set.")]
    sources: Annotated[
        tuple[str, ...], Meta(description="Sources that were left out in turn, a fold each; none with other folds.")
    ] = ()
    together: Annotated[tuple[tuple[str, ...], ...], Meta(description="Sources that were left out together.")] = ()


class Search(Document, frozen=True, kw_only=True, rename={"next_command": "next"}):
    """A search for a recipe."""

    FORMAT: ClassVar[str] = "plainfilm-search"

    best: Annotated[BestTrial, Meta(description="The best trial.")]
    starts: Annotated[
        tuple[TrialResult, ...], Meta(description="Trials with the recipes that come with plainfilm, which come first.")
    ]
    trials: Annotated[TrialCounts, Meta(description="How many trials there were.")]
    within_one_standard_error: Annotated[
        Count, Meta(description="Other trials behind the best by at most the standard error of the difference.")
    ]
    importances: Annotated[
        tuple[Importance, ...], Meta(description="How much each setting mattered; none with fewer than 20 trials.")
    ]
    measure: Annotated[str, Meta(description="What trials are compared by.")]
    scored: Annotated[ScoredRows, Meta(description="What each trial was scored on.")]
    worth: Annotated[str, Meta(description="What the best log loss is worth, in words.")]
    choice: Annotated[
        LeftOutChoice | None, Meta(description="The choice by left-out sources, where that was asked for.")
    ] = None
    interrupted: Annotated[bool, Meta(description="Whether Ctrl-C ended it.")]
    seconds: Annotated[Seconds, Meta(description="Time of all trials.")]
    data: Annotated[StoreIdentity, Meta(description="The store.")]
    next_command: Annotated[str, Meta(description="The command that trains the best recipe.")]
