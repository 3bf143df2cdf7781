"""What a page waits for: a document with a number, which grows when the document changes."""

import asyncio
import time
from typing import Any

from plainfilm.app.places import as_json


class News:
    """A document, its number, and those who wait for the next. Of one event loop.

    Numbers begin at the milliseconds since the epoch: a page of an app that was ended takes what another one tells.
    """

    def __init__(self) -> None:
        self.number = int(time.time() * 1000)
        self.waiting = 0
        self._told: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._is_over = False

    def tell(self, told: dict[str, Any]) -> None:
        """Put a document in the place of the last; nobody hears of one that says the same."""
        if told != self._told:
            self._told = told
            self.number += 1
            self._wake()

    def end(self) -> None:
        """Let nobody wait any more."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, number: int, seconds: float) -> bytes:
        """Give the document as JSON: at once if there is one newer than `number`, else when there is, or after some seconds."""
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while not (self._is_over or (self._told and self.number > number)):
                    await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1
        return as_json({"number": self.number, **self._told})
