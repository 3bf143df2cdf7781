"""How doubtful each label is: out-of-fold probabilities, and confident learning on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from plainfilm.data import split
from plainfilm.evidence.audit import ridge
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray
from plainfilm.evidence.statistics.scaling import fit_scaling

BLOCK = 6000  # films that one head learns from and answers for, at most
NONE = -1
SURE = 0.8  # probability that counts a film to a class, however sure the others of that class are


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Doubts:
    """What the others say of n labels.

    Attributes
    ----------
    probabilities : float64 (n, classes)
        Of each class, by heads that saw no film of the patient.
    doubt : float64 (n)
        0 to 1: half of 1 less the margin of the label's probability over that of the likeliest other class.
    likeliest : int64 (n)
        The likeliest class beside the label.
    suggested : int64 (n)
        The class that the film is confidently counted to; -1 where that is its label, or none.
    """

    probabilities: FloatArray
    doubt: FloatArray
    likeliest: IntArray
    suggested: IntArray


def judge(
    features: Callable[[IntArray], NDArray[Any]],
    labels: IntArray,
    group: IntArray,
    classes: int,
    *,
    repeats: int,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda _done, _all: None,
) -> Doubts:
    """Judge labels by confident learning on out-of-fold probabilities.

    A film is counted to the likeliest class of those whose probability reaches what films that bear the class's label reach on
    average, or `SURE`; one that is so counted to another class than its label is doubtful (Northcutt, Jiang & Chuang, Confident Learning, JAIR
    2021). The order is by the normalised margin (Kuan & Mueller, Model-agnostic label quality scoring, ICML 2022 workshop).

    Parameters
    ----------
    features
        Gives the features of some of the n films, float32 (k, width), by their places, int64 (k).
    labels, group
        Class index, and patient or duplicates, int64 (n): a patient's films are never learnt from for one of them.
    classes
        How many there are.
    repeats
        Cross-validations whose scores are averaged, each with folds of its own.
    seed
        Of the folds.
    advance
        Called with heads fitted and all.
    """
    scores = _scores(features, labels, group, classes, repeats, seed, advance)
    chance = _probabilities(scores, labels)
    own = chance[np.arange(len(labels)), labels]
    others = np.where(np.eye(classes, dtype=bool)[labels], -np.inf, chance)
    return Doubts(
        probabilities=chance,
        doubt=(1 - own + others.max(axis=1)) / 2,
        likeliest=others.argmax(axis=1),
        suggested=_counted_elsewhere(chance, labels),
    )


def _scores(
    features: Callable[[IntArray], NDArray[Any]],
    labels: IntArray,
    group: IntArray,
    classes: int,
    repeats: int,
    seed: int,
    advance: Callable[[int, int], None],
) -> FloatArray:
    """Mean over the repeats of ridge scores out of fold; many films are dealt into blocks, anew each time, to bound time and memory."""
    scores, blocks = np.zeros((len(labels), classes)), -(-len(labels) // BLOCK)
    for repeat in range(repeats):
        own = seed * 1000 + repeat
        block = split.assign(labels, group, shares=[1] * blocks, seed=own) if blocks > 1 else np.zeros(len(labels), int)
        for number in range(blocks):
            places = np.flatnonzero(block == number)
            part = ridge.folds(labels[places], group[places], own)
            scores[places] += ridge.out_of_fold(features(places), labels[places], part, classes) / repeats
            advance(repeat * blocks + number + 1, repeats * blocks)
    return scores


def _probabilities(scores: FloatArray, labels: IntArray) -> FloatArray:
    """Make scores out of fold probabilities that fit the labels as they are: Platt's, or vector scaling with more than two classes."""
    if scores.shape[1] == 2:
        odds = (scores[:, 1] - scores[:, 0])[:, None]
        scaled = fit_scaling(odds, labels, positive=1).of(odds)[:, 0]
        return np.stack([expit(-scaled), expit(scaled)], axis=1)
    return np.asarray(softmax(fit_scaling(scores, labels, positive=0).of(scores), axis=1))


def _counted_elsewhere(chance: FloatArray, labels: IntArray) -> IntArray:
    """Give the class that each film is confidently counted to, where that is not its label; else -1."""
    usual = np.array([chance[labels == each, each].mean() for each in range(chance.shape[1])])
    reached = np.where(chance >= np.minimum(usual, SURE), chance, -np.inf)
    counted = np.where(np.isfinite(reached).any(axis=1), reached.argmax(axis=1), labels)
    return np.where(counted == labels, NONE, counted)
