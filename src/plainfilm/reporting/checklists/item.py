"""An item of a reporting list, and what a run answers to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from plainfilm.reporting.run_facts import Known

Status = Literal["answered", "partly", "open", "not applicable"]
STATUSES: tuple[Status, ...] = ("answered", "partly", "open", "not applicable")
ANCHORS = {
    "asked": "What was asked",
    "result": "Result",
    "curves": "Curves",
    "mistakes": "Most wrong",
    "why": "With the lungs hidden",
    "sources": "Sources",
    "left-out": "Sources left out",
    "limits": "What the audit cannot see",
    "data": "Data",
    "training": "Training",
    "repeat": "How to repeat it",
    "subgroups": "Subgroups",
    "utility": "Utility",
    "sample-size": "With more patients",
}  # sections of report.html by their anchor


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """What a run says to an item: `evidence` in plain text, and the anchor of report.html where it stands.

    `write` is what is left to the author, where that is not what the item says of itself.
    """

    status: Status
    evidence: str = ""
    anchor: str = ""
    write: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a list: its number there, what it asks for in our words, what an author has to write, who answers."""

    number: str
    asked: str
    write: str
    answer: Callable[[Known], ItemAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A reporting list: its items by section, and where it was published."""

    name: str
    full_name: str
    citation: str
    doi: str
    sections: Mapping[str, tuple[Item, ...]]


def by_author(_: Known) -> ItemAnswer:
    """No value of a run can answer this."""
    return ItemAnswer("open")
