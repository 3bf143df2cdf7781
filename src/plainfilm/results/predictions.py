"""Answers for radiographs: what `plainfilm predict --json` prints and the library gives."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Share
from plainfilm.results.severity import Verdict
from plainfilm.results.task import Task

UNSURE = "unsure"  # the level of an answer between two thresholds


class Prediction(
    Record,
    frozen=True,
    kw_only=True,
    omit_defaults=False,
    rename={"label": "class", "in_lungs": "attribution_in_lungs"},
):
    """One answer.

    Attributes
    ----------
    file : str
        The path, or "array 0", "array 1", ….
    findings : tuple of str or None
        Of several findings: those that are called present, each from its own threshold on; None of classes, and where there is no answer.
    unsure : tuple of str or None
        Of several findings with two thresholds each: those between them; None elsewhere.
    label : str or None
        The findings that are called, `Effusion|Mass`, or `No Finding` where all are denied; of classes: the class at the threshold; None where the answer is unsure (of findings: where none is called
        and one is unsure), the classifier should not be asked, or the file cannot be read.
    level : str
        "ok", "flagged", "unsure" (between two thresholds), "refused" (unlike anything it was trained on) or "unreadable".
    probabilities : dict of str to float
        Calibrated, by class; empty where the file cannot be read.
    at_prevalence : float or None
        Probability of the positive class at the stated prevalence; None with more than two classes.
    at_prevalences : dict of str to float
        Of findings, where prevalences were stated: the probability of each at its own; UNSET otherwise.
    reasons : tuple of str
        Why it was flagged, refused or cannot be read.
    notes : tuple of str
        On quality: no lungs found, lateral, low resolution, ….
    in_lungs : float or None
        Share of the attribution that lies in the lung fields, where an explanation was asked for.
    """

    file: Annotated[str, Meta(description="The file.")]
    label: Annotated[
        str | None,
        Meta(description="The class at the threshold, or the findings called, A|B; null where there is no answer."),
    ]
    level: Annotated[str, Meta(description="What was made of it: ok, flagged, unsure, refused or unreadable.")]
    probabilities: Annotated[
        Mapping[str, Share], Meta(description="Calibrated probability of each class, or of each finding by itself.")
    ]
    at_prevalence: Annotated[
        Share | None, Meta(description="Probability of the positive class at the stated prevalence.")
    ] = None
    reasons: Annotated[tuple[str, ...], Meta(description="Why it was flagged, refused or cannot be read.")] = ()
    notes: Annotated[tuple[str, ...], Meta(description="On the quality of the image.")] = ()
    in_lungs: Annotated[Share | None, Meta(description="Share of the attribution in the lungs, where asked for.")] = (
        None
    )
    findings: Annotated[
        tuple[str, ...] | msgspec.UnsetType,
        Meta(description="Of several findings: those that are called; left out of classes."),
    ] = msgspec.UNSET
    unsure: Annotated[
        tuple[str, ...] | msgspec.UnsetType,
        Meta(description="Of findings with two thresholds each: those between them; left out elsewhere."),
    ] = msgspec.UNSET
    at_prevalences: Annotated[
        Mapping[str, Share] | msgspec.UnsetType,
        Meta(description="Of findings: probability of each at its prevalence; left out where none was stated."),
    ] = msgspec.UNSET


class GroupedPrediction(Prediction, frozen=True, kw_only=True):
    """One answer for several films of a study or a patient; `file` counts them ("patient 1"), and no id is given."""

    films: Annotated[tuple[str, ...], Meta(description="The files.")]
    used: Annotated[int, Meta(ge=0, description="How many of them had a say: frontal, readable and not refused.")]


class Context(Record, frozen=True, kw_only=True):
    """What stands beside answers."""

    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes, or of the findings.")]
    positive: Annotated[str | None, Meta(description="The positive class; null with more than two classes.")]
    threshold: Annotated[float | None, Meta(description="Probability from which the positive class is called.")]
    thresholds: Annotated[
        Mapping[str, float],
        Meta(description="Of findings: probability from which each is called; left out of classes."),
    ] = {}
    lower_thresholds: Annotated[
        Mapping[str, float],
        Meta(
            description="Of findings: probability below which each is denied, unsure between; left out with one threshold."
        ),
    ] = {}
    lower_threshold: Annotated[
        float | None,
        Meta(
            description="Probability below which the other class is called, unsure between; left out with one threshold."
        ),
    ] = None
    by: Annotated[
        str | None, Meta(description="What one answer is for: study or patient; left out where it is a film.")
    ] = None
    combined: Annotated[
        str, Meta(description="How several films became one answer; left out where answers are of films.")
    ] = ""
    three_answers: Annotated[str, Meta(description="What the two thresholds promise; left out with one.")] = ""
    calibrated_at_prevalence: Annotated[Share | None, Meta(description="Prevalence that probabilities are right at.")]
    calibrated: Annotated[bool, Meta(description="Whether probabilities are calibrated; left out where they are.")] = (
        True
    )
    calibrated_at_prevalences: Annotated[
        Mapping[str, Share],
        Meta(description="Of findings: prevalence that each probability is right at; left out of classes."),
    ] = {}
    prevalence: Annotated[Share | None, Meta(description="Prevalence that `at_prevalence` is for.")]
    prevalences: Annotated[
        Mapping[str, Share],
        Meta(description="Of findings: prevalences that `at_prevalences` is for; left out where none was stated."),
    ] = {}
    site: Annotated[
        str | None, Meta(description="The site whose calibration was used; left out for the bundle's own.")
    ] = None
    verdict: Annotated[Verdict | None, Meta(description="Verdict of the audit; null where there was none.")]
    worth: Annotated[str, Meta(description="What the accuracy is worth, in sentences.")]


class PredictionDocument(Context, Document, frozen=True, kw_only=True):
    """Answers with what stands beside them."""

    FORMAT: ClassVar[str] = "plainfilm-predictions"

    predictions: Annotated[
        tuple[Prediction, ...], Meta(description="An answer for each file, or for each study or patient, in order.")
    ]
