"""How the user asks for SOURCES to be read: the options of `ingest` and `evaluate` that say what files and tables mean."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plainfilm.data.cataloguing.presets import Preset
from plainfilm.results.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user says of the files and tables; by default nothing.

    Parameters
    ----------
    labels
        A table of labels.
    columns
        Our name of a column -> the user's name or number: file_name, label, patient_id, source.
    preset
        The public data set that each SOURCE is.
    mapping
        Label -> the class that it is; labels that are not named are classes of their own.
    classes
        Keep these classes alone, and images without a label; of findings, train on these alone.
    label_of
        A finding: the classes are "FINDING" and "no FINDING".
    task
        Whether each image is of one class or has findings; None for what the tables and folders look like.
    label_pattern
        Finds the label in the path of a file: its group `label`, or the first.
    layout, classes_from
        Roles of the folder levels, as in `levels.read_levels`.
    separate_sources
        Equal ids of patients in different sources are different patients.
    keep_others
        Go on where most files are no radiographs.
    keep
        Columns that stay in the store as they are.
    test_from
        Studies of this day or later are the test set.
    date_column
        The column of their dates, where its name does not tell.
    leaves_out_straddling
        Whether patients with studies on both sides are left out of the split, and not trained on.
    pseudonyms
        Numbers take the place of the names of files and sources.
    """

    labels: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    preset: Preset | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] | None = None
    label_of: str | None = None
    task: Task | None = None
    label_pattern: re.Pattern[str] | None = None
    layout: str | None = None
    classes_from: int | None = None
    separate_sources: bool = False
    keep_others: bool = False
    keep: Sequence[str] = ()
    test_from: dt.date | None = None
    date_column: str | None = None
    leaves_out_straddling: bool = False
    pseudonyms: bool = False
