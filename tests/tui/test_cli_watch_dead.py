"""The dashboard where the file system of one of the runs does not answer: the others are watched all the same."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.peers.terminal import CTRL_C
from tests.tui.test_cli_watch import PATIENCE_S, Screen
from tests.tui.test_dashboard import whole_run

# A whole app in a process of its own: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

# The command as it is, but for one folder of which nobody tells anything for as long as a file is there.
_DEAD = """
import errno, os, sys, time
house, hold = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, house)
def dead(real):
    def asked(path, *words, **named):
        while {"dead", ".tune-runs"} & {*f"{path}".split("/")} and os.access(hold, os.F_OK):
            time.sleep(0.05)
            if os.path.getsize(hold):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return real(path, *words, **named)
    return asked
os.stat, os.lstat = dead(os.stat), dead(os.lstat)
from tui.cli.main import main
sys.exit(main())
"""


class Mounts:
    """A run that is there, and one whose file system does not answer until it is let go."""

    def __init__(self, house: Path, folder: Path) -> None:
        self._house, self._folder, self._hold = house, folder, folder / "hold"
        self._hold.touch()
        whole_run(folder / "runs" / "good")
        whole_run(folder / "dead" / "silent")

    def watch(self, *names: str) -> Screen:
        return self._start("watch", *names)

    def look_at(self, *watch: str) -> Screen:
        """What a workspace of these shows."""
        lines = ["watch:", *(f"  - {one}" for one in watch)]
        (self._folder / "gatewatch.yaml").write_text("\n".join(lines))
        return self._start()

    def _start(self, *words: str) -> Screen:
        argv = [sys.executable, "-c", _DEAD, str(self._house), str(self._hold), *words]
        return Screen(argv, self._folder, (24, 200))

    def let_go(self) -> None:
        self._hold.unlink()

    def fail(self) -> None:
        """From now on it answers that something is wrong with it."""
        self._hold.write_text("stale")


@pytest.fixture
def mounts(house: Path, tmp_path: Path) -> Mounts:
    return Mounts(house, tmp_path)


def test_the_others_are_watched(mounts: Mounts) -> None:
    with mounts.watch("runs/good", "dead/silent") as screen:
        screen.until("dead/silent: no answer from the file system", PATIENCE_S)
        screen.until("4/4", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()


def test_it_is_gone_into_once_it_answers(mounts: Mounts) -> None:
    with mounts.watch("dead/silent") as screen:
        screen.until("dead/silent: no answer from the file system", PATIENCE_S)
        assert "4/4" not in screen.text
        mounts.let_go()
        screen.until("supervision", PATIENCE_S)
        screen.until("4/4", PATIENCE_S)
        screen.press_and_see(b"\x1b", "WATCH")
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0


def test_an_error_that_it_comes_back_with_ends_nothing(mounts: Mounts) -> None:
    with mounts.watch("runs/good", "dead/silent") as screen:
        screen.until("4/4", PATIENCE_S)
        screen.until("dead/silent: no answer from the file system", PATIENCE_S)
        mounts.fail()
        screen.until("tale file handle", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0


def test_errors_of_several_are_one_line(mounts: Mounts) -> None:
    mounts.fail()
    with mounts.watch("dead/silent", "dead/other") as screen:
        assert screen.wait(PATIENCE_S) == 2
        assert re.fullmatch(r"gatewatch: error: dead/silent: [Ss]tale file handle\r\n", screen.text)


def test_what_is_wrong_with_the_others_needs_no_screen(mounts: Mounts) -> None:
    with mounts.watch("dead/silent", "runs/none") as screen:
        assert screen.wait(PATIENCE_S) == 2
        assert "runs/none: no such run directory" in screen.text
        assert b"\x1b" not in screen.output


def test_a_name_that_leads_to_it_holds_up_nobody(mounts: Mounts, tmp_path: Path) -> None:
    (tmp_path / ".tune-runs").symlink_to("dead")
    with mounts.watch("runs/good", "silent") as screen:
        screen.until("silent: no answer from the file system", PATIENCE_S)
        screen.until("4/4", PATIENCE_S)
        screen.press(CTRL_C)
        assert screen.wait(PATIENCE_S) == 130
        screen.left_clean()


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        (("run: ./dead/silent", "run: ./runs/good"), "silent: no answer from the file system"),
        (("below: ./dead/silent", "below: ./runs/good"), "no answer from the file system of "),
    ],
    ids=["runs", "folders"],
)
def test_the_others_of_a_workspace_are_watched(mounts: Mounts, watch: tuple[str, ...], said: str) -> None:
    with mounts.look_at(*watch) as screen:
        screen.until(said, PATIENCE_S)
        screen.until("4/4", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
        screen.left_clean()


def test_the_only_run_of_a_workspace_is_gone_into_once_it_answers(mounts: Mounts) -> None:
    with mounts.look_at("run: ./dead/silent") as screen:
        screen.until("silent: no answer from the file system", PATIENCE_S)
        mounts.let_go()
        screen.until("supervision", PATIENCE_S)
        screen.press(b"q")
        assert screen.wait(PATIENCE_S) == 0
