"""When rows were written whose beginning was painted over: by bars, erasures and moves of the cursor."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random

import pytest

from monitors.logs.progress import collapse
from monitors.logs.times import first_sign, line_time, told

UTC = timezone.utc
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NEAR = NOON.timestamp()
BLANK = "\r" + " " * 60 + "\r"
FORMS = (
    "%Y-%m-%d %H:%M:%S,000 INFO",
    "INFO %m-%d %H:%M:%S [core.py:7]",
    "[%H:%M:%S] INFO",
    "I%m%d %H:%M:%S.000000 1 a.cc:3]",
    '{"level": "info", "ts": "%Y-%m-%dT%H:%M:%SZ"}',
)
ERASURES = (
    BLANK,
    "\r\x1b[K",
    "\x1b[2K\r",
    "\x1b[1G\x1b[0K",
    "\x1b[A\r\x1b[K",
    "\r\x1b[?25h",
    "\r\x1b]0;title\x07",
    "\r\x1b[m\x0f",
)


def bar(done: int, width: int = 10) -> str:
    full = "█" * (done * width // 100)
    return f"{done:3d}%|{full:{width}}| {done}/100 [00:{done % 60:02d}<00:05, {done / 3:.2f}it/s]"


def bars(count: int, width: int = 10) -> str:
    return "".join(f"\r{bar(number % 100, width)}" for number in range(count))


def message(seconds: float, form: str = FORMS[0]) -> str:
    return f"{NOON + timedelta(seconds=seconds):{form}} fine"


def when(row: str | bytes, encoding: str = "utf-8") -> float | None:
    """The seconds since noon that a row tells."""
    found = line_time(told(row if isinstance(row, bytes) else row.encode(encoding), encoding), NEAR, UTC)
    return None if found is None else found - NEAR


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("erased", [*ERASURES, ""])
@pytest.mark.parametrize("count", [1, 30, 2000])
def test_the_time_stands_behind_the_last_repaint(form: str, erased: str, count: int) -> None:
    row = bars(count) + erased + message(7, form) + "\n"
    assert when(row) == 7
    assert when(collapse(row.removesuffix("\n").encode())) == 7
    assert when(row[:-1].encode("utf-16-le") + b"\n\0", "utf-16-le") == 7


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        (message(7) + bars(2000), 7),  # what stays to be seen is what was said before
        (bars(3) + BLANK + message(7) + bars(2000), 7),
        (message(7) + "\r" + message(8), 8),
        (message(7) + "\r" + BLANK + message(8) + "\r", 8),
        (message(8) + bars(1) + "\r" + message(7), 8),  # a thread that was late
        (bar(3, 200) + message(7, FORMS[1]), 7),
        (bar(3) + bar(4) + message(7, FORMS[1]), 7),
        ("12it [00:03, 4.00it/s]" + message(7, FORMS[1]), 7),
        ("50%|#####     | 1/2 [1:02:03<1:02:03,  2.1s/it, loss=0.1]" + message(7), 7),
        ("\x1b[?25h\x1b[K" + message(7, FORMS[2]), 7),
        ("\x1b[32m\x1b[K" + message(7, FORMS[2]) + "\x1b[m\x1b[K", 7),
        ("\ufeff" + message(7, FORMS[2]), 7),
        # Its own time, not that of which something in the same row tells
        (message(7) + "\r 50%|#####     | shard 2024-03-01 12:00:00", 7),
        ("\r loading what is of 2026-11-21 12:00:09" + BLANK + message(7), 7),
        (message(7) + "\x1b[m\x1b[K until 2024-03-01 12:00:00", 7),
        ("\r loading\r what is of 2026-11-21 12:00:09", 9),
        (bars(2000), None),
        ("\r" * 70_000, None),
        ("\r 1:02:03<1:02:03" * 5000, None),
        ("", None),
    ],
)
def test_rows_of_several_parts(row: str, seconds: float | None) -> None:
    assert when(row) == seconds
    assert when(row + "\r\n") == seconds


def test_what_is_shown_of_a_row_says_the_same_time_as_the_row() -> None:
    random = Random(5)
    for _ in range(300):
        row, last = "", None
        for second in range(random.randrange(1, 6)):
            kind = random.choice(["bars", "said", "erased"])
            if kind == "bars":
                row += bars(random.choice([1, 5, 90]))
            elif kind == "said":
                row += random.choice(["\r", BLANK]) + message(second)
                last = second
            else:
                row += random.choice(ERASURES)
        assert when(row) == when(collapse(row.encode())) == last, row


@pytest.mark.parametrize(
    "row", [b"\r" * (1 << 20), b"\r12:00:0x" * 100_000, b"\x1b[1G12:00:0x" * 80_000, b"1:11:11" * 150_000]
)
def test_little_is_looked_at_of_a_long_row(row: bytes) -> None:
    assert len(told(row)) <= 34 * 8192
    assert when(row) is None


@pytest.mark.parametrize("form", [*FORMS, "%d/%b/%Y:%H:%M:%S", "%m/%d/%Y 1:%M:%S PM", "%b %d %H:%M:%S", "%s.5"])
def test_what_may_be_a_time_is_found_in_bytes(form: str) -> None:
    text = message(7, form)
    assert when(text) is not None
    assert 0 <= first_sign(b"  a table\n" * 9 + text.encode()) - 90 < len(text)
    assert first_sign(b"  a table 12:30 of 123456789\n") == -1


@pytest.mark.parametrize("clock", ["[00:00:02] 100%", "00:00:03 elapsed", "18:00:05 remaining"])
@pytest.mark.parametrize("form", FORMS[:2])
def test_how_long_something_takes_is_no_time_where_a_day_is_named(form: str, clock: str) -> None:
    told_first, told_last = f"{message(7, form)}\r{clock}\r{clock}", f"{clock}\r\x1b[K{message(7, form)}"
    assert [when(told_first), when(told_last)] == [7, 7]


@pytest.mark.parametrize("row", ["8722616204217eddb39e  data/shard-00072.tar", "1795262407a x", "1795262407_a"])
def test_a_word_of_digits_and_letters_is_no_time(row: str) -> None:
    assert when(row) is None
