"""What happened while nobody looked: kept when one leaves, and told once on return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING

from monitors.calibration.glance import Glance, glance, since
from tui.sanitise import clean_inline, redact
from tui.screens.run_words import hour
from tui.screens.store import GlanceStore

if TYPE_CHECKING:
    from monitors.calibration import Calibration
    from monitors.snapshot import Snapshot
    from tui.dashboard_runs import Entry
    from tui.screens.subject import RunPlace


class Since:
    """Holds what was seen when somebody left against what is seen first when he is back.

    Args:
        store: Where glances are kept; by default below the state folder of this user.
    """

    def __init__(self, store: GlanceStore | None = None) -> None:
        self._store = store or GlanceStore.of_environment()
        self._before: dict[str, Glance] = {}
        self._told: dict[str, tuple[str, ...]] = {}
        self._last: dict[str, tuple[RunPlace, Glance]] = {}

    def read(self, places: Iterable[RunPlace]) -> None:
        """Look up when these were seen last; reads the disk."""
        for place in places:
            known = self._store.read(place)
            if known is not None:
                self._before[place.watch] = known

    def take(self, place: RunPlace, snapshot: Snapshot[Calibration], now: float) -> None:
        """A run was seen; the first good look says what has changed."""
        seen = glance(snapshot, now)
        if seen is None:
            return
        before = self._before.get(place.watch)
        if place.watch not in self._told:
            self._told[place.watch] = since(before, seen) if before is not None else ()
        self._last[place.watch] = (place, seen)

    def lines(self, entries: Mapping[str, Entry], now: float, zone: tzinfo | None) -> tuple[str, ...]:
        """All of it in one line, as `09:12  model r5: 3 stages done (a, b, c)`; nothing where nothing happened."""
        changed = {watch: told for watch, told in self._told.items() if told and watch in entries}
        if not changed:
            return ()
        when = max(self._before[watch].at for watch in changed)
        told = " · ".join(
            f"{clean_inline(redact(entries[watch].title), limit=60)}: "
            + clean_inline(redact(", ".join(parts)), limit=200)
            for watch, parts in changed.items()
        )
        return (f"{hour(when, now, zone)}  {told}",)

    def write(self) -> None:
        """Keep what was seen last; writes the disk."""
        for place, seen in self._last.values():
            self._store.write(place, seen)
