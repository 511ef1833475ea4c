"""All lines between two places that the filter lets pass, some at a time: for copying and saving them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from hosts.errors import InputError
from monitors.logs.model import LogModel
from monitors.logs.types import LogLine, Place

_SOON = 0.1  # seconds after which what was not scanned yet is asked for again


async def batches(model: LogModel, at: Place, end: Place, most: int) -> AsyncGenerator[list[LogLine], None]:
    """The lines that begin from `at` on and before `end`, in order, at most `most` at once.

    A short answer is no end: more is asked for, and what the filter has not looked at yet is waited for.

    Raises:
        InputError: The filter cannot go on.
        UnreachableError: Nobody answers.
    """
    with model.needed():
        while at < end:
            window = await model.window(at, 0, most)
            found = window.lines[window.anchor :]
            lines = [line for line in found if line.at < end]
            if lines:
                yield lines
                at = Place(lines[-1].at.generation, lines[-1].end)
            if window.at_end or len(lines) < len(found):
                return
            if not lines:
                if not window.busy:
                    return
                passing = model.state.filter
                if passing is not None and passing.problem:
                    raise InputError(passing.problem)
                await asyncio.sleep(_SOON)
