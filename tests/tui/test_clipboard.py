"""Copied text gets where it is said to be: into tmux, to the terminal, and never into an argument of a program."""

from __future__ import annotations

import base64
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
from tests.tui.desks import Desk
from tui import clipboard, shims
from tui.app import GatewatchApp
from tui.textfield import TextField

COPIED = re.compile(rb"\x1b\]52;c?;([A-Za-z0-9+/=]*)(?:\x07|\x1b\\)")
WRAPPED = "\x1bPtmux;\x1b\x1b]52;c;"
LINE = "2026-05-25 02:43:01,000 INFO line 0002\n"


@pytest.fixture
def tmux(tmp_path: Path, house: Path) -> Iterator[list[str]]:
    """The words of a tmux of our own, with a log in its one pane."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed, and what it makes of a copied text is what is looked at here")
    (tmp_path / "engine.log").write_text("".join(LINE.replace("0002", f"{number:04}") for number in range(3)))
    words = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull]
    command = [sys.executable, str(house / "gatewatch.py"), "tail", "engine.log"]
    subprocess.run([*words, "new-session", "-d", "-x", "100", "-y", "29", *command], cwd=tmp_path, check=True)
    yield words
    subprocess.run([*words, "kill-server"], check=False)  # it may have ended with its pane


def asked(tmux: list[str], *words: str) -> str:
    return subprocess.run([*tmux, *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("clips", "passes", "outside"),
    [("on", "off", True), ("external", "on", True), ("external", "off", True), ("off", "off", False)],
)
def test_a_real_tmux_has_what_is_said_to_be_copied(
    clips: str, passes: str, outside: bool, tmux: list[str], tmp_path: Path
) -> None:
    asked(tmux, "set-option", "-g", "set-clipboard", clips)
    asked(tmux, "set-option", "-gwq", "allow-passthrough", passes)
    with Terminal([shutil.which("tmux") or "", *tmux[1:], "attach"], tmp_path, dict(os.environ), (30, 100)) as screen:
        until(lambda: "line 0002" in asked(tmux, "capture-pane", "-p"), "the log")
        until(lambda: asked(tmux, "list-clients"), "the client")
        screen.press(b"y")
        until(lambda: "1 line in tmux's buffer: prefix ] pastes it" in asked(tmux, "capture-pane", "-p"), "the word")
        assert asked(tmux, "show-buffer") == LINE
        assert len(asked(tmux, "list-buffers").splitlines()) == 1
        if outside:
            until(lambda: COPIED.search(screen.output), "the clipboard outside")
        asked(tmux, "detach-client")
        assert screen.wait() == 0
        came = {base64.b64decode(text).decode() for text in COPIED.findall(screen.output)}
        assert came == ({LINE} if outside else set())


def fake(folder: Path, *lines: str) -> dict[str, str]:
    """The environment of a tmux that does as it is told, and writes down what it was asked and given."""
    path = folder / "tmux"
    path.write_text("\n".join(("#!/bin/sh", f'cd "{folder}"; echo "$*" >> asked', *lines, "")))
    path.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "TMUX": "/tmp/tmux,1,0", "XDG_STATE_HOME": str(folder)}


TAKES = "case $1 in load-buffer) cat > given;; esac"
PANE = "/dev/pts/90"
ITS_PANES = f"case $1 in show-options) echo external; echo /dev/pts/9; echo {PANE};; esac"


async def taken(text: str, env: dict[str, str]) -> clipboard.Copied:
    """What became of a line that is copied in a terminal whose name is `PANE`."""
    found = shutil.which("tmux", path=env["PATH"])
    return await clipboard.copy(text, "1 line", env, find=lambda _: found, terminal=lambda: PANE)


async def test_tmux_is_given_the_text_and_no_argument_holds_it(tmp_path: Path) -> None:
    env = fake(tmp_path, ITS_PANES, TAKES)
    done = await taken("tëxt\n", env)
    assert done.told.startswith("1 line in tmux's buffer: prefix ] pastes it")
    assert done.sequence.startswith(WRAPPED)  # a bare one would make a second buffer
    assert (tmp_path / "given").read_text() == "tëxt\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["show-options -sv set-clipboard ; list-panes -a -F #{pane_tty}", "load-buffer -w -"]


@pytest.mark.parametrize(
    "refuses",
    [
        f"{ITS_PANES}; case $* in *-w*) exit 1;; esac",
        f"{ITS_PANES.replace('external', 'off')}; case $* in *-w*) exit 1;; esac",
    ],
    ids=["before 3.2", "set-clipboard off"],
)
async def test_a_tmux_that_does_not_hand_it_on_has_it(refuses: str, tmp_path: Path) -> None:
    env = fake(tmp_path, refuses, TAKES)
    done = await taken("text\n", env)
    assert done.told.startswith("1 line in tmux's buffer: prefix ] pastes it")
    assert done.sequence.startswith(WRAPPED)
    assert (tmp_path / "given").read_text() == "text\n"
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "load-buffer -"


@pytest.mark.parametrize(
    ("does", "way", "why"),
    [
        ("exit 1", "auto", "tmux did not take it"),
        ("sleep 600 & echo $! > child; wait", "auto", "tmux gave no answer within 0.2 s"),
        (None, "auto", "there is no tmux on PATH to give it to"),
        ("exit 0", "osc52", "CLIPBOARD=osc52"),
    ],
    ids=["fails", "hangs", "absent", "not wanted"],
)
async def test_no_more_is_said_than_is_known(
    does: str | None, way: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "_TMUX_PATIENCE", 0.2)
    env = fake(tmp_path, does or "") | {"CLIPBOARD": way}
    found = str(tmp_path / "tmux") if does is not None else None
    began = time.monotonic()
    done = await clipboard.copy("text\n", "1 line", env, find=lambda _: found)
    assert time.monotonic() - began < 20
    assert done.told.startswith("1 line sent to the terminal; within tmux it has it only where set-clipboard or ")
    assert done.told.endswith(f" is on ({why})")
    assert done.sequence.startswith("\x1b]52;c;")
    assert WRAPPED in done.sequence
    if (tmp_path / "child").exists():
        child = Path("/proc") / (tmp_path / "child").read_text().strip()
        until(lambda: not child.exists() or "(zombie)" in (child / "status").read_text(), "the end of its child")


BARE = "\x1b]52;c;dGV4dAo=\x07"


@pytest.mark.parametrize(
    ("around", "sequence"),
    [
        ({"TERM": "xterm-256color"}, BARE),
        ({"TERM": "xterm-256color", "STY": "1.pts-0.here"}, BARE),
        ({"TERM": "screen.xterm-256color", "STY": "1.pts-0.here"}, f"\x1bP{BARE}\x1b\\"),
    ],
    ids=["a window of its own", "one started from GNU screen", "GNU screen"],
)
async def test_a_terminal_that_was_started_from_tmux_is_sent_it(
    around: dict[str, str], sequence: str, tmp_path: Path
) -> None:
    env = fake(tmp_path, ITS_PANES.replace(PANE, "/dev/pts/91"), TAKES) | around
    done = await taken("text\n", env)
    assert done.told == "1 line sent to the terminal's clipboard, and in the buffer of the tmux that TMUX names"
    assert done.sequence == sequence
    assert (tmp_path / "given").read_text() == "text\n"


async def test_what_gnu_screen_would_show_it_is_given_in_pieces(tmp_path: Path) -> None:
    env = {"TERM": "screen-256color", "STY": "1.pts-0.here"}
    text = "a long line " * 100
    done = await clipboard.copy(text, "1 line", env)
    pieces = re.findall("\x1bP(.*?)\x1b\\\\", done.sequence, re.DOTALL)
    assert "".join(f"\x1bP{piece}\x1b\\" for piece in pieces) == done.sequence
    assert max(map(len, pieces)) < 256
    assert "".join(pieces) == clipboard.osc52(text)
    dead = await taken(text, fake(tmp_path, "exit 1") | env)
    assert dead.sequence == done.sequence, "its tmux is gone, and what is wrapped for that would be shown"
    assert dead.told.endswith("(tmux did not take it)")


async def test_outside_tmux_a_terminal_is_sent_it() -> None:
    done = await clipboard.copy("text\n", "1 line", {})
    assert done == clipboard.Copied("1 line sent to the terminal's clipboard", "\x1b]52;c;dGV4dAo=\x07")


class Cutting(GatewatchApp):
    """A field to cut from."""

    def compose(self) -> Iterator[TextField]:
        yield TextField("typed")


async def test_what_is_cut_goes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(shims, "write", lambda _, sequence: sent.append(sequence))
    app = Cutting()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        at = Desk(app, pilot)
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        await at.press("ctrl+x")  # nothing is selected, and the clipboard keeps what it has
        await at.press("shift+home", "ctrl+x")
        await at.until(lambda: "5 characters sent to the terminal's clipboard" in at.shown)
        assert sent == ["\x1b]52;c;dHlwZWQ=\x07"]
        assert not any("\x1b]52" in text for text in written)
        await at.press("ctrl+v")
        assert app.query_one(TextField).value == "typed"
