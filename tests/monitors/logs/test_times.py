from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.logs.model import LogModel
from monitors.logs.times import line_time
from tests.monitors.logs.memory import MemorySource

UTC = timezone.utc
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NEAR = NOON.timestamp()


def at(hour: int, minute: int = 0, second: float = 0, day: int = 21, month: int = 11, year: int = 2026) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() + second


@pytest.mark.parametrize(
    ("line", "when"),
    [
        ("2026-11-21 14:02:11,042 INFO x", at(14, 2, 11.042)),
        ("2026-11-21T14:02:11.042Z x", at(14, 2, 11.042)),
        ("[2026-11-21 14:02:11 +0100] x", at(13, 2, 11)),
        ("2026-11-21T14:02:11-05:00 x", at(19, 2, 11)),
        ("2026/11/21 14:02:11 [error] x", at(14, 2, 11)),
        ("\x1b[32m2026-11-21 14:02:11.042\x1b[0m | INFO | x", at(14, 2, 11.042)),
        ("INFO:root:2026-11-21 14:02:11 x", at(14, 2, 11)),
        ('10.0.0.1 - - [21/Nov/2026:14:02:11 +0000] "GET / HTTP/1.1" 200', at(14, 2, 11)),
        ("Nov 21 14:02:11 host sshd[1]: x", at(14, 2, 11)),
        ("Dec 31 23:59:59 host x", at(23, 59, 59, day=31, month=12)),
        ("Jan  1 00:00:01 host x", at(0, 0, 1, day=1, month=1, year=2027)),
        ("E1121 14:02:11.042000  123 file.cc:1] x", at(14, 2, 11.042)),
        ("INFO 11-21 14:02:11 [core.py:1] x", at(14, 2, 11)),
        ("14:02:11 x", at(14, 2, 11)),
        ("[23:59:59.5] x", at(23, 59, 59.5)),
        ("1795269731 x", 1795269731.0),
        ("1795269731.25 x", 1795269731.25),
        ("1795269731250 x", 1795269731.25),
        ('{"level": "info", "ts": 1795269731.5}', 1795269731.5),
        ('{"msg": "x", "time": "2026-11-21T14:02:11Z"}', at(14, 2, 11)),
        ('{"@timestamp": 1795269731500}', 1795269731.5),
        ("no time here", None),
        ("step 123 loss 0.2", None),
        ("version 2026.11.21", None),
        ("2026-13-41 14:02:11", None),
        ("took 14:02:11:05", None),
        ("12345678901 x", None),
        ("", None),
    ],
)
def test_forms(line: str, when: float | None) -> None:
    assert line_time(line, NEAR, UTC) == (None if when is None else pytest.approx(when, abs=1e-5))


def test_a_clock_alone_is_of_the_nearest_day() -> None:
    assert line_time("23:30:00 x", at(1), UTC) == at(23, 30, day=20)
    assert line_time("00:30:00 x", at(23), UTC) == at(0, 30, day=22)


def test_a_zone_of_ones_own() -> None:
    east: tzinfo = timezone(timedelta(hours=9))
    assert line_time("2026-11-21 14:02:11 x", NEAR, east) == at(5, 2, 11)


@given(st.text(max_size=80))
def test_any_text_is_a_line(text: str) -> None:
    found = line_time(text, NEAR, UTC)
    assert found is None or isinstance(found, float)


def stamped(count: int, step: float = 1.0, width: int = 40) -> bytes:
    """Lines a second apart, some of them without a time."""
    rows = []
    for number in range(count):
        moment = NOON + timedelta(seconds=number * step)
        stamp = f"{moment:%Y-%m-%d %H:%M:%S} " if number % 7 != 3 else "  File x "
        rows.append(f"{stamp}line {number} {'x' * width}\n")
    return "".join(rows).encode()


async def found(source: MemorySource, when: float) -> bytes | None:
    model = LogModel(source, zone=UTC)
    await model.start()
    try:
        place = await model.at_time(when)
        return None if place is None else (await model.read(place, 200)).split(b"\n")[0]
    finally:
        await model.close()


@pytest.mark.parametrize("count", [1, 10, 1000, 20000])
async def test_the_first_line_at_a_time_or_after_it(count: int) -> None:
    data = stamped(count)
    source = MemorySource(data)
    for number in {one - (one % 7 == 3) for one in (0, count // 3, count // 2, count - 1)}:
        shown = await found(source, NEAR + number)
        assert shown is not None
        assert f" line {number} ".encode() in shown
    assert b" line 0 " in (await found(source, NEAR - 500) or b"")
    assert await found(source, NEAR + count + 5) is None


async def test_few_places_are_looked_at() -> None:
    source = MemorySource(stamped(100_000, width=200))
    before = source.bytes_read
    assert b" line 77777 " in (await found(source, NEAR + 77777) or b"")
    assert source.bytes_read - before < 8 << 20


async def test_a_log_that_runs_backwards_and_several_generations() -> None:
    lines = stamped(3000).splitlines(keepends=True)
    source = MemorySource(b"".join(line for line in reversed(lines) if b"File" not in line))
    assert b" line 1000 " in (await found(source, NEAR + 1000.5) or b"")
    source = MemorySource(b"".join(lines[:1000]))
    source.rotate(b"".join(lines[1000:]))
    assert b" line 2000 " in (await found(source, NEAR + 2000) or b"")
    assert b" line 999 " in (await found(source, NEAR + 999) or b"")


async def test_a_log_without_times() -> None:
    assert await found(MemorySource(b"nothing\n" * 5000), NEAR) is None
    assert await found(MemorySource(b""), NEAR) is None
