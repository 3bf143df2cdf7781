"""Where the app may look and write: below ROOT, whatever a name or a link says; and what may become the name of a file."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm.errors import UsageError
from plainfilm.harmless import harmless
from plainfilm.serve.http_errors import Refused

HIDDEN = ".app"  # in WORK: the app's own
_MOST_LETTERS, _MOST_BYTES, _DEEPEST = 4096, 200, 24
_UNFIT = frozenset('/\\:*?"<>|')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)( *\..*)?", re.IGNORECASE
)  # devices of Windows

_BYTES = {
    0xDC80 + byte: 0xF780 + byte for byte in range(128)
}  # of names that are not UTF-8: in no address can half a character stand
_BACK = {sign: half for half, sign in _BYTES.items()}


def as_json(told: Any) -> bytes:
    """Write what a page is told, with names that it can say again: `Places.inside` takes them back."""
    return json.dumps(told, ensure_ascii=False).translate(_BYTES).encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Places:
    """ROOT, below which the app looks, and WORK below it, where it writes; both without links."""

    root: Path
    work: Path

    @classmethod
    def of(cls, root: Path, work: Path | None) -> "Places":
        """Take the folders as they are given; WORK is ROOT/plainfilm-projects by default.

        Raises
        ------
        UsageError
            ROOT is no folder, or WORK does not lie below it.
        """
        if not root.is_dir():
            raise UsageError(
                f"Expected --root to be a folder; received {root}. Name the folder that holds your radiographs."
            )
        real = Path(os.path.realpath(root))
        made = Path(os.path.realpath(work or real / "plainfilm-projects"))
        if made == real or not made.is_relative_to(real):
            raise UsageError(
                f"Expected --work to be a folder below {real}; received {work}. Name one there, or leave it out."
            )
        return cls(real, made)

    @property
    def own(self) -> Path:
        """What the app keeps for itself."""
        return self.work / HIDDEN

    def inside(self, text: object) -> Path:
        """Give the place that a request names, without links, there or not.

        Raises
        ------
        Refused
            400 for what is no absolute path; 403 for one that is not below ROOT.
        """
        if not isinstance(text, str) or not 0 < len(text) <= _MOST_LETTERS or "\0" in text:
            raise Refused(
                400, "path", "Expected a path; received none, or one that no file can have. Choose a folder or file."
            )
        try:
            text = text.translate(_BACK)
            os.fsencode(text)
            path = Path(text).expanduser()
        except (UnicodeEncodeError, RuntimeError):  # half a character; a user who is not known
            raise Refused(
                400, "path", "Expected a path; received one that no file can have. Choose a folder or file."
            ) from None
        if not path.is_absolute():
            raise Refused(
                400,
                "path",
                f"Expected a whole path, such as {self.root}; received {harmless(text)}. Begin it at the root.",
            )
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.root):
            raise Refused(403, "outside", f"Expected a path below {self.root}; received {harmless(text)}. Start plainfilm app with --root to allow another folder.")  # fmt: skip
        if real.is_relative_to(self.own):
            raise Refused(403, "outside", f"Expected a folder of radiographs; received {harmless(text)}, which plainfilm app keeps for itself. Choose another.")  # fmt: skip
        return real

    def project(self, name: object) -> Path:
        """Give the folder of a project, there or not.

        Raises
        ------
        Refused
            400 for a name that no project can have.
        """
        if not isinstance(name, str) or not is_plain(name):
            raise Refused(400, "project", "Expected the name of a project, without / or signs that a file system keeps for itself; received another. Write letters, digits, - and _.")  # fmt: skip
        folder = self.work / name
        if folder.is_symlink():
            raise Refused(
                403,
                "outside",
                f"Expected a folder of plainfilm's; received {harmless(name)}, which is a link. Name another project.",
            )
        return folder

    def dropped(self, name: str) -> Sequence[str]:
        """Cut a name below a dropped folder into its parts.

        Raises
        ------
        Refused
            400 for one that leads elsewhere, or that some file system cannot have.
        """
        parts = name.split("/")
        if len(name) > _MOST_LETTERS or len(parts) > _DEEPEST or not all(map(is_plain, parts)):
            raise Refused(400, "name", f"Expected names of files and folders with / between; received {harmless(name[:80])}. Rename what cannot be written anywhere, and drop it again.")  # fmt: skip
        return parts


def is_plain(name: str) -> bool:
    """Whether a name stands for one file in its folder, is not hidden, and can be written on any system."""
    if not name.isprintable() or not 0 < len(name.encode()) <= _MOST_BYTES:
        return False
    return not (name[0] == "." or name[-1] in ". " or _UNFIT & {*name} or _RESERVED.fullmatch(name))


def name_like(text: str, taken: Sequence[str] = ()) -> str:
    """Make the name of a project from that of a folder, one that is not taken."""
    kept = "".join(sign if sign.isprintable() and sign not in _UNFIT else "-" for sign in text).strip(". ")
    kept = kept.encode("utf-8", "ignore").decode()
    while len(kept.encode()) > _MOST_BYTES - 8:
        kept = kept[:-1]
    base = kept if is_plain(kept) else "radiographs"
    low = {each.casefold() for each in taken}
    return next(
        name
        for number in range(1, 100_000)
        if (name := base if number == 1 else f"{base}-{number}").casefold() not in low
    )
