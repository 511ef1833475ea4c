"""Keys that are typed on a stage before it has been worked out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from monitors.logs.opening import open_source
from tests.tui.screens.stage_bench import KEY, StageBench, seat
from tests.tui.screens.test_stage import TALL, opened
from tui.screens import stage, stage_log
from tui.screens.stage import StageScreen, Viewed
from tui.screens.stage_log import RepeatLogScreen
from tui.screens.stage_view import view_of

OWN = "repeat 1 "  # of the chosen repeat, below all of them


@pytest.mark.parametrize("beside", [False, True], ids=["as it opens", "the stage beside it"])
async def test_what_is_typed_before_a_stage_is_worked_out_is_meant_for_it(
    beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    held = Event()

    def slow(*given: Any) -> Any:
        held.wait(60)
        return view_of(*given)

    async with seat(TALL, bench.bench.now) as at:
        if beside:
            await opened(at, bench)
        monkeypatch.setattr(stage, "view_of", slow)
        if not beside:
            await at.app.push_screen(StageScreen(bench.place(), await bench.see(), KEY))
        try:
            await at.press(*(["left_curly_bracket"] if beside else []), "down", "enter", "slash", "x")
            screen = at.app.screen
            assert isinstance(screen, StageScreen), "whose log it is nobody knows yet"
            if screen.view is not None:
                screen.post_message(Viewed(screen.view))  # of the stage before, and late
                await at.pilot.pause()
        finally:
            held.set()
        await at.until(lambda: isinstance(at.app.screen, RepeatLogScreen), "the log")
        await at.until(lambda: f"{'asr_accuracy' if beside else KEY} repeat 2  _pytest" in at.shown, "its title")
        await at.until(lambda: "find x" in at.screen, "what was typed behind it")
        assert at.app.told == []


async def test_what_is_typed_while_a_log_is_opened_is_meant_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    held = asyncio.Event()

    async def slow(*given: Any) -> Any:
        await held.wait()
        return await open_source(*given)

    monkeypatch.setattr(stage_log, "open_source", slow)
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        await at.press("enter", "slash", "e")
        held.set()
        await at.until(lambda: "find e" in at.screen, "what was typed behind it")


async def test_a_log_that_takes_long_to_open_can_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()

    async def slow(*_given: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(stage_log, "open_source", slow)
    monkeypatch.setattr(stage_log, "_EARLY_S", 0.05)
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        await at.press("enter", "escape")
        await at.until(lambda: isinstance(at.app.screen, StageScreen), "the stage")
        await at.press("down")
        await at.until(lambda: "repeat 2  ✓" in at.screen)


async def test_a_stage_that_cannot_be_worked_out_can_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()

    def broken(*_given: Any) -> Any:
        raise ValueError("boom")

    monkeypatch.setattr(stage, "view_of", broken)
    async with seat(TALL, bench.bench.now) as at:
        await at.app.push_screen(StageScreen(bench.place(), await bench.see(), KEY))
        await at.until(lambda: "unexpected ValueError: boom" in at.screen)
        await at.settled()
        await at.press("down", "enter", "escape")
        await at.until(lambda: "the floor" in at.screen)


@pytest.mark.parametrize("typed", [("down", "enter"), ()])
async def test_a_stage_that_cannot_be_worked_out_shows_nothing_of_the_one_before(
    typed: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()

    def broken(snapshot: Any, key: str, sources: Any) -> Any:
        if key != KEY:
            raise ValueError("boom")
        return view_of(snapshot, key, sources)

    monkeypatch.setattr(stage, "view_of", broken)
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        assert OWN in at.screen
        await at.press("left_curly_bracket")
        await at.until(lambda: "unexpected ValueError: boom" in at.screen)
        await at.press(*typed)
        await at.settled()
        assert isinstance(at.app.screen, StageScreen)
        assert OWN not in at.screen
        assert "unexpected ValueError: boom" in at.screen
        await at.press("right_curly_bracket")
        await at.until(lambda: OWN in at.screen, "the stage that can be worked out")


async def test_a_stage_that_can_be_worked_out_again_says_no_more_that_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        screen = await opened(at, bench)
        with monkeypatch.context() as now:
            now.setattr(stage, "view_of", lambda *_given: 1 // 0)
            screen.show(await bench.see())
            await at.until(lambda: "unexpected ZeroDivisionError" in at.screen)
        screen.show(await bench.see())
        await at.until(lambda: "unexpected" not in at.screen, "what it says instead")
