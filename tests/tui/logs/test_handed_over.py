"""Which program is started at a line of a log, and that the log itself never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors.logs.types import LogLine, Place
from tests.tui.logs.terminals import clean_afterwards, started
from tui.logs.handpart import at_line


@pytest.mark.parametrize("blank", [" ", "\t \n"])
@pytest.mark.parametrize(
    ("key", "variables", "program"), [(b"v", ["PAGER"], "less"), (b"o", ["VISUAL", "EDITOR"], "vi")]
)
def test_a_blank_command_never_runs_the_log(
    key: bytes, variables: list[str], program: str, blank: str, house: Path, tmp_path: Path
) -> None:
    log = tmp_path / "engine.log"
    log.write_text(f"#!/bin/sh\n: > {tmp_path}/ran\n")
    log.chmod(0o777)
    env = {"PATH": str(tmp_path), **dict.fromkeys(variables, blank)}
    with started(house, log, env=env) as screen:
        screen.until("2 lines")
        screen.press_and_see(key, f"{program}: No such file")
        screen.press(b"q")
        assert screen.wait() == 0
        clean_afterwards(screen)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("program", "number", "pager", "words"),
    [
        ("/usr/bin/less", 3, True, ["+20P", "a.log"]),
        ("more", 3, True, ["+3", "a.log"]),
        ("most", 3, True, ["+3", "a.log"]),
        ("more", None, True, ["a.log"]),
        ("vi", 3, False, ["+3", "a.log"]),
        ("vi", None, False, ["+goto 21", "a.log"]),
        ("vim", 3, False, ["+goto 21", "a.log"]),
        ("view", 3, True, ["+3", "a.log"]),
        ("nano", 3, False, ["+3", "a.log"]),
        ("bat", 3, True, ["--wrap=never", "--highlight-line=3", "--pager=less -R +3g", "a.log"]),
        ("/usr/bin/batcat", 3, True, ["--wrap=never", "--highlight-line=3", "--pager=less -R +3g", "a.log"]),
        ("bat", None, True, ["a.log"]),
        ("code", 3, False, ["-g", "a.log:3"]),
        ("unheard-of", 3, False, ["a.log"]),
    ],
)
def test_the_words_that_lead_to_the_line(program: str, number: int | None, pager: bool, words: list[str]) -> None:
    line = LogLine(Place(0, 20), 30, b"", 10, number, True)
    assert list(at_line(program, "a.log", line, pager=pager)) == words


@pytest.mark.parametrize("number", [3, None])
@pytest.mark.parametrize("pager", [True, False])
@pytest.mark.parametrize("program", ["less", "more", "bat", "vi", "vim", "nano", "code", "hx", "unheard-of"])
def test_a_name_with_a_dash_is_no_option(program: str, pager: bool, number: int | None) -> None:
    line = LogLine(Place(0, 20), 30, b"", 10, number, True)
    *options, name = at_line(program, "-x.log", line, pager=pager)
    assert name.removesuffix(":3") == "./-x.log"
    assert not any("x.log" in option for option in options)
