from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.logs.times import line_time, typed_time

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
        ("1795269731250000 x", 1795269731.25),
        ('{"ts": 1795269731250000000}', 1795269731.25),
        ('{"ts": 1.795269731e9}', None),  # nobody writes that
        ('{"time": 12.5, "usage": {"time": "long"}, "timestamp": "2026-11-21 14:02:11,5"}', at(14, 2, 11.5)),
        ("2026-11-21 14:02:11 UTC x", at(14, 2, 11)),
        ("2026-11-21T14:02:11.042123456Z stdout F x", at(14, 2, 11.042123)),
        ("2026-11-21T14:02:11+09 x", at(14, 2, 11)),
        ("<34>1 2026-11-21T14:02:11.003Z host app", at(14, 2, 11.003)),
        ("[Sat Nov 21 14:02:11.123456 2026] [core:error] x", at(14, 2, 11.123456)),
        ("Nov 21 14:02:11 2026 x", at(14, 2, 11)),
        ("21-Nov-2026 14:02:11.042 INFO [main] x", at(14, 2, 11.042)),
        ("11/21/2026 14:02:11 - INFO - __main__ - x", at(14, 2, 11)),
        ("[11/21/26 14:02:11] INFO     x", at(14, 2, 11)),
        ("26/11/21 14:02:11 INFO Executor: x", at(14, 2, 11)),
        ("(EngineCore pid=12) 2026-11-21 14:02:11 x", at(14, 2, 11)),
        ("2026-11-21 14:02:60 x", at(14, 2, 59)),
        ("Feb 29 14:02:11 host x", at(14, 2, 11, day=29, month=2, year=2028)),
        ("Feb 30 14:02:11 host x", None),
        ("12:34 x", None),
        ("99:99:99 x", None),
        ("1.795269731 x", None),
        ("no time here", None),
        ("step 123 loss 0.2", None),
        ("version 2026.11.21", None),
        # Behind marks of who wrote it
        ("(EngineCore_DP0 pid=1) INFO 11-21 14:02:11 [core.py:58] x", at(14, 2, 11)),
        ("\x1b[0;36m(EngineCore_DP0 pid=1)\x1b[0;0m INFO 11-21 14:02:11 [core.py:58] x", at(14, 2, 11)),
        ("(VllmWorkerProcess pid=214) ERROR 11-21 14:02:11 [worker.py:1] x", at(14, 2, 11)),
        ("(RayWorkerWrapper pid=12, ip=10.0.0.1) INFO 11-21 14:02:11 x", at(14, 2, 11)),
        ("[rank0]:[I1121 14:02:11.042000123 ProcessGroupNCCL.cpp:616] x", at(14, 2, 11.042)),
        ("[default0]:[rank0]:[W1121 14:02:11.042 x.cpp:1] x", at(14, 2, 11.042)),
        ("[rank1]: INFO 11-21 14:02:11 x", at(14, 2, 11)),
        ("[1,0]<stdout>:INFO 11-21 14:02:11 x", at(14, 2, 11)),
        ("3: INFO 11-21 14:02:11 x", at(14, 2, 11)),
        ("vllm-1  | INFO 11-21 14:02:11 x", at(14, 2, 11)),
        ("[pod/vllm-0/main] E1121 14:02:11.042000 1 a.go:3] x", at(14, 2, 11.042)),
        ("[INFO 11-21 14:02:11 core.py:1] x", at(14, 2, 11)),
        ("\x1b[32mINFO\x1b[0m 11-21 14:02:11 x", at(14, 2, 11)),
        ("TRAIN 11-21 14:02:11 x", at(14, 2, 11)),
        ("INFO: 14:02:11 x", at(14, 2, 11)),
        ("[E 14:02:11.042 LabApp] x", at(14, 2, 11.042)),
        ("[INFO] 14:02:11 x", at(14, 2, 11)),
        ("ETA 00:12:33", None),
        ("[ 50%] 00:12:33 left", None),
        ("[3/12] 00:12:33 left", None),
        # Kin of glog
        ("[rank2]:[E626 05:06:30.929 ProcessGroupNCCL.cpp:632] x", at(5, 6, 30.929, day=26, month=6)),
        ("[E102 05:06:30.929 x.cpp:1] x", at(5, 6, 30.929, day=2, month=1, year=2027)),
        ("E20261121 14:02:11.042000 12 a.cc:1] x", at(14, 2, 11.042)),
        ("E1321 14:02:11.042000 12 a.cc:1] x", None),
        ("I0000 00:00:1795269731.042000 12 a.cc:1] x", at(14, 2, 11.042)),
        ("I0000 00:00:00.042000 12 a.cc:1] x", None),
        ("[11/21/2026-14:02:11] [TRT-LLM] [E] x", at(14, 2, 11)),
        # Clocks of twelve hours
        ("11/21/2026 02:02:11 PM INFO x", at(14, 2, 11)),
        ("11/21/2026 12:02:11 AM INFO x", at(0, 2, 11)),
        ("11/21/2026 12:02:11 pm x", at(12, 2, 11)),
        ("11/1/2026, 2:02:11 PM x", at(14, 2, 11, day=1)),
        ("Nov 21, 2026 2:02:11 PM com.foo.Bar baz", at(14, 2, 11)),
        ("02:02:11 PM x", at(14, 2, 11)),
        ("14:02:11 PM x", at(14, 2, 11)),
        ("14:02:11 AMD x", at(14, 2, 11)),
        # Other days
        ("21.11.2026 14:02:11 x", at(14, 2, 11)),
        ("21/11/2026 14:02:11 x", at(14, 2, 11)),
        ("20261121-14:02:11 x", at(14, 2, 11)),
        ("20261121 14:02:11.042 x", at(14, 2, 11.042)),
        ("2026-11-21_14:02:11 x", at(14, 2, 11)),
        ("2026.11.21 14:02:11 x", at(14, 2, 11)),
        # The line's own time, not that of which it tells
        ('I1121 14:02:11.000000 1 a.go:3] "Observed" creationTimestamp="2024-01-01T00:00:00Z"', at(14, 2, 11)),
        ("Nov 21 14:02:11 host backup: object 2024-01-01T00:00:00 done", at(14, 2, 11)),
        ("14:02:11 INFO loaded 2024-03-01 12:00:00", at(14, 2, 11)),
        ("1795269731.5 loaded 2024-03-01 12:00:00", 1795269731.5),
        ("(EngineCore pid=1) INFO 11-21 14:02:11 loaded 2024-03-01 12:00:00", at(14, 2, 11)),
        ("h - [21/Nov/2026:14:02:11 +0000] GET /?since=2024-03-01T12:00:00Z", at(14, 2, 11)),
        ("0000012345 2026-11-21 14:02:11 x", at(14, 2, 11)),
        ("[1234567890] 2026-11-21 14:02:11 x", at(14, 2, 11)),
        ("loaded what is of 2024-03-01 12:00:00", at(12, day=1, month=3, year=2024)),
        # Fields
        ('{"created": 1795269731.5, "levelname": "ERROR"}', 1795269731.5),
        ('{"@t": "2026-11-21T14:02:11Z", "@l": "Error"}', at(14, 2, 11)),
        ('{"t":{"$date":"2026-11-21T14:02:11.042+00:00"},"s":"E"}', at(14, 2, 11.042)),
        ('{"PRIORITY": "3", "__REALTIME_TIMESTAMP": "1795269731042000", "MESSAGE": "x"}', at(14, 2, 11.042)),
        ('{"timestamp": {"seconds": 1795269731, "nanos": 1}, "severity": "ERROR"}', at(14, 2, 11)),
        (
            '{"text": "x", "record": {"elapsed": {"seconds": 1.0}, "time": {"repr": "x", "timestamp": 1795269731.5}}}',
            1795269731.5,
        ),
        ('{"log": "' + "x" * 5000 + '", "stream": "stderr", "time": "2026-11-21T14:02:11.042Z"}', at(14, 2, 11.042)),
        ('{"meta": {"time": "2024-01-01T00:00:00Z"}, "msg": "}{", "ts": 1795269731.5}', 1795269731.5),
        ('{"meta": {"time": "2024-01-01T00:00:00Z"}, "msg": "x"}', at(0, day=1, month=1, year=2024)),
        ('{"start_time": "2020-01-01T00:00:00Z", "time": "2026-11-21T14:02:11Z"}', at(14, 2, 11)),
        ("ts=1795269731.5 level=info msg=x", 1795269731.5),
        ("level=info ts=1795269731500 msg=x", 1795269731.5),
        ('time="2026-11-21T14:02:11Z" level=info', at(14, 2, 11)),
        ("level=info runtime=1795269731 retries=1", None),
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


def test_without_any_other_time_a_line_needs_its_date() -> None:
    assert line_time("2026-11-21 14:02:11 x", None, UTC) == at(14, 2, 11)
    for line in ("14:02:11 x", "Nov 21 14:02:11 x", "E1121 14:02:11.042 x", "14:02:11 x 2026-11-21 14:02:11"):
        assert line_time(line, None, UTC) is None


def test_clocks_that_are_put_back_and_forward() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = at(0, 30, day=25, month=10), at(1, 30, day=25, month=10)  # both are 02:30 there
    for near in (first - 60, second + 60):
        expected = min((first, second), key=lambda when: abs(when - near))
        assert line_time("2026-10-25 02:30:00 x", near, berlin) == expected
        assert line_time("02:30:00 x", near, berlin) == expected
    assert line_time("2026-03-29 02:30:00 x", at(1, day=29, month=3), berlin) is not None  # never was


def test_a_time_in_the_far_future() -> None:
    assert line_time("2039-01-19 03:14:08 x", NEAR, UTC) == at(3, 14, 8, day=19, month=1, year=2039)
    assert line_time("12:00:00 x", 1e18, UTC) is None


@given(st.text(max_size=80))
def test_any_text_is_a_line(text: str) -> None:
    found = line_time(text, NEAR, UTC)
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-11-21T14:02:11.042123456Z", at(14, 2, 11.042123)),
        (" [2026-11-21 14:02:11,042] ", at(14, 2, 11.042)),
        ("2026-11-21T14:02:11+02:00", at(12, 2, 11)),
        ("Nov 21 14:02:11", at(14, 2, 11)),
        ("21/Nov/2026:14:02:11 +0000", at(14, 2, 11)),
        ("E1121 14:02:11.042000", at(14, 2, 11.042)),
        ("26/11/21 14:02:11", at(14, 2, 11)),  # in another form it would be of a 26th month
        ("11/21/26 14:02:11", at(14, 2, 11)),
        ("14:02:11", at(14, 2, 11)),
        ("INFO 11-21 14:02:11", at(14, 2, 11)),
        ("11/21/2026 02:02:11 PM", at(14, 2, 11)),
        ("1795269731.25", 1795269731.25),
        ("2026-11-21 14:02:11 and more", None),
        ("at 2026-11-21 14:02:11", None),
        ("Feb 30 14:02:11", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_text_that_is_nothing_but_a_time(text: str, when: float | None) -> None:
    assert typed_time(text, NEAR, UTC) == (None if when is None else pytest.approx(when, abs=1e-5))
