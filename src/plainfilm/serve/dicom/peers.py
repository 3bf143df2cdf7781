"""Who may send, and who is answered: names with a DICOM address or a DICOMweb address."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from plainfilm.errors import UsageError

_EXPECTED = "Expected --peer NAME=HOST:PORT, NAME=tls://HOST:PORT or NAME=URL"
_TLS = "tls://"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node: its AE title, and either host and port, over TLS or not, or the address of its DICOMweb service."""

    name: str
    host: str = ""
    port: int = 0
    url: str = ""
    is_secured: bool = False

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Read NAME=HOST:PORT, NAME=[IPv6]:PORT, both with tls:// before the host, or NAME=http(s)://….

        Raises
        ------
        UsageError
            Another text.
        """
        name, sign, address = text.partition("=")
        if not sign:
            raise _unlike(text)
        checked_title(name, what="--peer NAME")
        if address.startswith(("http://", "https://")):
            return cls(name=name, url=_checked_url(address, text))
        match = _ADDRESS.fullmatch(address.removeprefix(_TLS))
        if match is None or not 0 < int(match["port"]) < 65536:
            raise _unlike(text)
        host, is_secured = match["v6"] or match["host"], address.startswith(_TLS)
        return cls(name=name, host=host, port=int(match["port"]), is_secured=is_secured)


def known(texts: Iterable[str]) -> dict[str, Peer]:
    """Read all peers, by name.

    Raises
    ------
    UsageError
        One that cannot be read, two of one name, or none at all.
    """
    found: dict[str, Peer] = {}
    for peer in map(Peer.parse, texts):
        if peer.name in found:
            raise UsageError(f"Expected peers of different names; received {peer.name} twice. Name each once.")
        found[peer.name] = peer
    if not found:
        raise UsageError(f"{_EXPECTED}, once or more; received none. An answer would have nowhere to go.")
    return found


def checked_title(title: str, *, what: str) -> str:
    r"""Give back an AE title: 1 to 16 printable ASCII characters, no backslash, no space at either end (PS3.5 6.2).

    Raises
    ------
    UsageError
        Another one.
    """
    if not re.fullmatch(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?", title):
        raise UsageError(
            f"Expected {what} of 1 to 16 ASCII characters without backslash and outer spaces; received {title!r}. Choose another."
        )
    return title


def _unlike(text: str) -> UsageError:
    return UsageError(f"{_EXPECTED}; received {text!r}. Write for example --peer PACS=127.0.0.1:4242")


def _checked_url(address: str, text: str) -> str:
    try:
        parts = urlsplit(address)
        is_sound = bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:
        is_sound = False
    if not is_sound or not address.isascii() or not address.isprintable() or " " in address:
        raise _unlike(text)
    return address.rstrip("/")
