"""What is unlike the radiographs that a classifier was trained on: refused or flagged at prediction, with NumPy alone.

Two things are asked of an image's features: how far from the training images they lie, and whether they look like a
training image inverted or rotated. The thresholds come from training images kept out by turns.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from msgspec import ValidationError, convert
from numpy.typing import ArrayLike, NDArray

from plainfilm.errors import BundleError
from plainfilm.evidence.outliers.feature_space import Features, Floats, Space, WayUp
from plainfilm.evidence.outliers.learning import DIRECTIONS, describe, limit, regress
from plainfilm.model import manifest
from plainfilm.model.bundle_zip import Damaged
from plainfilm.reasons import reason_of
from plainfilm.results import documents
from plainfilm.results.documents import Record

OutlierLevel = Literal["ok", "flagged", "refused"]

REFUSED, UNUSUAL, TURNED = 0.005, 0.03, 0.01  # share of new radiographs of the same kind beyond each limit, at most
CEILING = 0.02  # of false refusals, which a fit on enough images promises
ROWS = 4000  # training images that a fit uses at most
UPRIGHT_ROWS = 1000  # of them that turned images are compared with
TURNED_ROWS, TURNED_SHARE = (
    256,
    0.3,
)  # training images to turn one way each, at most, and of all; measured, more find little more
FEWEST = 5  # unrelated images
MOST_BYTES = 3_000_000
UNLIKE_TRAINING, UNUSUAL_IN_TRAINING = "unlike the training images", "unusual among the training images"
FLAT = 16  # gray levels from the 5th to the 95th percentile; 3,766 radiographs had 39 and more

MOST_FEATURES = (MOST_BYTES - 4096) // (
    4 * (DIRECTIONS + 7)
)  # with the numbers of the mean, the spread and five ways up
_FOLDS = 5
_ROWS_AT_ONCE = 4096
_QUARTERS = {"on its side, head left": 1, "upside down": 2, "on its side, head right": 3}
_MAGIC = b"plainfilm-outliers 1\n"
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Turned:
    """Training images turned by `turn` and encoded: by name of the turn `features` float32 (m, width) and `group` (m) of them."""

    features: Mapping[str, Features]
    group: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OutlierJudgement:
    """What was found of n images: `level` "ok", "flagged" or "refused" (n); `reason` (n), "" where ok; `score` (n)."""

    level: NDArray[np.str_]
    reason: NDArray[np.str_]
    score: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Detector:
    """A fitted detector; `fit` makes one.

    Attributes
    ----------
    space : Space
        Where the training features lie.
    way_up : WayUp
        Which way up an image is; of no turn where the fit was given no turned images.
    turns : tuple of str
        What `way_up` tells from upright: "inverted", "upside down", ….
    refuse_above, flag_above : float
        On `score`.
    turned_above : float
        On minus the score of being upright.
    groups : int
        Unrelated training images that set these thresholds.
    """

    space: Space
    way_up: WayUp
    turns: tuple[str, ...]
    refuse_above: float
    flag_above: float
    turned_above: float
    groups: int

    @property
    def promised(self) -> float:
        """Share of new radiographs of the same kind that are refused at most, on average; see `usual.limit`.

        The thresholds are cross-fitted: the final fit has more images than those that set them, which errs on the safe
        side.
        """
        return max(REFUSED, 1 / (self.groups + 1))

    @property
    def promise(self) -> str:
        """The same in a sentence."""
        if self.promised <= CEILING:
            return f"Of new radiographs like the {self.groups:,} unrelated ones learnt from, {100 * self.promised:.1f} % at most are refused, on average."
        return (
            f"Too few unrelated images to learn from ({self.groups}) to promise that at most {100 * CEILING:.0f} % of new radiographs like "
            f"them are refused: up to {100 * self.promised:.0f} % may be."
        )

    def score(self, features: ArrayLike) -> Floats:
        """How far features float32 (n, width) lie from the training images, float64 (n): 1 is usual, more is farther.

        Raises
        ------
        ValueError
            Another shape, or features that are not finite.
        """
        return np.exp(self.space.log_distance(_finite(features, len(self.space.mean))))

    def judge(self, features: ArrayLike, *, pixels: NDArray[np.uint8] | None = None) -> OutlierJudgement:
        """Judge n images.

        Parameters
        ----------
        features
            float32 (n, width).
        pixels
            Gray uint8 (n, h, w), if at hand: a frame without a picture is refused.

        Raises
        ------
        ValueError
            Other shapes, or features that are not finite.
        """
        score = self.score(features)
        level, reason = np.full(len(score), "ok", "U8"), np.full(len(score), "", "U80")

        def note(rows: NDArray[np.bool_], to: OutlierLevel, why: str | NDArray[np.str_]) -> None:
            if rows.shape != score.shape:
                raise ValueError(f"Expected pixels of {len(score)} images; received {len(rows)}.")
            level[rows], reason[rows] = to, why if isinstance(why, str) else why[rows]

        note(score > self.flag_above, "flagged", UNUSUAL_IN_TRAINING)
        if self.turns:
            ways = self.way_up.scores_of(self.space, np.asarray(features, np.float32))
            looks = np.array([looks_so(name) for name in self.turns])[ways[:, 1:].argmax(axis=1)]
            note(-ways[:, 0] > self.turned_above, "flagged", looks)
        note(score > self.refuse_above, "refused", UNLIKE_TRAINING)
        if pixels is not None:
            note(is_flat(pixels), "refused", "hardly any contrast: an empty frame")
        return OutlierJudgement(level=level, reason=reason, score=score)

    def to_bytes(self) -> bytes:
        """Write as bytes: a magic word, a SHA-256, a line of JSON, then float32 numbers. No pickle; at most `MOST_BYTES`."""
        arrays = {name: getattr(self.way_up if name in _WAY_UP else self.space, name) for name in _shapes(0, 0, 0)}
        head = _Head(
            width=len(self.space.mean),
            directions=len(self.space.basis),
            **{name: getattr(self, name) for name in ("refuse_above", "flag_above", "turned_above", "groups", "turns")},
            rest=self.space.rest,
        )
        body = (
            documents.encode(head)
            + b"\n"
            + b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values())
        )
        return _MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "Detector":
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            Bytes of another kind or version, damaged or truncated ones.
        """
        start = len(_MAGIC) + _HASH_BYTES
        if len(data) > MOST_BYTES or data[:start] != _MAGIC + hashlib.sha256(data[start:]).digest():
            raise ValueError("Expected a whole detector of outliers; received other or damaged bytes.")
        try:
            return _read(data[start:])
        except (Damaged, ValidationError, ValueError, OverflowError) as error:
            raise ValueError(
                f"Expected a whole detector of outliers; received bytes that do not fit ({reason_of(error)})."
            ) from error


def opened(data: bytes) -> Detector | None:
    """Open the detector of a bundle; None where too few images could teach one.

    Raises
    ------
    BundleError
        It is damaged.
    """
    try:
        return Detector.from_bytes(data) if data else None
    except ValueError as error:
        raise BundleError(
            "Expected a bundle that tells what is usual for it; received one whose record of it is damaged. Get the file again."
        ) from error


def fit(
    features: ArrayLike, group: ArrayLike | None = None, *, turned: Turned | None = None, seed: int = 0
) -> Detector:
    """Fit a detector on the features of the training set.

    Parameters
    ----------
    features
        float32 (n, width), finite. Of more than `ROWS`, a sample is used.
    group
        (n): patients and duplicates; None means that every row stands alone.
    turned
        Some of the same images turned. Without, images inverted or rotated are found only where they lie far away.
    seed
        Of the samples and the folds.

    Raises
    ------
    ValueError
        Other shapes, features that are not finite, or fewer than `FEWEST` groups.
    """
    x = _finite(features)
    names = np.arange(len(x)) if group is None else np.asarray(group)
    if names.shape != (len(x),):
        raise ValueError(f"Expected one group a row, shape ({len(x)},); received shape {names.shape}.")
    rows = sample(names, ROWS, seed=seed)
    x, names = x[rows], names[rows]
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    groups = int(codes.max(initial=-1)) + 1
    if groups < FEWEST:
        raise ValueError(f"Expected at least {FEWEST} unrelated images to learn what is usual; received {groups}.")
    turns = _Turns.of(turned, x.shape[1])
    space, way_up, distance, turning = _learn(x, names, turns, _folds(codes, seed), seed)
    return Detector(
        space=space,
        way_up=way_up,
        turns=turns.names,
        refuse_above=float(np.exp(limit(distance, codes, REFUSED))),
        flag_above=float(np.exp(limit(distance, codes, UNUSUAL))),
        turned_above=limit(turning, codes, TURNED),
        groups=groups,
    )


def sample(group: ArrayLike, most: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Choose at most `most` rows, int64 (k) rising: one of each group first, at random, then others."""
    names = np.asarray(group)
    order = np.random.default_rng(seed).permutation(len(names))
    _, first = np.unique(names[order], return_index=True)
    again = np.ones(len(names), bool)
    again[first] = False
    return np.sort(order[np.argsort(again, kind="stable")][:most])


def turn(images: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Turn images uint8 (n, s, s) in the ways that are to be recognised, by name."""
    return {name: turned(images, name) for name in ("inverted", *_QUARTERS)}


def turned(images: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Turn images uint8 (n, s, s) the way of this name."""
    if name == "inverted":
        return 255 - images
    return np.ascontiguousarray(np.rot90(images, _QUARTERS[name], axes=(1, 2)))


def dealt(group: ArrayLike, *, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Choose which rows to turn which way, int64 rising by name: each one way, and twice as many inverted, which is hardest to find.

    Parameters
    ----------
    group
        (n): patients and duplicates of training images.
    seed
        Of the choice.
    """
    names = ("inverted", *_QUARTERS)
    rows = sample(group, min(TURNED_ROWS, max(len(names) + 1, round(TURNED_SHARE * len(np.asarray(group))))), seed=seed)
    hands = np.random.default_rng(seed).permutation(rows)
    way = np.maximum(np.arange(len(rows)) % (len(names) + 1) - 1, 0)  # 0, 0, 1, 2, 3
    return {name: np.sort(hands[way == number]) for number, name in enumerate(names)}


def looks_so(turn_name: str) -> str:
    """Say what an image looks like, without the side of its head: features tell that in three of four images only."""
    return f"looks {turn_name.partition(',')[0]}"


def is_flat(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether images uint8 (n, h, w) hold hardly any contrast, bool (n): frames without a picture."""
    flat = [np.subtract(*np.quantile(image[::4, ::4], [0.95, 0.05])) < FLAT for image in pixels]
    return np.array(flat, bool)


@dataclass(frozen=True, slots=True)
class _Turns:
    """`Turned`, checked, without turns of no image: features float32 (m, width) of each, and `group` of all, one after another."""

    names: tuple[str, ...]
    features: tuple[Features, ...]
    group: NDArray[Any]

    @classmethod
    def of(cls, given: Turned | None, width: int) -> "_Turns":
        features = {name: _finite(each, width) for name, each in given.features.items() if len(each)} if given else {}
        if given is None or not features:
            return cls((), (), np.empty(0))
        group = np.concatenate([given.group[name] for name in features])
        if len(group) != (count := sum(map(len, features.values()))):
            raise ValueError(f"Expected one group a turned image, {count}; received {len(group)}.")
        return cls(tuple(features), tuple(features.values()), group)


def _finite(features: ArrayLike, width: int | None = None) -> Features:
    x = np.asarray(features, np.float32)
    if x.ndim != 2 or (width is not None and x.shape[1] != width):
        raise ValueError(f"Expected features (n, {width or 'width'}); received shape {x.shape}.")
    lost = sum(np.count_nonzero(~np.isfinite(x[at : at + _ROWS_AT_ONCE])) for at in range(0, len(x), _ROWS_AT_ONCE))
    if lost:
        raise ValueError(f"Expected finite features; received {lost} that are not.")
    return x


def _folds(codes: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Rows that are kept out by turns, bool (folds, n), each once and with its group."""
    fold_of = np.random.default_rng(seed).permutation(int(codes.max()) + 1) % _FOLDS
    return np.asarray(fold_of[codes] == np.arange(_FOLDS)[:, None])


def _learn(
    x: Features, names: NDArray[Any], turns: _Turns, held_out: NDArray[np.bool_], seed: int
) -> tuple[Space, WayUp, Floats, Floats]:
    """Learn from all rows, and score each by what is learnt without it: log distance, and minus the score of being upright."""
    kept = ~np.vstack([np.zeros(len(x), bool), held_out])
    kept_turned = ~np.stack([np.isin(turns.group, names[~rows]) for rows in kept])
    spaces = [describe(x[rows], seed=seed) for rows in kept]
    ways = _which_way_up(x, turns, spaces, kept, kept_turned, seed)
    distance, turning = np.empty(len(x)), np.zeros(len(x))
    for rows, space, way_up, left in zip(held_out, spaces[1:], ways[1:], kept_turned[1:], strict=True):
        distance[rows] = space.log_distance(x[rows])
        if left.any():
            turning[rows] = -way_up.scores_of(space, x[rows])[:, 0]
    return spaces[0], ways[0], distance, turning


def _which_way_up(
    x: Features,
    turns: _Turns,
    spaces: Sequence[Space],
    kept: NDArray[np.bool_],
    kept_turned: NDArray[np.bool_],
    seed: int,
) -> list[WayUp]:
    """Learn which way up rows are; of no turn where there are no turned ones."""
    if not turns.names:
        return [WayUp(weights=np.empty((0, x.shape[1]), np.float32), offset=np.empty(0, np.float32))] * len(spaces)
    chosen = np.random.default_rng(seed).permutation(len(x))[:UPRIGHT_ROWS]
    return regress(x[chosen], turns.features, np.hstack([kept[:, chosen], kept_turned]), spaces)


_WAY_UP = ("weights", "offset")


def _shapes(width: int, directions: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Shape of each array, in the order of the bytes."""
    return {
        "mean": (width,),
        "spread": (width,),
        "basis": (directions, width),
        "variance": (directions,),
        "weights": (outputs, width),
        "offset": (outputs,),
    }


class _Head(Record, frozen=True, kw_only=True):
    """What stands before the numbers."""

    width: int
    directions: int
    refuse_above: float
    flag_above: float
    turned_above: float
    groups: int
    rest: float
    turns: tuple[str, ...]


def _read(body: bytes) -> Detector:
    line, _, data = body.partition(b"\n")
    head = convert(manifest.parse(line), _Head)
    shapes = _shapes(head.width, head.directions, len(head.turns) + 1 if head.turns else 0)
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes.values()])
    numbers = np.frombuffer(data, "<f4").astype(np.float32)
    if not 0 <= head.directions < head.width or ends[-1] != len(numbers):
        raise ValueError("numbers are missing or too many")
    parts = np.split(numbers, ends[:-1])
    arrays = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    if not np.isfinite(numbers).all() or min(*arrays["spread"], *arrays["variance"], head.rest) <= 0:
        raise ValueError("numbers are not finite, or not positive where they must be")
    way_up = WayUp(**{name: arrays.pop(name) for name in _WAY_UP})
    return Detector(
        space=Space(**arrays, rest=head.rest),
        way_up=way_up,
        turns=head.turns,
        refuse_above=head.refuse_above,
        flag_above=head.flag_above,
        turned_above=head.turned_above,
        groups=head.groups,
    )
