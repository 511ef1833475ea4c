from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import GatewatchError, InputError
from hosts.local import files
from hosts.local.files import (
    ReadError,
    WriteError,
    is_temp,
    new_ulid,
    read_bytes_limited,
    utc_now,
    write_atomic,
    write_new,
)
from tests.peers.folders import open_up

pytestmark = pytest.mark.travels

NOBODY = 65534
OLD = b"old content\n" * 1000
NEW = b"NEW CONTENT\n" * 90_000  # over a MiB: several write calls are not one


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_makes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"1")
    write_atomic(path, b"")
    assert path.read_bytes() == b""
    write_atomic(path, NEW)
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["a"]


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    before = os.umask(0o027)
    try:
        write_atomic(path, b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o751)
    write_atomic(path, b"2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    write_atomic(path, b"3", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_new(tmp_path / "b", b"1", mode=0o604)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o604


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_keeps_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    os.chown(path, NOBODY, NOBODY)
    write_atomic(path, b"2")
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)


def test_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(b"1")
    link, dangling, pipe = tmp_path / "link", tmp_path / "dangling", tmp_path / "pipe"
    link.symlink_to(real)
    dangling.symlink_to(tmp_path / "nowhere")
    os.mkfifo(pipe)
    before = names(tmp_path)
    for path in (link, dangling):
        with pytest.raises(WriteError, match="it is a symbolic link, which is not followed"):
            write_atomic(path, b"2")
        assert write_new(path, b"2") is False
    for path in (pipe, tmp_path):
        with pytest.raises(WriteError, match="it is not a regular file"):
            write_atomic(path, b"2")
    assert names(tmp_path) == before
    assert real.read_bytes() == b"1"
    with pytest.raises(WriteError, match=r"cannot write .*/no/x: no such file or directory"):
        write_atomic(tmp_path / "no" / "x", b"2")


def test_the_error_is_one_line_for_a_person(tmp_path: Path) -> None:
    with pytest.raises(GatewatchError) as caught:
        write_atomic(tmp_path / "no" / "x", b"")
    assert isinstance(caught.value, WriteError)
    assert caught.value.errno == errno.ENOENT
    assert "\n" not in str(caught.value)


def test_of_many_writers_one_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    start = threading.Barrier(16)
    won: list[int] = []

    def write(number: int) -> None:
        start.wait()
        if write_new(path, b"%d" % number * 1000):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert path.read_bytes() == b"%d" % won[0] * 1000
    assert names(tmp_path) == ["key"]


class FailingOs:
    """The `os` of the module under test, of which one function fails at its n-th call."""

    def __init__(self) -> None:
        self.name = ""
        self.left = 0
        self.number = 0

    def arm(self, name: str, count: int, number: int) -> None:
        self.name, self.left, self.number = name, count, number

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._counted(real) if name == self.name else real

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if real is os.close:
                    real(*args, **kwargs)  # it fails, and is closed all the same
                raise OSError(self.number, os.strerror(self.number))
            return real(*args, **kwargs)

        return call


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> FailingOs:
    fake = FailingOs()
    monkeypatch.setattr(files, "os", fake)
    return fake


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize(
    ("call", "count"),
    [("open", 1), ("open", 2), ("stat", 1), ("write", 1), ("fsync", 1), ("close", 1), ("fchmod", 1), ("rename", 1)],
)
def test_every_call_may_fail_and_the_old_file_stands(
    tmp_path: Path, failing: FailingOs, call: str, count: int, number: int
) -> None:
    path = tmp_path / "a"
    path.write_bytes(OLD)
    failing.arm(call, count, number)
    reason = os.strerror(number).lower().split()[0]
    with pytest.raises(WriteError, match=f"cannot write {re.escape(str(path))}: (?i:{reason})"):
        write_atomic(path, NEW)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_synced_is_told(tmp_path: Path, failing: FailingOs) -> None:
    failing.arm("fsync", 2, errno.EIO)
    with pytest.raises(WriteError, match="written, but it may not survive a power loss"):
        write_atomic(tmp_path / "a", NEW)
    failing.arm("fsync", 2, errno.EINVAL)
    write_atomic(tmp_path / "a", NEW)


def test_a_file_system_without_links_is_told(tmp_path: Path, failing: FailingOs) -> None:
    failing.arm("link", 1, errno.EPERM)
    with pytest.raises(WriteError, match="has no hard links"):
        write_new(tmp_path / "a", b"1")
    assert names(tmp_path) == []


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from hosts.local.files import write_atomic
path, old, new = Path(sys.argv[1]), b"old content\\n" * 1000, b"NEW CONTENT\\n" * 90_000
print("ready", flush=True)
while True:
    write_atomic(path, new)
    write_atomic(path, old)
"""


def test_a_writer_killed_at_any_point_leaves_old_or_new(tmp_path: Path, house: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(OLD)
    left_over = 0
    for round_ in range(20):
        argv = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
        with subprocess.Popen(argv, cwd=house, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            # Any point will do; these differ from round to round
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(0.0015 * round_)
            writer.kill()
        assert path.read_bytes() in (OLD, NEW)
        for name in names(tmp_path):
            if name != "a":
                assert is_temp(name)
                (tmp_path / name).unlink()
                left_over += 1
    assert left_over > 0, "not one kill hit a write; the test shows nothing"


def _in_child(body: Callable[[], None]) -> str:
    """Run in a forked child and give what it raised, as text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            body()
            said = "nothing raised"
        except BaseException as error:  # noqa: BLE001 - the parent looks at it
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    return said


fork_warns = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@fork_warns
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(OLD)

    def body() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(OLD) + 4096, len(OLD) + 4096))
        write_atomic(path, NEW)

    assert _in_child(body) == f"WriteError: cannot write {path}: file too large"
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_really_full_or_read_only_disk(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        path = tmp_path / "a"
        path.write_bytes(OLD)
        for write in (lambda: write_atomic(path, NEW), lambda: write_new(tmp_path / "b", NEW)):
            with pytest.raises(WriteError, match="no space left on device"):
                write()
        assert names(tmp_path) == ["a"]
        assert path.read_bytes() == OLD
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        with pytest.raises(WriteError, match="read-only file system"):
            write_atomic(path, b"x")
        assert path.read_bytes() == OLD
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@fork_warns
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "locked" / "a"
    path.parent.mkdir()
    path.write_bytes(OLD)
    path.parent.chmod(0o555)

    def body() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        os.chdir(path.parent)
        write_atomic(Path("a"), NEW)

    if os.geteuid() == 0:  # pytest's own folders; the child has to get there as nobody
        open_up(tmp_path)
    try:
        assert _in_child(body) == "WriteError: cannot write a: permission denied"
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["a"]


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes_limited(path, 5) == b"12345"
    with pytest.raises(ReadError, match="longer than 4 bytes"):
        read_bytes_limited(path, 4)
    with pytest.raises(ReadError, match="longer than 1000 bytes"):
        read_bytes_limited(_long(tmp_path), 1000)
    with pytest.raises(ReadError, match="not a regular file"):
        read_bytes_limited(Path("/dev/zero"), 1000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ReadError, match="not a regular file"):
        read_bytes_limited(pipe, 1000)
    with pytest.raises(InputError, match="no such file or directory") as caught:
        read_bytes_limited(tmp_path / "no", 1)
    assert isinstance(caught.value, ReadError)
    assert caught.value.errno == errno.ENOENT


def _long(folder: Path) -> Path:
    path = folder / "long"
    path.write_bytes(b"x" * 5000)
    return path


def test_time_and_ids() -> None:
    assert utc_now(1779676982.9) == "2026-05-25T02:43:02Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())
    ids = [new_ulid() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", one) for one in ids)
    assert [one[:10] for one in ids] == sorted(one[:10] for one in ids)
