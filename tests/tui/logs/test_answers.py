"""What came of something that was asked for is told until something else is."""

from __future__ import annotations

import pytest

from tests.tui.logs.panes import FrozenApp, PaneDesk, desk, numbered

TIMES = b"2026-11-21 14:01:00 begins\n2026-11-21 14:02:00 goes on\n" * 30


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is told goes by itself."""
    monkeypatch.setattr(FrozenApp, "NOTIFICATION_TIMEOUT", 3600.0)


async def asked(at: PaneDesk, text: str, key: str = "at") -> None:
    await at.press(key)
    await at.type(text)
    await at.press("enter")


def counted(at: PaneDesk) -> bool:
    """Whether all lines are."""
    state = at.pane.model.state if at.pane.model is not None else None
    return state is not None and state.lines is not None and state.counted == state.bytes


async def test_an_answer_goes_with_the_next_key_and_comes_again_where_it_is_the_same() -> None:
    async with desk(numbered(300)) as at:
        await at.until(lambda: counted(at))
        for _ in range(2):
            await asked(at, "5000")
            await at.until(lambda: "5000: not in this log" in at.shown)
            await at.press("g")
            await at.until(lambda: "5000: not" not in at.shown)


async def test_what_was_asked_for_next_is_told_of_alone() -> None:
    async with desk(numbered(300)) as at:
        await at.until(lambda: counted(at))
        await asked(at, "5000")
        await at.until(lambda: "5000: not in this log" in at.shown)
        await asked(at, "6000")
        await at.until(lambda: "6000: not in this log" in at.shown)
        assert "5000" not in at.shown


async def test_what_nobody_asked_for_stays() -> None:
    async with desk(numbered(300)) as at:
        at.pane.say("it was written to a file")
        await at.until(lambda: "written to a file" in at.shown)
        await at.press("g")
        await at.until(lambda: at.lines[0] == "line 1")
        await at.settled()
        assert "written to a file" in at.shown


async def test_what_else_is_told_stays_when_an_answer_goes() -> None:
    async with desk(numbered(300), (100, 24)) as at:
        await at.until(lambda: counted(at))
        at.pane.say("cannot save: disk full", bad=True)
        await asked(at, "5000")
        await at.until(lambda: "5000: not in this log" in at.shown)
        at.app.notify("host gpu7: connection lost", severity="error")
        await at.until(lambda: "gpu7" in at.shown)
        await at.press("g")
        await at.until(lambda: "5000: not" not in at.shown)
        assert "gpu7" in at.shown
        assert "disk full" in at.shown


@pytest.mark.parametrize("data", [numbered(300), numbered(300) + b"not ended"])
@pytest.mark.parametrize(("key", "said"), [("at", "5000: "), ("less_than_sign", "since 5000: ")])
async def test_a_line_that_is_not_there_may_be_so_only_until_all_are_counted(key: str, said: str, data: bytes) -> None:
    async with desk(data, (100, 24)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines is not None)
        await at.settled()
        await asked(at, "5000", key)
        await at.until(lambda: f"{said}not in this log" in at.shown)
        assert "or not counted yet" not in at.shown


async def test_a_line_that_is_not_counted_yet_may_be_there() -> None:
    async with desk(numbered(300), (100, 24)) as at:
        await at.until(lambda: counted(at))
        at.source.open.clear()
        at.source.append(numbered(6000, 301))
        await asked(at, "5000")
        await at.until(lambda: "5000: not in this log, or not counted yet" in at.shown)
        at.source.open.set()
        await at.until(lambda: counted(at))
        await asked(at, "5000")
        await at.until(lambda: "line 5000" in at.lines)
        await at.until(lambda: "not counted yet" not in at.shown)


@pytest.mark.parametrize(("data", "why"), [(TIMES, "nothing in this log is that late"), (numbered(9), "no line says")])
async def test_why_no_line_is_of_a_time_is_told(data: bytes, why: str) -> None:
    async with desk(data, (120, 24)) as at:
        await asked(at, "2026-11-22 14:02")
        await at.until(lambda: f"2026-11-22 14:02: {why}" in at.shown)
