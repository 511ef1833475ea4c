"""The times that lines say themselves, and the steps between them, beside the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise

import pytest

from monitors.logs.times import line_time
from monitors.logs.types import LogLine, Place
from tests.tui.logs.panes import PaneDesk, desk
from tui.logs import written as module
from tui.logs.written import Written

EAST = timezone(timedelta(hours=9))
LOG = b"".join(
    (
        b"2026-11-21 14:02:11,042 INFO ready\n",
        b"2026-11-21T16:02:11.107+02:00 INFO elsewhere\n",
        b"Traceback (most recent call last):\n",
        b'  File "train.py", line 10\n',
        b'{"ts": 1795269733.107, "msg": "an error"}\n',
        b"2026-11-21 14:02:10Z late\n",
        b"9999-12-31 23:59:59 x\n",
    )
)


async def labels(at: PaneDesk, presses: int, width: int) -> list[str]:
    await at.press("home", *["t"] * presses)
    await at.settled()
    return [row[1 : 1 + width].rstrip() for row in at.rows[: len(at.lines)]]


async def test_lines_that_were_there_first_show_when_they_were_written() -> None:
    async with desk(LOG) as at:
        shown = ["14:02:11.042", "14:02:11.107", "", "", "14:02:13.107", "14:02:10.000", "23:59:59.000"]
        assert await labels(at, 3, 13) == shown


async def test_steps_are_between_lines_that_say_when() -> None:
    async with desk(LOG[: LOG.index(b"9999")]) as at:
        assert await labels(at, 4, 10) == [
            text.rjust(9) if text else "" for text in ("", "+0.065", "", "", "+2.000", "-3.107")
        ]


async def test_rows_that_go_on_are_blank_and_a_log_in_utf_16_says_when_too() -> None:
    text = "\ufeff2026-11-21 14:02:11 " + "x" * 200 + "\n2026-11-21 14:02:12 y\n"
    async with desk(text.encode("utf-16-le")) as at:
        await at.press("w")
        shown = await labels(at, 3, 13)
        assert shown == ["14:02:11.000", *[""] * (len(at.lines) - 2), "14:02:12.000"]
        assert len(shown) > 3


def line(text: str, at: int, *, arrived: float | None = None, piece: int = 0) -> LogLine:
    return LogLine(Place(0, at), at + len(text) + 1, text.encode(), len(text), None, True, piece, arrived=arrived)


def made(*texts: str) -> list[LogLine]:
    return [line(text, number * 100) for number, text in enumerate(texts)]


def step(lines: list[LogLine], now: float) -> float | None:
    """From the line before the last one that says when, to the last one."""
    before = {later.at: earlier for earlier, later in pairwise(lines)}
    return Written(lambda: now).step(lines[-1], before.get, UTC)


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("hours", range(0, 24, 5))
def test_steps_are_right_across_midnight_whatever_time_it_is(hours: int) -> None:
    now = NOW + hours * 3600
    assert step(made("23:59:59.500 a", "00:00:01.000 b"), now) == 1.5
    assert step(made("Dec 31 23:59:59 h a", "Jan  1 00:00:01 h b"), now) == 2
    assert step(made("2020-01-31 23:59:59Z a", "no time", "00:00:01 b"), now) == 2
    assert step(made("18:00:00 a", "09:00:00 b"), now) == 15 * 3600
    assert step(made("10:00:00 a", "09:50:00 late"), now) == -600
    assert step(made("2026-11-22 18:00:00 a", "2026-11-22 09:00:00 b"), now) == -9 * 3600


def test_a_line_without_a_day_is_of_when_it_came() -> None:
    came = NOW - 40 * 86400
    assert Written(lambda: NOW).when(line("11:00:00 a", 0, arrived=came), UTC) == came - 3600
    assert Written(lambda: NOW).when(line("11:00:00 a", 0), UTC) == NOW - 3600
    assert Written(lambda: NOW).when(line("2026-11-20 11:00:00", 0), EAST) == NOW - 2 * 86400 - 10 * 3600


def test_nothing_is_said_of_pieces_and_of_what_is_far_above() -> None:
    assert Written(lambda: NOW).when(line("11:00:00 a", 0, piece=1), UTC) is None
    assert step(made("11:00:00 a", *["x"] * 60, "11:00:01 b"), NOW) == 1
    assert step(made("11:00:00 a", *["x"] * 70, "11:00:01 b"), NOW) is None
    assert step(made("11:00:01 b"), NOW) is None
    assert step(made("11:00:00 a", "x"), NOW) is None


async def test_only_what_is_on_screen_is_looked_through_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def count(text: str, near: float | None, zone: tzinfo | None) -> float | None:
        seen.append(text)
        return line_time(text, near, zone)

    monkeypatch.setattr(module, "line_time", count)
    data = b"".join(b"2026-11-21 14:02:11,%03d INFO line\n" % (number % 1000) for number in range(3000))
    async with desk(data) as at:
        await at.press("home", "down")
        await at.settled()
        assert not seen
        await at.press("t", "t", "t")
        await at.settled()
        rows = len(at.lines)
        assert 0 < len(seen) <= rows
        await at.press("z", "m")
        at.source.append(b"2026-11-21 14:02:12,000 INFO line\n")
        await at.settled()
        assert len(seen) <= rows + 1
