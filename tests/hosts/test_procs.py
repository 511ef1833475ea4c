from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.errors import InputError, RefusedError
from hosts.host import Json, ProcRef
from hosts.local import procs
from hosts.local.procs import (
    end_marked,
    is_alive,
    look_at,
    marked,
    proc_ref_from_json,
    proc_ref_json,
    ref_of,
    self_ref,
    send_signal,
)

pytestmark = pytest.mark.travels

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def mark() -> Iterator[str]:
    mark = f"GATEWATCH_TEST_MARK={secrets.token_hex(8)}"
    yield mark
    for proc in marked([mark]):
        os.kill(proc.ref.pid, signal.SIGKILL)


@pytest.fixture
def start(mark: str) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(code: str = SLEEP, marks: str = mark) -> subprocess.Popen[bytes]:
        name, _, value = marks.partition("=")
        env = {**os.environ, name: value} if marks else None
        process = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def must(ref: ProcRef | None) -> ProcRef:
    assert ref is not None
    return ref


def test_this_process() -> None:
    ref = self_ref()
    assert (ref.pid, ref.sid, ref.host) == (os.getpid(), os.getsid(0), os.uname().nodename)
    assert ref.boot_id
    assert ref.start_ticks > 0
    assert ref.pid_ns > 0
    assert ref == self_ref()
    assert is_alive(ref) is True


def test_there_is_no_such_process() -> None:
    assert ref_of(2**22 + 1) is None


def test_a_zombie_is_dead(start: Start) -> None:
    process = start()
    ref = must(ref_of(process.pid))
    assert is_alive(ref) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet collected
    assert ref_of(process.pid) == ref
    assert is_alive(ref) is False
    assert send_signal(ref, signal.SIGTERM) is False
    process.wait()
    assert is_alive(ref) is False


def test_what_can_be_judged_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = self_ref()
    assert is_alive(replace(ref, start_ticks=ref.start_ticks + 1)) is False, "the pid has passed to another"
    assert is_alive(replace(ref, pid_ns=ref.pid_ns + 1)) is None
    assert is_alive(replace(ref, boot_id="")) is None
    assert is_alive(replace(ref, host="elsewhere", boot_id="x")) is None
    assert is_alive(replace(ref, host="elsewhere")) is True, "a container's other name on the same kernel"
    monkeypatch.setattr(procs, "here", lambda: procs.Place("gpu-7", ref.boot_id, ref.pid_ns))
    assert is_alive(replace(ref, host="gpu-7", boot_id="x")) is False, "it was rebooted"
    monkeypatch.setattr(procs, "here", lambda: procs.Place("localhost", ref.boot_id, ref.pid_ns))
    assert is_alive(replace(ref, host="localhost", boot_id="x")) is None, "every second machine has this name"
    monkeypatch.setattr(procs, "here", lambda: procs.Place("gpu-7", "", 0))
    assert is_alive(ref) is None


def test_a_process_in_the_middle_of_exec_is_marked_all_the_same(tmp_path: Path, mark: str) -> None:
    """For a moment it has no environment; who ends a run must not take that for the end of it."""
    loop = tmp_path / "loop"
    loop.write_text(f"#!/bin/sh\nexec {loop}\n")
    loop.chmod(0o755)
    name, _, value = mark.partition("=")
    process = subprocess.Popen([loop], env={**os.environ, name: value})
    try:
        seen = [[proc.ref.pid for proc in marked([mark])] for _ in range(300)]
    finally:
        process.kill()
        process.wait()
    assert [pids for pids in seen if pids != [process.pid]] == []


def test_a_name_with_brackets_and_blanks(start: Start) -> None:
    code = "open('/proc/self/comm', 'w').write(') R 1 (x'); " + SLEEP
    process = start(code)
    assert must(ref_of(process.pid)).sid == os.getsid(process.pid)
    assert is_alive(must(ref_of(process.pid))) is True


def test_marks_are_exact(start: Start, mark: str) -> None:
    process, other = start(), start(marks=mark + "0")
    found = marked([mark, "NO_SUCH_MARK=1"])
    assert [(proc.ref, proc.marks) for proc in found] == [(must(ref_of(process.pid)), (mark,))]
    assert found[0].argv[-2:] == ("-c", SLEEP)
    assert found[0].state in "RSD"
    assert [proc.ref.pid for proc in marked([mark, mark + "0"])] == sorted([process.pid, other.pid])
    assert marked([mark[:-1]]) == []
    assert marked([mark.partition("=")[0]]) == []
    assert marked([]) == []
    assert marked([""]) == []


def test_children_carry_the_mark_into_a_session_of_their_own(start: Start, mark: str) -> None:
    parent = start(FAMILY)
    found = {proc.ref.pid: proc for proc in marked([mark])}
    assert len(found) == 2
    child = next(proc for pid, proc in found.items() if pid != parent.pid)
    assert child.ref.sid == child.ref.pid


ERASE = """
with open("/proc/self/stat") as file:
    start, end = map(int, file.read().rpartition(")")[2].split()[47:49])
with open("/proc/self/mem", "r+b", buffering=0) as memory:
    memory.seek(start)
    memory.write(bytes(end - start))
print("up", flush=True)
"""


def test_a_title_written_over_the_environment_does_not_hide_a_child(start: Start, mark: str) -> None:
    """As setproctitle does it, which leaves NULs where the environment was."""
    sleep = "import time; time.sleep(600)"
    child = f"import subprocess, sys\n{ERASE}\nsubprocess.run([sys.executable, '-c', {ERASE + sleep!r}])"
    parent = start(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    unrelated = start(ERASE + sleep, marks="")
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n", "the grandchild's"
    found = marked([mark])
    assert len(found) == 3
    assert all(proc.marks == (mark,) for proc in found)
    assert unrelated.pid not in [proc.ref.pid for proc in found]
    assert len(end_marked([mark], 10)) == 3
    assert unrelated.poll() is None


def test_processes_that_come_and_go_disturb_nobody(start: Start, mark: str) -> None:
    start()
    churn = "import subprocess\nprint('up', flush=True)\nwhile True: subprocess.run(['true'])"
    start(churn, marks="")
    for _ in range(50):
        assert len(marked([mark])) == 1


def test_a_signal_goes_to_the_named_process_alone(start: Start) -> None:
    process = start()
    ref = must(ref_of(process.pid))
    assert send_signal(replace(ref, start_ticks=ref.start_ticks - 1), signal.SIGKILL) is False
    assert process.poll() is None
    assert send_signal(ref, signal.SIGTERM) is True
    assert process.wait(10) == -signal.SIGTERM
    assert send_signal(ref, signal.SIGTERM) is False


def test_a_reused_pid_is_left_alone_also_when_it_passes_on_late(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pid changes hands between the first check and the handle on it."""
    process = start()
    ref = must(ref_of(process.pid))
    stale = replace(ref, start_ticks=ref.start_ticks - 1)
    real = procs.is_alive
    answers = iter([True])
    monkeypatch.setattr(procs, "is_alive", lambda asked: next(answers, None) or real(asked))
    assert send_signal(stale, signal.SIGKILL) is False
    assert process.poll() is None


def test_a_kernel_without_pidfd_still_checks(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start()
    ref = must(ref_of(process.pid))
    monkeypatch.delattr(os, "pidfd_open")
    assert send_signal(replace(ref, start_ticks=1), signal.SIGKILL) is False
    assert send_signal(ref, signal.SIGKILL) is True
    assert process.wait(10) == -signal.SIGKILL


def test_what_is_never_signalled() -> None:
    ref = self_ref()
    for pid in (1, 0, -1):
        with pytest.raises(RefusedError, match="never signalled"):
            send_signal(replace(ref, pid=pid), signal.SIGTERM)
    with pytest.raises(RefusedError, match="cannot be judged from here"):
        send_signal(replace(ref, host="elsewhere", boot_id="x"), signal.SIGTERM)


def test_ending_asks_first(start: Start, mark: str) -> None:
    process = start()
    ref = must(ref_of(process.pid))
    began = time.monotonic()
    assert [proc.ref for proc in end_marked([mark], 30)] == [ref]
    assert time.monotonic() - began < 15, "it waited for a process that was gone"
    assert process.wait(10) == -signal.SIGTERM
    assert end_marked([mark], 30) == []


def test_ending_then_insists(start: Start, mark: str) -> None:
    process = start(STUBBORN)
    now = [0.0]
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds
        time.sleep(min(seconds, 0.05))  # what is killed needs a moment of the real time

    ended = end_marked([mark], 8, clock=lambda: now[0], sleep=sleep)
    assert [proc.ref.pid for proc in ended] == [process.pid]
    assert process.wait(10) == -signal.SIGKILL
    assert 8 <= sum(naps) < 14, "the grace was given"


def test_ending_takes_the_children_and_spares_whom_it_is_told(start: Start, mark: str) -> None:
    parent = start(FAMILY)
    spared = must(ref_of(start().pid))
    ended = end_marked([mark], 10, spare=[spared])
    assert len(ended) == 2
    assert parent.wait(10) == -signal.SIGTERM
    assert [proc.ref for proc in marked([mark])] == [spared]


def test_nobody_ends_himself(mark: str, house: Path) -> None:
    code = f"from hosts.local.procs import *\nend_marked(['{mark}'], 5)\nprint(len(marked(['{mark}'])))"
    name, _, value = mark.partition("=")
    env = {**os.environ, name: value, "PYTHONPATH": str(house)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")


def test_looking_at_references(start: Start) -> None:
    live = must(ref_of(start().pid))
    gone = replace(live, start_ticks=live.start_ticks + 5)
    elsewhere = replace(live, host="elsewhere", boot_id="x")
    found, dead = look_at([live, gone, elsewhere])
    assert [proc.ref for proc in found] == [live]
    assert found[0].argv[-1] == SLEEP
    assert dead == [gone]


def test_as_json() -> None:
    ref = self_ref()
    assert proc_ref_from_json(proc_ref_json(ref)) == ref
    old = proc_ref_json(ref)
    del old["pid_ns"]
    assert proc_ref_from_json(old) == replace(ref, pid_ns=0)
    faults: list[tuple[str, Json]] = [
        ("pid", 0),
        ("pid", True),
        ("pid", 1 << 70),
        ("sid", "1"),
        ("host", None),
        ("start_ticks", 1.5),
    ]
    for key, value in faults:
        with pytest.raises(InputError, match=f"process reference needs .* '{key}'"):
            proc_ref_from_json({**proc_ref_json(ref), key: value})
    with pytest.raises(InputError, match="must be an object"):
        proc_ref_from_json([1])
