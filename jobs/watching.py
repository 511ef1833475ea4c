"""Looking at a host for as long as a screen is open: at once when something changes, and never less than it must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hosts.events import NoEventsError, changes
from hosts.host import HostReader
from monitors.poller import LONGEST_INTERVAL_S, HostPoller
from monitors.snapshot import Monitor, Snapshot

SHORTEST_S = 0.4
"""Seconds between a look and the next one that a person asks for."""
SHOWER_S = 0.8
"""Seconds between a look and the next one that a change calls for: both are painted, which costs more than a look."""
_COST = 100.0  # a look that nothing calls for may take a hundredth of the time
_SLOW = 4.0  # one that waits for disks, or for a busy machine, a fifth: what died meanwhile is to be seen
_COST_FAR = 20.0  # at another machine a twentieth: part of it is the way there, and the wait for other hosts' answers
_MOST_FAR = 20.0  # seconds, and no more: much of a long look is a wait, for a driver or a disk, and no work
_SLOW_FAR = 2.0  # though never more than a third of the time
_COST_OPENING = 1.0  # one that had to open the way there, or failed, says nothing of what the next will take
_SHOWER_COST = 10.0  # one that a change calls for a tenth: a large run changes all the time while it is written


@dataclass(frozen=True)
class Pauses:
    """Seconds from a look to the next one: that is asked for, that a change calls for, and that nothing calls for."""

    asked: float
    changed: float
    longest: float


def pauses(
    interval: float,
    took: float,
    spent: float,
    *,
    far: bool = False,
    cost: float = _COST,
    most: float = LONGEST_INTERVAL_S,
    failed: bool = False,
) -> Pauses:
    """How long to wait after a look.

    Args:
        interval: Seconds between looks that nothing calls for.
        took: Seconds that the look lasted.
        spent: Seconds of processor time of this process in it, which on a busy machine are fewer.
        far: The look was at another machine, whose processor time nobody tells: what it lasted stands for that.
        cost: How many times as dear as the look the pause is at least, where nothing calls for the next one.
        most: Seconds that no pause exceeds, whatever the look costs.
        failed: The look failed, and what it lasted was waiting: how long such a host is left alone is for those to say
            who connect.
    """
    dear = max(spent * cost, took * _SLOW)
    if far:
        dear = min(took * cost, max(_MOST_FAR, took * _SLOW_FAR))
    longest = min(LONGEST_INTERVAL_S, most, max(interval, dear))
    asked = min(longest, SHORTEST_S if failed else max(SHORTEST_S, took))
    return Pauses(asked, min(longest, max(asked, SHOWER_S, spent * _SHOWER_COST)), longest)


class HostWatch:
    """Looks at one host for several monitors.

    A look comes when it is asked for, when a local folder changes, and after an interval. A look that is dear makes
    the interval longer, so that watching takes about a hundredth of a core and less than a tenth of one under a shower
    of changes, but never longer than `most`. A change after a quiet while is looked at at once. At another machine a
    look may last a twentieth of the time, but a long one makes a pause of 20 seconds at most, or of twice what it took;
    a host that failed is looked at again after as long as that took.

    Args:
        host: What to look at.
        monitors: By watch name.
        publish: Gets every new snapshot, on the event loop.
        interval: Seconds between looks that nothing asked for.
        folders: The local folders whose changes call for a look; None for a host that is not this machine.
        clock: Seconds since the epoch.
        most: Seconds that the host may go unobserved, at most 120: `poll_cap` of its profile.
    """

    def __init__(
        self,
        host: HostReader,
        monitors: Mapping[str, Monitor[Any]],
        publish: Callable[[str, Snapshot[Any]], None],
        interval: float = 5.0,
        folders: Callable[[], Collection[str]] | None = None,
        clock: Callable[[], float] = time.time,
        most: float = LONGEST_INTERVAL_S,
    ) -> None:
        self._poller = HostPoller(host, monitors, publish, interval, clock=clock, sleep=self._nap)
        self._interval = interval
        self._most = most
        self._folders = folders
        self._asked = asyncio.Event()
        self._changed = asyncio.Event()  # or asked
        self._added = asyncio.Event()
        self._unseen = asyncio.Event()
        self._began = self._spent = 0.0
        self._open = False
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
        self._changed.set()

    def shorten(self, most: float) -> None:
        """Leave the host unobserved for no longer than so many seconds from now on, nor than was said before."""
        if most < self._most:
            self._most = most
            self.request()

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._folders is not None:
                group.create_task(self._listen_always(self._folders))
            self._start()
            await self._poller.run()

    def _start(self) -> None:
        self._began, self._spent = time.monotonic(), time.process_time()

    async def _nap(self, interval: float) -> None:
        self.looks += 1
        took = time.monotonic() - self._began
        # Changes come in showers; what they ask for is one look. What nobody has seen yet does not wait for that.
        was_open, self._open = self._open, not self._poller.blind
        cost = _COST if self._folders is not None else _COST_FAR if was_open and self._open else _COST_OPENING
        spent = min(took, time.process_time() - self._spent)
        far, failed = self._folders is None, not self._open
        pause = pauses(interval, took, spent, far=far, cost=cost, most=self._most, failed=failed)
        _ = (
            await _set_within(self._unseen, pause.asked)
            or await _set_within(self._asked, pause.changed - pause.asked)
            or await _set_within(self._changed, pause.longest - pause.changed)
        )
        for event in (self._unseen, self._asked, self._changed):
            event.clear()
        self._start()

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
                self._changed.set()
        except NoEventsError as error:
            self.without_events = str(error)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    if event.is_set() or seconds <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
