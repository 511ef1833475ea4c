from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hosts.host import GpuDevice, GpuProcess, MigDevice
from hosts.local import gpu_owners
from hosts.local.gpu_owners import with_owners
from hosts.local.procs import ref_of, started_at

pytestmark = pytest.mark.travels

MARKS = {"GATEWATCH_RUN": "run-7", "GATEWATCH_ATTEMPT": "01JTOKEN"}
STAY = "import sys; print('up', flush=True); sys.stdin.read()"
Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python and wait until it says its first line, which is its pid unless it says another one."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        return int(said) if said.isdigit() else process.pid

    yield run
    for process in started:
        process.communicate()  # its input ends, and so does whoever has inherited that


@pytest.fixture(autouse=True)
def _on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pids mean the same to the driver and to us."""
    monkeypatch.setattr(gpu_owners, "counts_like_the_driver", lambda: True)


def device(*processes: GpuProcess, ghost: int | None = None, mig: tuple[MigDevice, ...] = ()) -> GpuDevice:
    return GpuDevice(0, "H200", "GPU-0", 9, 99, 0, processes=processes, ghost=ghost, mig=mig)


def owned(pid: int, command: str | None = None) -> GpuProcess:
    (found,) = with_owners((device(GpuProcess(pid, 5, command=command)),))
    assert found.processes is not None
    return found.processes[0]


def test_what_proc_tells_of_a_process(start: Start) -> None:
    pid = start("-c", STAY, env=MARKS)
    ref = ref_of(pid)
    assert ref is not None
    found = owned(pid)
    assert (found.pid, found.memory, found.owner, found.sid) == (pid, 5, getpass.getuser(), pid)
    assert found.command is not None
    assert found.command.startswith(f"{sys.executable} -c")
    assert found.marks == ("GATEWATCH_RUN=run-7", "GATEWATCH_ATTEMPT=01JTOKEN")
    assert found.since is not None
    assert found.since == pytest.approx(started_at(ref) or 0.0, abs=1.01)
    assert found.since == pytest.approx(time.time(), abs=60.0)


def test_a_process_without_marks_has_none_and_not_unknown_ones(start: Start) -> None:
    found = owned(start("-c", STAY))
    assert found.marks == ()
    assert found.basetemp is None


def test_one_that_is_gone_keeps_what_the_tool_said() -> None:
    assert owned(4194000, "python serve.py") == GpuProcess(4194000, 5, command="python serve.py", gone=True)


def test_what_one_held_that_is_gone_belongs_to_nobody(start: Start) -> None:
    alive = start("-c", STAY)
    (found,) = with_owners((device(GpuProcess(4194000, 5), GpuProcess(alive, 7), ghost=2),))
    assert found.processes is not None
    assert ([one.gone for one in found.processes], found.ghost) == ([True, False], 7)


def test_a_mark_that_is_no_plain_word_is_none(start: Start) -> None:
    hostile = {"GATEWATCH_RUN": "a\x1b[2Jb", "GATEWATCH_ATTEMPT": "x" * 201, "GATEWATCH_RUNNER": "no"}
    assert owned(start("-c", STAY, env=hostile)).marks == ()


CHILD = "import subprocess, sys; subprocess.Popen({argv}, env={env}, start_new_session=True); sys.stdin.read()"
SAY = [sys.executable, "-c", "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"]


def test_a_child_that_lost_its_environment_is_found_by_its_ancestor(start: Start) -> None:
    pid = start("-c", CHILD.format(argv=SAY, env={}), env=MARKS)
    assert owned(pid).marks == ("GATEWATCH_RUN=run-7", "GATEWATCH_ATTEMPT=01JTOKEN")


def test_an_orphan_without_an_environment_is_found_by_the_leader_of_its_session(start: Start) -> None:
    # The process in between ends, and the session's leader lives on.
    between = f"import subprocess; subprocess.Popen({SAY!r}, env={{}})"
    leader = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {between!r}]); sys.stdin.read()"
    pid = start("-c", leader, env=MARKS)
    assert owned(pid).marks == ("GATEWATCH_RUN=run-7", "GATEWATCH_ATTEMPT=01JTOKEN")


def test_the_basetemp_of_the_pytest_that_it_descends_from(start: Start, tmp_path: Path) -> None:
    server = CHILD.format(argv=SAY, env=None)
    (tmp_path / "pytest.py").write_text(server)
    pid = start("-m", "pytest", "--basetemp=run/base", cwd=tmp_path)
    assert owned(pid).basetemp == str(tmp_path / "run" / "base")


def test_what_belongs_to_others_may_not_be_read(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    real = gpu_owners._read

    def closed(path: str, limit: int) -> bytes | None:
        return None if path.endswith("/environ") else real(path, limit)

    monkeypatch.setattr(gpu_owners, "_read", closed)
    assert owned(start("-c", STAY, env=MARKS)).marks is None


def test_an_ancestor_is_read_once(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    pids = [start("-c", STAY) for _ in range(3)]
    reads: list[str] = []
    real = gpu_owners._read

    def counting(path: str, limit: int) -> bytes | None:
        reads.append(path)
        return real(path, limit)

    monkeypatch.setattr(gpu_owners, "_read", counting)
    with_owners((device(*(GpuProcess(pid, 5) for pid in pids)), device(GpuProcess(pids[0], 5))))
    assert [reads.count(f"/proc/{pid}/environ") for pid in (*pids, os.getpid())] == [1, 1, 1, 1]


def test_in_a_container_an_empty_list_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = device(ghost=70_000)
    assert with_owners((empty,)) == (empty,)
    monkeypatch.setattr(gpu_owners, "counts_like_the_driver", lambda: False)
    (found,) = with_owners((empty,))
    assert (found.processes, found.ghost) == (None, None)
    (found,) = with_owners((device(GpuProcess(os.getpid(), 5), ghost=70_000),))
    assert (found.processes, found.ghost) == ((GpuProcess(os.getpid(), 5),), None), "this pid is another process there"


@pytest.mark.parametrize(("uid", "ghost"), [(0, 9), (1000, None)])
def test_only_root_is_shown_all_that_runs_on_mig(monkeypatch: pytest.MonkeyPatch, uid: int, ghost: int | None) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (found,) = with_owners((device(ghost=9, mig=(MigDevice(0, None, "1g.18gb"),)),))
    assert found.ghost == ghost


def test_the_marks_are_those_of_the_runner(house: Path) -> None:
    text = (house / "jobs/runner/places.py").read_text()
    assert all(f'"{name}"' in text for name in gpu_owners.MARK_NAMES)


@pytest.mark.parametrize(
    ("path", "is_device"),
    [
        ("/dev/nvidia0", True),
        ("/dev/nvidia15", True),
        ("/dev/nvidiactl", True),
        ("/dev/nvidia-uvm", True),
        ("/dev/nvidia-caps/nvidia-cap1", True),
        ("/dev/nvidia0.log", False),
        ("/home/x/dev/nvidia0", False),
    ],
)
def test_which_files_are_a_device(path: str, is_device: bool) -> None:
    assert bool(gpu_owners._HOLDER.match(path)) is is_device


@pytest.mark.skipif(
    os.geteuid() != 0 or os.path.exists("/dev/nvidiactl"), reason="needs root to make a device file, and no real one"
)
def test_a_holder_is_found() -> None:
    path = "/dev/nvidia255"
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))  # /dev/null under that name
    except OSError as error:
        pytest.skip(f"cannot make a device file here: {error}")
    try:
        with open(path, "rb"):
            assert gpu_owners._holds(str(os.getpid()))
        assert not gpu_owners._holds(str(os.getpid()))
    finally:
        os.unlink(path)
