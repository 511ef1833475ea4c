"""Jumping to a time: in order, nearly in order, backwards, and where most lines do not say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.logs.model import LogModel
from tests.monitors.logs.memory import MemorySource

UTC = timezone.utc
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NEAR = NOON.timestamp()


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
    rows = stamped(3000).splitlines(keepends=True)
    source = MemorySource(b"".join(line for line in reversed(rows) if b"File" not in line))
    assert b" line 1000 " in (await found(source, NEAR + 1000.5) or b"")
    source = MemorySource(b"".join(rows[:1000]))
    source.rotate(b"".join(rows[1000:]))
    assert b" line 2000 " in (await found(source, NEAR + 2000) or b"")
    assert b" line 999 " in (await found(source, NEAR + 999) or b"")


async def test_a_log_without_times() -> None:
    assert await found(MemorySource(b"nothing\n" * 5000), NEAR) is None
    assert await found(MemorySource(b""), NEAR) is None


def line_of(when: float | None, fill: int) -> bytes:
    stamp = f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S.%f} x" if when is not None else "  no time"
    return f"{stamp} {'y' * fill}\n".encode()


async def seconds(source: MemorySource, *wanted: float) -> list[float | None]:
    """The second that each of the found lines was written at, counted from noon."""
    model = LogModel(source, zone=UTC)
    await model.start()
    found: list[float | None] = []
    for when in wanted:
        place = await model.at_time(NEAR + when)
        row = b"" if place is None else (await model.read(place, 26))
        found.append(None if place is None else datetime.fromisoformat(f"{row.decode()}+00:00").timestamp() - NEAR)
    await model.close()
    return found


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_log_that_is_nearly_in_order(data: st.DataObject) -> None:
    """Threads that log late, tracebacks, and lines that tell of another year."""
    random = Random(data.draw(st.integers(0, 1 << 30)))
    count, fill = data.draw(st.integers(1, 4000)), data.draw(st.sampled_from([10, 90, 400]))
    late = data.draw(st.sampled_from([0.0, 3.0]))
    backwards = count > 30 and data.draw(st.booleans())  # a handful of lines has no direction
    said: list[float] = []
    rows: list[bytes] = []
    for number in range(count):
        when = (count - number if backwards else number) - random.random() * late
        said.append(when)
        rows.append(line_of(NEAR + when, fill))
        if random.random() < 0.02:
            rows += [line_of(None, fill)] * random.randrange(200)
        if random.random() < 0.02 and number > 5:
            rows.append(line_of(NEAR + random.choice([-1e8, 1e8]), fill))
    wanted = [data.draw(st.integers(-50, 10 * count + 50)) / 10 for _ in range(4)]
    for when, found in zip(wanted, asyncio.run(seconds(MemorySource(b"".join(rows)), *wanted)), strict=True):
        sign = -1 if backwards else 1
        reached = [one for one in said if sign * one >= sign * when]
        if found is None:
            assert len(reached) < 20, when
        elif abs(found) < 1e7:
            # What stands before it is too early but for those that are late, and what is behind it is late enough
            assert sign * found >= sign * when
            assert abs(found - when) <= late + 12


async def test_a_log_that_says_the_time_only_here_and_there() -> None:
    """Megabytes without any time, at the beginning, in the middle and at the end."""
    noise = line_of(None, 100) * 20_000
    parts = [noise]
    for number in range(0, 3000, 1000):
        parts += [line_of(NEAR + number + step, 100) for step in range(1000)] + [noise]
    source = MemorySource(b"".join(parts))
    assert await seconds(source, 0, 999, 1000, 1500, 2999, 5000) == [0, 999, 1000, 1500, 2999, None]
    assert source.bytes_read < 100 << 20


async def test_a_long_log_costs_little() -> None:
    source = MemorySource(b"".join(line_of(NEAR + number / 10, 80) for number in range(400_000)))
    assert await seconds(source, 31_234.5) == [31_234.5]
    looked = [size for _, _, size in source.reads if size < 1 << 20]  # what is counted is read by blocks
    assert sum(looked) < 6 << 20


class Dated(MemorySource):
    """A log in memory that was last written at a time."""

    def __init__(self, data: bytes, at: float) -> None:
        super().__init__(data)
        self._at = at

    async def written(self) -> float | None:
        await asyncio.sleep(0)
        return self._at


def shown(form: str, times: Iterable[float]) -> bytes:
    """Lines that say their time in some form, and which of them they are."""
    return b"".join(
        f"{datetime.fromtimestamp(when, UTC):{form}} line {number} of a log\n".encode()
        for number, when in enumerate(times)
    )


async def line_at(source: MemorySource, when: float, now: float) -> int | None:
    """Which line is found."""
    model = LogModel(source, zone=UTC, now=lambda: now)
    await model.start()
    try:
        place = await model.at_time(when)
        return None if place is None else int((await model.read(place, 60)).split(b"line ")[1].split()[0])
    finally:
        await model.close()


EVENING = NEAR + 6 * 3600
MORNING = NEAR + 22 * 3600


@pytest.mark.parametrize("step", [4, 600])
@pytest.mark.parametrize("days", [0, 5])
@pytest.mark.parametrize("known", [True, False])
async def test_clocks_without_a_day_through_a_night(step: int, days: int, known: bool) -> None:
    """The log ended just now or some days ago, and one knows that or not."""
    times = range(int(EVENING), int(MORNING), step)
    data = shown("%H:%M:%S", times)
    source = Dated(data, MORNING + 5) if known else MemorySource(data)
    now = MORNING + 1800 + days * 86400
    for hours in (0, 5.5, 13):
        assert await line_at(source, EVENING + hours * 3600, now) == hours * 3600 // step
    assert await line_at(source, EVENING - 3600, now) == 0
    assert await line_at(source, MORNING + 600, now) is None
    if known:
        assert await line_at(source, EVENING - 3 * 86400, now) == 0
        assert await line_at(source, MORNING + 3 * 86400, now) is None


@pytest.mark.parametrize("step", [10, 120, 3600])
async def test_clocks_without_a_day_through_many_days(step: int) -> None:
    times = list(range(int(NEAR), int(NEAR + 5 * 86400), step))
    odd = Random(3)
    lines = shown("%H:%M:%S", times).splitlines(keepends=True)
    for index in range(20, len(lines) - 20, 13):
        if odd.random() < 0.5 and step < 3600:
            lines[index] = b"03:00:00 told in line %d of a log\n" % index
    source = Dated(b"".join(lines), times[-1] + 7)
    for hours in (1, 30, 55, 119):
        found = await line_at(source, NEAR + hours * 3600, NEAR + 9 * 86400)
        assert found is not None
        assert abs(found - hours * 3600 // step) < 10  # or a line before it that tells of another time
    assert source.bytes_read < 64 << 20


@pytest.mark.parametrize("step", [5, 120])
async def test_clocks_without_a_day_that_run_backwards(step: int) -> None:
    times = range(int(MORNING), int(EVENING), -step)
    source = Dated(shown("%H:%M:%S", times), MORNING)
    for hours in (1, 8, 14):
        assert await line_at(source, MORNING - hours * 3600, MORNING + 60) == pytest.approx(hours * 3600 // step, abs=1)


@pytest.mark.parametrize("step", [10, 300])
@pytest.mark.parametrize("where", [0, 1 / 3, 1])
async def test_clocks_without_a_day_round_lines_without_any(where: float, step: int) -> None:
    times = range(int(EVENING), int(MORNING + 20 * 3600), step)
    rows = shown("%H:%M:%S", times).splitlines(keepends=True)
    rows[int(where * len(rows)) : int(where * len(rows))] = [b"  a table\n"] * 1500
    source = Dated(b"".join(rows), times[-1])
    for hours in (1, 14, 33):
        assert await line_at(source, EVENING + hours * 3600, times[-1] + 60) == hours * 3600 // step


async def test_lines_late_by_seconds_round_midnight() -> None:
    times = [EVENING + number * 20 - (number % 3) * 9 for number in range(2000)]
    source = Dated(shown("[%H:%M:%S]", times), times[-1])
    assert await line_at(source, EVENING + 6 * 3600, times[-1]) == pytest.approx(1080, abs=2)
    assert await line_at(source, EVENING + 11 * 3600, times[-1]) == pytest.approx(1980, abs=2)


@pytest.mark.parametrize("form", ["%b %d %H:%M:%S", "INFO %m-%d %H:%M:%S", "I%m%d %H:%M:%S.%f"])
async def test_days_without_a_year_are_of_the_year_before_the_log_ended(form: str) -> None:
    times = [NEAR + day * 86400 for day in range(-280, 1)]
    source = Dated(shown(form, times), NEAR + 3600)
    for day in (-270, -200, -150, -30, 0):
        assert await line_at(source, NEAR + day * 86400 - 1, NEAR + 400 * 86400) == 280 + day
    assert await line_at(source, NEAR - 600 * 86400, NEAR) == 0
    assert await line_at(source, NEAR + 300 * 86400, NEAR + 400 * 86400) is None


async def test_when_a_log_of_clocks_ended() -> None:
    model = LogModel(Dated(shown("%H:%M:%S", range(int(EVENING), int(MORNING), 60)), MORNING), zone=UTC)
    await model.start()
    assert await model.last_time(NEAR + 40 * 86400) == MORNING - 60
    await model.close()
