"""A password or a passphrase asked for on the screen: typed unseen, one at a time, kept nowhere."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from tests.tui.desks import Desk
from tests.tui.screens.homes import HomeApp
from tests.tui.snapshots import SIZES, Album
from tui.app import GatewatchApp
from tui.screens.resume_ask import AskScreen
from tui.screens.secret import URGENT, Question, ScreenAsker, SecretScreen, show_question

SECRET = "correct horse"


class Asked(Desk[GatewatchApp]):
    """An app whose connections ask."""

    def __init__(self, app: GatewatchApp, pilot: Pilot[Any], asker: ScreenAsker) -> None:
        super().__init__(app, pilot)
        self.asker = asker
        self.tasks: list[asyncio.Task[str | None]] = []

    def ask(self, host: str = "gpu-a", what: str = "password of alice") -> asyncio.Task[str | None]:
        self.tasks.append(asyncio.create_task(self.asker.ask(host, what)))
        return self.tasks[-1]

    @property
    def asked(self) -> bool:
        return isinstance(self.app.screen, SecretScreen)


@asynccontextmanager
async def desk(size: tuple[int, int] = (80, 24), **options: Any) -> AsyncIterator[Asked]:
    app = HomeApp(**options)
    asker = ScreenAsker(lambda question: app.call_later(show_question, app, question, 0.0))
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        at = Asked(app, pilot, asker)
        yield at
        for task in at.tasks:
            task.cancel()


async def test_it_is_typed_unseen_and_nothing_of_it_stays() -> None:
    async with desk() as at:
        answer = at.ask()
        await at.until(lambda: "gpu-a asks for: password of alice" in at.shown)
        screen = at.app.screen
        await at.type(SECRET)
        await at.until(lambda: "•" * len(SECRET) + "▏" in at.shown)
        assert SECRET not in at.shown
        assert "c" * 2 not in at.shown
        await at.pilot.press("enter")
        assert await answer == SECRET
        await at.until(lambda: not at.asked)
        at.tasks.clear()
        del answer
        gc.collect()
        held = [one for one in gc.get_objects() if isinstance(one, (Question, SecretScreen)) and one is not screen]
        assert not [one for one in held if SECRET in repr(vars(one))]
        assert "•" not in at.shown
        assert not [
            widget for one in at.app.screen_stack for widget in one.walk_children() if isinstance(widget, Input)
        ]
        assert SECRET not in repr([vars(widget) for widget in [screen, *screen.query("*")]])


async def test_escape_is_no_answer_and_it_is_not_asked_again_until_a_person_looks_again() -> None:
    async with desk() as at:
        answer = at.ask()
        await at.until(lambda: at.asked)
        await at.pilot.press("escape")
        assert await answer is None
        await at.until(lambda: not at.asked)
        assert await at.ask() is None
        other = at.ask("gpu-b")
        await at.until(lambda: "gpu-b asks" in at.shown)
        other.cancel()
        await at.until(lambda: not at.asked)
        at.asker.ask_again()
        again = at.ask()
        await at.until(lambda: "gpu-a asks" in at.shown)
        assert not again.done()


async def test_the_passphrase_of_a_file_is_one_question_whichever_host_it_is_for() -> None:
    async with desk() as at:
        answer = at.ask("gpu-a", "passphrase of ~/.ssh/id_ed25519")
        await at.until(lambda: at.asked)
        await at.pilot.press("escape")
        assert await answer is None
        assert await at.ask("gpu-b", "passphrase of ~/.ssh/id_ed25519") is None


async def test_one_is_asked_at_a_time() -> None:
    async with desk() as at:
        one, other = at.ask("gpu-a"), at.ask("gpu-b")
        await at.until(lambda: "gpu-a asks" in at.shown)
        assert "gpu-b" not in at.shown
        await at.type("one")
        await at.pilot.press("enter")
        assert await one == "one"
        await at.until(lambda: "gpu-b asks" in at.shown)
        assert "•" not in at.shown
        await at.type("two")
        await at.pilot.press("enter")
        assert await other == "two"


async def test_it_goes_when_the_login_has_ended_also_below_the_help() -> None:
    async with desk() as at:
        answer = at.ask()
        await at.until(lambda: at.asked)
        await at.pilot.press("f1")
        await at.until(lambda: "keys:" in at.shown)
        answer.cancel()
        await at.until(lambda: len(at.app.screen_stack) == 1)


async def test_leaving_the_app_answers_it() -> None:
    async with desk() as at:
        answer = at.ask()
        await at.until(lambda: at.asked)
        at.tasks.clear()
    assert await answer is None


async def test_nothing_typed_is_no_answer_and_letters_can_be_taken_back() -> None:
    async with desk() as at:
        answer = at.ask()
        await at.until(lambda: at.asked)
        await at.pilot.press("enter")
        assert not answer.done()
        await at.type("wrong")
        await at.pilot.press("ctrl+u")
        await at.type("riqq")
        await at.pilot.press("backspace", "backspace")
        at.app.screen.focused.post_message(Paste("ght\nrest"))  # type: ignore[union-attr]  # the field
        await at.until(lambda: "•" * 5 in at.shown)
        await at.pilot.press("enter")
        assert await answer == "right"


async def test_what_was_typed_before_it_was_seen_is_no_answer() -> None:
    async with desk() as at:
        question = Question("gpu-a", "password", asyncio.get_running_loop().create_future())
        show_question(at.app, question, 3600.0)
        await at.until(lambda: at.asked)
        await at.type("jjj")
        await at.pilot.press("enter")
        assert "•" not in at.shown
        assert not question.answer.done()
        await at.pilot.press("escape")
        await at.until(question.answer.done)


async def test_it_waits_for_what_somebody_is_asked_or_types() -> None:
    async with desk() as at:
        first = Question("gpu-a", "password", asyncio.get_running_loop().create_future())
        show_question(at.app, first, 0.0)
        await at.until(lambda: at.asked)
        second = Question("gpu-b", "password", asyncio.get_running_loop().create_future())
        show_question(at.app, second, 0.0)
        await at.type("letters")
        assert "gpu-b" not in at.shown
        await at.pilot.press("escape")
        await at.until(lambda: "gpu-b asks" in at.shown)


async def test_who_waits_for_a_host_on_a_screen_of_his_own_is_asked_over_it() -> None:
    async with desk() as at:
        _ = at.app.push_screen(AskScreen("resume this run?", (), "gatewatch calibrate run", "Yes"))
        await at.until(lambda: "resume this run?" in at.shown)
        other = at.ask("gpu-b")
        await at.pilot.pause(0.5)
        assert "gpu-b" not in at.shown
        other.cancel()
        URGENT.set(True)
        answer = at.ask("gpu-a")
        await at.until(lambda: "gpu-a asks" in at.shown)
        await at.type("x")
        await at.pilot.press("enter")
        assert await answer == "x"
        await at.until(lambda: isinstance(at.app.screen, AskScreen))


async def test_it_lies_above_a_screen_that_was_on_its_way_and_keeps_what_was_typed() -> None:
    class Late(Screen[None]):
        HELP_TITLE = "late"

    async with desk() as at:
        answer = at.ask()
        await at.until(lambda: at.asked)
        await at.type("half")
        await at.pilot.press("f1")
        late = Late()
        await at.app.push_screen(late)
        assert at.asked
        assert late in at.app.screen_stack
        await at.until(lambda: "••••▏" in at.shown)
        await at.type("way")
        await at.pilot.press("enter")
        assert await answer == "halfway"
        await at.until(lambda: at.app.screen is late)


async def test_others_who_look_on_see_neither_names_nor_how_long_it_is() -> None:
    async with desk() as at:
        await at.pilot.press("s")
        answer = at.ask()
        await at.until(lambda: "a host asks for: a password or a passphrase" in at.shown)
        await at.type("abc")
        await at.until(lambda: "typed, not shown" in at.shown)
        assert not any(word in at.shown for word in ("gpu-a", "alice", "•"))
        await at.pilot.press("enter")
        assert await answer == "abc"


@pytest.mark.parametrize("name", ["[red]x[/red]", "\x1b]0;owned\x07", "a\u202eb", "x" * 5000, "模型"])
async def test_a_server_may_ask_anything(name: str) -> None:
    from tests.tui.logs.corpus import unsafe

    async with desk() as at:
        _ = at.ask(name, f"what {name}?")
        await at.until(lambda: at.asked)
        await at.until(lambda: "asks" in at.shown or "xxxx" in at.shown)
        assert unsafe(at.shown, "\n") == set()
        assert "kept nowhere" in at.shown


@pytest.mark.parametrize(("what", "stays"), [("passphrase of /k", True), ("password of op", False)])
async def test_it_says_what_becomes_of_the_answer(what: str, stays: bool) -> None:
    async with desk() as at:
        _ = at.ask("gpu-a", what)
        await at.until(lambda: "kept nowhere" in at.shown)
        assert ("the key stays open while this runs" in at.shown) is stays


@pytest.mark.parametrize("size", SIZES)
async def test_how_it_looks(size: tuple[int, int], album: Album) -> None:
    async with desk(size) as at:
        _ = at.ask("gpu-a.lab.example", "passphrase of ~/.ssh/id_ed25519")
        await at.until(lambda: at.asked)
        await at.type("abcdefgh")
        await at.until(lambda: "••••••••" in at.shown)
        album.check(at.app, "secret")
