from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError
from hosts.local import strictjson
from hosts.local.leases import is_held, try_lease
from hosts.local.procs import is_alive, marked, proc_ref_from_json
from jobs.runner.shim import ShimSpec, exec_command, spec_json

pytestmark = pytest.mark.travels

ROOT = Path(__file__).resolve().parents[3]
MARK = "GATEWATCH_TEST_ATTEMPT"
PATIENCE_S = 30.0
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from jobs.runner.main import main; sys.exit(main(sys.argv[1:]))"


def until(true: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.01)
    return found


def spec(folder: Path, *argv: str, keep: tuple[int, ...] = ()) -> ShimSpec:
    return ShimSpec(
        token=f"token-{folder.name}-{os.getpid()}",
        mark=MARK,
        argv=argv,
        cwd=str(folder),
        log=str(folder / "run1.log"),
        started=str(folder / "run1.started.json"),
        rc=str(folder / "run1.rc"),
        cpus=(),
        keep_fds=keep,
    )


def begin(wanted: ShimSpec, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", RUN, str(ROOT), "exec"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
        pass_fds=wanted.keep_fds,
    )
    assert process.stdin is not None
    process.stdin.write(spec_json(wanted))
    process.stdin.close()
    process.stdin = None
    return process


def ended(process: subprocess.Popen[bytes]) -> bytes:
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return said or b""


def read(path: str) -> dict[str, Any]:
    body = strictjson.loads(Path(path).read_bytes())
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(("code", "rc"), [("exit 0", 0), ("exit 1", 1), ("exit 137", 137), ("kill -9 $$", -9)])
def test_how_it_ended_is_written_down(tmp_path: Path, code: str, rc: int) -> None:
    wanted = spec(tmp_path, "sh", "-c", f"echo out; echo err >&2; {code}")
    assert ended(begin(wanted)) == b""
    report = read(wanted.rc)
    assert (report["token"], report["rc"]) == (wanted.token, rc)
    assert report["duration_s"] >= 0
    assert report["started_at"] <= report["ended_at"]
    assert Path(wanted.log).read_bytes() == b"out\nerr\n"


def test_the_log_is_appended(tmp_path: Path) -> None:
    wanted = spec(tmp_path, "echo", "second")
    Path(wanted.log).write_bytes(b"first\n")
    ended(begin(wanted))
    assert Path(wanted.log).read_bytes() == b"first\nsecond\n"


def test_the_token_session_and_input_of_the_command(tmp_path: Path) -> None:
    wanted = spec(
        tmp_path,
        sys.executable,
        "-c",
        f"import os; print(os.environ[{MARK!r}], os.getsid(0) == os.getpid(), os.read(0, 1) == b'', os.getcwd())",
    )
    ended(begin(wanted))
    assert Path(wanted.log).read_text().split() == [wanted.token, "True", "True", str(tmp_path)]


def test_signals_are_for_pytest_and_it_gets_them_as_usual(tmp_path: Path) -> None:
    wanted = spec(tmp_path, "sleep", "600")
    shim = begin(wanted)
    started = until(lambda: Path(wanted.started).exists() and read(wanted.started), "the shim says that it runs")
    pytest_ref = proc_ref_from_json(started["pytest"])
    assert proc_ref_from_json(started["shim"]).pid == shim.pid
    assert is_alive(pytest_ref) is True
    assert [seen.ref for seen in marked([f"{MARK}={wanted.token}"])] == [pytest_ref]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(shim.pid, number)
    os.kill(pytest_ref.pid, signal.SIGTERM)  # would be ignored, had the shim ignored it
    ended(shim)
    assert read(wanted.rc)["rc"] == -signal.SIGTERM


def test_the_locks_fall_with_the_last_of_all(tmp_path: Path) -> None:
    """Shim killed, pytest killed, and a server that pytest started still holds the mark of life."""
    lease = try_lease(tmp_path / "run1.alive", {})
    assert lease is not None
    wanted = spec(tmp_path, "sh", "-c", "sleep 600 & exec sleep 601", keep=(lease.fd,))
    shim = begin(wanted)
    lease.close()
    until(lambda: Path(wanted.started).exists(), "the shim says that it runs")
    until(lambda: len(marked([f"{MARK}={wanted.token}"])) == 2, "pytest and its child")
    first, second = sorted(marked([f"{MARK}={wanted.token}"]), key=lambda seen: seen.argv[-1] != "601")
    for pid in (shim.pid, first.ref.pid, second.ref.pid):
        assert is_held(tmp_path / "run1.alive") is True
        os.kill(pid, signal.SIGKILL)
        if pid == shim.pid:
            shim.communicate()
    until(lambda: not is_held(tmp_path / "run1.alive"), "the last one is gone")
    assert not Path(wanted.rc).exists(), "nobody was left to write it"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"argv": ("/no/such/python", "-m", "pytest")}, "cannot start /no/such/python: No such file or directory"),
        ({"argv": ("/",)}, "cannot start /: Permission denied"),
        ({"cwd": "/no/such/folder"}, "cannot start sleep: No such file or directory"),
        ({"cpus": (4095,)}, "cannot start sleep: Invalid argument"),
        ({"log": "/no/such/folder/run1.log"}, "cannot start sleep: No such file or directory"),
    ],
)
def test_what_cannot_be_started_is_reported_as_an_end(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    """Without a report the runner would take it for a lost one, and start it again for ever."""
    wanted = replace(spec(tmp_path, "sleep", "600"), **change)
    said = ended(begin(wanted)).decode()
    assert said == f"gatewatch: {why}\n"
    assert (read(wanted.rc)["rc"], read(wanted.rc)["token"]) == (127, wanted.token)
    if "log" not in change:
        assert Path(wanted.log).read_text() == said


def test_a_full_disk_is_waited_for_and_kills_nobody(tmp_path: Path) -> None:
    """Neither report can be written at first, and what the shim says of it meets a full disk too."""
    gone = tmp_path / "later"
    wanted = spec(tmp_path, "sh", "-c", "echo done")
    wanted = replace(wanted, started=str(gone / "started.json"), rc=str(gone / "run1.rc"))
    with open("/dev/full", "wb") as full:
        shim = begin(wanted, full.fileno())
        until(lambda: Path(wanted.log).exists() and Path(wanted.log).read_bytes() == b"done\n", "it ran")
        until(lambda: not marked([f"{MARK}={wanted.token}"]), "it ended")
        assert shim.poll() is None
        gone.mkdir()
        ended(shim)
    assert read(wanted.rc)["rc"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": 1}',
        spec_json(spec(Path("/"), "x")).replace(b'"keep_fds":[]', b'"keep_fds":["a"]'),
    ],
)
def test_a_specification_that_is_none(body: bytes) -> None:
    with pytest.raises(InputError, match="shim"):
        exec_command(body)
