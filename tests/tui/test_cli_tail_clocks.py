"""`gatewatch tail --plain` with times that are typed without a date."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.peers.quick import until

_NOW = datetime.now(UTC).replace(microsecond=0)
_FAR = "EST5"  # five hours behind


def _log(folder: Path, first: datetime, count: int = 300) -> Path:
    path = folder / "engine.log"
    times = [first + timedelta(seconds=10 * number) for number in range(count)]
    path.write_text("".join(f"{when:%F %T} INFO n {number}\n" for number, when in enumerate(times)))
    return path


def _tail(house: Path, *words: str, zone: str, stdin: bytes = b"") -> tuple[int, list[int], str]:
    done = subprocess.run(
        [sys.executable, str(house / "gatewatch.py"), "tail", "--plain", *words],
        env={**os.environ, "TZ": zone},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, [int(row.split()[-1]) for row in done.stdout.splitlines()], done.stderr.decode()


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(("option", "numbers"), [("--since", range(150, 300)), ("--until", range(150))])
def test_a_log_whose_clock_is_ahead_of_ours(
    house: Path, tmp_path: Path, option: str, numbers: range, *, piped: bool
) -> None:
    first = _NOW - timedelta(seconds=3000)
    log = _log(tmp_path, first)
    typed = f"{first + timedelta(seconds=1500):%T}"
    if piped:
        found = _tail(house, "-", option, typed, zone=_FAR, stdin=log.read_bytes())
    else:
        found = _tail(house, str(log), option, typed, zone=_FAR)
    assert found == (0, [*numbers], "")


def test_until_a_time_to_come_and_one_earlier_today(house: Path, tmp_path: Path) -> None:
    behind = _NOW.hour - 20  # hours, where the clock shows twenty and something, whenever this runs
    now, zone = _NOW - timedelta(hours=behind), f"EVE{behind:+d}"
    log = _log(tmp_path, now - timedelta(seconds=3000))
    assert _tail(house, str(log), "--until", f"{now + timedelta(hours=2):%T}", zone=zone) == (0, [*range(300)], "")
    said = f"gatewatch: --until 07:30: no line of this log is from before {now:%F} 07:30:00\n"
    assert _tail(house, str(log), "--until", "07:30", zone=zone) == (0, [], said)


@pytest.mark.parametrize(("option", "numbers"), [("--since", range(300)), ("--until", range(0))])
def test_a_time_before_all_lines_is_said(house: Path, tmp_path: Path, option: str, numbers: range) -> None:
    first = datetime(2100, 1, 5, 10, tzinfo=UTC)  # the log's own clock says which day it is, whenever this runs
    log, asked = _log(tmp_path, first), first - timedelta(seconds=5)
    said = f"{option} {asked:%T}: no line of this log is from before {asked:%F %T}"
    assert _tail(house, str(log), option, f"{asked:%T}", zone="UTC") == (0, [*numbers], f"gatewatch: {said}\n")


def test_a_named_pipe_has_no_end(house: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = "gatewatch: error: --until says where to end, and a named pipe or a device goes on; leave it out\n"
    assert _tail(house, str(tmp_path / "pipe"), "--until", "14:02", zone="UTC") == (2, [], said)


@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
@pytest.mark.parametrize(("option", "numbers"), [("--since", range(150, 300)), ("--until", range(150))])
def test_a_pipe_that_is_reached_by_its_number_has_an_end(
    house: Path, tmp_path: Path, path: str, option: str, numbers: range
) -> None:
    first = _NOW - timedelta(seconds=3000)
    data, typed = _log(tmp_path, first).read_bytes(), f"{first + timedelta(seconds=1500):%T}"
    assert _tail(house, path, option, typed, zone="UTC", stdin=data) == (0, [*numbers], "")


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ((), range(290, 300)),
        (("--until",), range(150)),
        (("--since",), range(150, 300)),
        (("-f", "-n", "all"), range(300)),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_the_end_of_a_slow_writer_is_waited_for(
    house: Path, tmp_path: Path, words: tuple[str, ...], numbers: range, *, named: bool
) -> None:
    first = _NOW - timedelta(seconds=3000)
    rows = _log(tmp_path, first).read_bytes().splitlines(keepends=True)
    typed = f"{first + timedelta(seconds=1500):%F %T}"
    if named:
        os.mkfifo(tmp_path / "pipe")
        reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        writing = os.open(tmp_path / "pipe", os.O_WRONLY)
        os.set_blocking(reading, True)
    else:
        reading, writing = os.pipe()
    argv = [sys.executable, str(house / "gatewatch.py"), "tail", f"/dev/fd/{reading}", *words]
    if words and words[-1].startswith("--"):
        argv.append(typed)
    with subprocess.Popen(
        argv, env={**os.environ, "TZ": "UTC"}, pass_fds=[reading], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.writelines(rows[:100])
                pipe.flush()
                until(lambda: not fcntl.ioctl(reading, termios.FIONREAD, b"\0" * 4).strip(b"\0"), "that they are read")
                time.sleep(0.2)  # it may have looked by then or not: either is right
                pipe.writelines(rows[100:])
            out, _ = running.communicate(timeout=30)
        finally:
            os.close(reading)
            running.kill()
    assert (running.returncode, out.splitlines(keepends=True)) == (0, [rows[number] for number in numbers])
