"""What is taken out of a log in a real terminal: other programs at the line, a file, the clipboard, the mouse."""

from __future__ import annotations

import base64
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.tui.logs.terminals import Screen, clean_afterwards, started

COPIED = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "engine.log"
    path.write_bytes(b"".join(b"2026-05-25 02:43:01,000 INFO line %04d\n" % number for number in range(300)))
    return path


def script(folder: Path, *lines: str) -> Path:
    """A program that tells its arguments."""
    path = folder / "program"
    path.write_text("\n".join(("#!/bin/sh", 'printf "%s\\n" "$@" > arguments', *lines, "")))
    path.chmod(0o755)
    return path


def at_line(screen: Screen, number: int) -> None:
    """Go to a line, counted from 1."""
    screen.press_and_see(f"@{number}\r".encode(), f"line {number - 1:04}")
    screen.until("paused since")


def copied(screen: Screen) -> list[str]:
    """All that was handed to the terminal's clipboard."""
    return [base64.b64decode(text).decode() for text in COPIED.findall(screen.output)]


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
def test_the_pager_is_at_the_line_and_gives_the_terminal_back(house: Path, log: Path) -> None:
    with started(house, log, env={"PAGER": "less"}) as screen:
        screen.until("300 lines")
        at_line(screen, 100)
        before = len(screen.text)
        screen.press(b"v")
        until(lambda: "\x1b[?1049l" in screen.output.decode() and "line 0099" in screen.text[before:], "less")
        until(lambda: screen.text[before:].rstrip().endswith((":", "engine.log")), "what less asks")
        shown = screen.text[before:]
        assert "line 0098" not in shown
        assert "line 0110" in shown
        screen.press_and_see(b"q", "300 lines")
        screen.press_and_see(b"?", "keys: log")
        screen.press(b"qq")
        assert screen.wait() == 0
        clean_afterwards(screen)


def test_the_editor_gets_the_line_and_a_failure_is_told(house: Path, log: Path) -> None:
    far = log.parent / ("far" * 30)  # a path that no row has room for
    far.mkdir()
    nano = script(log.parent, "exit 3").rename(far / "nano")
    with started(house, log, env={"EDITOR": f"{nano} -x"}) as screen:
        screen.until("300 lines")
        at_line(screen, 100)
        screen.press_and_see(b"o", "nano ended with 3")
        assert (log.parent / "arguments").read_text().splitlines() == ["-x", "+100", str(log.name)]
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)


@pytest.mark.parametrize("editor", ["/no/such/editor", "'", ""], ids=["absent", "no command", "empty"])
def test_an_editor_that_cannot_be_started_is_told(editor: str, house: Path, log: Path) -> None:
    env = {"EDITOR": editor, "PATH": str(log.parent)} if not editor else {"EDITOR": editor}
    with started(house, log, env=env) as screen:
        screen.until("300 lines")
        told = {"": "vi: No such file", "'": "No closing quotation"}.get(editor, "editor: No such file")
        screen.press_and_see(b"o", told)
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)


def test_what_the_filter_shows_is_saved_and_nothing_is_overwritten(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.press_and_see(b"&line 01\r", "100 shown")
        screen.press_and_see(b"Ssaved.txt\r", "100 lines")
        screen.until("written to saved.txt")
        assert (log.parent / "saved.txt").read_bytes() == b"".join(log.read_bytes().splitlines(keepends=True)[100:200])
        screen.press_and_see(b"Sengine.log\r", "engine.log: File exists")
        assert len(log.read_bytes().splitlines()) == 300
        screen.press_and_see(b"Snone/x\r", "none/x: No such file")
        assert sorted(path.name for path in log.parent.iterdir()) == ["engine.log", "saved.txt"]


@pytest.mark.parametrize("tmux", ["", "/tmp/tmux,1,0"], ids=["bare", "tmux"])
def test_lines_are_copied_through_the_terminal(tmux: str, house: Path, log: Path) -> None:
    with started(house, log, env={"TMUX": tmux} if tmux else {}) as screen:
        screen.until("300 lines")
        at_line(screen, 100)
        screen.press_and_see(b"V\x1b[1;2B\x1b[1;2Ay", "1 line sent to the terminal")
        lines = log.read_text().splitlines(keepends=True)
        assert copied(screen)[0] == lines[99]
        wrapped = b"\x1bPtmux;\x1b\x1b]52;c;" in screen.output
        assert wrapped is bool(tmux)


@pytest.mark.parametrize(
    "tmux",
    [None, "sleep 0.5; case $1 in load-buffer) cat > given;; esac", "sleep 600"],
    ids=["bare", "a slow tmux", "a tmux without an answer"],
)
def test_what_is_copied_goes_out_though_one_leaves_right_behind_it(
    tmux: str | None, house: Path, log: Path, tmp_path: Path
) -> None:
    env = {}
    if tmux is not None:
        folder = tmp_path / "bin"
        folder.mkdir()
        script(folder, f'cd "{folder}"', tmux).rename(folder / "tmux")
        env = {"TMUX": "/tmp/tmux,1,0", "PATH": f"{folder}:{os.environ['PATH']}"}
    with started(house, log, env=env) as screen:
        screen.until("300 lines")
        began = time.monotonic()
        screen.press(b"yq")
        assert screen.wait() == 0
        assert time.monotonic() - began < 10, "a tmux is given up"
        line = log.read_text().splitlines(keepends=True)[-1]
        assert set(copied(screen)) == {line}
        if tmux is not None and "given" in tmux:
            assert (folder / "given").read_text() == line
        clean_afterwards(screen)


def test_the_mouse_selects_scrolls_and_clicks(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.press_and_see(b"\x1b[<64;10;5M", "paused")  # the wheel, upwards
        # Row 2 of the log is line 0278 - 3; text begins in the second column
        screen.press(b"\x1b[<0;2;2M\x1b[<32;6;2M\x1b[<32;12;3M\x1b[<0;12;3m")
        screen.press_and_see(b"y", "2 lines sent to the terminal")
        lines = log.read_text().splitlines()
        begun = next(number for number, line in enumerate(lines) if copied(screen)[0].startswith(line))
        assert copied(screen)[0] == lines[begun] + "\n" + lines[begun + 1][:10]
        screen.press_and_see(b"\x1b[<0;20;5M\x1b[<0;20;5m\x1b[<0;20;5M\x1b[<0;20;5m", "the whole line: ")


def test_the_palette_does_what_its_name_says(house: Path, log: Path) -> None:
    with started(house, log) as screen:
        screen.until("300 lines")
        screen.press_and_see(b":", "Search for commands")
        screen.press_and_see(b"log: numbers", "line numbers, or none")
        screen.press(b"\r")
        screen.until("300 2026-05-25")


def test_a_long_copy_goes_to_a_file(house: Path, log: Path) -> None:
    log.write_bytes(b"x" * 80_000 + b"\n")
    with started(house, log, env={"XDG_STATE_HOME": str(log.parent / "state")}) as screen:
        screen.until("1 line,")
        screen.press_and_see(b"y", "too long for a")
        (path,) = (log.parent / "state").rglob("copied-*.txt")
        assert path.read_bytes() == log.read_bytes()
        assert path.stat().st_mode & 0o77 == 0
