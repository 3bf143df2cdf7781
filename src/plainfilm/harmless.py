"""Names and texts of others, as a terminal, a page and a spreadsheet may show them."""

import html
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, marks of direction or no width, halves of pairs, breaks
_JOINERS = "\u200c\u200d"  # Persian, the scripts of India and emoji are spelt with them
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_START = '(^|[;"])'
_SIGN = "(?=[=+@\\-\uff1d\uff0b\uff20\uff0d])"  # of a formula, and their full-width forms
_FORMULA, _MARKED = re.compile(_START + _SIGN), re.compile(f"{_START}'{_SIGN}")


def harmless(text: str, *, keep: str = "") -> str:
    r"""Write each sign that steers a terminal or cannot be seen as its escape, such as ``\x1b``, but those of `keep`."""
    if text.isprintable():
        return text
    return "".join(
        sign.encode("unicode_escape").decode() if _is_unseen(sign, before) and sign not in keep else sign
        for sign, before in zip(text, " " + text, strict=False)
    )


def _is_unseen(sign: str, before: str) -> bool:
    return unicodedata.category(sign) in _UNSEEN and not (sign in _JOINERS and before > "\u02ff")


def write_csv(file: TextIO, rows: Iterable[Sequence[object]], *, line_end: str = "\r\n") -> None:
    """Write rows as CSV (RFC 4180) that a spreadsheet takes for text and numbers, never for a formula.

    A text that begins like one (or goes on like one behind a semicolon or quotation mark, which may part cells too) gets an apostrophe in
    front; a number stays as it is, also where it is negative. See OWASP, "CSV Injection".
    """
    import csv

    csv.writer(file, lineterminator=line_end).writerows([_cell(value) for value in row] for row in rows)


def write_table(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows to a new file, in UTF-8, as `write_csv` does."""
    with path.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, rows)


def as_named(cell: str) -> str:
    """Take the apostrophes away that `write_csv` puts before what may be a formula."""
    return _MARKED.sub(r"\1", cell)


def as_html(rows: Iterable[Sequence[object]], headings: Sequence[str] = ()) -> str:
    """Write rows as an HTML table for a notebook's cell, in which no name is markup."""
    head = "".join(f'<th style="text-align:left">{_escaped(name)}</th>' for name in headings)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{_escaped(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def linked(path: Path, start: Path) -> str:
    """Write a link to a file as a page that lies in the folder `start` follows it."""
    try:
        address = quote(Path(os.path.relpath(path, start)).as_posix())
    except ValueError:  # another drive of Windows
        address = path.absolute().as_uri()
    return f'<a href="{html.escape(address)}" target="_blank" rel="noopener">{_escaped(path)}</a>'


def _escaped(value: object) -> str:
    return html.escape(harmless(str(value)))


def _cell(value: object) -> object:
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _FORMULA.sub(r"\1'", harmless(value))
