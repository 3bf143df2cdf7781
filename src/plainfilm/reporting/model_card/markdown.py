"""Markdown that says what was meant: names of users cannot break a table, make a link or smuggle HTML."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

NAME_LIMIT = 80
SENTENCE_LIMIT = 1_000
_MARKS = re.compile(r"[\\`*\[\]|~$@]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is only itself
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_STARTS_BLOCK = re.compile(r"^(\d+)(?=[.)](?:\s|$))|^(?=[-+#])")
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})  # control, direction, private, line ends; surrogates apart


def text(value: object, *, limit: int = SENTENCE_LIMIT) -> str:
    """Write a user's text so that Markdown shows it as it is: one line, no mark-up, no HTML, no automatic link."""
    plain = " ".join("".join(_visible(letter) for letter in str(value)).split())
    if len(plain) > limit:
        plain = plain[: limit - 1] + "…"
    marked = _MARKS.sub(lambda found: "\\" + found[0], plain)
    marked = "".join(_HTML.get(letter, letter) for letter in marked)
    marked = re.sub(r":(?=//)", r"\\:", marked)
    marked = re.sub(r"(?i)\b(www)\.", r"\1\\.", marked)
    return _STARTS_BLOCK.sub(lambda found: (found[1] or "") + "\\", marked)


def name(value: object) -> str:
    """Write a user's name: as `text`, at most 80 characters, never empty."""
    return text(value, limit=NAME_LIMIT) or "(no name)"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: bool = False) -> str:
    """Write a table whose cells are Markdown already; with `numbers` all columns but the first stand to the right."""
    ruler = ["---", *(["---:" if numbers else "---"] * (len(header) - 1))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (header, ruler, *rows))


def bullets(lines: Iterable[str]) -> str:
    """Write a list of Markdown lines."""
    return "\n".join(f"- {line}" for line in lines)


def fenced(content: str, language: str = "") -> str:
    """Write text as it is in a code block, behind a fence longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    kept = "".join(letter if letter in "\n\t" else _visible(letter) for letter in content).strip("\n")
    return f"{fence}{language}\n{kept}\n{fence}"


def _visible(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind == "Cs":
        return "\N{REPLACEMENT CHARACTER}"  # a byte of a file name that is no text
    return " " if kind in _INVISIBLE else letter
