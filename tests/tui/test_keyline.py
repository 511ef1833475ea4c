"""The bottom row tells of the keys, or of a window that is too small, whichever is so by now."""

from __future__ import annotations

from tests.tui.logs.panes import desk, numbered


async def test_it_speaks_of_the_window_as_it_is() -> None:
    async with desk(numbered(100)) as at:
        keys = at.rows[-1]
        for size in ((80, 8), (80, 10), (70, 10), (80, 24), (80, 40)):
            await at.pilot.resize_terminal(*size)
            await at.settled()
            small = size < (80, 24)
            assert (f"this window is {size[0]}x{size[1]}" in at.rows[-1]) == small
            assert (at.rows[-1] == keys) != small
