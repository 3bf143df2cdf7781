"""Explanations for tests: one with all there can be, one of which nothing is known, one with hostile names."""

from dataclasses import replace
from typing import Any

import numpy as np
from msgspec import structs

from made_audits import EVIL, LONG
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.faithfulness import ORDERS
from plainfilm.evidence.explanation.summary import ExplanationFindings, Film
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import ClassAttribution, Explanation, Faithfulness, Order, Pointing

LINE = (1.0, 0.88, 0.76, 0.64, 0.52, 0.4)
REPLACED = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
NO_LUNGS = ClassAttribution(attribution_in_lungs=None, lungs_take=None)
FAITHFUL = Faithfulness(
    sentence="The picture is faithful: what it marks moves the answer more than random spots do, though not surely more than the middle of the film, and it points at planted opacities.",
    faithful=True,
    images=12,
    unmoved=5,
    replaced=REPLACED,
    orders={
        order: Order(
            deletion=LINE,
            insertion=LINE[::-1],
            deletion_area=Estimate(0.61 + at / 10, 0.5, 0.9),
            insertion_area=Estimate(0.93 - at / 10, 0.5, 0.95),
        )
        for at, order in enumerate(ORDERS)
    },
    better_than={"random": Estimate(0.21, 0.12, 0.31), "centre": Estimate(0.05, -0.02, 0.1)},
)
POINTING = Pointing(
    sentence="Soft opacities were planted in the lungs of 32 radiographs. 28 of them moved the answer, and on 75 % (57 to 87 %) of these the picture's peak lies within a tenth of the side of the opacity.",
    planted=32,
    reacted=28,
    near=Estimate(0.75, 0.57, 0.87),
    points=True,
)


def film(number: int, *, truth: str = "COVID", answer: str = "COVID", drawn: bool = True, **changed: Any) -> Film:
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
    shown = attribution.overlay(pixels, np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1)))
    made = Film(file=f"{truth}/{number}.jpg", truth=truth, answer=answer, probability=0.9371, pixels=pixels, overlay=shown,
                in_lungs=0.46, lungs_take=0.33, empty=False, drawn=drawn)  # fmt: skip
    return replace(made, **changed)


EXPLANATION = ExplanationFindings(
    films=[
        film(1),
        film(2, answer="NORMAL"),
        film(3, truth="NORMAL", answer="NORMAL", in_lungs=np.nan, lungs_take=np.nan),
        film(4, truth="NORMAL", answer="NORMAL", in_lungs=np.nan, lungs_take=np.nan, empty=True),
        film(5, truth="NORMAL", answer="COVID", drawn=False),
    ],
    result=Explanation(
        method="Grad-CAM",
        images=4,
        sentence="46 % of what spoke for the answers lies in the lungs, more than chance would give: they take 33 % of the radiographs.",
        attribution_in_lungs=Estimate(0.46, 0.4, 0.53),
        lungs_take=Estimate(0.33, 0.3, 0.36),
        difference=Estimate(0.13, 0.08, 0.18),
        by_class={"COVID": ClassAttribution(attribution_in_lungs=0.46, lungs_take=0.33), "NORMAL": NO_LUNGS},
        without_lungs=2,
        empty_maps=1,
        faithfulness=FAITHFUL,
        pointing=POINTING,
    ),
)

_NO_LINE = (np.nan,) * 6
NOTHING = ExplanationFindings(
    films=[],
    result=Explanation(
        method="Grad-CAM",
        images=0,
        sentence="No lung fields were found on these radiographs, so it is not known how much of it lies in the lungs.",
        attribution_in_lungs=UNDEFINED,
        lungs_take=UNDEFINED,
        difference=UNDEFINED,
        by_class={},
        without_lungs=0,
        empty_maps=0,
        faithfulness=Faithfulness(
            sentence="The picture is not shown to be better than chance: these radiographs are too few or too alike to tell.",
            faithful=False,
            images=0,
            unmoved=0,
            replaced=REPLACED,
            orders=dict.fromkeys(
                ORDERS,
                Order(deletion=_NO_LINE, insertion=_NO_LINE, deletion_area=UNDEFINED, insertion_area=UNDEFINED),
            ),
            better_than=dict.fromkeys(("random", "centre"), UNDEFINED),
        ),
    ),
)


def by_class(found: ExplanationFindings, **changed: ClassAttribution) -> Explanation:
    return structs.replace(found.result, by_class=changed)


def ugly() -> ExplanationFindings:
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
    return ExplanationFindings(films=films, result=by_class(NOTHING, **{EVIL: NO_LUNGS}))
