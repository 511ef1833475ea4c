"""`wc -l` as a quick answer: right where it is given, and none where it would hold up or fail."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hosts.local.wc import LineCount, Total, find_wc

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are opened anew by /proc")
PATIENCE = 10.0


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def ended(count: LineCount) -> Total | None:
    """What it says in the end."""
    until = time.monotonic() + PATIENCE
    while count.running and time.monotonic() < until:
        ready = bool(os.waitid(os.P_PID, count.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG))
        count.poll(ready)
    assert not count.running
    return count.total


def script(path: Path, words: str) -> str:
    path.write_text(f"#!/bin/sh\n{words}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("data", "lines"), [(b"a\nb\n", 2), (b"a\nb", 2), (b"\n\n\n", 3), (b"x", 1)])
def test_lines_are_counted_an_unfinished_one_too(tmp_path: Path, data: bytes, lines: int) -> None:
    log = tmp_path / "log"
    log.write_bytes(data)
    program = find_wc()
    assert program is not None
    with opened(log) as descriptor:
        os.lseek(descriptor, 1, os.SEEK_SET)  # its own place is nobody else's
        assert ended(LineCount(program, descriptor, rate=0)) == Total(len(data), lines)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 1


@pytest.mark.parametrize("words", ["cat >/dev/null; echo 7; exit 1", "cat >/dev/null", "cat >/dev/null; echo lines: 7"])
def test_what_fails_or_says_no_number_is_not_believed(tmp_path: Path, words: str) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\n")
    with opened(log) as descriptor:
        assert ended(LineCount(script(tmp_path / "wc", words), descriptor, rate=0)) is None


def test_one_that_is_slow_is_stopped(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\n" * 100)
    with opened(log) as descriptor:
        count = LineCount(script(tmp_path / "wc", "exec sleep 1000"), descriptor)
        assert ended(count) is None
        with pytest.raises(ProcessLookupError):
            os.kill(count.pid, 0)


def test_one_that_cannot_be_started_leaves_nothing_open(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\n")
    with opened(log) as descriptor:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError, match="none"):
            LineCount(str(tmp_path / "none"), descriptor)
        assert len(os.listdir("/proc/self/fd")) == len(before)
