"""How much may be under way at once, and each client's share of it. What does not fit is turned away, never queued without end.

A client may hold as much as it leaves free: alone half of all, and beside n others that hold all they may, as much as each of them,
with one more share free for the next who comes (dynamic thresholds: Choudhury & Hahne, IEEE/ACM Transactions on Networking 1998).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields


class Full(Exception):  # noqa: N818 - as `queue.Full`
    """No room now, for want of `what`; try again after `retry_after_s` seconds."""

    def __init__(self, what: str, retry_after_s: int = 1) -> None:
        super().__init__()
        self.what, self.retry_after_s = what, retry_after_s


@dataclass(slots=True)
class Amount:
    """Requests whose body is coming, files that wait or are judged, bytes in memory."""

    uploads: int = 0
    files: int = 0
    held: int = 0

    def more(self, other: "Amount", times: int = 1) -> "Amount":
        """Add another amount."""
        return Amount(
            **{each.name: getattr(self, each.name) + times * getattr(other, each.name) for each in fields(self)}
        )


def fits(own: int, together: int, more: int, most: int) -> bool:
    """Whether a client that holds `own` of `together` may take `more`: what it then holds must be left free too, of `most`."""
    return own + more <= most - (together + more)


class Admission:
    """Counts what is under way. Thread-safe.

    Attributes
    ----------
    most : Amount
        Of all clients together. Whoever has no file under way may bring one request with more files than fit.
    under_way : Amount
    """

    def __init__(self, most: Amount) -> None:
        self.most, self.under_way = most, Amount()
        self._of: dict[str, Amount] = {}
        self._lock = threading.Lock()

    @property
    def clients(self) -> int:
        """How many clients hold something."""
        return len(self._of)

    @contextmanager
    def room(self, client: str) -> "Iterator[Room]":
        """Hold what one request takes, until it is answered."""
        room = Room(self, client)
        try:
            yield room
        finally:
            room.give(room.holds)

    def check(self, client: str, more: Amount) -> None:
        """Raise `Full` where so much more would not fit now."""
        own = self._of.get(client, Amount())
        for name in ("uploads", "files", "held"):
            wanted, most = getattr(more, name), getattr(self.most, name)
            held, together = getattr(own, name), getattr(self.under_way, name)
            is_first = name == "files" and not held and together < most
            if wanted > 0 and not is_first and not fits(held, together, wanted, most):
                raise Full(name)

    def change(self, client: str, more: Amount, *, times: int = 1, must_fit: bool = True) -> None:
        """Take more, where it fits if it must, or with `times=-1` give it back."""
        with self._lock:
            if times > 0 and must_fit:
                self.check(client, more)
            self.under_way = self.under_way.more(more, times)
            own = self._of[client] = self._of.get(client, Amount()).more(more, times)
            if own == Amount():
                del self._of[client]


@dataclass(slots=True)
class Room:
    """What one request holds."""

    admission: Admission
    client: str
    holds: Amount = field(default_factory=Amount)

    def take(self, more: Amount, *, must_fit: bool = True) -> None:
        """Hold more. Raises `Full` where it does not fit but must."""
        self.admission.change(self.client, more, must_fit=must_fit)
        self.holds = self.holds.more(more)

    def give(self, less: Amount) -> None:
        """Hold less."""
        self.admission.change(self.client, less, times=-1)
        self.holds = self.holds.more(less, -1)
