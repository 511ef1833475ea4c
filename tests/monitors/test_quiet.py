"""Watching writes nothing and starts nothing: shown by what the program asks of the kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.monitors.conftest import Start
from tests.monitors.runs import RunFolder

ROOT = Path(__file__).resolve().parents[2]
CALLS = (
    *("execve", "execveat", "fork", "vfork", "clone", "clone3", "kill", "tkill", "tgkill", "pidfd_send_signal"),
    *("open", "openat", "openat2", "creat", "truncate", "ftruncate", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "utimensat"),
    *("setxattr", "fsetxattr", "flock", "bind", "connect", "ptrace", "mount", "umount2"),
)
# Every machine knows its own calls: those that it lacks are left out.
STRACE = ("-e", "trace=" + ",".join(f"?{call}" for call in CALLS))
WRITING = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b")
PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')


@pytest.fixture
def checkout(run: RunFolder, tmp_path: Path, start: Start) -> Path:
    """A checkout with a run at work in it: a live runner, a live pytest, files of every kind."""
    run.plan()
    run.lock(start(run.run_id)[1])
    start(run.run_id)
    run.note("run.started")
    run.note("attempt.started", unit="test_a", run=2, log="_pytest/test_a/run2.log", stages=["a", "b"])
    run.cell("a", 1)
    run.write("b/run1.json", b"{")
    run.write("_pytest/test_a/run2.log", b"collected 1 item\n")
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "models" / "m" / "config.yaml").write_text("name: m\n")
    (tmp_path / "models" / "m" / "stages.yaml").write_bytes((run.root / "stages.yaml").read_bytes())
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "box.yaml").write_text("name: box\nhostname: some-other-machine\n")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    homes = {f"XDG_{name}_HOME": str(folder / "ours" / name.lower()) for name in ("STATE", "CACHE", "CONFIG", "DATA")}
    return {**os.environ, **homes, "HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1"}


def command(checkout: Path, run: RunFolder, *words: str) -> list[str]:
    named = ["--run-dir", str(run.root), "--root", str(checkout)]
    return [sys.executable, str(ROOT / "gatewatch.py"), "calibrate", *words, *named]


def everything(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Each file and folder with what changes when it is touched; the time of the last reading does not count."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        found[str(path.relative_to(folder))] = (
            *(status.st_ino, status.st_mode, status.st_size, status.st_uid),
            *(status.st_mtime_ns, status.st_ctime_ns),
        )
    return found


def faults(line: str, ours: Path) -> str | None:
    """What is wrong with one system call, None when nothing is."""
    name, _, rest = line.partition("(")
    name = name.rpartition(" ")[2]
    if name in ("open", "openat", "openat2", "creat"):
        if name != "creat" and not WRITING.search(rest):
            return None
        return None if _allowed(rest, ours) else line
    if name in ("clone", "clone3") and "CLONE_THREAD" in rest:
        return None
    if name in ("kill", "tkill", "tgkill", "pidfd_send_signal") and re.match(r"\d+, (\d+, )?0(,|\))", rest):
        return None  # asks whether somebody is there
    if name in ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "chmod", "fchmodat"):
        return None if _allowed(rest, ours) else line
    return line if name in CALLS else None


def _allowed(rest: str, ours: Path) -> bool:
    named = PATH.search(rest)
    path = named[1] if named else ""
    return path == os.devnull or path.startswith(f"{ours}/")


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("audit",), ("audit", "--json")])
def test_what_is_watched_is_not_touched(checkout: Path, run: RunFolder, words: tuple[str, ...]) -> None:
    before = everything(checkout)
    done = subprocess.run(command(checkout, run, *words), env=environment(checkout), capture_output=True, text=True)
    assert done.returncode in (1, 3), done.stderr
    after = {path: seen for path, seen in everything(checkout).items() if path.split("/")[0] != "ours"}
    assert {path for path in before if before[path] != after.get(path)} <= {"."}, "our own folder may be made beside it"
    assert set(after) == set(before)


@pytest.mark.skipif(shutil.which("strace") is None, reason="NOT TESTED: strace is not installed")
@pytest.mark.parametrize("words", [("status",), ("audit", "--json")])
def test_the_kernel_is_asked_for_nothing_else(checkout: Path, run: RunFolder, words: tuple[str, ...]) -> None:
    traces = checkout / "traces"
    traces.mkdir()
    tracer = ["strace", "-ff", "-s", "4096", "-qq", *STRACE, "-o", str(traces / "t")]
    done = subprocess.run(
        [*tracer, *command(checkout, run, *words)], env=environment(checkout), capture_output=True, text=True
    )
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip(f"NOT TESTED, strace may not look here: {done.stderr.splitlines()[0]}")
    assert done.returncode in (1, 3), done.stderr
    lines = [line for path in traces.iterdir() for line in path.read_text("utf-8", "replace").splitlines()]
    assert any("plan.json" in line for line in lines), "the trace shows what was read"
    started = [line for line in lines if line.startswith("execve(") and line.endswith(" = 0")]
    assert len(started) == 1, "the program itself"
    asked = [line for line in lines if line not in started]
    assert [fault for line in asked if (fault := faults(line, checkout / "ours"))] == []


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ('openat(AT_FDCWD, "/r/plan.json", O_RDONLY|O_CLOEXEC) = 3', True),
        ('openat(AT_FDCWD, "/dev/null", O_RDWR|O_CLOEXEC) = 3', True),
        ('openat(AT_FDCWD, "/o/state/x", O_WRONLY|O_CREAT, 0600) = 3', True),
        ('openat(AT_FDCWD, "/r/plan.json", O_RDWR|O_CLOEXEC) = 3', False),
        ('openat(AT_FDCWD, "/r/x", O_WRONLY|O_CREAT|O_EXCL, 0600) = -1 EROFS (Read-only file system)', False),
        ('openat(AT_FDCWD, "/other/x", O_RDONLY|O_CREAT, 0600) = 3', False),
        ("clone(child_stack=0x7f, flags=CLONE_VM|CLONE_THREAD) = 9", True),
        ("clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 9", False),
        ("vfork() = 9", False),
        ('execve("/usr/bin/git", ["git"], 0x7ffe /* 36 vars */) = 0', False),
        ("kill(7, 0) = 0", True),
        ("kill(7, SIGTERM) = 0", False),
        ("pidfd_send_signal(3, SIGKILL, NULL, 0) = 0", False),
        ("flock(3, LOCK_EX|LOCK_NB) = 0", False),
        ('mkdir("/o/state", 0700) = 0', True),
        ('mkdir("/r/.gatewatch", 0700) = -1 EEXIST (File exists)', False),
        ('rename("/r/a", "/o/b") = 0', False),
        ('unlink("/r/a") = 0', False),
        ("ftruncate(3, 0) = 0", False),
        ("+++ exited with 0 +++", True),
    ],
)
def test_what_would_be_a_fault(line: str, fine: bool) -> None:
    assert (faults(line, Path("/o")) is None) is fine
