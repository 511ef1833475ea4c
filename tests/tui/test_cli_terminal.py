"""A screen on a terminal while standard error leads elsewhere: it is seen, and nothing of it is painted there."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.tui.logs.terminals import Screen, clean_afterwards, tail

pytestmark = pytest.mark.timeout(240)
PATIENCE_S = 60.0
LOG = "engine.log"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / LOG).write_bytes(b"".join(b"line %04d \xe2\x80\xa6\n" % number for number in range(300)))
    return tmp_path


def begun(folder: Path, argv: list[str], leads: str) -> Screen:
    """A command in a terminal, but for its standard error."""
    return Screen(["/bin/sh", "-c", f'exec "$@" {leads}', "sh", *argv], folder)


@pytest.mark.parametrize("leads", ["2>errors", "2>&-"])
def test_a_log_is_shown_and_the_terminal_is_clean(leads: str, house: Path, folder: Path) -> None:
    with begun(folder, tail(house, LOG), leads) as screen:
        screen.until("300 lines", PATIENCE_S)
        screen.press_and_see(b"g", "line 0000")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)
    assert not (errors := folder / "errors").exists() or errors.read_bytes() == b""


def test_the_dashboard_is_shown_and_a_signal_leaves_the_terminal_clean(house: Path, folder: Path) -> None:
    with begun(folder, [sys.executable, str(house / "gatewatch.py")], "2>errors") as screen:
        screen.until("help", PATIENCE_S)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.wait() == -signal.SIGTERM
        clean_afterwards(screen)
    assert (folder / "errors").read_bytes() == b""


def test_what_is_wrong_is_said_where_standard_error_leads(house: Path, folder: Path) -> None:
    with begun(folder, tail(house, "none.log"), "2>errors") as screen:
        assert screen.wait() == 2
        assert screen.output == b""
    assert (folder / "errors").read_text() == "gatewatch: error: none.log: no such file; --wait waits for it\n"


def test_letters_that_the_terminal_cannot_say_end_nothing(house: Path, folder: Path) -> None:
    argv = ["env", "PYTHONIOENCODING=ascii", *tail(house, LOG)]
    with begun(folder, argv, "2>errors") as screen:
        screen.until("300 lines", PATIENCE_S)
        screen.press_and_see(b"g", "line 0000 \\u2026")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)
    assert (folder / "errors").read_bytes() == b""
