"""What is copied is what was selected, in lines that are shown whole and in lines that are not."""

from __future__ import annotations

import re

import pytest

from tests.tui.logs.panes import desk
from tests.tui.logs.test_pieces import opened
from tui.logs.rows import SHOWN, display_rows
from tui.logs.selection import Point, Selection, collect

TABS = "\t".join(f"c{number}" for number in range(3000))
COLOURS = " ".join(f"\x1b[3{number % 8}mc{number}\x1b[0m" for number in range(3000))
BOTH = "\t".join(f"\x1b[1mc{number}\x1b[0m\x1b[2J" for number in range(3000))
TEXTS = pytest.mark.parametrize("text", [TABS, COLOURS, BOTH], ids=["tabs", "colours", "both"])
SIZES = pytest.mark.parametrize("size", [1500, 3 * SHOWN, 60_000], ids=["short", "long", "longest"])


@TEXTS
@SIZES
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_a_part_of_a_line_is_what_stands_there(text: str, size: int, encoding: str) -> None:
    line = (text * 4)[:size].rpartition("c")[0]
    async with opened(f"{line}\nend\n".encode(encoding), None) as (model, _):
        at = model.start_place()
        (row,) = display_rows((await model.window(at, 0, 1)).lines[0])
        assert bool(row.cut) is (len(line.encode(encoding)) > SHOWN)
        for first, last in ((0, 9), (31, 77), (120, 160)):
            taken = await collect(model, Selection(Point(at, first), Point(at, last)), display_rows)
            assert taken.text == row.text[first:last]
            assert taken.what == f"{last - first} characters"


@TEXTS
@SIZES
async def test_a_whole_line_has_its_tabs_and_no_colours(text: str, size: int) -> None:
    line = (text * 4)[:size].rpartition("c")[0]
    plain = line
    for code in (*range(30, 38), 0, 1):
        plain = plain.replace(f"\x1b[{code}m", "")
    async with opened(f"{line}\nend\n".encode(), None) as (model, _):
        at = Point(model.start_place())
        taken = await collect(model, Selection(at, at, lines=True), display_rows)
        assert taken.text == plain.replace("\x1b", "␛") + "\n"


async def test_a_line_of_several_rows_has_no_colours() -> None:
    line = "\x1b[31mx\ty\x1b[0m" * 200_000
    async with opened(f"{line}\nend\n".encode(), None) as (model, _):
        at = Point(model.start_place())
        taken = await collect(model, Selection(at, at, lines=True), display_rows)
        assert taken.text == "x\ty" * 200_000 + "\n"


PIECE = 1 << 20


async def dragged(data: bytes, begin: int, end: int) -> tuple[str, str]:
    """What is copied of the first two pieces of a line, and of the second one alone, by the columns on screen."""
    async with opened(data + b"\nend\n", None) as (model, _):
        rows = (await model.window(model.start_place(), 0, 2)).lines
        assert [row.piece for row in rows] == [0, 1]
        first, last = (row.at for row in rows)
        both = await collect(model, Selection(Point(first, begin), Point(last, end)), display_rows)
        one = await collect(model, Selection(Point(last), Point(last, end)), display_rows)
        assert one.text == display_rows(rows[1])[0].text[:end]
        return both.text, one.text


async def test_every_row_of_a_very_long_line_begins_with_a_character() -> None:
    async with desk("€".encode() * 1_500_000 + b"\n", (40, 12)) as at:
        texts = [row.shown.text for row in at.pane.view.rows]
        assert len(texts) == 5
        assert {text[:20] for text in texts} == {"€" * 20}


@pytest.mark.parametrize("place", ["first", "last"])
async def test_a_secret_across_a_cut_is_not_on_the_screen(place: str) -> None:
    secret = "hf_" + "a1B2c3D4" * 4
    text = f"{' ' * (PIECE - 20)}{secret} tail\n"
    async with desk(text.encode(), (80, 12)) as at:
        await at.press("home" if place == "first" else "end")
        await at.until(lambda: any("tail" in row for row in at.rows))
        assert "B2" not in at.shown
        assert at.lines[-1] == "hf_‹redacted› tail"


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("pad", range(4))
async def test_a_character_across_a_cut_is_copied_once(pad: int, long: bool) -> None:
    text = "." * pad + "€" * (PIECE // 3 + (50_000 if long else 50))
    both, one = await dragged(text.encode(), 1, 40)
    shown = text.encode()[PIECE:].decode("utf-8", "ignore")
    assert one == shown[:40]
    assert both == text[1 : len(text) - len(shown) + 40]


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("secret", ["hf_" + "a1B2c3D4" * 4, "hf_a1B2c3D4\x1b[31ma1B2c3D4", "//u:a1B2c3D4a1B2c3D4@h"])
async def test_a_secret_across_a_cut_is_not_copied(secret: str, long: bool) -> None:
    for cut in (4, len(secret) // 2, len(secret) - 1):
        data = f"{' ' * (PIECE - cut - 6)}https:{secret} tail{' tail' * (20_000 if long else 20)}".encode()
        both, one = await dragged(data, 0, 60)
        assert "‹redacted›" in both
        assert " tail" in one
        for text in (both, one):
            assert not re.search("B2|c3|D4", text)


async def test_of_a_bar_only_what_is_shown_is_copied() -> None:
    bar = "\r".join(f"{number:3}% {'#' * 50}" for number in range(101)) + "\r" + "done " * 3000
    async with opened(f"{bar}\nend\n".encode(), None) as (model, _):
        at = model.start_place()
        (row,) = display_rows((await model.window(at, 0, 1)).lines[0])
        assert row.cut
        taken = await collect(model, Selection(Point(at, 20), Point(at, 90)), display_rows)
        assert taken.text == row.text[20:90]
