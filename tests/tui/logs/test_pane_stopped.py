"""While painting is stopped, nothing that one does shows what came since."""

from __future__ import annotations

from tests.tui.logs.panes import desk, numbered


async def test_another_look_paints_nothing_that_came_while_painting_is_stopped() -> None:
    async with desk(numbered(100)) as at:
        await at.press("space")
        at.source.append(numbered(50, 101))
        await at.settled()
        before = at.lines
        await at.press("w")
        await at.settled()
        assert at.lines == before
        at.pane.seen(False)
        at.pane.seen(True)
        await at.settled()
        assert at.lines == before
        await at.press("space")
        await at.until(lambda: at.lines[-1] == "line 150")
