"""Explanations for tests: one with all there can be, one of which nothing is known, one with hostile names."""

from dataclasses import replace
from typing import Any

import numpy as np

from made_audits import EVIL, LONG
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.faithfulness import ORDERS, Faithfulness
from plainfilm.evidence.explanation.summary import Explanation, Film
from plainfilm.results.estimate import UNDEFINED, Estimate

LINE = np.linspace(1, 0.4, 6)
FAITHFUL = Faithfulness(
    images=12,
    unmoved=5,
    replaced=np.linspace(0, 1, 6),
    deletion=dict.fromkeys(ORDERS, LINE),
    insertion=dict.fromkeys(ORDERS, LINE[::-1]),
    deletion_area={order: Estimate(0.61 + at / 10, 0.5, 0.9) for at, order in enumerate(ORDERS)},
    insertion_area={order: Estimate(0.93 - at / 10, 0.5, 0.95) for at, order in enumerate(ORDERS)},
    better_than={"random": Estimate(0.21, 0.12, 0.31), "centre": Estimate(0.05, -0.02, 0.1)},
)


def film(number: int, *, truth: str = "COVID", answer: str = "COVID", drawn: bool = True, **changed: Any) -> Film:
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
    shown = attribution.overlay(pixels, np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1)))
    made = Film(file=f"{truth}/{number}.jpg", truth=truth, answer=answer, probability=0.9371, pixels=pixels, overlay=shown,
                in_lungs=0.46, lungs_take=0.33, empty=False, drawn=drawn)  # fmt: skip
    return replace(made, **changed)


EXPLANATION = Explanation(
    films=[
        film(1),
        film(2, answer="NORMAL"),
        film(3, truth="NORMAL", answer="NORMAL", in_lungs=np.nan, lungs_take=np.nan),
        film(4, truth="NORMAL", answer="NORMAL", in_lungs=np.nan, lungs_take=np.nan, empty=True),
        film(5, truth="NORMAL", answer="COVID", drawn=False),
    ],
    in_lungs=Estimate(0.46, 0.4, 0.53),
    lungs_take=Estimate(0.33, 0.3, 0.36),
    difference=Estimate(0.13, 0.08, 0.18),
    by_class={"COVID": (0.46, 0.33), "NORMAL": (np.nan, np.nan)},
    faithfulness=FAITHFUL,
)

_UNKNOWN = Faithfulness(
    images=0,
    unmoved=0,
    replaced=np.linspace(0, 1, 6),
    deletion=dict.fromkeys(ORDERS, np.full(6, np.nan)),
    insertion=dict.fromkeys(ORDERS, np.full(6, np.nan)),
    deletion_area=dict.fromkeys(ORDERS, UNDEFINED),
    insertion_area=dict.fromkeys(ORDERS, UNDEFINED),
    better_than=dict.fromkeys(("random", "centre"), UNDEFINED),
)
NOTHING = Explanation(
    films=[], in_lungs=UNDEFINED, lungs_take=UNDEFINED, difference=UNDEFINED, by_class={}, faithfulness=_UNKNOWN
)


def ugly() -> Explanation:
    """Hostile names, films of strange shapes, probabilities that are not known."""
    thin, nothing = np.full((3, 700), 255, np.uint8), np.zeros((0, 0), np.uint8)
    films = [
        film(1, truth=EVIL, answer=EVIL, file=LONG, pixels=nothing, probability=float("nan")),
        film(
            2,
            truth="طبيعي",
            answer=EVIL,
            file="\udcff\x00\u202egpj.exe",
            pixels=thin,
            drawn=False,
            in_lungs=float("nan"),
        ),
    ]
    return replace(NOTHING, films=films, by_class={EVIL: (float("nan"), float("nan"))})
