"""All that is looked for in one log, and whether anybody waits for what is found."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitors.logs.hits import Search


class Searches:
    """The filter and the searches of a log: they rest while nobody sees it, and catch up when somebody does again.

    Whoever made a search holds it; one that nobody holds is forgotten here.
    """

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Search] = weakref.WeakSet()
        self._seen = True
        self._needs = 0

    @property
    def resting(self) -> bool:
        """Whether nothing is to be looked at just now."""
        return not self._seen and not self._needs

    def add(self, search: Search) -> None:
        """One more."""
        self._all.add(search)

    def visible(self, visible: bool) -> None:
        """Whether anybody sees the log."""
        self._seen = visible
        self.update()

    @contextlib.contextmanager
    def needed(self) -> Iterator[None]:
        """Within this block nothing rests, whether or not anybody sees the log."""
        self._needs += 1
        self.update()
        try:
            yield
        finally:
            self._needs -= 1
            self.update()

    def update(self) -> None:
        """Have all look at the source's shape again, or rest."""
        for search in tuple(self._all):
            if self.resting:
                search.rest()
            else:
                search.update()

    def close(self) -> None:
        """End all of it."""
        for search in tuple(self._all):
            search.close()
