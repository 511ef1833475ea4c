"""A time that is typed without its date, in a log whose clock is ahead of ours, or that it has not reached yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from monitors.logs.model import LogModel
from tests.monitors.logs.memory import BEGAN_AT, MemorySource
from tests.tui.logs.panes import PaneDesk, desk
from tui.logs.goto import Goal, parse, settled
from tui.logs.screen import Wish
from tui.logs.toolate import why_all, why_not

NOW = BEGAN_AT  # 1970-01-12 13:46:40
HOUR, DAY = 3600.0, 86400.0


def clock(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%H:%M:%S}"


def dated(first: float, count: int = 60, step: float = 60) -> bytes:
    """Lines that say when they were written, the first at `first`."""
    times = [datetime.fromtimestamp(first + step * number, UTC) for number in range(count)]
    return b"".join(b"%s INFO line %d\n" % (f"{when:%F %T}".encode(), number) for number, when in enumerate(times))


@asynccontextmanager
async def log(data: bytes) -> AsyncIterator[LogModel]:
    model = LogModel(MemorySource(data), counts=False, now=lambda: NOW, zone=UTC)
    await model.start()
    try:
        yield model
    finally:
        await model.close()


def later(data: bytes) -> bytes:
    """The same and a line without a time of its own, that tells of one to come."""
    return data + b"  next run at %s\n" % f"{datetime.fromtimestamp(NOW + 20 * HOUR, UTC):%F %T}".encode()


def newest_first(data: bytes) -> bytes:
    return b"".join(reversed(data.splitlines(keepends=True)))


AHEAD, RECENT, LONG = dated(NOW + 4 * HOUR), dated(NOW - HOUR), dated(NOW - 30 * HOUR, 1800)
HOURS = b"".join(b"%s line\n" % clock(NOW - HOUR + 60 * number).encode() for number in range(60))


@pytest.mark.parametrize(
    ("data", "typed", "since", "until"),
    [
        pytest.param(AHEAD, 4.5, 4.5, 4.5, id="in a log that is ahead"),
        pytest.param(AHEAD, 4.0 + 59 / 60, 4.0 + 59 / 60, 4.0 + 59 / 60, id="its last line"),
        pytest.param(AHEAD, 3.5, 3.5, 3.5, id="before it, by its own clock"),
        pytest.param(AHEAD, 5.5, -18.5, 5.5, id="behind it"),
        pytest.param(dated(NOW + 4 * HOUR, 5000, 0.6), 4.5, 4.5, 4.5, id="in a long one"),
        pytest.param(dated(NOW + 4 * HOUR).decode().encode("utf-16"), 4.5, 4.5, 4.5, id="in one that is UTF-16"),
        pytest.param(dated(NOW + 1000 * DAY), 0.5, 24000.5, 24000.5, id="far ahead"),
        pytest.param(RECENT, -0.5, -0.5, -0.5, id="in a log that is not"),
        pytest.param(RECENT, -2, -2, -2, id="before it"),
        pytest.param(RECENT, 2, -22, 2, id="to come"),
        pytest.param(RECENT, 10, -14, -14 + 24, id="yesterday and to come"),
        pytest.param(RECENT, 11, -13, -13, id="earlier today, and longer ago than the next is ahead"),
        pytest.param(LONG, 2, -22, -22, id="both in the log and to come"),
        pytest.param(dated(NOW - 5 * DAY), 1, -23, -23, id="long after it"),
        pytest.param(later(RECENT), 2, -22, 2, id="a last line that tells of another time"),
        pytest.param(later(LONG), 2, -22, -22, id="and a log that has it"),
        pytest.param(HOURS, -0.5, -0.5, -0.5, id="in a log without days"),
        pytest.param(HOURS, 2, -22, -22, id="to come in a log without days"),
        pytest.param(newest_first(dated(NOW - 25 * HOUR)), 2, -22, -22, id="in a log that runs backwards"),
        pytest.param(b"no time\n" * 9, 2, -22, -22, id="no line says when"),
        pytest.param(b"", 2, -22, -22, id="an empty log"),
    ],
)
async def test_which_day_a_clock_is_of(data: bytes, typed: float, since: float, until: float) -> None:
    goal = parse(clock(NOW + typed * HOUR), NOW, UTC)
    async with log(data) as model:
        for upto, hours in ((False, since), (True, until)):
            meant = await settled(model, goal, NOW, UTC, upto=upto)
            assert meant.time == pytest.approx(NOW + hours * HOUR, abs=1), (upto, clock(NOW + typed * HOUR))
            assert await settled(model, meant, NOW, UTC, upto=upto) == meant


@pytest.mark.parametrize("end", [b"9999-12-31 23:59:59 x\n", b"9999-12-31T23:59:59-12:00 x\n"])
async def test_a_log_that_is_ahead_of_all_clocks(end: bytes) -> None:
    async with log(end * 9) as model:
        for upto in (False, True):
            for hours in (-1, 2, 10.2):
                goal = await settled(model, parse(clock(NOW + hours * HOUR), NOW, UTC), NOW, UTC, upto=upto)
                assert goal.time is not None


async def test_lines_without_a_time_are_not_before_any() -> None:
    goal = parse(clock(NOW + 2 * HOUR), NOW, UTC)
    async with log(b"# a table\n# of columns\n" + RECENT) as model:
        assert (await settled(model, goal, NOW, UTC, upto=True)).time == pytest.approx(NOW + 2 * HOUR, abs=1)


@pytest.mark.parametrize("head", [b"", b"# a table\n# of columns\n"])
@pytest.mark.parametrize("behind", [0, 30, 3000])
async def test_of_a_log_that_runs_backwards_nothing_untrue_is_said(head: bytes, behind: float) -> None:
    newest, oldest = NOW - 60, NOW - HOUR
    async with log(head + newest_first(RECENT)) as model:
        when = newest + behind
        place = await model.at_time(when)
        assert place is not None
        assert place.offset == len(head)
        assert await why_all(model, Goal(time=when, clock="typed"), when, place, UTC) == ""
        assert await model.at_time(oldest - 1 - behind) is None
        assert await why_not(model, oldest - 1 - behind, UTC) == "no line is from then or earlier"


async def test_a_last_line_that_tells_of_long_ago_is_not_before_the_others() -> None:
    when = NOW - 2 * HOUR
    async with log(RECENT + f"{datetime.fromtimestamp(NOW - 5 * DAY, UTC):%F %T} was the last run\n".encode()) as model:
        place = await model.at_time(when)
        assert place is not None
        assert "no line of this log" in await why_all(model, Goal(time=when, clock="typed"), when, place, UTC)


@pytest.mark.parametrize("goal", [Goal(number=3), Goal(share=0.5), Goal(time=NOW), parse("-2h", NOW, UTC)])
async def test_anything_else_is_what_it_was(goal: Goal) -> None:
    async with log(AHEAD) as model:
        for upto in (False, True):
            assert await settled(model, goal, NOW, UTC, upto=upto) == replace(goal, ago=False)


@pytest.mark.parametrize("typed", ["18:17:22Z", "[18:17:22]", "20:17:22+02:00", "06:17:22 PM", "18:17:22,0"])
async def test_however_a_clock_is_typed(typed: str) -> None:
    async with log(AHEAD) as model:
        meant = await settled(model, parse(typed, NOW, UTC), NOW, UTC)
        assert meant.time is not None
        assert datetime.fromtimestamp(meant.time, UTC) == datetime(1970, 1, 12, 18, 17, 22, tzinfo=UTC)


@pytest.mark.parametrize(("hour", "day"), [(9, 22), (20, 22), (3, 22), (23, 21)])
def test_a_clock_of_twelve_hours_is_the_last_one_too(hour: int, day: int) -> None:
    zone = timezone(timedelta(hours=9))
    now = datetime(2026, 11, 22, 21, tzinfo=zone)
    when = datetime(2026, 11, day, hour, 5, 6, tzinfo=zone)
    assert parse(f"{when:%I:%M:%S %p}", now.timestamp(), zone).time == when.timestamp()


def shown(at: PaneDesk) -> list[int]:
    return [int(row.rpartition(" ")[2]) for row in at.lines]


async def ask(at: PaneDesk, key: str, text: str) -> None:
    await at.press(key)
    await at.type(text)
    await at.press("enter")


def says(at: PaneDesk, *words: str) -> Callable[[], bool]:
    """Whether something is said; it may be broken into rows."""
    return lambda: all(word in " ".join(" ".join(at.rows).split()) for word in words)


async def test_a_log_that_is_ahead_on_the_screen() -> None:
    async with desk(AHEAD) as at:
        await ask(at, "at", clock(NOW + 4.5 * HOUR))
        view = at.pane.view
        await at.until(lambda: [row.shown.text[-2:] for row in view.rows if row.line.at == view.current] == ["30"])
        await ask(at, "less_than_sign", clock(NOW + 4.5 * HOUR))
        await at.until(lambda: at.lines and shown(at)[0] == 30)
        await ask(at, "greater_than_sign", clock(NOW + 4.6 * HOUR))
        await at.until(lambda: shown(at) == list(range(30, 36)))


@pytest.mark.parametrize("key", ["at", "less_than_sign", "greater_than_sign"])
@pytest.mark.parametrize("typed", ["11:00", "01:00"])
async def test_a_time_before_all_lines_is_said(key: str, typed: str) -> None:
    async with desk(RECENT) as at:
        await ask(at, key, typed)
        await at.until(says(at, "no line of this log is from before", f"1970-01-12 {typed}:00"))


async def test_a_time_to_come_is_typed() -> None:
    async with desk(RECENT) as at:
        await ask(at, "greater_than_sign", "16:00")
        await at.until(says(at, "until 16:00: nothing in this log is that late"))
        assert shown(at)[-1] == 59
        assert at.pane.chosen.until is None


async def test_options_of_a_screen_mean_the_same() -> None:
    bounds = [(text, parse(text, NOW, UTC)) for text in (clock(NOW + 4.5 * HOUR), clock(NOW + 4.6 * HOUR))]
    async with desk(AHEAD, wish=Wish(since=bounds[0], until=bounds[1])) as at:
        await at.until(lambda: at.lines and shown(at) == list(range(30, 36)))


async def test_an_option_for_a_time_to_come_is_said_to_hide_nothing() -> None:
    async with desk(RECENT, wish=Wish(until=("16:00", parse("16:00", NOW, UTC)))) as at:
        await at.until(says(at, "until 16:00: nothing in this log is that late"))
        assert shown(at)[-1] == 59
