"""`gatewatch tail --plain` into a file that it could read: it never reads what it printed itself."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from monitors.logs.choosing import STAY_S
from tests.peers.quick import until

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(house: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `gatewatch tail --plain`, whose output is added to a file of the test's folder."""
    with ExitStack() as ends:

        def tail(*words: str, out: str, err: str = "said", stdin: str | None = None) -> subprocess.Popen[bytes]:
            argv = [sys.executable, str(house / "gatewatch.py"), "tail", "--plain", *words]
            with (tmp_path / out).open("ab") as printed, (tmp_path / err).open("ab") as said, ExitStack() as files:
                taken = files.enter_context((tmp_path / stdin).open("rb")) if stdin else subprocess.DEVNULL
                made = subprocess.Popen(argv, cwd=tmp_path, stdin=taken, stdout=printed, stderr=said)
            ends.callback(made.wait, 30)
            ends.callback(made.kill)
            return made

        yield tail


@pytest.mark.parametrize("target", [".", "*.log"])
@pytest.mark.parametrize("err", ["said", "said.log"])
def test_its_own_output_is_no_log_of_the_folder(start: Start, tmp_path: Path, target: str, err: str) -> None:
    log, out = tmp_path / "a.log", tmp_path / "out.log"
    log.write_text("one\n")
    start("-f", target, out="out.log", err=err)
    until(lambda: out.read_text() == "one\n", "the first line")
    written = 0
    end = time.monotonic() + STAY_S + 1  # by then a newer log would have taken over
    while time.monotonic() < end:
        written += 1
        with log.open("a") as file:
            file.write(f"{written}\n")
        time.sleep(0.1)
    wanted = "".join(("one\n", *(f"{number}\n" for number in range(1, written + 1))))
    until(lambda: len(out.read_text()) >= len(wanted), "all of it")
    assert out.read_text() == wanted


def test_its_own_output_hides_no_file_of_another_name(start: Start, tmp_path: Path) -> None:
    (tmp_path / "output").write_text("one\ntwo\n")
    assert start(".", out="out.log").wait(30) == 0
    assert (tmp_path / "out.log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("words", "stdin"), [(("a.log",), None), (("link.log",), None), (("-",), "a.log"), (("/dev/stdin",), "a.log")]
)
def test_what_prints_into_the_log_it_follows_is_refused(
    start: Start, tmp_path: Path, words: tuple[str, ...], stdin: str | None
) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    (tmp_path / "link.log").symlink_to(log)
    assert start("-f", *words, out="a.log", stdin=stdin).wait(30) == 2
    assert log.read_text() == "one\n"
    said = (tmp_path / "said").read_text()
    assert (
        said == f"gatewatch: error: {words[0]} is standard output too, and would be read as it is printed, for ever\n"
    )


def test_what_ends_is_printed_into_its_own_log(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    assert start("-n", "all", "a.log", out="a.log").wait(30) == 0
    assert log.read_text() == "one\ntwo\n" * 2
