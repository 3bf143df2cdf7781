"""Whether what comes is still like what a classifier was tested on: evidence that grows image by image, week by week.

While new radiographs and those of the reference are exchangeable, a new value falls into each gap between all values so far with the
same probability (a Pólya urn), whatever their distribution is. Many bets are held against that forecast: each says that values below,
or above, some edge have become a half or twice as frequent and the like, or that the positive class has. What they win on average is a
non-negative martingale that starts at 1; it reaches c with probability 1/c at most, ever (Ville 1939). So evidence of `LIMITS` is
reached by chance in at most 1 % of the weeks, in all families together, however often one looks.

References: Vovk, Testing randomness online, Statistical Science 2021 (conformal test martingales); Shafer & Vovk, Game-Theoretic
Foundations 2019; Ramdas, Grünwald, Vovk & Shafer, Game-theoretic statistics and safe anytime-valid inference, 2023. A drift may begin at
any time: a part of the stake is kept, and bets are begun anew every `BLOCK` radiographs (as the mixtures of Shin, Ramdas & Rinaldo,
E-detectors, 2024).
"""

import datetime as dt
import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import BundleError
from plainfilm.evidence.drift.reference import jittered
from plainfilm.results.drift import DriftFamily, DriftReference, DriftWeek, WatchedStatistic

FALSE_ALARMS = 0.01  # of the weeks, at most
SHARES = {"scores": 0.7, "refusals": 0.1, "image": 0.2}  # of them
LIMITS = {name: 1 / (FALSE_ALARMS * share) for name, share in SHARES.items()}
BLOCK = 50
_TIMES = (0.02, 0.15, 0.4, 2.5, 7.0, 50.0)  # as frequent
_ODDS = (0.4, 2.5)  # of the positive class, times those of the reference
_ON_ODDS = 0.7  # of the stake on a score
_MOST_SEEN = 200_000  # radiographs of a week that are known again


class Bets:
    """The bets on one number of one week's radiographs."""

    def __init__(self, about: WatchedStatistic) -> None:
        bins = len(about.edges) + 1
        if len(about.gaps) != bins or len(about.positives) not in {0, bins} or list(about.edges) != sorted(about.edges):
            raise BundleError(
                f"Expected a bundle whose reference is whole; received one where {about.name} is not. Get the file again."
            )
        self.about = about
        self._gaps, self._all = list(about.gaps), sum(about.gaps)
        forecasts, self._weights = _forecasts(about)
        self._forecasts = np.ascontiguousarray(forecasts.T)
        self._won = np.zeros(len(self._weights))
        self._kept, self._seen, self._blocks = 1.0, 0, 0

    @property
    def evidence(self) -> float:
        """What a stake of 1 has become."""
        return float(self._weights @ self._won) + self._kept

    def note(self, value: float, chance: float) -> None:
        """Take the value of the next radiograph; `chance`, 0 to 1, sets equal values apart."""
        if self._seen % BLOCK == 0:
            self._blocks += 1
            stake = 1 / (self._blocks * (self._blocks + 1))
            self._won += stake
            self._kept -= stake
        place = bisect_right(self.about.edges, jittered(value, chance, self.about.family))
        self._won *= self._forecasts[place]
        self._won *= self._all / self._gaps[place]
        self._gaps[place] += 1
        self._all += 1
        self._seen += 1


def _forecasts(about: WatchedStatistic) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the bins, float64 (bets, bins), that bets foresee, and their weights."""
    usual = np.array(about.gaps, np.float64)
    usual /= usual.sum()
    moved = [
        np.where(np.arange(len(usual)) < cut, times, 1.0) * usual for cut in range(1, len(usual)) for times in _TIMES
    ]
    of_classes = [usual * ratio for ratio in _of_classes(about)]
    on_odds = _ON_ODDS if of_classes else 0.0
    weights = [*([(1 - on_odds) / len(moved)] * len(moved)), *([on_odds / len(_ODDS)] * len(of_classes))]
    every = np.array([*moved, *of_classes]).reshape(-1, len(usual))
    return every / every.sum(axis=1, keepdims=True), np.array(weights)


def _of_classes(about: WatchedStatistic) -> Iterable[NDArray[np.float64]]:
    """How much more frequent each bin is where the odds of the positive class are others."""
    if not about.positives:
        return
    every, positive = np.array(about.gaps, np.float64), np.array(about.positives, np.float64)
    share = positive.sum() / every.sum()
    if not 0 < share < 1:
        return
    usual = every / every.sum()
    sick = (positive + 0.5 * usual * len(usual)) / (positive.sum() + 0.5 * len(usual))
    well = np.maximum(usual - share * sick, 0.02 * usual) / (1 - share)
    for times in _ODDS:
        odds = times * share / (1 - share)
        changed = odds / (1 + odds)
        yield (changed * sick + (1 - changed) * well) / (share * sick + (1 - share) * well)


@dataclass(slots=True)
class _Alarm:
    since: str
    images: int
    most: str


@dataclass(slots=True)
class _Week:
    monday: str
    bets: list[Bets]
    images: int = 0
    seen: set[bytes] = field(default_factory=set)
    alarms: dict[str, _Alarm] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)

    def holds(self, monday: str) -> bool:
        """Whether an answer counts to it: of its own week or, late or by a clock that is behind, of the one before; what a clock years ahead began is left."""
        return 0 <= (dt.date.fromisoformat(self.monday) - dt.date.fromisoformat(monday)).days <= 7


class Monitor:
    """Watches the answers of one bundle; each week, from Monday on in UTC, begins anew. Not thread-safe."""

    def __init__(self, about: DriftReference) -> None:
        self.about = about
        for each in about.statistics:
            Bets(each)
        self._week: _Week | None = None
        self._past: list[DriftWeek] = []

    def note(self, time: str, image: str, watched: Sequence[float]) -> None:
        """Take the next answer: when, ISO 8601 in UTC, the SHA-256 of its image, and the numbers of the reference's statistics.

        An image that came in the same week already is passed over: sent again, it tells nothing new.
        """
        if len(watched) != len(self.about.statistics):
            return
        week = self._of(time)
        key = bytes.fromhex(image)[:12] if image else b""
        if key in week.seen:
            return
        if key and len(week.seen) < _MOST_SEEN:
            week.seen.add(key)
        week.images += 1
        for bets, value in zip(week.bets, watched, strict=True):
            bets.note(value, _chance(image, bets.about.name, week.images))
        self._look(week, time)

    def weeks(self) -> tuple[DriftWeek, ...]:
        """Give all weeks so far, the running one last."""
        return (*self._past, *([_told(self._week)] if self._week else []))

    def latest(self) -> tuple[DriftWeek, ...]:
        """Give the week before and the running one, as far as there are."""
        return self.weeks()[-2:]

    def _of(self, time: str) -> _Week:
        monday = monday_of(time)
        if self._week is None or not self._week.holds(monday):
            if self._week:
                self._past.append(_told(self._week))
            self._week = _Week(monday, [Bets(each) for each in self.about.statistics])
        return self._week

    def _look(self, week: _Week, time: str) -> None:
        for family, value, most in _families(week):
            week.highest[family] = max(value, week.highest.get(family, 0.0))
            if value >= LIMITS[family] and family not in week.alarms:
                week.alarms[family] = _Alarm(time, week.images, most)


def _families(week: _Week) -> Iterable[tuple[str, float, str]]:
    """Give the evidence of each family, the mean of its numbers', and the number that has most of it."""
    for family in SHARES:
        own = {bets.about.name: bets.evidence for bets in week.bets if bets.about.family == family}
        if own:
            yield family, sum(own.values()) / len(own), max(own, key=own.__getitem__)


def _told(week: _Week) -> DriftWeek:
    families = {}
    for family, value, most in _families(week):
        alarm = week.alarms.get(family)
        families[family] = DriftFamily(
            evidence=min(week.highest.get(family, value), 1e300),
            alarm=alarm is not None,
            since=alarm.since if alarm else None,
            images=alarm.images if alarm else None,
            most=alarm.most if alarm else most,
        )
    return DriftWeek(week=week.monday, images=week.images, families=families)


def monday_of(time: str) -> str:
    """Give the Monday of a time, ISO 8601, in UTC."""
    day = dt.datetime.fromisoformat(time).astimezone(dt.UTC).date()
    return (day - dt.timedelta(days=day.weekday())).isoformat()


def _chance(image: str, name: str, number: int) -> float:
    """Give a number from 0 to 1 that who reads the log draws again."""
    digest = hashlib.sha256(f"{image or number}\n{name}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
