"""`gatewatch watch` and `gatewatch` without a command: on a real terminal over a real run, and without one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import keep_away
from tests.peers.quick import Quick, old_run, quick_checkout, until
from tests.peers.terminal import CTRL_C, Terminal
from tests.tui.logs.corpus import bombs, unsafe

# A real run and a whole app in a process of its own: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

MODES = re.compile(rb"\x1b\[\?(\d+)([hl])")
RESTING = {"25": "h", "7": "h"}  # all others are off in a terminal that nothing runs in

# All that may stand between the texts: colours, places, clearing, modes, and questions to the terminal.
OURS = re.compile(
    r"\x1b\[[0-9;]*m|\x1b\[\d+;\d+H|\x1b\[[0-2]?[JK]"
    r"|\x1b\[\?(?:25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2031|2048|7)[hl]"
    r"|\x1b\[\?(?:2026|2048|1016)\$p|\x1b\[>\d*u|\x1b\[<u|\x1b\[=\d+;\d+u|\x1b\[\?u|\x1b\[\?4m|\x1b\[c|\x1b\[6n"
    r"|\x1b\]22;[a-z-]*\x07"
)
PATIENCE_S = 60.0

_BREAKING = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tui.screens.home import HomeList
def broken(self):
    raise RuntimeError("\\x1b]0;owned\\x07 [red]lost[/red]")
HomeList.action_end = broken
from tui.cli.main import main
sys.exit(main())
"""


class Screen(Terminal):
    """A dashboard in a terminal."""

    def __init__(self, argv: list[str], cwd: Path, size: tuple[int, int] = (24, 80)) -> None:
        kept = ("PATH", "LC_ALL", "LANG", "PYTHONPYCACHEPREFIX", *(name for name in os.environ if "XDG" in name))
        env = {name: os.environ[name] for name in kept if name in os.environ}
        super().__init__(argv, cwd, {"LC_ALL": "C.UTF-8", **env}, size)
        self.before = termios.tcgetattr(self._master)

    def modes(self) -> dict[str, str]:
        """Every mode that was ever set, and how it was left."""
        return {number.decode(): state.decode() for number, state in MODES.findall(self.output)}

    def left_clean(self) -> None:
        """The terminal is as a shell left it."""
        assert {number: state for number, state in self.modes().items() if state != RESTING.get(number, "l")} == {}
        assert self.modes()["1049"] == "l"
        assert termios.tcgetattr(self._master) == self.before
        assert self.output.count(b"\x1b[>1u") <= self.output.count(b"\x1b[<u")

    def press_and_see(self, keys: bytes, words: str) -> None:
        """Press keys, and wait until these words are shown after them."""
        seen = len(self.text)
        self.press(keys)
        until(lambda: words in self.text[seen:], f"{words!r} in {self.text[seen:]!r}", PATIENCE_S)


@pytest.fixture
def running(quick: Quick) -> Iterator[Path]:
    """A real run whose pytest waits."""
    with quick.holding():
        yield start(quick)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    """A checkout with such a run, for the tests that only look at it: that all of it goes on is what they prove."""
    with pytest.MonkeyPatch.context() as patch:
        keep_away(patch, tmp_path_factory)
        with quick_checkout(tmp_path_factory.mktemp("shared")) as quick, quick.holding():
            start(quick)
            yield quick


def start(quick: Quick) -> Path:
    """The run directory of a real run at work."""
    done = quick.run("--detach")
    assert done.code == 0, done.said
    until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
    return quick.runs / "r"


def watch(quick: Quick, *words: str, size: tuple[int, int] = (24, 80)) -> Screen:
    return Screen(quick.argv("watch", *words), quick.folder, size)


def seen(screen: Screen) -> Screen:
    """The run's own screen is open, and the run is at work; what lies below tells of it before."""
    screen.until("supervision", PATIENCE_S)
    screen.until("running", PATIENCE_S)
    return screen


def goes_on(quick: Quick) -> None:
    """Nothing of the job was touched."""
    assert len(quick.processes()) == 3


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("watch", "x"), "gatewatch calibrate status [--json]"),
        ((), "gatewatch calibrate status [--json]"),
        (("demo",), "gatewatch demo --headless"),
    ],
    ids=["watch", "bare", "demo"],
)
def test_without_a_terminal_it_says_what_to_do_instead(words: tuple[str, ...], instead: str, quick: Quick) -> None:
    done = quick.gatewatch(*words)
    assert (done.code, done.out) == (2, b"")
    assert done.said == f"gatewatch: error: the dashboard needs a terminal; without one: {instead}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("watch",), "the following arguments are required: RUN_DIR"),
        (("watch", "x", "--interval", "121"), "argument --interval: more than 0 and at most 120 s, got 121"),
        (("watch", "x", "--interval", "0"), "argument --interval: more than 0 and at most 120 s, got 0"),
        (("watch", "x", "--interval", "nan"), "argument --interval: more than 0 and at most 120 s, got nan"),
        (("--interval", "soon"), "argument --interval: 'soon' is not a number of seconds"),
        (("--act", "hosts", "list"), "--act is for the dashboard; the command that follows it has no --act"),
        (("--act", "tail", "x"), "--act is for the dashboard; the command that follows it has no --act"),
        (("--no-mouse", "watch", "x"), "--no-mouse before a command is for the dashboard; put it behind the command"),
        (("demo", "--apply"), "--apply goes with --headless"),
        (("demo", "--json"), "--json goes with --headless"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(words: tuple[str, ...], complaint: str, quick: Quick) -> None:
    done = quick.gatewatch(*words)
    assert (done.code, done.out) == (2, b"")
    assert done.said.startswith(f"gatewatch: error: {complaint}"), done.said
    assert done.said.count("\n") == 1


def test_a_run_that_is_not_there_needs_no_screen(quick: Quick) -> None:
    (quick.folder / "file").write_text("")
    (quick.folder / "empty").mkdir()
    for name, complaint in (
        ("none", "none: no such run directory"),
        ("file", "is a file; a run directory is a folder with plan.json"),
        ("empty", "holds no plan.json, so it is not a run directory"),
        ("no host:/x", "no host"),
    ):
        with watch(quick, name, size=(24, 400)) as screen:
            assert screen.wait() == 2
            assert complaint in screen.text
            assert b"\x1b[?1049h" not in screen.output, "no screen was opened for it"


def test_a_wrong_workspace_needs_no_screen(quick: Quick) -> None:
    (quick.folder / "gatewatch.yaml").write_text("\ninterval_s: 500\n")
    with Screen(quick.argv(), quick.folder, (24, 400)) as screen:
        assert screen.wait() == 2
        assert "gatewatch.yaml:2: interval_s: input should be less than or equal to 120, found 500" in screen.text


def test_q_leaves_and_the_job_goes_on(shared: Quick) -> None:
    with watch(shared, ".tune-runs/r") as screen:
        seen(screen).press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()
    goes_on(shared)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_leaves_the_terminal_clean_and_the_job_running(number: signal.Signals, shared: Quick) -> None:
    with watch(shared, str(shared.runs / "r")) as screen:
        seen(screen).process.send_signal(number)
        status = screen.wait(PATIENCE_S)
        assert status == (130 if number is signal.SIGINT else -number)
        screen.left_clean()
    goes_on(shared)


def test_ctrl_c_and_a_closed_window(shared: Quick) -> None:
    with watch(shared, str(shared.runs / "r")) as screen:
        seen(screen).press(CTRL_C)
        assert screen.wait(PATIENCE_S) == 130
        screen.left_clean()
    with watch(shared, str(shared.runs / "r")) as screen:
        seen(screen).hang_up()
        assert screen.process.wait(PATIENCE_S) != 0
    goes_on(shared)


def test_a_crash_leaves_the_terminal_clean_and_the_job_running(shared: Quick, house: Path) -> None:
    argv = [sys.executable, "-c", _BREAKING, str(house), "watch", str(shared.runs / "r")]
    with Screen(argv, shared.folder) as screen:
        seen(screen)
        screen.press_and_see(b"\x1b", "WATCH")
        screen.press(b"G")
        assert screen.wait(PATIENCE_S) == 2
        screen.left_clean()
        last = screen.text.rpartition("gatewatch: error: ")[2]
        assert "unexpected RuntimeError" in last
        assert "[red]lost[/red]" in last
        assert "Traceback" not in screen.text
        assert b"\x1b]0;owned" not in screen.output
    goes_on(shared)


def test_without_a_command_it_shows_what_lies_below(quick: Quick, running: Path) -> None:
    old_run(quick.runs / "older")
    with Screen(quick.argv(), quick.folder) as screen:
        screen.until("WATCH", PATIENCE_S)
        screen.until("older", PATIENCE_S)
        screen.until("running", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()
    goes_on(quick)


def test_a_workspace_says_what_is_watched(quick: Quick, running: Path) -> None:
    old_run(quick.runs / "older")
    (quick.folder / "gatewatch.yaml").write_text("watch:\n  - {run: r, title: the one at work}\n  - older\n")
    (quick.folder / "sub").mkdir()
    with Screen(quick.argv(), quick.folder / "sub") as screen:
        screen.until("the one at work", PATIENCE_S)
        screen.until("older", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0


def test_where_there_is_nothing_it_says_what_comes_next(quick: Quick, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with Screen(quick.argv(), tmp_path / "nothing") as screen:
        screen.until("gatewatch watch RUN_DIR", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()


def test_a_run_on_another_host(quick: Quick) -> None:
    quick.hop()
    run = old_run(quick.runs / "far")
    with watch(quick, f"hop:{run}") as screen:
        screen.until("3 of 3 stages ready", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()


def test_nothing_of_a_log_or_a_name_reaches_the_terminal(quick: Quick) -> None:
    run = old_run(quick.runs / "bad\x1b]0;owned\x07[red]\u202ename")
    log = run / "_pytest" / "a" / "run1.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"".join(bomb.data + b"\n" for bomb in bombs() if bomb.encoding == "utf-8") + b"the end of it\n")
    with watch(quick, str(run), size=(50, 200)) as screen:
        screen.until("the end of it", PATIENCE_S)
        screen.press_and_see(b"\x1b", "WATCH")
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        left = OURS.sub("", screen.output.decode("utf-8"))
        assert [left[max(0, left.index(letter) - 20) :][:40] for letter in unsafe(left, "\r", "\n")] == []


def test_keys_come_from_the_terminal_also_with_another_standard_input(shared: Quick) -> None:
    argv = [shared.argv("watch", str(shared.runs / "r"))]
    shell = ["/bin/sh", "-c", 'exec "$@" </dev/null', "sh", *argv[0]]
    with Screen(shell, shared.folder) as screen:
        seen(screen).press(b"q")
        assert screen.wait(PATIENCE_S) == 0


def test_the_demo_is_a_real_run_that_goes_on_when_one_leaves(house: Path, tmp_path: Path) -> None:
    env = {"TMPDIR": str(tmp_path)}
    argv = [sys.executable, str(house / "gatewatch.py"), "demo", "--repeats", "2", "--stages", "digits"]
    run = None
    try:
        with Screen(["/usr/bin/env", f"TMPDIR={tmp_path}", *argv], tmp_path, (24, 200)) as screen:
            screen.until("stages ready", 120)
            (run,) = tmp_path.glob("gatewatch-demo-*/tiny-lab/.tune-runs/demo")
            screen.press_and_see(b"N", "new run")  # acting is allowed: the form opens
            screen.press_and_see(b"\x1b", "supervision")
            screen.press(b"q")
            assert screen.wait(PATIENCE_S) == 0
            screen.left_clean()
            assert f"the example lies in {run.parent.parent}; its calibration goes on by itself" in screen.text
            assert f"come back with: gatewatch watch {run} --act" in screen.text
        status = [sys.executable, str(house / "gatewatch.py"), "calibrate", "status", "--run-dir", str(run), "--json"]
        done = subprocess.run(status, cwd=tmp_path, capture_output=True, text=True, timeout=50)
        assert '"runner": "alive"' in done.stdout
    finally:
        if run is not None:
            stop = [sys.executable, str(house / "gatewatch.py"), "calibrate", "stop", "--run-dir", str(run)]
            subprocess.run(stop, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, timeout=50)
            until(lambda: not (run / ".gatewatch" / "lock").exists(), "the end of its runner", 120)


def test_help_is_cheap(house: Path) -> None:
    argv = [sys.executable, "-X", "importtime", str(house / "gatewatch.py")]
    for words in (["--help"], ["watch", "--help"], ["demo", "--help"], ["init", "--help"]):
        done = subprocess.run([*argv, *words], capture_output=True, text=True, timeout=50)
        assert done.returncode == 0
        tops = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
        assert tops & {"asyncssh", "pydantic", "rich", "textual", "watchfiles", "yaml"} == set()
