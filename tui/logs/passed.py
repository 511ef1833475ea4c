"""How many lines a filter shows: of those that it lets pass, the ones between its two places."""

from __future__ import annotations

from collections.abc import Callable

from hosts.errors import GatewatchError
from monitors.logs.hits import Search
from monitors.logs.model import LogModel
from monitors.logs.types import Filter
from tui.logs.arrived import Later
from tui.logs.sought import Sought


class Passed:
    """Counts them beside the event loop's other work; what it says is what was counted last.

    Args:
        later: Does what waits, given it and its group.
        changed: Called after something else was counted.
    """

    def __init__(self, later: Later, changed: Callable[[], None]) -> None:
        self._later = later
        self._changed = changed
        self._asked: tuple[object, ...] = ()
        self._hits: tuple[Search, int] | None = None

    def lines(self, model: LogModel, spec: Filter | None) -> int | None:
        """How many lines were found so far, None where that is not known."""
        search = model.passing
        if search is None:
            return None
        sought = Sought(search, spec)
        if not sought.bounded:
            return search.progress.hits
        asked = (search, search.progress)
        if asked != self._asked:
            self._asked = asked
            self._later(lambda: self._count(search, sought), "passed")
        return self._hits[1] if self._hits is not None and self._hits[0] is search else None

    async def _count(self, search: Search, sought: Sought) -> None:
        try:
            _, hits = await sought.count(None)
        except GatewatchError:
            return  # nobody answers who has the bytes: the next news ask again
        if self._hits != (search, hits):
            self._hits = search, hits
            self._changed()
