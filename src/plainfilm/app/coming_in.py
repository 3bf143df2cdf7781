"""Who may come in: whoever shows a one-time key once gets a cookie; whoever is not of our own page gets nothing."""

import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Scope

from plainfilm.serve.http_errors import CSP, Refused
from plainfilm.serve.middleware import Door, only
from plainfilm.serve.tokens import Access

PAGE_CSP = CSP.replace("default-src 'none'", "default-src 'none'; frame-src 'self'")
FILE_HEADERS = {  # of files that runs wrote, which may be anyone's: they reach nothing of ours
    "content-security-policy": "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-opener-policy": "unsafe-none",  # a page in a sandbox can open in a window of its own with no other
}
KEY_S = 600.0
_MOST_KEYS = 64
_PROTECTED = ("/api/", "/files/")
_OF_OURS = frozenset({"", "same-origin", "none"})  # Sec-Fetch-Site
_WHO_ASKS = "/api/key"  # another `plainfilm app` of this user, which shows the secret beside the lock


class Keys:
    """Keys of one-time addresses: each good once, for ten minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._made: dict[str, float] = {}
        self._clock = clock

    def new(self) -> str:
        """Make one."""
        key, now = secrets.token_urlsafe(24), self._clock()
        live = [(each, made) for each, made in self._made.items() if now - made < KEY_S]
        self._made = dict([*live[1 - _MOST_KEYS :], (key, now)])
        return key

    def use(self, shown: str) -> bool:
        """Whether a key is one that was made and not used; it is used then."""
        made = self._made.pop(shown, None)
        return made is not None and self._clock() - made < KEY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDoor(Door):
    """The door of the app: names by which it may be called, and a cookie for all that tells or does anything.

    `secret` lets another `plainfilm app` of this user ask for a one-time address. `root` is a path that nobody can guess: browsers
    show cookies to all ports of a host, so that of this app goes to that path alone, and to no other user's server.
    """

    port: int
    root: str = field(default_factory=lambda: f"/{secrets.token_urlsafe(16)}")
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    keys: Keys = field(default_factory=Keys)

    @property
    def cookie_name(self) -> str:
        """Name of the cookie: those of all ports of a machine lie together."""
        return f"plainfilm_{self.port}"

    def check(self, scope: Scope) -> Access:
        """Let a request in.

        Raises
        ------
        Refused
            403 for another's Host, Origin or page; 401 without the cookie.
        """
        self.check_site(scope)
        path = self.below(scope["path"])
        if path == _WHO_ASKS:
            kind, _, shown = only(scope, b"authorization").partition(" ")
            if kind != "Bearer" or not _same(shown, self.secret):
                raise Refused(
                    401, "secret", "Expected the secret beside the lock; received none, or another. Run plainfilm app."
                )
            return Access()
        if path.startswith(_PROTECTED):
            if only(scope, b"sec-fetch-site") not in _OF_OURS:
                raise Refused(
                    403,
                    "origin",
                    "Expected a request of this app's own page; received one of another. Open it from the page.",
                )
            if not self.is_known(scope):
                raise Refused(401, "cookie", "Expected the page that plainfilm app opened; received another. Run plainfilm app again: it opens a new address.")  # fmt: skip
        return Access()

    def is_known(self, scope: Scope) -> bool:
        """Whether a request shows the cookie, beside whatever else other ports have set under its name."""
        shown = (each.strip().partition("=") for each in only(scope, b"cookie").split(";"))
        return any(name == self.cookie_name and _same(value, self.cookie) for name, _, value in shown)

    def given(self) -> str:
        """Give the header that sets the cookie."""
        return f"{self.cookie_name}={self.cookie}; HttpOnly; SameSite=Strict; Path={self.root}/"


def _same(shown: str, kept: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_-]+", shown)) and hmac.compare_digest(shown, kept)
