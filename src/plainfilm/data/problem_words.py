"""What each code of a problem means, in words that name no file: for the terminal, and for the card that travels with a model."""

import re

from plainfilm.data.decoding.decoded import REASONS, REMARKS
from plainfilm.errors import Problem

_OF_A_CATALOG: dict[str, str] = {
    "mask": "a segmentation mask, no radiograph",
    "not-an-image": "a file of another kind",
    "not-in-table": "an image that the table does not list",
    "missing-file": "a row of a table or list that fits no image",
    "no-file-name": "a row of the table without a file",
    "outside-folder": "a row of a table, or a member of an archive, that leads out of its folder",
    "two-labels": "one image under two labels",
    "two-splits": "one image in two parts of the given split; test counts before validation and train",
    "labels-of-folders": "a table has columns that may be labels; the folders' classes were kept",
    "duplicate-row": "listed twice in the table; the first row counts",
    "rows-differ": "rows of one image, of which one calls a finding present and another absent; present counts",
    "other-modality": "a row of the table of another modality, such as CT",
    "other-table": "a table that names no files; not read",
    "second-table": "a folder has one table; this one was not read",
    "other-list": "a text file that does not list these images; not read",
    "table": "what was not read as it stands in a table",
    "unlabelled": "an image without a label; kept, but not trained on",
    "class-mapped": "an image whose label --map makes another class",
    "class-not-asked": "an image of a class that --classes does not name",
    "blank-is-absent": "findings that are only ever written as present: blank is absent",
    "rare-finding": "a finding kept, and too rare to be trained on",
    "class-spelling": "spellings of one class, taken as one",
    "linked-folder": "a linked folder, read once",
    "system-folder": "a hidden or system folder, not entered",
    "own-folder": "a folder that a command of plainfilm wrote, not entered",
    "not-a-file": "a pipe, a socket or a device, not read",
    "copy-of-tree": "a copy of other folders; its images count once",
    "no-permission": "a folder that cannot be listed",
    "leak": "a patient, or a duplicate, in two parts of the given split",
    "no-date": "no date that tells the earlier from the later part; not in the test set",
    "on-both-sides": "a patient, or a duplicate, with studies on both sides of the date of --test-from",
    "part-made": "a part that the given split lacks, taken from train",
    "joined-patients": "ids of patients in several sources, each taken for one patient",
    "one-patient-id": "one id for all images, taken for none",
    "linked-member": "a link or device in an archive, not read",
    "encrypted": "a member of an archive that needs a password",
    "unsupported-compression": "a member of an archive that is compressed in another way",
    "repeated-member": "a name that an archive holds twice",
    "text": "lines of text are burned into the picture, maybe a name",
    "guessed-depth": "a source of pictures of more than 8 bits that do not state their depth",
}


_MEANINGS = _OF_A_CATALOG | REASONS | REMARKS


def told_plainly(problem: Problem) -> str:
    """Tell a problem in words that name no file, table or value; the number of files that its sentence begins with stays."""
    number = how_many(problem.sentence)
    said = meaning(problem.code) or problem.code
    return f"{number:,} files: {said}." if number > 1 else f"{said[0].upper()}{said[1:]}."


def how_many(sentence: str) -> int:
    """How many files a problem is about: the number that its sentence begins with, else one."""
    number = re.match(r"\d[\d,]*(?= )", sentence)
    return int(number[0].replace(",", "")) if number else 1


def meaning(code: str) -> str:
    """Give the meaning of a reason code, "" for one that is not known, as of another version."""
    return _MEANINGS.get(code, "")
