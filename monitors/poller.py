"""One poller per host: it does the looking for every monitor there, and never goes blind without saying so.

There is one observation in flight at a time. A look that fails gives every monitor a BLIND snapshot that keeps
its last values; the next look comes all the same (DESIGN, rule 6).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from hosts.errors import GatewatchError, InputError
from hosts.host import Cursor, HostReader, Observation, ProcsWant, Wants, merge
from monitors.snapshot import Monitor, Now, Progress, Seen, Snapshot, State

LONGEST_INTERVAL_S = 120.0
_SHORT_S = 0.002
_FEW_FILES = 16


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

    Attributes:
        blind: Whether the last look failed.
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
        self._fold_took = math.inf
        self.blind = False

    def add(self, name: str, monitor: Monitor[Any]) -> None:
        """Fold for one more from the next look on, or for another one under a name that is known."""
        self._monitors = {**self._monitors, name: monitor}

    async def run(self) -> None:
        """Look for ever, at the interval."""
        while True:
            await self.poll()
            await self._sleep(self._interval)

    async def poll(self) -> None:
        """One look, then a snapshot from every monitor. A second caller waits for the look under way.

        Where the look has named processes that nobody knew to ask for (a run that was just started, or one whose
        runner has ended and whose pytests may live on), they are looked at before anything is published: it would
        say "unknown" until the next time.
        """
        async with self._looking:
            monitors = self._monitors  # one that is added meanwhile was not asked what it wants
            want = self._wants(monitors)
            for last in (False, True):
                seen = await self._look(want)
                if seen is None:
                    return
                shown = await self._folded(monitors, seen)
                asked, want = want.procs, self._wants(monitors)
                if last or not _goes_beyond(want.procs, asked):
                    break
            for name, snapshot in shown.items():
                self._publish(name, snapshot)

    def _wants(self, monitors: Mapping[str, Monitor[Any]]) -> Wants:
        return merge(monitor.wants(self._last.get(name)) for name, monitor in monitors.items())

    async def _look(self, want: Wants) -> Observation | None:
        """One look at the host; None when it failed, and then everybody has been told."""
        if want.trees != self._wanted_trees:
            self._cursor, self._wanted_trees = None, want.trees
        try:
            seen = await self._host.observe(want, self._cursor, self._deadline)
        except Exception as error:  # noqa: BLE001 - told to whoever watches; one flaky host never ends the watch
            self._cursor = None
            self.blind = True
            self._publish_blind(str(error) if isinstance(error, GatewatchError) else f"{type(error).__name__}: {error}")
            return None
        self.blind = False
        # What a fold passed over because of an error would be missing from the next difference.
        whole = "trees" not in seen.errors and not any(tree.error for tree in seen.trees)
        self._cursor = seen.cursor if whole else None
        return seen

    async def _folded(self, monitors: Mapping[str, Monitor[Any]], seen: Observation) -> dict[str, Snapshot[Any]]:
        """Fold in a thread: a large run takes seconds, and whoever paints on this loop goes on meanwhile.

        What is known to be short is folded here: for hundreds of hosts, a thread each time costs more than the fold.
        """
        if self._fold_took <= _SHORT_S and sum(len(tree.files) for tree in seen.trees) <= _FEW_FILES:
            return self._fold(monitors, seen)
        return await asyncio.to_thread(self._fold, monitors, seen)

    def _fold(self, monitors: Mapping[str, Monitor[Any]], seen: Observation) -> dict[str, Snapshot[Any]]:
        now = Now(self._clock())
        began = time.monotonic()
        shown: dict[str, Snapshot[Any]] = {}
        for name, monitor in monitors.items():
            try:
                shown[name] = self._last[name] = monitor.fold(self._last.get(name), seen, now)
            except Exception as error:  # noqa: BLE001 - the others stand, and this one says why it does not
                self._cursor = None
                shown[name] = self._blind(name, f"internal error: {type(error).__name__}: {error}")
        self._fold_took = time.monotonic() - began
        return shown

    def _publish_blind(self, error: str) -> None:
        for name in self._monitors:
            self._publish(name, self._blind(name, error))

    def _blind(self, name: str, error: str) -> Snapshot[Any]:
        known = self._last.get(name)
        if known is None:
            return Snapshot(name, State.BLIND, Seen(None, None), Progress(None, None), None, (), (), (), error, None)
        self._last[name] = replace(known, state=State.BLIND, error=error)
        return self._last[name]


def _goes_beyond(want: ProcsWant, asked: ProcsWant) -> bool:
    """Whether there is anything in it that was not asked for."""
    new = {*want.refs, *want.marks} - {*asked.refs, *asked.marks}
    return bool(new) or (want.pytests and not asked.pytests)
