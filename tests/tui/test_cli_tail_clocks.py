"""`gatewatch tail --plain` with times that are typed without a date."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

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


def test_until_a_time_to_come(house: Path, tmp_path: Path) -> None:
    log = _log(tmp_path, _NOW - timedelta(seconds=3000))
    assert _tail(house, str(log), "--until", f"{_NOW + timedelta(hours=2):%T}", zone="UTC") == (0, [*range(300)], "")


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
