"""A reporting list filled from a run: each item with its status, the evidence, and what is left to the author."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.reporting.checklists.item import STATUSES, Item, Standard, Status
from plainfilm.reporting.formatting import MISSING
from plainfilm.reporting.run_facts import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistRow:
    """An item with its answer: `anchor` is a section of report.html, "" for none; `write` what the author has to."""

    number: str
    section: str
    asked: str
    status: Status
    evidence: str
    anchor: str
    write: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """A filled list, and where it was published."""

    name: str
    full_name: str
    citation: str
    doi: str
    rows: Sequence[ChecklistRow]

    def count(self, status: Status) -> int:
        """Count the items of a status."""
        return sum(row.status == status for row in self.rows)

    @property
    def sections(self) -> dict[str, list[ChecklistRow]]:
        """Rows by section, in the list's order."""
        found: dict[str, list[ChecklistRow]] = {}
        for row in self.rows:
            found.setdefault(row.section, []).append(row)
        return found

    @property
    def summary(self) -> str:
        """All items in one line: "13 answered by this run, 4 partly, 26 for you, 1 not applicable"."""
        means = dict(zip(STATUSES, ("answered by this run", "partly", "for you", "not applicable"), strict=True))
        return ", ".join(f"{self.count(status)} {words}" for status, words in means.items())


def fill(standard: Standard, known: Known) -> Checklist:
    """Ask every item of a list what the run answers."""
    rows = [_row(section, item, known) for section, items in standard.sections.items() for item in items]
    return Checklist(
        name=standard.name, full_name=standard.full_name, citation=standard.citation, doi=standard.doi, rows=rows
    )


def _row(section: str, item: Item, known: Known) -> ChecklistRow:
    answer = item.answer(known)
    done = answer.status in {"answered", "not applicable"}
    return ChecklistRow(
        number=item.number,
        section=section,
        asked=item.asked,
        status=answer.status,
        evidence=answer.evidence or MISSING,
        anchor=answer.anchor,
        write="" if done else answer.write or item.write,
    )
