"""Jumping to a time in logs with bars, and over long stretches in which no line says when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import accumulate
from random import Random

import pytest

from hosts.local.lines import BLOCK
from monitors.logs.model import LogModel
from tests.monitors.logs.memory import MemorySource

UTC = timezone.utc
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NEAR = NOON.timestamp()
BLANK = "\r" + " " * 60 + "\r"
Rows = list[tuple[str, float | None]]


def message(seconds: float) -> str:
    return f"{NOON + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} INFO fine"


def bars(count: int, width: int = 10) -> str:
    states = (f"\r{number % 100:3d}%|{'#' * width}| {number}/9999 [00:05<00:05, 3.10it/s]" for number in range(count))
    return "".join(states)


async def wrong(rows: Rows, wanted: list[float]) -> list[tuple[float, int | None, int | None]]:
    """The times at which another line is found than the first that was written then or later: it, and the right one."""
    starts = [0, *accumulate(len(text) + 1 for text, _ in rows)]
    model = LogModel(MemorySource("".join(f"{text}\n" for text, _ in rows).encode()), zone=UTC, now=lambda: NEAR)
    await model.start()
    found = []
    try:
        for when in wanted:
            place = await model.at_time(NEAR + when)
            offset = None if place is None else place.offset
            later = (start for start, (_, at) in zip(starts, rows, strict=False) if at is not None and at >= when)
            right = next(later, None)
            if offset != right:
                found.append((when, offset, right))
    finally:
        await model.close()
    return found


@pytest.mark.parametrize("painted", [BLANK, "", "\r\x1b[K", "\x1b[1G\x1b[K"])
@pytest.mark.parametrize("most", [3, 40, 3000])
async def test_lines_behind_bars_are_found(painted: str, most: int) -> None:
    random = Random(most)
    rows: Rows = []
    for second in range(60 if most == 3000 else 1500):
        states = random.choice([0, 1, most])
        rows.append((f"{bars(states)}{painted}{message(second)}" if states else message(second), second))
        if random.random() < 0.2:
            rows.append((bars(random.choice([1, most])), None))
    last = rows[-1][1] or 0
    assert await wrong(rows, [-1, 0, *(random.uniform(0, 60) for _ in range(6)), last, last + 1]) == []


async def test_the_end_of_a_row_that_is_longer_than_a_line_may_be() -> None:
    rows: Rows = [(bars(9000, 40) + BLANK + message(second), second) for second in range(3)]
    assert len(rows[0][0]) > 500_000
    assert await wrong(rows, [0, 1, 1.5, 2, 3]) == []


async def test_of_a_line_that_is_cut_a_piece_says_when_only_if_it_was_painted_over() -> None:
    first = message(1) + "\n"
    for line, found in (
        (bars(40_000, 40) + BLANK + message(5), 3 * BLOCK),
        ("x" * (2 * BLOCK - len(first)) + message(5) + "x" * 500 + "\r", None),
    ):
        model = LogModel(MemorySource(f"{first}{line}\n".encode()), zone=UTC, now=lambda: NEAR)
        await model.start()
        place = await model.at_time(NEAR + 4)
        await model.close()
        assert (place and place.offset) == found


@pytest.mark.parametrize("seed", range(6))
async def test_no_line_is_lost_round_long_stretches_that_say_nothing(seed: int) -> None:
    random = Random(seed)
    rows: Rows = []
    second = 0
    for _ in range(random.choice([3, 6])):
        rows += [("  a row of a table", None)] * random.choice([50, 1100, 9000])
        for _ in range(random.choice([1, 10, 1500])):
            rows.append((message(second), second))
            second += 1
    rows += [("and what is behind them", None)] * random.choice([0, 9000])
    assert await wrong(rows, [-1, 0, *(random.uniform(0, second) for _ in range(6)), second - 1, second]) == []


@pytest.mark.parametrize("silent", ["epoch took 0:01:23 for 10 steps", "0000000000 bytes read", "a row of a table"])
@pytest.mark.parametrize(("before", "behind"), [(1000, 1000), (0, 1000), (1000, 30), (30, 1000)])
async def test_however_long_a_stretch_says_nothing_what_is_behind_it_is_found(
    silent: str, before: int, behind: int
) -> None:
    rows: Rows = [(message(second), second) for second in range(before)]
    rows += [(silent, None)] * (6_000_000 // len(silent))
    rows += [(message(second), second) for second in range(before, before + behind)]
    last = before + behind - 1
    assert await wrong(rows, [0, before // 2, before - 1, before, before + 1, last - 5, last]) == []
