"""One poller per host: it does the looking for every monitor there, and never goes blind without saying so.

There is one observation in flight at a time. A look that fails gives every monitor a BLIND snapshot that keeps
its last values; the next look comes all the same (DESIGN, rule 6).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from hosts.errors import GatewatchError, InputError
from hosts.host import Cursor, HostReader, Observation, merge
from monitors.snapshot import Monitor, Now, Progress, Seen, Snapshot, State

LONGEST_INTERVAL_S = 120.0


class HostPoller:
    """Looks at one host for several monitors.

    Args:
        host: What to look at.
        monitors: By watch name.
        publish: Gets every new snapshot; it must not take long.
        interval: Seconds between looks, at most 120 (validated).
        deadline: Seconds that one look may take.
        clock: Seconds since the epoch.
        sleep: How to wait; handed in so that tests need not.
    """

    def __init__(
        self,
        host: HostReader,
        monitors: Mapping[str, Monitor[Any]],
        publish: Callable[[str, Snapshot[Any]], None],
        interval: float = 10.0,
        deadline: float = 30.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not 0 < interval <= LONGEST_INTERVAL_S:
            raise InputError(f"a poll interval is more than 0 and at most {LONGEST_INTERVAL_S:.0f} s, got {interval:g}")
        self._host = host
        self._monitors = dict(monitors)
        self._publish = publish
        self._interval = interval
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._cursor: Cursor | None = None
        self._wanted_trees: object = None
        self._last: dict[str, Snapshot[Any]] = {}
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Look for ever, at the interval."""
        while True:
            await self.poll()
            await self._sleep(self._interval)

    async def poll(self) -> None:
        """One look, then a snapshot from every monitor. A second caller waits for the look under way."""
        async with self._looking:
            want = merge(monitor.wants(self._last.get(name)) for name, monitor in self._monitors.items())
            if want.trees != self._wanted_trees:
                self._cursor, self._wanted_trees = None, want.trees
            try:
                seen = await self._host.observe(want, self._cursor, self._deadline)
            except GatewatchError as error:
                self._cursor = None
                self._publish_blind(str(error))
                return
            self._cursor = seen.cursor
            await self._publish_folded(seen)

    async def _publish_folded(self, seen: Observation) -> None:
        now = Now(self._clock())
        for name, monitor in self._monitors.items():
            # A first look at a large run takes longer to fold than a screen may stand still.
            snapshot = await asyncio.to_thread(monitor.fold, self._last.get(name), seen, now)
            self._last[name] = snapshot
            self._publish(name, snapshot)

    def _publish_blind(self, error: str) -> None:
        for name in self._monitors:
            known = self._last.get(name)
            blind: Snapshot[Any] = (
                replace(known, state=State.BLIND, error=error)
                if known is not None
                else Snapshot(name, State.BLIND, Seen(None, None), Progress(None, None), None, (), (), (), error, None)
            )
            if known is not None:
                self._last[name] = blind
            self._publish(name, blind)
