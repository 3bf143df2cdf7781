"""Where the model looked, laid out for reading."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.faithfulness import CENTRE, MAP, ORDERS, RANDOM
from plainfilm.evidence.explanation.summary import ExplanationFindings, Film
from plainfilm.reporting.formatting import NARROW_SPACE, number
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Faithfulness

NAMES = {
    MAP: "what the picture marks first",
    RANDOM: "random spots first",
    CENTRE: "the middle of the radiograph first",
}
SWATCHES = {MAP: "s0", RANDOM: "sm d2", CENTRE: "s1 d1"}
Kind = Literal["deletion", "insertion"]

_KEY_PX = (12, 160)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmShown:
    """One radiograph with its overlay; `lungs` is the line on how much of it lies in them."""

    film: Film
    right: bool
    lungs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmGroup:
    """Radiographs of a class that were drawn (`name`), or the other wrong answers (None)."""

    name: str | None
    lungs: str
    films: Sequence[FilmShown]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedShown:
    """All that the section shows beside its drawings. `legends`: swatch, name and area of each line of a drawing."""

    groups: Sequence[FilmGroup]
    drawn: int
    key: NDArray[np.uint8]
    lungs: str
    lungs_interval: str
    faithful: str
    pointing: str
    numbers: str
    unmoved: str
    legends: dict[Kind, list[tuple[str, str, str]]]


def show(found: ExplanationFindings) -> LookedShown:
    """Lay out an explanation."""
    explanation, measured = found.result, found.result.faithfulness
    groups = [
        FilmGroup(
            name=name,
            lungs=_share(own.attribution_in_lungs, own.lungs_take),
            films=[_film(film) for film in found.films if film.drawn and film.truth == name],
        )
        for name, own in explanation.by_class.items()
    ]
    others = [_film(film) for film in found.films if not film.drawn]
    return LookedShown(
        groups=[*groups, *([FilmGroup(name=None, lungs="", films=others)] if others else [])],
        drawn=explanation.images,
        key=attribution.overlay(
            np.full(_KEY_PX, 110, np.uint8), np.tile(np.linspace(0, 1, _KEY_PX[1]), (_KEY_PX[0], 1))
        ),
        lungs=explanation.sentence,
        lungs_interval=_interval(explanation.attribution_in_lungs),
        faithful=measured.sentence,
        pointing=explanation.pointing.sentence if explanation.pointing else "",
        numbers=_numbers(measured),
        unmoved=_unmoved(measured.unmoved, measured.images),
        legends={
            "deletion": [(SWATCHES[each], NAMES[each], _area(measured.orders[each].deletion_area)) for each in ORDERS],
            "insertion": [
                (SWATCHES[each], NAMES[each], _area(measured.orders[each].insertion_area)) for each in ORDERS
            ],
        },
    )


def _film(film: Film) -> FilmShown:
    lungs = "nothing in the maps speaks for this answer" if film.empty else _share(film.in_lungs, film.lungs_take)
    return FilmShown(film=film, right=film.truth == film.answer, lungs=lungs)


def _share(inside: float | None, area: float | None) -> str:
    if inside is None or area is None or math.isnan(inside):
        return "no lungs found"
    return f"{_percent(inside)} in the lungs, by chance {_percent(area)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}{NARROW_SPACE}%"


def _interval(estimate: Estimate) -> str:
    low, high = number(estimate.low), number(estimate.high)
    return "" if low is None or high is None else f"{100 * low:.0f} to {_percent(high)}"


def _area(estimate: Estimate) -> str:
    value = number(estimate.value)
    return "" if value is None else f"{value:.2f}"


def _numbers(measured: Faithfulness) -> str:
    """Say what the sentence rests on; nothing where there is too little to tell."""
    chance = measured.better_than[RANDOM]
    if math.isnan(chance.low):
        return ""
    value, low, high = (f"{each:.2f}".replace("-", "−") for each in (chance.value, chance.low, chance.high))
    return f"By {value} of the area between the two curves, 95 % interval {low} to {high}, over {measured.images} radiographs."


def _unmoved(unmoved: int, images: int) -> str:
    if not unmoved:
        return ""
    return f"On {unmoved} of the {images} the answer stays even when the whole radiograph is blurred; they can tell little."
