"""What happened while nobody looked: what a person saw last is held against what there is when he returns."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from monitors.calibration.body import Calibration
from monitors.calibration.glance import Glance, glance, since
from monitors.snapshot import Snapshot, State
from tui.screens.store import GlanceStore
from tui.screens.subject import RunPlace

GONE_S = 600.0
"""Without a key for so long, nobody is there."""
KEEP_EVERY_S = 60.0


class _Sight:
    """A look, and the glance at it once somebody wants it: it names every repeat of every stage."""

    def __init__(self, snapshot: Snapshot[Calibration], at: float) -> None:
        self.snapshot = snapshot
        self.at = at
        self._glance: Glance | None = None

    @property
    def glance(self) -> Glance | None:
        if self._glance is None:
            self._glance = glance(self.snapshot, self.at)
        return self._glance


class Away:
    """Knows what the person has seen.

    Nobody looks while the screen is covered, and after ten minutes without a key.
    """

    def __init__(self, place: RunPlace, store: GlanceStore) -> None:
        self._place = place
        self._store = store
        self._begun = False
        self._last: _Sight | None = None
        self._attended: _Sight | None = None
        self._before: Glance | None = None
        self._told: tuple[_Sight | None, tuple[str, ...]] = (None, ())
        self._active: float | None = None
        self._covered = False
        self._kept: Glance | None = None
        self._kept_at = 0.0
        self.problem = ""

    async def begin(self, now: float) -> None:
        """Remember what was seen before this screen was."""
        self._before = self._kept = await asyncio.to_thread(self._store.read, self._place)
        self._begun = True
        self._active = now
        self._forget_nothing()

    def looked(self, snapshot: Snapshot[Calibration], now: float) -> None:
        """There is a new look."""
        body: Calibration | None = snapshot.body  # a host that never answered has left none
        if body is None or body.audit is None or snapshot.state is State.BLIND:
            return
        first = self._last is None
        self._last = _Sight(snapshot, now)
        if self._present(now):
            self._attended = self._last
        if first:
            self._forget_nothing()

    def here(self, now: float) -> bool:
        """Somebody pressed a key, or has come back to this screen; says whether there is something to tell him."""
        was_away = self._covered or not self._present(now)
        self._covered, self._active = False, now
        if not was_away or self._last is None:
            return False
        if self._before is None and self._attended is not None and self._attended is not self._last:
            self._before = self._attended.glance
            self._told = (None, ())
            self._forget_nothing()
        self._attended = self._last
        return self._before is not None

    def covered(self) -> None:
        """Another screen lies over this one."""
        self._covered = True

    @property
    def since(self) -> tuple[float, tuple[str, ...]] | None:
        """Since when (our clock) and what has happened since; None where nothing did, or it was taken note of."""
        if self._before is None or self._last is None:
            return None
        if self._told[0] is not self._last:
            now = self._last.glance
            self._told = (self._last, since(self._before, now) if now is not None else ())
        return (self._before.at, self._told[1]) if self._told[1] else None

    def dismiss(self) -> None:
        """It was taken note of."""
        self._before = None

    def due(self, now: float) -> bool:
        """Whether it is long enough ago that something was kept."""
        return self._begun and now - self._kept_at >= KEEP_EVERY_S

    async def keep(self, now: float) -> None:
        """Keep what the person has seen, where it is news."""
        self._kept_at = now
        seen = self._attended.glance if self._attended is not None and self._begun else None
        if seen is None or not self._is_news(seen):
            return
        self._kept = seen
        self.problem = await asyncio.to_thread(self._store.write, self._place, seen)

    def _is_news(self, seen: Glance) -> bool:
        """When it was seen counts only where it is long after what was kept."""
        if self._kept is None:
            return True
        return seen.at - self._kept.at >= KEEP_EVERY_S or replace(seen, at=0.0) != replace(self._kept, at=0.0)

    def _present(self, now: float) -> bool:
        return not self._covered and (self._active is None or now - self._active < GONE_S)

    def _forget_nothing(self) -> None:
        """Where nothing has happened since, there is nothing to be told of later either."""
        if self._begun and self._last is not None and self.since is None:
            self._before = None
