"""Looking at a host for as long as a screen is open: at once when something changes, and never less than it must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from hosts.events import NoEventsError, changes
from hosts.host import HostReader
from monitors.poller import LONGEST_INTERVAL_S, HostPoller
from monitors.snapshot import Monitor, Snapshot

SHORTEST_S = 0.4
_COST = 100.0  # a look may take a hundredth of the time


class HostWatch:
    """Looks at one host for several monitors.

    A look comes when it is asked for, when a local folder changes, and after an interval; a look that is dear
    makes the interval longer, so that watching takes about a hundredth of a core, but never longer than 120 s.

    Args:
        host: What to look at.
        monitors: By watch name.
        publish: Gets every new snapshot, on the event loop.
        interval: Seconds between looks that nothing asked for.
        folders: The local folders whose changes call for a look; None for a host that is not this machine.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        host: HostReader,
        monitors: Mapping[str, Monitor[Any]],
        publish: Callable[[str, Snapshot[Any]], None],
        interval: float = 5.0,
        folders: Callable[[], Collection[str]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._poller = HostPoller(host, monitors, publish, interval, clock=clock, sleep=self._nap)
        self._interval = interval
        self._folders = folders
        self._asked = asyncio.Event()
        self._added = asyncio.Event()
        self._unseen = asyncio.Event()
        self._began = 0.0
        self.looks = 0
        self.without_events = "" if folders is not None else "it is another machine"

    def add(self, name: str, monitor: Monitor[Any]) -> None:
        """Fold for one more, or for another one under a known name, and look now; its folders are asked for again."""
        self._poller.add(name, monitor)
        self._added.set()
        self._unseen.set()
        self.request()

    def request(self) -> None:
        """Look now, or right after the look under way."""
        self._asked.set()

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._folders is not None:
                group.create_task(self._listen_always(self._folders))
            self._began = time.monotonic()
            await self._poller.run()

    async def _nap(self, interval: float) -> None:
        self.looks += 1
        took = time.monotonic() - self._began
        # Changes come in showers; what they ask for is one look. What nobody has seen yet does not wait for that.
        if not await _set_within(self._unseen, max(SHORTEST_S, took)):
            await _set_within(self._asked, min(LONGEST_INTERVAL_S, max(interval, took * _COST)))
        self._unseen.clear()
        self._asked.clear()
        self._began = time.monotonic()

    async def _listen_always(self, folders: Callable[[], Collection[str]]) -> None:
        """Listen, and anew whenever something more is watched."""
        while True:
            self._added.clear()
            self.without_events = ""
            listening = asyncio.create_task(self._listen(folders))
            added = asyncio.create_task(self._added.wait())
            try:
                await asyncio.wait({listening, added}, return_when=asyncio.FIRST_COMPLETED)
                if listening.done():
                    listening.result()
                await added
            finally:
                listening.cancel()
                added.cancel()

    async def _listen(self, folders: Callable[[], Collection[str]]) -> None:
        try:
            async for _ in changes(folders):
                self._asked.set()
        except NoEventsError as error:
            self.without_events = str(error)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
