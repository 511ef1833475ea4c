"""The pane of a whole line keeps its place when the window changes, and tells when the line goes on."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered
from tui.logs.detail import LineDetail, Page, View

WORDS = " ".join(f"{number:07}" for number in range(4000)).encode()
FIELDS = json.dumps({f"key{number}": f"{number:07} " + "word " * (number % 40) for number in range(300)}).encode()


def rows(at: PaneDesk) -> list[str]:
    """The rows of the line, without the scroll bar's column."""
    title = next(y for y, row in enumerate(at.rows) if "whole line" in row)
    return [row.strip() for row in at.rows[title + 1 : -2]]


async def opened(at: PaneDesk, view: str) -> None:
    """The whole line below its log, in one of the ways to show it."""
    await at.press("home", "enter")
    await at.until(lambda: at.pane.detail.is_open and "whole line" in at.shown)
    while f"[{view}]" not in at.shown:
        await at.press("x")
        await at.settled()


@pytest.mark.parametrize("view", ["text", "fields", "hex"])
async def test_a_window_of_another_width_shows_the_same_place(view: str) -> None:
    async with desk((FIELDS if view == "fields" else WORDS) + b"\n" + numbered(30)) as at:
        await opened(at, view)
        await at.press(*["pagedown"] * 8)
        await at.settled()
        before = rows(at)
        first = before[0].split()[1 if view == "text" else 0]
        for width in (81, 60, 200, 67, 160, 80):
            await at.pilot.resize_terminal(width, 24)
            await at.settled()
            if view == "hex":
                assert 0 <= int(first, 16) - int(rows(at)[0].split()[0], 16) < 16
            else:
                assert first in "".join(rows(at)[:2])
        assert rows(at) == before
        await at.press("down", "up")
        await at.settled()
        assert rows(at) == before


async def test_a_window_of_another_height_shows_the_same_place() -> None:
    async with desk(WORDS + b"\n" + numbered(30)) as at:
        await opened(at, "text")
        await at.press(*["pagedown"] * 4)
        await at.settled()
        before = rows(at)
        await at.pilot.resize_terminal(80, 50)
        await at.settled()
        assert rows(at)[: len(before)] == before
        await at.pilot.resize_terminal(80, 24)
        await at.settled()
        assert rows(at) == before


async def test_a_page_that_is_read_while_the_window_changes_has_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, widths = asyncio.Event(), []
    page = LineDetail.page

    async def late(self: LineDetail, view: View, number: int, width: int) -> Page:
        widths.append(width)
        found = await page(self, view, number, width)
        await gate.wait()
        return found

    monkeypatch.setattr(LineDetail, "page", late)
    async with desk(WORDS + b"\n" + numbered(30)) as at:
        await at.press("home", "enter")
        await at.until(lambda: widths)
        await at.pilot.resize_terminal(120, 24)
        await at.settled()
        gate.set()
        await at.until(lambda: "whole line" in at.shown and len(rows(at)[0]) > 110)


async def test_a_line_that_goes_on_is_shown_so() -> None:
    async with desk(numbered(3) + b"unfinished ") as at:
        await at.press("V", "escape", "enter")
        await at.until(lambda: "the whole line: 11 B, not finished" in at.shown)
        at.source.append(b"and on ")
        await at.until(lambda: "the whole line: 18 B, not finished" in at.shown)
        await at.until(lambda: rows(at)[0] == "unfinished and on")
        at.source.append(b"to its end\nanother\n")
        await at.until(lambda: "the whole line: 28 B  " in at.shown)
        await at.until(lambda: rows(at)[0] == "unfinished and on to its end")
        at.source.append(b"more\n" * 100)
        await at.settled()
        assert "the whole line: 28 B  " in at.shown


async def test_a_line_that_goes_on_leaves_the_place_within_it() -> None:
    async with desk(numbered(3) + WORDS) as at:
        await at.press("V", "escape", "enter")
        await at.until(lambda: at.pane.detail.is_open and "not finished" in at.shown)
        await at.press(*["pagedown"] * 5)
        await at.settled()
        before = rows(at)
        at.source.append(b" more" * 4000)
        await at.until(lambda: "52.0 kB, not finished" in at.shown)
        await at.settled()
        assert rows(at) == before
        await at.press("end")
        await at.until(lambda: "more" in rows(at)[0])
        at.source.append(b" last\n")
        await at.until(lambda: "52.0 kB  page" in at.shown)
        assert "more" in rows(at)[0]


WIDE = b"".join(b"line %d %s\n" % (n, b"p" * 300) for n in range(20_000))


async def test_a_line_that_is_read_still_is_given_up_by_escape() -> None:
    async with desk(WIDE + b"x" * 200_000 + b"\n" + numbered(3)) as at:
        await at.press("enter")
        await at.until(lambda: at.pane.detail.is_open)
        await at.until(lambda: any(line.startswith("x") for line in at.lines))
        await at.settled()
        y = next(y for y, line in enumerate(at.lines) if line.startswith("x"))
        at.forget()
        at.source.open.clear()
        await at.pilot.click("#log-view", offset=(3, y), times=2)
        await at.pilot.pause()
        await at.press("escape")
        assert not at.pane.detail.is_open
        at.source.open.set()
        await at.settled()
        assert not at.pane.detail.is_open
        assert "AttributeError" not in at.shown


@pytest.mark.parametrize("keys", [("escape",), ("G",), ("escape", "escape", "G"), ("f",)])
async def test_a_line_that_somebody_left_before_it_was_read_is_not_opened(keys: tuple[str, ...]) -> None:
    async with desk(WIDE) as at:
        at.forget()
        at.source.open.clear()
        await at.press("enter", *keys)
        at.source.open.set()
        await at.settled()
        assert not at.pane.detail.is_open
        assert at.pane.view.has_focus
        assert at.lines[-1].startswith("line 19999 ")
        assert "Following." in at.rows[-2]


async def test_a_line_that_is_not_there_yet_and_one_beside_it_open_as_the_last_that_was_asked_for() -> None:
    async with desk(WIDE) as at:
        await at.press("pageup")
        await at.settled()
        top = at.top
        at.forget()
        at.source.open.clear()
        await at.press("enter")
        await at.pilot.click("#log-view", offset=(3, 4), times=2)
        at.source.open.set()
        await at.until(lambda: at.pane.detail.is_open)
        await at.settled()
        assert rows(at)[0].startswith(at.pane.view.line.data[:10].decode() if at.pane.view.line else "?")
        await at.press("escape")
        await at.settled()
        assert at.top == top
