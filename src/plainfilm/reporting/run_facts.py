"""What is known of a run: metrics.json, the manifest and a few facts of the store, read where they stand and no further."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from plainfilm.reporting.formatting import PERCENT, WHERE, decimal, number, percent, triple
from plainfilm.reporting.view_model import Counts, DuplicateCounts, ProblemGroup

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card tells that neither metrics.json nor the manifest holds; None and empty mean that it is not known.

    `by_split`, `by_source`: `findings.tables`. `problems`: `findings.problems`; () means that none was met.
    `duplicates`: `findings.duplicate_counts`. `patients` counts the known ones, `without_patient` the images of unknown
    ones, `groups` patients and unrelated images: the store's columns `patient` and `group`. `split` says who made the
    split, `left_out` how many files are not in the store: its attributes. `recorded` counts, for each column of
    provenance, the images that have a value. `recipe` is TOML without paths; `repeat` are the commands.
    """

    title: str = ""
    folder: str = ""
    by_split: Counts | None = None
    by_source: Counts | None = None
    patients: int | None = None
    without_patient: int | None = None
    groups: int | None = None
    split: Literal["given", "made"] | None = None
    recorded: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[ProblemGroup] | None = None
    left_out: int | None = None
    duplicates: DuplicateCounts | None = None
    recipe: str = ""
    repeat: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Metrics (`metrics.json`), manifest (`about`), the facts beside them, and the recipe parsed."""

    metrics: Mapping[str, Any]
    about: Mapping[str, Any]
    card: Card
    recipe: Mapping[str, Any]

    @classmethod
    def of(cls, metrics: Mapping[str, Any], about: Mapping[str, Any], card: Card) -> Self:
        """Parse the recipe; one that is no TOML counts as unknown."""
        try:
            recipe = tomllib.loads(card.recipe)
        except tomllib.TOMLDecodeError:
            recipe = {}
        return cls(metrics=metrics, about=about, card=card, recipe=recipe)

    @property
    def audit(self) -> Mapping[str, Any]:
        """What the audit found, {} where it did not run."""
        return inside(self.metrics, "audit")

    @property
    def verdict(self) -> str:
        """The verdict of the audit, "" where there is none."""
        return str(self.audit.get("verdict") or "")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, of the metrics or the manifest."""
        return tuple(map(str, self.metrics.get("classes") or self.about.get("classes") or ()))

    @property
    def positive(self) -> str | None:
        """The class that sensitivity is about; None with more than two."""
        name = self.metrics.get("positive")
        return None if name is None else str(name)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        if self.card.by_source is not None:
            return tuple(self.card.by_source.columns)
        return tuple(map(str, inside(self.audit, "sources").get("names") or ()))

    @property
    def images(self) -> int | None:
        """Images in the store."""
        found = number(inside(self.metrics, "data").get("images"))
        return None if found is None else int(found)

    @property
    def versions(self) -> Mapping[str, Any]:
        """Version by name of software."""
        return inside(self.about, "versions") or inside(self.metrics, "versions")

    @property
    def not_run(self) -> Sequence[Mapping[str, Any]]:
        """Checks of the audit that could not run, with their reasons."""
        return [each for each in self.audit.get("not_run") or () if isinstance(each, Mapping)]

    @property
    def patients_known(self) -> bool:
        """Whether the patient of every image is known."""
        return bool(self.card.patients) and self.card.without_patient == 0

    @property
    def leaks(self) -> int:
        """Images of a given split that also stand in another part."""
        return self.card.duplicates.leaks if self.card.duplicates else 0

    def part(self, name: str) -> Mapping[str, Any]:
        """Metrics of a part of the data, {} where it was not scored or holds nothing."""
        found = inside(self.metrics, "splits", name)
        return found if number(found.get("n")) else {}

    @property
    def tested(self) -> Mapping[str, Any]:
        """Metrics of what was kept for testing: the test part, or each fold of a cross-validation; {} where nothing was."""
        return self.part("test") or self.part("out_of_fold")

    @property
    def where(self) -> str:
        """What was kept for testing, in words."""
        return WHERE["out_of_fold" if self.part("out_of_fold") else "test"]

    def external(self) -> list[str]:
        """Names of scored parts that are none of the store's own three."""
        return [name for name in inside(self.metrics, "splits") if name not in (*PARTS, *WHERE) and self.part(name)]

    def left_out_sources(self) -> list[Mapping[str, Any]]:
        """Sources left out of training, each with a known AUROC on it."""
        found = inside(self.audit, "sources").get("left_out") or ()
        return [each for each in found if number(triple(each.get("auroc"))[0]) is not None]

    def setting(self, section: str, name: str) -> str:
        """Write a value of the recipe, "" where it is not there."""
        value = inside(self.recipe, section).get(name)
        if isinstance(value, list):
            return ", ".join(map(str, value)) or "none"
        return "" if value is None else str(value)


def inside(values: Mapping[str, Any], *way: str) -> Mapping[str, Any]:
    """Follow names into nested mappings; {} where the way ends."""
    for name in way:
        found = values.get(name)
        if not isinstance(found, Mapping):
            return {}
        values = found
    return values


def has_interval(metric: Any) -> bool:
    """Tell whether value, low and high are all known and finite."""
    return all(number(each) is not None for each in triple(metric))


def estimate(name: str, metric: Any) -> str:
    """Write a metric with its interval, "97.2 % (95.0 to 98.4)", or "" where its value is not known."""
    value, low, high = map(number, triple(metric))
    write = percent if name in PERCENT else decimal
    if value is None:
        return ""
    bounds = "" if low is None or high is None else f" ({write(low, unit=False)} to {write(high, unit=False)})"
    return write(value) + bounds


def count_of(number_: int, one: str, many: str = "") -> str:
    """Write "1 image", "1,204 images"."""
    return f"{number_:,} {one if number_ == 1 else many or one + 's'}"
