"""Progress: a bar where a person watches, plain lines where a file does, and data that is only ever text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.peers.terminal import Terminal
from tui.progress import PlainProgress, RichProgress, open_progress

HOSTILE = "\x1b]0;pwned\x07[bold]x[/foo]\x9b31m\u202e hf_abcdefghij0123456789"
SHOWN = "[bold]x[/foo]"

WATCHED = """
import sys
from tui.progress import open_progress
progress = open_progress()
progress.say("2026-05-25T02:43:02Z PASS mmsu 5/5 159 s")
progress.say({hostile!r})
progress.show(31, 75, {text!r})
print(type(progress).__name__, file=sys.stderr, flush=True)
progress.close()
progress.reopen()
progress.show(32, 75, "videomme run 1")
progress.say("again")
sys.stdin.readline()
progress.close()
"""


def watched(text: str = "mmsu_talker run 2, done about 15:42:00") -> list[str]:
    return [sys.executable, "-c", WATCHED.format(hostile=HOSTILE, text=text)]


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(every_s=0.0)
    progress.say("PASS mmsu 5/5")
    progress.show(31, 75, "mmsu_talker run 2")
    progress.say(HOSTILE)
    progress.close()
    progress.reopen()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "gatewatch: PASS mmsu 5/5",
        "gatewatch: 31/75 cells, mmsu_talker run 2",
        "gatewatch: ␛]0;pwned␇[bold]x[/foo]\\x9b31m\\u202e hf_‹redacted›",
    ]


def test_a_log_is_not_filled_with_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(every_s=3600.0)
    for _ in range(1000):
        progress.show(31, 75, "mmsu_talker run 2")
    assert capsys.readouterr() == ("", "")


def test_a_file_gets_plain_lines() -> None:
    assert isinstance(open_progress(), PlainProgress)  # stderr is captured, so it is no terminal


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    assert isinstance(open_progress(), PlainProgress)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_progress(), RichProgress)


@pytest.mark.parametrize("colour", [True, False], ids=["colour", "NO_COLOR"])
def test_a_person_gets_a_bar(colour: bool, house: Path) -> None:
    env = {**{name: value for name, value in os.environ.items() if name != "NO_COLOR"}, "COLUMNS": ""}
    with Terminal(watched(), house, env if colour else {**env, "NO_COLOR": "1"}) as screen:
        screen.until("again")
        screen.until("32/75 cells")
        screen.press(b"\n")
        assert screen.wait() == 0
    assert "RichProgress" in screen.text
    assert SHOWN in screen.text
    assert "31/75 cells" in screen.text
    assert "hf_‹redacted›" in screen.text
    for raw in (b"\x1b]", b"\x07", b"\xc2\x9b", "\u202e".encode(), b"hf_abc"):
        assert raw not in screen.output
    coloured = re.search(rb"\x1b\[[0-9;]*(3[0-8]|9[0-7])[0-9;]*m", screen.output)
    assert bool(coloured) is colour


@pytest.fixture
def pane(tmp_path: Path, house: Path) -> Iterator[list[str]]:
    """The words of a tmux of our own, with one pane of 80x24."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed, and what a terminal makes of the bytes is what is looked at here")
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull]
    command = [*watched("a unit with a very long name " * 8)]
    subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", *command], cwd=house, check=True)
    yield tmux
    subprocess.run([*tmux, "kill-server"], check=False)  # it may have ended with its pane


def test_it_looks_right_at_80_columns(pane: list[str]) -> None:
    def shown() -> list[str]:
        done = subprocess.run([*pane, "capture-pane", "-p"], check=True, capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if line]

    until(lambda: any("32/75 cells" in line for line in shown()) and "again" in shown(), "the bar")
    first, hostile, kind, again, bar = shown()
    assert first == "2026-05-25T02:43:02Z PASS mmsu 5/5 159 s"
    assert hostile == "␛]0;pwned␇[bold]x[/foo]\\x9b31m\\u202e hf_‹redacted›"
    assert (kind, again) == ("RichProgress", "again")  # the bar is redrawn in place, below what stays
    assert re.fullmatch(r"32/75 cells [━╸╺]{24} 0:00:0\d videomme run 1", bar.strip())
    subprocess.run([*pane, "send-keys", "Enter"], check=True)


def test_what_is_too_long_is_cut_and_does_not_wrap(house: Path) -> None:
    code = (
        "from tui.progress import RichProgress\np = RichProgress()\n"
        "p.show(1, 9, 'x' * 500)\np._bars.refresh()\nimport sys; sys.stdin.readline(); p.close()"
    )
    with Terminal([sys.executable, "-c", code], house, dict(os.environ)) as screen:
        screen.until("1/9 cells")
        screen.until("…")
        screen.press(b"\n")
        assert screen.wait() == 0
    bars = [line for line in re.split(r"[\r\n]+", screen.text) if "1/9 cells" in line]
    assert bars
    assert max(map(len, bars)) <= 80


def test_the_time_goes_on_where_it_was_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    progress = RichProgress()
    progress.show(1, 9, "x")
    (task,) = progress._bars.tasks
    began = task.start_time
    progress.close()
    progress.reopen()
    progress.close()
    (again,) = progress._bars.tasks
    assert began is not None
    assert again.start_time == began
    assert again.start_time <= time.monotonic()
