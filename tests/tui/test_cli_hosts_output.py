"""`gatewatch hosts exec` where its output cannot be written: the command ran, and its exit code never denies that."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts.local.procs import session_groups
from tests.peers.quick import until
from tui.exits import ExitCode

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")

Start = Callable[..., subprocess.Popen[bytes]]

FULL = "cannot write to standard output: No space left on device"


@pytest.fixture
def start(house: Path, tmp_path: Path) -> Iterator[Start]:
    for folder in ("hosts", "models"):
        (tmp_path / folder).mkdir()
    for name in ("one", "two"):
        (tmp_path / "hosts" / f"{name}.yaml").write_text("launcher: local\n")
    begun: list[subprocess.Popen[bytes]] = []

    def call(*words: str, out: int = subprocess.PIPE, err: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        argv = [sys.executable, str(house / "gatewatch.py"), "hosts", "exec", "--root", str(tmp_path), *words]
        begun.append(subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out, stderr=err))
        return begun[-1]

    yield call
    for process in begun:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def script(folder: Path, rest: str) -> list[str]:
    """A command that leaves a file for each host that it ran on."""
    return ["--", "sh", "-c", f"touch {folder}/ran.$$; {rest}"]


@pytest.mark.parametrize(
    ("words", "rest", "told"),
    [
        (["one"], "echo x", [f"one: {FULL}, so it was ended"]),
        (["one", "--json"], "echo x", [FULL]),
        (["one", "two"], "echo x", [f"one: {FULL}, so it was ended", f"two: {FULL}, so it was ended"]),
        (["one", "two"], "printf x", [f"one: {FULL}", f"two: {FULL}"]),
        (["one", "two", "--json"], "echo x", [FULL]),
    ],
    ids=["one", "one-json", "two", "two-without-an-end", "two-json"],
)
def test_a_command_whose_output_a_full_disk_lost_is_not_told_as_one_that_did_not_run(
    words: list[str], rest: str, told: list[str], start: Start, full: int, tmp_path: Path
) -> None:
    process = start(*words, *script(tmp_path, rest), out=full)
    _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.UNKNOWN
    assert err.decode().splitlines() == [f"gatewatch: error: {line}" for line in told]
    assert len(list(tmp_path.glob("ran.*"))) == len([word for word in words if word != "--json"])


@pytest.mark.parametrize(("rest", "code"), [("echo x >&2", ExitCode.UNKNOWN), ("exit 7", ExitCode.SAYS_NO)])
def test_nor_one_whose_errors_nobody_keeps(rest: str, code: ExitCode, start: Start, full: int, tmp_path: Path) -> None:
    process = start("one", *script(tmp_path, rest), err=full)
    assert process.wait(60) == code
    assert len(list(tmp_path.glob("ran.*"))) == 1


def test_nor_one_that_is_interrupted_then(start: Start, full: int, tmp_path: Path) -> None:
    process = start("one", *script(tmp_path, "exec sleep 1000"), err=full)
    until(lambda: list(tmp_path.glob("ran.*")), "its file")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == ExitCode.INTERRUPTED


def test_nor_one_whose_input_breaks_off(start: Start, tmp_path: Path) -> None:
    process = start("one", "two", "--stdin", "/proc/self/mem", *script(tmp_path, "cat"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.UNKNOWN
    said = "--stdin /proc/self/mem: Input/output error, so it was ended"
    assert err.decode().splitlines() == [f"gatewatch: error: {name}: {said}" for name in ("one", "two")]


def test_a_reader_that_goes_away_ends_it_on_all_hosts(start: Start, tmp_path: Path) -> None:
    first = f"echo $$ >{tmp_path}/pid; echo $$; until [ -e {tmp_path}/go ]; do sleep 0.05; done; exec yes"
    behind = f"until [ -s {tmp_path}/pid ]; do :; done; while kill -0 $(cat {tmp_path}/pid); do sleep 0.05; done"
    script = f"if mkdir {tmp_path}/first; then {first}; else echo $$; {behind}; exec yes; fi 2>/dev/null"
    process = start("one", "two", "--timeout", "40", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stderr is not None
    pids = [int(process.stdout.readline().split()[1]) for _ in range(2)]
    process.stdout.close()
    (tmp_path / "go").touch()
    said = process.stderr.read().decode().splitlines()
    gone = "nobody reads what it writes, so it was ended"
    assert said == [f"gatewatch: error: {name}: {gone}" for name in ("one", "two")]
    assert process.wait(60) == ExitCode.UNKNOWN
    assert [session_groups(pid) for pid in pids] == [[], []]


@pytest.mark.parametrize("err", [subprocess.PIPE, subprocess.STDOUT])
@pytest.mark.parametrize("hosts", [("one",), ("one", "two")])
def test_an_interrupt_does_not_wait_for_a_reader_that_stands_still(
    hosts: tuple[str, ...], err: int, start: Start, tmp_path: Path
) -> None:
    more = "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; printf zz; done"
    reads, writes = os.pipe()
    try:
        running = start(*hosts, *script(tmp_path, more), out=writes, err=err)
        until(lambda: len(list(tmp_path.glob("ran.*"))) == len(hosts), "the commands")
        until(lambda: not select.select([], [writes], [], 0.5)[1], "a pipe that stays full")
        running.send_signal(signal.SIGINT)
        until(lambda: running.poll() is not None, "the end of it")
    finally:
        os.close(reads)
        os.close(writes)
    assert running.returncode == ExitCode.INTERRUPTED
