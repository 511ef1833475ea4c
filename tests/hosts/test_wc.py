from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.local import wc
from hosts.local.wc import LineCount, Total, find_wc

pytestmark = [pytest.mark.travels, pytest.mark.skipif(find_wc() is None, reason="NOT TESTED: there is no wc")]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "log"
    path.write_bytes(b"")
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def done(count: LineCount, seconds: float = 30) -> Total | None:
    ready, _, _ = select.select([count], [], [], seconds)
    assert ready, "wc did not end"
    count.poll(ready=True)
    return count.total


@pytest.mark.parametrize(
    ("data", "total"),
    [
        (b"a\nb\n", Total(4, 2)),
        (b"a\nb", Total(3, 2)),
        (b"\n" * 100_000, Total(100_000, 100_000)),
        (b"\0\xff\r\n\x85", Total(5, 2)),
        (b"", None),
    ],
)
def test_lines_as_we_count_them(data: bytes, total: Total | None, file: int) -> None:
    os.write(file, data)
    before, place = descriptors(), os.lseek(file, 1, os.SEEK_SET)
    count = LineCount(find_wc() or "", file)
    assert done(count) == total
    assert not count.running
    assert descriptors() == before
    assert os.lseek(file, 0, os.SEEK_CUR) == place, "the place of whoever else reads it stands"


def test_what_is_too_slow_is_given_up(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.write(file, b"a\n")
    before = descriptors()
    monkeypatch.setattr(wc, "INTERVAL", 0.0)
    count = LineCount("/bin/cat", file, rate=1e18)  # takes "wc" and "-l" for its own
    count.poll(ready=False)
    assert (count.running, count.total, descriptors()) == (False, None, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(count.pid, 0)


def test_a_program_that_fails_counts_nothing(file: int) -> None:
    os.write(file, b"a\n")
    assert done(LineCount("/bin/false", file)) is None
    assert done(LineCount("/bin/true", file)) is None
    before = descriptors()
    with pytest.raises(OSError, match="No such file"):
        LineCount("/nowhere/wc", file)
    assert descriptors() == before


def test_it_is_stopped(file: int) -> None:
    os.ftruncate(file, 64 << 30)  # of holes
    count = LineCount(find_wc() or "", file)
    count.close()
    assert (count.running, count.total) == (False, None)
    count.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(count.pid, 0)


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"relative:{tmp_path}")
    assert find_wc() is None
    (tmp_path / "wc").symlink_to(sys.executable)
    assert find_wc() == str(tmp_path / "wc")
