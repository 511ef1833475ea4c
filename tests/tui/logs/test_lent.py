"""While another program has the terminal: it alone writes and gets the keys, and the log is followed beneath."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.peers.terminal import CTRL_C
from tests.tui.logs.terminals import Screen, clean_afterwards, started


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "engine.log"
    path.write_bytes(b"".join(b"2026-05-25 02:43:01,000 INFO line %04d\n" % number for number in range(300)))
    return path


class Program:
    """A pager that tells its arguments and its signals, and stays until it is let go."""

    def __init__(self, folder: Path, name: str = "bat") -> None:
        self.path = folder / name
        self._folder = folder
        self.path.write_text(
            f"#!/bin/sh\ncd {folder}\ntrap '' HUP\n"  # which comes when the session's leader is gone
            "trap 'echo INT >> signals' INT\ntrap 'echo TERM >> signals; exit 0' TERM\n"
            'printf "%s\\n" "$@" > arguments.part\necho program is here\nmv arguments.part arguments\n'
            "while [ ! -e done ]; do sleep 0.05; done\n"
        )
        self.path.chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return (self._folder / "arguments").read_text().splitlines()

    @property
    def signals(self) -> list[str]:
        told = self._folder / "signals"
        return told.read_text().split() if told.exists() else []

    def has_the_terminal(self, screen: Screen) -> None:
        screen.until("program is here")
        until((self._folder / "arguments").exists, "the program")

    def let_go(self) -> None:
        (self._folder / "done").touch()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    folder = tmp_path / "program"
    folder.mkdir()
    made = Program(folder)
    yield made
    made.let_go()


def inodes(pid: int) -> set[int]:
    """Of all files that a process has open."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.add(os.stat(f"/proc/{pid}/fd/{name}").st_ino)
        except FileNotFoundError:
            continue
    return found


def test_the_log_is_followed_beneath(house: Path, log: Path, program: Program) -> None:
    with started(house, log, env={"PAGER": str(program.path)}) as screen:
        screen.until("300 lines")
        screen.press(b"v")
        program.has_the_terminal(screen)
        assert program.arguments == ["--wrap=never", "--highlight-line=300", "--pager=less -R +300g", log.name]
        painted = len(screen.output)
        with log.open("ab") as file:
            file.write(b"the last of it\n")
        log.rename(log.with_name("engine.log.1"))
        log.write_bytes(b"the first of another\n")
        until(lambda: log.stat().st_ino in inodes(screen.process.pid), "the file that took the place")
        assert screen.output[painted:] == b""
        program.let_go()
        until(lambda: "the first of another" in screen.text[painted:], "what came meanwhile")
        assert "the last of it" in screen.text
        assert "line 0299" in screen.text[painted:]
        screen.press_and_see(b"?", "keys: log")
        screen.press(b"qq")
        assert screen.wait() == 0
        clean_afterwards(screen)


def rotated(screen: Screen, log: Path) -> None:
    """Another file takes the log's place, and one is at the last line of the one before."""
    log.rename(log.with_name("engine.log.1"))
    log.write_bytes(b"the first of another\n")
    screen.until("the first of another")
    screen.press_and_see(b"k", "paused")


def test_a_rotated_file_is_opened_by_the_name_that_it_has(house: Path, log: Path, program: Program) -> None:
    with started(house, log, env={"PAGER": str(program.path)}) as screen:
        screen.until("300 lines")
        rotated(screen, log)
        screen.press(b"v")
        program.has_the_terminal(screen)
        past = str(log.with_name("engine.log.1"))
        assert program.arguments == ["--wrap=never", "--highlight-line=280", "--pager=less -R +280g", past]
        before = len(screen.text)
        program.let_go()
        until(lambda: "301 lines" in screen.text[before:], "the log")
        screen.press(b"q")
        assert screen.wait() == 0


def test_a_rotated_file_that_has_no_name_is_told(house: Path, log: Path, program: Program) -> None:
    with started(house, log, env={"PAGER": str(program.path)}) as screen:
        screen.until("300 lines")
        rotated(screen, log)
        log.with_name("engine.log.1").unlink()
        screen.press_and_see(b"v", "the file that this line is in was rotated away")
        screen.press(b"q")
        assert screen.wait() == 0


@pytest.mark.parametrize("key", [CTRL_C, b"\x1c"], ids=["ctrl-c", "ctrl-backslash"])
def test_a_key_that_is_a_signal_is_the_programs_alone(key: bytes, house: Path, log: Path, program: Program) -> None:
    if key != CTRL_C:
        text = program.path.read_text()
        program.path.write_text(text.replace("' INT\n", "' QUIT\n"))
    with started(house, log, env={"PAGER": str(program.path)}) as screen:
        screen.until("300 lines")
        screen.press(b"v")
        program.has_the_terminal(screen)
        screen.press(key)
        until(lambda: program.signals == ["INT"], "the signal")
        before = len(screen.text)
        program.let_go()
        until(lambda: "300 lines" in screen.text[before:], "the log")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)


def test_keys_that_are_typed_ahead_wait_for_the_programs_end(house: Path, log: Path, program: Program) -> None:
    with started(house, log, env={"PAGER": str(program.path)}) as screen:
        screen.until("300 lines")
        screen.press(b"v?")
        program.has_the_terminal(screen)
        before = len(screen.text)
        program.let_go()
        until(lambda: "keys: log" in screen.text[before:], "the help")
        screen.press(b"qq")
        assert screen.wait() == 0
        clean_afterwards(screen)


def test_a_signal_ends_both_and_the_terminal_is_clean(house: Path, log: Path, program: Program) -> None:
    with started(house, log, env={"PAGER": str(program.path)}) as screen:
        screen.until("300 lines")
        screen.press(b"v")
        program.has_the_terminal(screen)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.wait() == -signal.SIGTERM
        clean_afterwards(screen)
        until(lambda: program.signals == ["TERM"], "the program's end")


def test_a_file_that_is_written_on_under_another_name_is_opened_by_that(
    house: Path, log: Path, program: Program
) -> None:
    with started(house, log, env={"PAGER": str(program.path)}) as screen, log.open("ab") as writer:
        screen.until("300 lines")
        past = log.rename(log.with_name("engine.log.1"))
        log.touch()
        screen.until("moved away")
        writer.write(b"written late\n")
        writer.flush()
        screen.until("written late")
        screen.press(b"v")
        program.has_the_terminal(screen)
        assert program.arguments == ["--wrap=never", "--highlight-line=301", "--pager=less -R +301g", str(past)]
        program.let_go()
        screen.press(b"q")
        assert screen.wait() == 0
