"""What works everywhere works in a question and in a form as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.screens.stage_bench import StageBench, seat
from tui.help import HelpScreen
from tui.palette import Palette
from tui.screens.form import FormScreen, open_form
from tui.screens.resume import ResumeScreen, open_resume


@pytest.mark.parametrize("screen", [ResumeScreen, FormScreen])
@pytest.mark.parametrize(
    ("key", "opens", "code"),
    [("f1", HelpScreen, None), ("ctrl+p", Palette, None), ("ctrl+c", None, 130), ("ctrl+q", None, 0)],
)
async def test_keys_of_the_app(
    screen: type[ResumeScreen | FormScreen], key: str, opens: type | None, code: int | None, tmp_path: Path
) -> None:
    bench = StageBench.make(tmp_path)
    bench.bench.begin()
    bench.bench.die()
    look = await bench.see()
    async with seat(now=bench.bench.now) as at:
        (open_resume if screen is ResumeScreen else open_form)(at.app, bench.place(read_only=False), look)
        await at.until(lambda: isinstance(at.app.screen, screen))
        await at.press(key)
        if opens is not None:
            await at.until(lambda: isinstance(at.app.screen, opens))
            await at.press("escape")
            await at.until(lambda: isinstance(at.app.screen, screen))
        assert at.app.return_value == code


async def test_a_question_has_the_letters_too(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.bench.begin()
    bench.bench.die()
    look = await bench.see()
    async with seat(now=bench.bench.now) as at:
        open_resume(at.app, bench.place(read_only=False), look)
        await at.until(lambda: isinstance(at.app.screen, ResumeScreen))
        await at.press("question_mark")
        await at.until(lambda: isinstance(at.app.screen, HelpScreen))
        await at.press("escape", "q")
        assert at.app.return_value == 0
