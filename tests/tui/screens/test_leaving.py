"""Leaving a screen takes away that screen, once, whatever lies over it by then."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import ModalScreen, Screen

from tests.tui.screens.run_desk import run_desk
from tests.tui.screens.runs import RunBench
from tests.tui.screens.stage_bench import Floor, StageBench, seat
from tui.help import HelpScreen
from tui.screens.leaving import leave
from tui.screens.resume import ResumeScreen, open_resume
from tui.screens.stage import StageScreen


async def test_it_alone_once_and_what_lies_over_it(tmp_path: Path) -> None:
    answers: list[bool | None] = []
    async with seat() as at:
        lower: ModalScreen[bool] = ModalScreen()
        await at.app.push_screen(lower, answers.append)
        await at.app.push_screen(Screen())
        leave(lower, True)
        leave(lower, False)
        await at.until(lambda: not lower.is_attached)
        assert isinstance(at.app.screen, Floor)
        assert answers == [True]


@pytest.mark.parametrize("looks", [1, 2])
async def test_a_question_that_is_void_goes_also_from_under_the_help(tmp_path: Path, looks: int) -> None:
    bench = StageBench.make(tmp_path)
    bench.bench.begin()
    bench.bench.die()
    dead = await bench.see()
    bench.bench.runner = True
    alive = await bench.see()
    async with seat(now=bench.bench.now) as at:
        open_resume(at.app, bench.place(read_only=False), dead)
        await at.until(lambda: isinstance(at.app.screen, ResumeScreen))
        question = at.app.screen
        assert isinstance(question, ResumeScreen)
        await at.press("question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen))
        for _ in range(looks):
            question.show(alive)
        await at.until(lambda: not question.is_attached)
        assert isinstance(at.app.screen, Floor)
        assert any("the question is void" in told for told in at.app.told)


async def test_a_key_that_is_hit_twice_leaves_one_screen(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.bench.begin()
    bench.bench.die()
    look = await bench.see()
    async with seat(now=bench.bench.now) as at:
        stage = StageScreen(bench.place(), look, "asr_speed")
        await at.app.push_screen(stage)
        open_resume(at.app, bench.place(read_only=False), look)
        await at.until(lambda: isinstance(at.app.screen, ResumeScreen))
        question = at.app.screen
        assert isinstance(question, ResumeScreen)
        await at.until(lambda: question.answers.is_mounted)
        question.action_no()
        question.action_answer()
        await at.until(lambda: not question.is_attached)
        assert at.app.screen is stage


async def test_a_run_is_left_also_where_nothing_has_the_focus(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path, {"a": ("a", "b")}, 2)
    async with run_desk(bench, bench.look()) as at:
        at.screen.set_focus(None)
        await at.press("escape")
        await at.until(lambda: not at.screen.is_attached)
        assert at.rows[0] == "home"
