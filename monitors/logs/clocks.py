"""By which clock a log's lines are written, where that is not ours."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from monitors.logs.types import Source


@runtime_checkable
class ClockedSource(Protocol):
    """A source of a log that another machine may write."""

    async def ahead(self) -> float:
        """Seconds by which the clock there is ahead of ours; 0 where they may be the same, or nobody says.

        Raises:
            UnreachableError: Nobody answers.
        """
        ...


async def ahead_of(source: Source) -> float:
    """Seconds by which the clock of whoever writes a log is ahead of ours, as far as that is known.

    Raises:
        UnreachableError: Nobody answers.
    """
    return await source.ahead() if isinstance(source, ClockedSource) else 0.0
