"""How often the alarms of drift are false, and how soon a drift is found.

    python benchmarks/drift.py --work /tmp/drift --out drift.json

Numbers as a bundle watches them: scores of a classifier of two classes that are `apart` standard deviations from one another, and the image
statistics of films of darkcovidnet (../shared; synthetic ones without it), which are drawn with replacement, so that all that is not drifted
is one population. For each simulated week a reference is drawn anew. False alarms: weeks of 1,000 radiographs in which any family alarms.
Found: share of weeks in which an alarm comes within 200 radiographs, at the start of the week and after 500 usual ones, and the median number it
took. Scanner: every film through a gamma of 1.4, or blurred by 1 px. Bound: the same prevalences told by one look at exactly 200 radiographs,
which spends all false alarms that scores may have, and by looks at 50, 100 and 200, each of which may have a seventh: the sum of each bin's share of
positives, against its exact distribution (Dirichlet-multinomial) while nothing drifts. An alarm that may come at any time can hardly find more than the one look.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit

import plainfilm
from measuring import SHARED, finish
from plainfilm.data.images import fitted
from plainfilm.data.store import Store
from plainfilm.evidence.drift.image_statistics import NAMES, image_statistics
from plainfilm.evidence.drift.monitor import BLOCK, FALSE_ALARMS, LIMITS, SHARES, Bets, _forecasts
from plainfilm.evidence.drift.reference import _described, jittered
from plainfilm.results.drift import WatchedStatistic

WEEK, WITHIN, BEFORE = 1000, 200, 500
REFUSED = 0.01
Numbers = NDArray[np.float64]
Draw = Callable[[int], tuple[Numbers, Numbers]]  # of n radiographs: whether positive, and (n, 1 + 1 + images) numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--weeks", type=int, default=1000)
    parser.add_argument("--drifts", type=int, default=200)
    parser.add_argument("--only", choices=["false", "found", "bound"])
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    films = _films(asked.work)
    measured = {name: _measured(films, change) for name, change in CHANGES.items()}
    ways = {
        "false": lambda: list(_false(measured, asked.weeks)),
        "found": lambda: list(_found(measured, asked.drifts)),
        "bound": lambda: list(_bound(measured, asked.drifts)),
    }
    finish({name: way() for name, way in ways.items() if asked.only in {None, name}}, asked.out)


CHANGES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "none": lambda film: film,
    "gamma 1.4": lambda film: (255 * (film / 255) ** 1.4).astype(np.uint8),
    "blur 1 px": lambda film: gaussian_filter(film, 1.0),
}


def _films(work: Path) -> NDArray[np.uint8]:
    store = work / "films.h5"
    if not store.is_file():
        source = SHARED / "data" / "darkcovidnet"
        if not source.is_dir():
            from plainfilm.data import phantom

            phantom.write_phantoms(source := work / "made", n=400)
        plainfilm.ingest(source, store)
    with Store(store) as opened:
        return opened.images(range(len(opened)))


def _measured(films: NDArray[np.uint8], change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Numbers:
    size = films.shape[1]
    return np.array([image_statistics(fitted(change(film), size=size, fit="stretch")) for film in films])


def drawn(rng: np.random.Generator, images: Numbers, prevalence: float, apart: float) -> Draw:
    def draw(n: int) -> tuple[Numbers, Numbers]:
        sick = rng.random(n) < prevalence
        score = expit(rng.normal(size=n) + apart * sick - apart / 2)
        own = images[rng.integers(0, len(images), n)]
        return sick, np.column_stack([score, rng.random(n) < REFUSED, own])

    return draw


def reference(rng: np.random.Generator, draw: Draw, n: int) -> list[WatchedStatistic]:
    sick, numbers = draw(n)
    names = [("score", "scores"), ("refused", "refusals"), *((name, "image") for name in NAMES)]
    return [
        _described(name, family, numbers[:, at], rng, sick.astype(bool) if at == 0 else None)  # type: ignore[arg-type]
        for at, (name, family) in enumerate(names)
    ]


def alarms(
    rng: np.random.Generator, abouts: Sequence[Sequence[WatchedStatistic]], weeks: Numbers, first: int = 0
) -> list[dict[str, int]]:
    """Give for each week, float64 (weeks, n, numbers), the families that alarm, and how many radiographs after the `first` ones it took.

    All weeks are gone through side by side, by the arithmetic of `Bets`; the first week is held against it.
    """
    chance = rng.random(weeks.shape)
    every = [_Side([own[at] for own in abouts]) for at in range(weeks.shape[2])]
    found: list[dict[str, int]] = [{} for _ in weeks]
    own = [Bets(each) for each in abouts[0]]
    for number in range(weeks.shape[1]):
        for at, side in enumerate(every):
            side.note(weeks[:, number, at], chance[:, number, at])
            own[at].note(float(weeks[0, number, at]), float(chance[0, number, at]))
        for family in SHARES:
            evidence = np.mean([side.evidence for side in every if side.family == family], axis=0)
            for week in np.flatnonzero(evidence >= LIMITS[family]).tolist():
                found[week].setdefault(family, number - first)
    for side, bets in zip(every, own, strict=True):
        assert np.isclose(side.evidence[0], bets.evidence, rtol=1e-6)
    return found


class _Side:
    """The bets of many weeks on one number."""

    def __init__(self, abouts: Sequence[WatchedStatistic]) -> None:
        self.family = abouts[0].family
        made = [_forecasts(each) for each in abouts]
        self._forecasts, self._weights = (np.array([each[at] for each in made]) for at in (0, 1))
        self._edges = np.array([each.edges for each in abouts])
        self._gaps = np.array([each.gaps for each in abouts], np.float64)
        self._won, self._kept, self._seen = np.zeros(self._weights.shape), 1.0, 0

    @property
    def evidence(self) -> Numbers:
        return np.asarray((self._weights * self._won).sum(axis=1) + self._kept)

    def note(self, values: Numbers, chance: Numbers) -> None:
        if self._seen % BLOCK == 0:
            block = self._seen // BLOCK + 1
            self._won += 1 / (block * (block + 1))
            self._kept -= 1 / (block * (block + 1))
        apart = np.array([jittered(*each, self.family) for each in zip(values.tolist(), chance.tolist(), strict=True)])  # type: ignore[arg-type]
        weeks, place = np.arange(len(values)), (self._edges <= apart[:, None]).sum(axis=1)
        usual = self._gaps[weeks, place] / self._gaps.sum(axis=1)
        self._won *= self._forecasts[weeks, :, place] / usual[:, None]
        self._gaps[weeks, place] += 1
        self._seen += 1


def _false(measured: dict[str, Numbers], weeks: int) -> Iterator[dict[str, object]]:
    for size in (100, 300, 1000):
        rng = np.random.default_rng(size)
        draw = drawn(rng, measured["none"], 0.2, 3.0)
        abouts = [reference(rng, draw, size) for _ in range(weeks)]
        found = alarms(rng, abouts, np.array([draw(WEEK)[1] for _ in range(weeks)]))
        row = {"reference": size, "weeks": weeks, "radiographs": WEEK, "any": np.mean([bool(each) for each in found])}
        row |= {family: float(np.mean([family in each for each in found])) for family in SHARES}
        print(json.dumps(row), flush=True)
        yield row


def _found(measured: dict[str, Numbers], times: int) -> Iterator[dict[str, object]]:
    kinds = [
        (f"prevalence {share:.0%} doubled", "scores", share, apart, "none")
        for share in (0.1, 0.2, 0.3)
        for apart in (1.8, 3.0)
    ]
    kinds += [(f"scanner: {name}", "image", 0.2, 3.0, name) for name in CHANGES if name != "none"]
    for title, family, share, apart, change in kinds:
        for size in (300, 1000):
            for before in (0, BEFORE):
                rng = np.random.default_rng([size, before])
                usual = drawn(rng, measured["none"], share, apart)
                other = drawn(rng, measured[change], share if change != "none" else 2 * share, apart)
                weeks = [np.concatenate([usual(before)[1], other(WITHIN)[1]]) for _ in range(times)]
                every = alarms(rng, [reference(rng, usual, size) for _ in range(times)], np.array(weeks), before)
                took = [each.get(family, WITHIN) for each in every]
                row = {"drift": title, "apart": apart, "reference": size, "after": before,
                       "found": float(np.mean(np.array(took) < WITHIN)), "median": statistics.median(took)}  # fmt: skip
                print(json.dumps(row), flush=True)
                yield row


def _bound(measured: dict[str, Numbers], times: int) -> Iterator[dict[str, object]]:
    allowed = SHARES["scores"] * FALSE_ALARMS / 2  # more or fewer positives
    for share in (0.1, 0.2, 0.3):
        for apart in (1.8, 3.0):
            for size in (300, 1000):
                rng = np.random.default_rng(size)
                usual, other = (drawn(rng, measured["none"], own, apart) for own in (share, 2 * share))
                found = np.array(
                    [_by_looks(rng, reference(rng, usual, size)[0], other(WITHIN)[1][:, 0]) for _ in range(times)]
                )
                row = {"prevalence": share, "apart": apart, "reference": size, "one look": float(np.mean(found[:, -1] <= allowed)),
                       "looks": float(np.mean(found.min(axis=1) <= allowed / 7))}  # fmt: skip
                print(json.dumps(row), flush=True)
                yield row


def _by_looks(rng: np.random.Generator, about: WatchedStatistic, scores: Numbers) -> list[float]:
    """Give the chance that no drift brings as many positives by the scores of the first 50, 100 and 200 radiographs."""
    gaps, positives = np.array(about.gaps, np.float64), np.array(about.positives, np.float64)
    sick = (positives + 0.5) / gaps
    told = sick[np.searchsorted(about.edges, scores, side="right")]
    chances = []
    for number in (50, 100, WITHIN):
        usual = rng.multinomial(number, rng.dirichlet(gaps, size=20_000)) @ sick
        chances.append(float(1 + np.count_nonzero(usual >= told[:number].sum() - 1e-9)) / (1 + len(usual)))
    return chances


if __name__ == "__main__":
    main()
