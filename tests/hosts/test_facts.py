from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hosts.host import DiskSeen, Wants, merge
from hosts.local import facts, observe, procs
from hosts.local.facts import look_at_disk, read_load
from hosts.local.mounts import file_system
from hosts.local.observe import Observer

pytestmark = pytest.mark.travels


def test_what_this_host_is() -> None:
    load, fault = read_load()
    place = procs.here()
    assert fault == ""
    assert (load.boot_id, load.hostname, load.kernel) == (place.boot_id, place.host, os.uname().release)
    assert load.averages is not None
    assert load.memory_total is not None
    assert load.memory_available is not None
    assert 0 < load.memory_available <= load.memory_total
    assert load.cores == os.cpu_count()
    assert load.uptime == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=30.0)


@pytest.mark.parametrize(
    ("path", "content", "fault", "field"),
    [
        ("/proc/loadavg", None, "load averages: not there", "averages"),
        ("/proc/loadavg", "nan 0 0 1/1 1", "load averages: not as it should be", "averages"),
        ("/proc/loadavg", "0.1 0.2", "load averages: not enough values to unpack (expected 3, got 2)", "averages"),
        ("/proc/meminfo", None, "memory: not there", "memory_total"),
        ("/proc/sys/kernel/random/boot_id", None, "boot id: not there", "boot_id"),
    ],
)
def test_one_part_that_cannot_be_read_is_named_and_the_others_stand(
    monkeypatch: pytest.MonkeyPatch, path: str, content: str | None, fault: str, field: str
) -> None:
    whole, _ = read_load()
    real = facts._read

    def changed(place: str) -> str:
        if place != path:
            return real(place)
        if content is None:
            raise FileNotFoundError(2, "No such file or directory", place)
        return content

    monkeypatch.setattr(facts, "_read", changed)
    seen = Observer().observe(Wants(load=True), None, "here")
    assert seen.errors == {"load": fault}
    assert seen.load is not None
    missing = {"memory_total", "memory_available"} if field == "memory_total" else {field}
    assert {name for name, value in vars(seen.load).items() if value is None} == missing
    assert seen.load.kernel == whole.kernel


def test_the_room_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    usage = shutil.disk_usage(tmp_path)
    for path in (str(tmp_path), "~"):
        seen = look_at_disk(path)
        assert (seen.path, seen.total, seen.error) == (path, usage.total, None)
        assert seen.file_system == file_system(str(tmp_path))
        assert seen.free is not None
        assert usage.free // 2 <= seen.free <= usage.total


@pytest.mark.parametrize("user", [0, 1000])
def test_what_only_root_may_still_write_is_not_free_to_anybody(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_blocks, f_bfree, f_bavail, f_frsize = 100, 5, 0, 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Full)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert look_at_disk("/").free == 0


def test_the_room_on_a_disk_is_what_df_tells() -> None:
    told = subprocess.run(["df", "-B1", "--output=avail", "/"], capture_output=True, text=True, check=True).stdout
    free = look_at_disk("/").free
    assert free is not None
    assert abs(free - int(told.split()[-1])) < 1 << 30, "others write meanwhile"


def test_a_file_system_that_counts_no_blocks_is_not_full() -> None:
    assert look_at_disk("/proc") == DiskSeen("/proc", None, None, "proc")


@pytest.mark.parametrize(("name", "error"), [("none", "not there"), ("a\0b", "a file's name holds no NUL")])
def test_a_disk_that_cannot_be_looked_at(tmp_path: Path, name: str, error: str) -> None:
    path = f"{tmp_path}/{name}"
    assert look_at_disk(path) == DiskSeen(path, None, None, error=error)


def test_a_dead_mount_does_not_hold_up_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real = facts.look_at_disk

    def hanging(path: str) -> DiskSeen:
        if path == "/dead":
            release.wait(30)
        return real(path)

    monkeypatch.setattr(observe, "look_at_disk", hanging)
    observer = Observer()
    want = Wants(disks=("/dead", str(tmp_path)), load=True)
    dead, alive = observer.observe(want, None, "here", deadline=0.5).disks
    assert dead == DiskSeen("/dead", None, None, error="no answer in time")
    assert alive.error is None
    dead, alive = observer.observe(want, None, "here", deadline=20).disks
    assert dead.error == "an earlier look has still not come back"
    assert alive.error is None
    release.set()
    until = time.monotonic() + 30
    while observer.observe(want, None, "here").disks[0].error != "not there":
        assert time.monotonic() < until


def test_each_disk_is_looked_at_once() -> None:
    assert merge([Wants(disks=("/a", "/b")), Wants(disks=("/b", "/c"))]).disks == ("/a", "/b", "/c")
