"""How the way to a run's host is told in its header, and that the seconds go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.screen import Screen

from hosts.connection import Connection, Way
from monitors.snapshot import State
from tests.tui.screens.run_desk import run_desk
from tests.tui.screens.runs import FarReader, RunBench


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    made = RunBench.make(tmp_path, {"a": ("a_acc",), "b": ("b_wer",)}, 3)
    made.begin(2_000)
    made.past("a", 3, 400)
    return made


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
async def test_a_way_that_is_up_gives_room_first_and_any_other_last(width: int, bench: RunBench) -> None:
    bench.way = Connection(Way.UP, bench.now - 5, 0.034)
    async with run_desk(bench, bench.look(), (width, 24)) as at:
        assert ("up 34 ms" in at.rows[0]) is (width >= 80)
    bench.way = Connection(Way.KEY_CHANGED, bench.now - 5, 0.034, None, "its host key has changed")
    async with run_desk(bench, bench.look(state=State.BLIND, error="gone"), (width, 24)) as at:
        assert "key changed" in at.rows[0]


async def test_the_seconds_go_on_while_somebody_sees_them(bench: RunBench) -> None:
    bench.way = Connection(Way.WAITING, bench.now - 4, None, bench.now + 8, "connection refused")
    look = bench.look(state=State.BLIND, error="h20-a: retry in 12 s (connection refused)")
    async with run_desk(bench, look, (120, 40)) as at:
        assert "@h20-a retry in 8 s" in at.rows[0]
        assert "12 s" not in at.shown
        bench.now += 3
        at.screen.show_way()
        await at.until(lambda: "retry in 5 s" in at.rows[0])
        head = at.screen._head
        await at.app.push_screen(Screen())
        paints = head.paints
        bench.now += 2
        at.screen.show_way()
        assert head.paints == paints, "nobody sees it"
        _ = at.app.pop_screen()
        await at.until(lambda: "retry in 3 s" in at.rows[0])
        bench.now += 60
        at.screen.show_way()
        await at.until(lambda: "unreachable since" in at.rows[0])


async def test_what_cannot_be_seen_now_is_not_fine_however_it_stood(bench: RunBench) -> None:
    bench.start("b", 1, 60)
    look = bench.look()
    up = bench.way = Connection(Way.UP, bench.now, 0.034)
    async with run_desk(bench, look, (120, 40)) as at:
        await at.until(lambda: "Nothing is wrong." in at.shown)
        assert "● running" in at.rows[0]
        reader = at.screen._place.reader
        assert isinstance(reader, FarReader)
        reader.connection = Connection(Way.WAITING, bench.now, None, bench.now + 8, "connection refused")
        at.screen.show_way()
        await at.until(lambda: "It cannot be seen now. What is shown was seen at 02:43." in at.shown)
        assert "blind" in at.rows[0]
        assert "Nothing is wrong." not in at.shown
        reader.connection = up
        at.screen.show_way()
        await at.until(lambda: "Nothing is wrong." in at.shown)
        bench.now += 121  # nobody has looked, as on a laptop that slept
        at.screen.show_way()
        await at.until(lambda: "It cannot be seen now." in at.shown)


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (90, "r3 @h20-a unreachable since 02:43, trying ffea71b  "),
        (80, "r3 @h20-a unreachable since 02:43 ffea71b  "),
        (70, "r3 @h20-a unreachable since 02:43  "),
        (60, "r3 @h20-a unreachable  "),
    ],
)
async def test_a_way_that_is_tried_again_is_told_of_more_briefly_before_the_run_is(
    width: int, words: str, bench: RunBench
) -> None:
    bench.way = Connection(Way.WAITING, bench.now - 300, None, None, "no route", trying=True)
    async with run_desk(bench, bench.look(state=State.BLIND, error="gone"), (width, 24)) as at:
        assert words in at.rows[0]


async def test_before_the_first_look_it_is_told_too(bench: RunBench) -> None:
    bench.way = Connection(Way.REFUSED, bench.now, None, None, "login refused for alice")
    async with run_desk(bench, None, (80, 24)) as at:
        assert "@h20-a auth failed" in at.rows[0]


async def test_hostile_reasons_do_nothing(bench: RunBench) -> None:
    from tests.tui.logs.corpus import unsafe

    hostile = "\x1b]0;pwned\x07[red]x \u202e" + "y" * 5_000
    bench.way = Connection(Way.REFUSED, bench.now, None, None, hostile)
    look = replace(bench.look(), host=None)
    async with run_desk(bench, look, (80, 24)) as at:
        assert unsafe(at.shown, "\n") == set()
