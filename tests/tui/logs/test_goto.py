"""What a person may type to go somewhere: above all every time that a line of a log shows."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hosts.errors import InputError
from tui.cli.tail_options import goal_of
from tui.logs.goto import Goal, parse

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
EAST = timezone(timedelta(hours=9))


def at(hour: int, minute: int = 0, second: float = 0, day: int = 22, month: int = 11, year: int = 2026) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() + second


@pytest.mark.parametrize(
    ("typed", "when"),
    [
        ("11:02", at(11, 2)),
        ("14:02", at(14, 2, day=21)),  # the last time that the clock showed it
        ("11:02:11.5", at(11, 2, 11.5)),
        ("11:02:11.042123456", at(11, 2, 11.042123)),
        ("11:02:11,042", at(11, 2, 11.042)),
        ("11:02:11Z", at(11, 2, 11)),
        ("11:02+02:00", at(9, 2)),
        ("2026-11-20", at(0, day=20)),
        ("2026-11-20 10:00", at(10, day=20)),
        ("2026-11-20  9:00", at(9, day=20)),
        ("2026-11-20T10:00:00+02:00", at(8, day=20)),
        ("2026-11-20T10:00:00+0200", at(8, day=20)),
        ("2026-11-20T10:00+02", at(8, day=20)),
        ("2026-11-20T10:00:00Z", at(10, day=20)),
        ("2026-11-20t10:00:00z", at(10, day=20)),
        ("2026-11-20 10:00:00 UTC", at(10, day=20)),
        ("2026-11-20 10:00:00 +0100", at(9, day=20)),
        ("2026-11-20T10:00:00.042123456Z", at(10, 0, 0.042123, day=20)),
        ("2026-11-20 10:00:00,042", at(10, 0, 0.042, day=20)),
        ("2026/11/20 10:00:00", at(10, day=20)),
        ("[2026-11-20 10:00:00,042]", at(10, 0, 0.042, day=20)),
        ("Nov 20 10:00:00", at(10, day=20)),
        ("Nov  2 10:00:00", at(10, day=2)),
        ("Dec 31 23:59:59", at(23, 59, 59, day=31, month=12, year=2025)),  # the one before, not the one to come
        ("Feb 29 10:00:00", at(10, day=29, month=2, year=2024)),  # the one before, not that of 2028
        ("26/11/20 10:00:00", at(10, day=20)),
        ("Fri Nov 20 10:00:00 2026", at(10, day=20)),
        ("20/Nov/2026:10:00:00 +0000", at(10, day=20)),
        ("E1120 10:00:00.042000", at(10, 0, 0.042, day=20)),
        ("11-20 10:00:00", at(10, day=20)),
        ("INFO 11-20 10:00:00", at(10, day=20)),
        ("1795269731.25", 1795269731.25),
        ("1795269731", 1795269731.0),
        ("1795269731250", 1795269731.25),
        ("-10m", at(11, 50)),
        ("-1h30m", at(10, 30)),
        ("- 1h 30m 10s", at(10, 29, 50)),
        ("-1d12h", at(0, day=21)),
        ("-1.5h", at(10, 30)),
        ("-90min", at(10, 30)),
    ],
)
def test_times(typed: str, when: float) -> None:
    goal = parse(typed, NOW.timestamp(), UTC)
    assert goal.time == pytest.approx(when, abs=1e-5)
    assert (goal.number, goal.share) == (None, None)


@pytest.mark.parametrize(
    ("typed", "goal"),
    [
        ("1234", Goal(number=1234)),
        ("1,234", Goal(number=1234)),
        ("line 1795269731", Goal(number=1795269731)),
        ("1_795_269_731", Goal(number=1795269731)),
        (":7", Goal(number=7)),
        ("48%", Goal(share=0.48)),
    ],
)
def test_places(typed: str, goal: Goal) -> None:
    assert parse(typed, NOW.timestamp(), UTC) == goal


@pytest.mark.parametrize(
    "typed",
    [
        "nonsense",
        "",
        "25:00",
        "2026-13-01",
        "2026-02-30 10:00",
        "2026-11-20 10:00:00 and more",
        "at 2026-11-20 10:00:00",
        "-1x",
        "-",
        "-1h30",
        "Feb 30 10:00:00",
        "2026-11-20T10:00:00+99:99",
    ],
)
@pytest.mark.parametrize("zone", [UTC, EAST, None])
def test_what_is_none_of_these_is_told_in_one_line(typed: str, zone: timezone | None) -> None:
    with pytest.raises(ValueError, match=r"^not a time, a line number or a share; for example .*$") as raised:
        parse(typed, NOW.timestamp(), zone)
    assert "\n" not in str(raised.value)


def test_a_zone_that_is_typed_goes_before_ones_own() -> None:
    assert parse("2026-11-20 10:00:00", NOW.timestamp(), EAST).time == at(1, day=20)
    assert parse("2026-11-20 10:00:00Z", NOW.timestamp(), EAST).time == at(10, day=20)
    assert parse("20:30", NOW.timestamp(), EAST).time == at(11, 30)


@pytest.mark.parametrize("zone", [UTC, None])
@given(typed=st.text(max_size=40) | st.text("0123456789:-+. TZhms%/", max_size=30))
@example(typed="0001-01-01").via("before what a clock can show")
@example(typed="9999-12-31 23:59-12:00").via("behind it")
@example(typed="9" * 40 + ".5").via("a long number")
def test_any_text_is_a_goal_or_a_wrong_value(zone: timezone | None, typed: str) -> None:
    with contextlib.suppress(ValueError):
        goal = parse(typed, NOW.timestamp(), zone)
        assert [goal.time, goal.number, goal.share].count(None) == 2


@pytest.mark.parametrize(
    ("year", "last"), [(2027, 2024), (2025, 2024), (2028, 2028), (2096, 2096), (2103, 2096), (2104, 2104), (2000, 2000)]
)
def test_the_29th_of_february_is_the_last_one(year: int, last: int) -> None:
    now = at(12, day=1, month=7, year=year)
    assert parse("Feb 29 10:00:00", now, UTC).time == at(10, day=29, month=2, year=last)
    before = at(12, day=1, month=2, year=year)  # in a year that has one, it is still to come
    last = last if year != last else 2096 if year == 2104 else year - 4
    assert parse("Feb 29 10:00:00", before, UTC).time == at(10, day=29, month=2, year=last)


def test_options_take_the_same_times() -> None:
    goal = goal_of("since", "2026-11-20T10:00:00+02:00")
    assert goal is not None
    assert goal.time == at(8, day=20)
    for text in ("1234", "48%", "nonsense"):
        with pytest.raises(InputError, match=f"--since {text}: not a time; for example") as raised:
            goal_of("since", text)
        assert "\n" not in str(raised.value)
