"""What is copied is what was selected, in lines that are shown whole and in lines that are not."""

from __future__ import annotations

import pytest

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


async def test_of_a_bar_only_what_is_shown_is_copied() -> None:
    bar = "\r".join(f"{number:3}% {'#' * 50}" for number in range(101)) + "\r" + "done " * 3000
    async with opened(f"{bar}\nend\n".encode(), None) as (model, _):
        at = model.start_place()
        (row,) = display_rows((await model.window(at, 0, 1)).lines[0])
        assert row.cut
        taken = await collect(model, Selection(Point(at, 20), Point(at, 90)), display_rows)
        assert taken.text == row.text[20:90]
