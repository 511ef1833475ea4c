from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual import constants
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.cache import FIFOCache
from textual.color import Color
from textual.drivers import linux_driver
from textual.events import Key
from textual.renderables.background_screen import BackgroundScreen
from textual.strip import Strip
from textual.widgets import Static

from tests.peers.callers import until
from tui import shims

CONSOLE = Console(force_terminal=True, color_system="truecolor")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [({}, 0.015), ({"SSH_CONNECTION": "a 1 b 22"}, 0.05), ({"ESCDELAY": "300"}, 0.1), ({"ESCDELAY": ""}, 0.015)],
)
def test_how_long_a_bare_escape_is_waited_for(
    environ: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.1)
    shims.answer_escape_soon(environ)
    assert seconds == constants.ESCAPE_DELAY


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[bytes]]:
    """Who writes to it types."""
    near, far = os.pipe()
    with open(near, encoding="utf-8") as typed, open(far, "wb", buffering=0) as keys:
        monkeypatch.setattr(sys, "__stdin__", typed)
        yield keys


def parser(monkeypatch: pytest.MonkeyPatch) -> XTermParser:
    """What the driver makes to read keys with."""
    monkeypatch.setitem(vars(linux_driver), "XTermParser", XTermParser)
    shims.read_keys_our_way()
    made: XTermParser = vars(linux_driver)["XTermParser"]()
    return made


def test_a_bare_escape_is_known_without_being_asked_for_again(
    keyboard: IO[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.01)
    told = parser(monkeypatch).feed("\x1b")
    assert [event.key for event in told if isinstance(event, Key)] == ["escape"]


def test_what_follows_an_escape_in_time_belongs_to_it(keyboard: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 10.0)
    reading = parser(monkeypatch)
    keyboard.write(b"[A")
    assert list(reading.feed("\x1b")) == []
    assert [event.key for event in reading.feed("[A") if isinstance(event, Key)] == ["up"]


def test_the_input_may_end_behind_an_escape(keyboard: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 10.0)
    reading = parser(monkeypatch)
    keyboard.close()
    assert list(reading.feed("\x1b")) == []
    assert [event.key for event in reading.feed("") if isinstance(event, Key)] == ["escape"]


def pieces(strip: Strip) -> list[tuple[str, Style | None]]:
    return [(text, style) for text, style, _ in strip]


@given(
    texts=st.lists(st.text("ab 猫\u0301", max_size=6), max_size=4),
    start=st.integers(0, 12),
    width=st.integers(1, 12),
    cuts=st.sets(st.integers(1, 20), max_size=4),
)
def test_a_line_is_cut_as_the_framework_cuts_it(texts: list[str], start: int, width: int, cuts: set[int]) -> None:
    own = module_of_its_own("textual.strip").Strip
    shims.paint_lightly()
    segments = [Segment(text, Style(bold=bool(number % 2))) for number, text in enumerate(texts)]
    ours, theirs = Strip(segments), own(segments)
    assert own is not Strip
    for extend in (Style(italic=True), None):
        assert pieces(ours.crop_extend(start, start + width, extend)) == pieces(
            theirs.crop_extend(start, start + width, extend)
        )
    assert pieces(ours.crop_extend(0, ours.cell_length, None)) == pieces(theirs)
    divided = [*sorted(cut for cut in cuts if cut < ours.cell_length), ours.cell_length]
    for _ in range(2):  # the second from what was kept
        assert [pieces(one) for one in ours.divide(divided)] == [pieces(one) for one in theirs.divide(divided)]
        assert [pieces(one) for one in ours.divide(divided[:-1])] == [
            pieces(one) for one in theirs.divide(divided[:-1])
        ]
    assert ours.render(CONSOLE) == theirs.render(CONSOLE)


def test_a_line_that_is_cut_nowhere_leaves_nothing_to_collect() -> None:
    shims.paint_lightly()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        line = Strip([Segment("abc")], 3)
        assert line.divide([3]) == [line] == [line.crop_extend(0, 3, None)]
        del line
    assert len(gc.get_objects()) - before < 50
    assert gc.collect() == 0


def test_a_piece_of_a_line_brings_no_caches_until_one_is_used() -> None:
    shims.paint_lightly()
    line = Strip([Segment("abc")], 3)
    assert not any(isinstance(one, FIFOCache) for one in gc.get_referents(line))
    first = line.crop(0, 2)
    assert line.crop(0, 2) is first
    assert sum(isinstance(one, FIFOCache) for one in gc.get_referents(line)) == 1
    with pytest.raises(AttributeError, match="nothing"):
        line.nothing  # type: ignore[attr-defined]  # noqa: B018 - asking is the test


def test_a_line_of_another_make_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    other = module_of_its_own("textual.strip").Strip

    class Made(other):  # type: ignore[misc, valid-type]  # as another version may make it
        __slots__ = ["_another_cache"]

    monkeypatch.setattr("textual.strip.Strip", Made)
    shims.paint_lightly()
    assert vars(Made).keys() & {"__init__", "__getattr__", "divide", "crop_extend"} == set()


@given(
    st.lists(
        st.tuples(
            st.text("ab", max_size=3),
            st.sampled_from([None, Style(), Style(color="red", link="https://a"), Style(bgcolor="#102030", bold=True)]),
        ),
        max_size=6,
    ),
    st.sampled_from([Color(0, 0, 0, 0.6), Color(10, 20, 30, 0), Color(255, 255, 255, 1)]),
)
def test_what_lies_under_a_dialog_is_dimmed_as_the_framework_dims_it(
    shown: list[tuple[str, Style | None]], color: Color
) -> None:
    theirs = module_of_its_own("textual.renderables.background_screen").BackgroundScreen
    shims.dim_quickly()
    segments = [Segment(text, style) for text, style in shown]
    ours = list(BackgroundScreen.process_segments(segments, color))
    assert ours == list(theirs.process_segments(segments, color))
    assert not any(one.style and one.style.link for one in ours)


def module_of_its_own(name: str) -> Any:
    """The framework's, as nobody has changed it."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Counted(App[None]):
    """An app with one line, whose paints are counted."""

    def __init__(self) -> None:
        shims.paint_in_time()
        super().__init__()
        self.paints = 0

    def compose(self) -> ComposeResult:
        yield Static("0")

    @property
    def frames(self) -> Any:
        return self.screen._update_timer

    def change(self, text: str) -> None:
        self.query_one(Static).update(text)


async def test_a_change_after_a_rest_is_painted_at_once() -> None:
    async with Counted().run_test() as pilot:
        app = pilot.app
        assert isinstance(app, Counted)
        assert await until(lambda: app.frames._next is None)
        app.frames._before = 0.0
        app.change("1")
        app.frames.resume()
        assert app.frames._next.when() - asyncio.get_running_loop().time() <= shims._TOGETHER_S
        assert await until(lambda: app.frames._next is None)
        assert "1" in shims.screen_strips(app)[0].text


async def test_many_changes_are_painted_a_frame_apart() -> None:
    async with Counted().run_test() as pilot:
        app = pilot.app
        assert isinstance(app, Counted)
        loop, paint = asyncio.get_running_loop(), app.frames._paint
        paints: list[float] = []

        def painted() -> None:
            paints.append(loop.time())
            paint()

        app.frames._paint = painted
        for count in range(100):
            app.change(str(count))
            await asyncio.sleep(0.001)
        assert await until(lambda: app.frames._next is None)
        assert "99" in shims.screen_strips(app)[0].text
        # From any paint to the one after the next it is two frames at least
        assert all(later - at > 2 / constants.MAX_FPS - 0.001 for at, later in zip(paints, paints[2:], strict=False))
        assert len(paints) > 2


async def test_a_paint_that_fails_ends_the_app_with_its_error() -> None:
    app = Counted()

    async def run() -> None:
        async with app.run_test() as pilot:
            assert await until(lambda: app.frames._next is None)
            # No widget of ours fails in a paint, so the paint itself does
            app.screen._on_timer_update = lambda: 1 // 0  # type: ignore[assignment, method-assign]
            app.change("1")
            await pilot.pause(1)

    with pytest.raises(ZeroDivisionError):
        await run()
