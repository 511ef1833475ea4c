"""Newlines that a host counts, as they arrive."""

from __future__ import annotations

import asyncio

from hosts.errors import InputError
from hosts.host import Json
from hosts.local.counting import Counts, CountWish
from hosts.local.frames import FrameError


class CountInbox:
    """Newlines that are being counted; None in `found` comes last."""

    def __init__(self, wish: CountWish) -> None:
        self.found: asyncio.Queue[Counts | Exception | None] = asyncio.Queue()
        self.done = False
        self._wish = wish

    def told(self, body: dict[str, Json]) -> None:
        if "counts" in body:
            try:
                self.found.put_nowait(self._wish.checked(body["counts"]))
            except InputError as error:
                raise FrameError(str(error)) from None
            return
        self.done = True
        self.found.put_nowait(InputError(" ".join(str(body["error"]).split())) if "error" in body else None)
