"""Who shows a token, and what that lets them do: named tokens of a file, each with its rights and its models, and the one for everybody."""

import errno
import hashlib
import hmac
import os
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from plainfilm.data.spelling import listed
from plainfilm.errors import UsageError
from plainfilm.reasons import reason_of
from plainfilm.serve.http_errors import Refused

Right = Literal["predict", "explain", "store", "metrics", "reload"]
OF_ALL: frozenset[Right] = frozenset(get_args(Right)) - {
    "reload"
}  # of whoever comes in where there are no named tokens
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_HASH = r"[0-9a-f]{64}"
_MOST_BYTES = 1 << 20


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: Annotated[str, msgspec.Meta(pattern=rf"^{_HASH}\Z")]
    rights: Annotated[list[Right], msgspec.Meta(min_length=1)]
    models: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a request may do. `token` is the name of the token that it showed, "" of none or of the one for everybody; `models` None are all."""

    token: str = ""
    rights: frozenset[Right] = OF_ALL
    models: frozenset[str] | None = None

    def check(self, right: Right) -> None:
        """Raise Refused, 403, where it may not."""
        if right not in self.rights:
            raise Refused(
                403,
                "right",
                f"Expected a token with the right {right}; received none. Ask who runs the server for one, by --tokens.",
            )

    def sees(self, model: str) -> bool:
        """Whether a model answers it."""
        return self.models is None or model in self.models


class Tokens:
    """Tokens by their SHA-256. Thread-safe: `replace` lets others in, and those that are gone no more."""

    def __init__(self, entries: Iterable[tuple[bytes, Access]] = ()) -> None:
        self._entries = tuple(entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def replace(self, other: "Tokens") -> None:
        """Take another's in place of these."""
        self._entries = other._entries

    def access(self, shown: str) -> Access | None:
        """Give what a token may do, None where it is none: in a time that does not tell how much of it was right."""
        digest, found = _digest(shown), None
        for known, access in self._entries:
            if hmac.compare_digest(known, digest):
                found = access
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def read(file: Path | None, *, models: Collection[str], everybodys: str | None = None) -> Tokens:
    """Read a file of named tokens (TOML, a table a token), and put the one that is `everybodys` beside them.

    Raises
    ------
    UsageError
        It cannot be read, holds something else, or names a model that is not among `models`.
    """
    entries = [] if everybodys is None else [(_digest(everybodys), Access())]
    named = {} if file is None else _named(file)
    for name, entry in named.items():
        if unknown := sorted(set(entry.models or ()) - set(models)):
            raise UsageError(
                f"Expected models among {', '.join(models)}; received {listed(unknown)} of the token {name} in {file}. Name what is served."
            )
        known = frozenset(entry.models) if entry.models else None
        access = Access(token=name, rights=frozenset(entry.rights), models=known)
        entries.append((bytes.fromhex(entry.sha256), access))
    if len({digest for digest, _ in entries}) != len(entries):
        raise UsageError(f"Expected a token of its own for each name; received one twice in {file}. Make another.")
    return Tokens(entries)


def _content(file: Path) -> bytes:
    with file.open("rb") as stream:
        text = stream.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:  # half of it would leave tokens out
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return text


def _named(file: Path) -> dict[str, _Entry]:
    try:
        given = tomllib.loads(_content(file).decode())
        found = msgspec.convert(given, dict[Annotated[str, msgspec.Meta(pattern=rf"^{_NAME}\Z")], _Entry])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise UsageError(
            f"Expected a file of tokens, a table [NAME] each with sha256, rights ({', '.join(get_args(Right))}) and, if wanted, models; "
            f"received {file} ({reason_of(error)}). Check --tokens."
        ) from None
    if not found:
        raise UsageError(
            f"Expected a file of tokens; received {file}, which has none. Write one, or leave --tokens out."
        )
    return found
