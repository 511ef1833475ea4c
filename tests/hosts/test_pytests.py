from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts.host import PytestSeen
from hosts.local.procs import ref_of
from hosts.local.pytests import basetemp, is_pytest, running_pytests

pytestmark = pytest.mark.travels

FORK = """
import os, pathlib, time

def test_it():
    if os.fork() == 0:
        pathlib.Path("forked").touch()
    time.sleep(60)
"""
Launch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    (tmp_path / "test_it.py").write_text(FORK)
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, output: Path | None = None) -> subprocess.Popen[bytes]:
        with Path(output or os.devnull).open("wb") as stream:
            process = subprocess.Popen(
                words, cwd=tmp_path, stdout=stream, stderr=subprocess.DEVNULL, start_new_session=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        os.killpg(process.pid, 9)
        process.wait()


def _below(folder: Path) -> list[PytestSeen]:
    return [seen for seen in running_pytests() if seen.cwd == str(folder)]


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_pytest_and_not_the_shell_that_supervises_it(tmp_path: Path, launch: Launch) -> None:
    log = tmp_path / "run1.log"
    words = (
        f"exec 2>&1; {sys.executable} -m pytest test_it.py -v -s --basetemp=runs/r/_pytest/t/basetemp_run1; echo end"
    )
    before = time.time()
    shell = launch("bash", "-c", words, output=log)
    _until((tmp_path / "forked").exists)
    (seen,) = _below(tmp_path)
    assert seen.ref.pid != shell.pid
    assert seen.ref == ref_of(seen.ref.pid)
    assert seen.basetemp == str(tmp_path / "runs/r/_pytest/t/basetemp_run1")
    assert seen.output == str(log)
    assert seen.since is not None
    assert abs(seen.since - before) < 5


def test_a_pytest_started_by_its_script(tmp_path: Path, launch: Launch) -> None:
    script = tmp_path / "pytest"
    script.write_text(f"#!{sys.executable}\nimport sys, pytest\nsys.exit(pytest.main())\n")
    script.chmod(0o755)
    process = launch(str(script), "test_it.py")
    _until(lambda: [seen.ref.pid for seen in _below(tmp_path)] == [process.pid])
    (seen,) = _below(tmp_path)
    assert (seen.basetemp, seen.output) == (None, None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("python -m pytest x", True),
        ("/v/bin/python3.12 -X dev -W error -u -m pytest", True),
        ("python -mpytest", True),
        ("python /v/bin/pytest x", True),
        ("python3 -I -B /v/bin/py.test", True),
        ("bash -c python -m pytest", False),
        ("timeout 9 python -m pytest", False),
        ("python -c import_pytest -m pytest", False),
        ("python run.py -m pytest", False),
        ("python -m pytest_runner", False),
        ("python -m", False),
        ("python", False),
        ("vim pytest", False),
        ("", False),
    ],
)
def test_what_is_a_pytest(words: str, expected: bool) -> None:
    assert is_pytest(tuple(words.split())) is expected


@pytest.mark.parametrize(
    ("words", "cwd", "expected"),
    [
        ("p --basetemp=a/b", "/w", "/w/a/b"),
        ("p --basetemp a/../b", "/w", "/w/b"),
        ("p --basetemp=/a", "/w", "/a"),
        ("p --basetemp=a --basetemp=b", "/w", "/w/b"),
        ("p --basetemp=a/b", None, "a/b"),
        ("p --basetemp", "/w", None),
        ("p --basetemp=", "/w", None),
        ("p", "/w", None),
    ],
)
def test_the_basetemp_is_that_of_its_own_folder(words: str, cwd: str | None, expected: str | None) -> None:
    assert basetemp(tuple(words.split()), cwd) == expected
