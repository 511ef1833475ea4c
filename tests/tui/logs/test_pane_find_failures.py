"""Errors that a log tells of by its text alone, and what is said of a line that one is led to."""

from __future__ import annotations

from functools import partial

import pytest

from tests.tui.logs.panes import PaneDesk, desk, numbered

OOM = b"slurmstepd: Detected 1 oom_kill event in StepId=1.0"
KILLED = b"Killed"
DIED = "\u2028é server process exited with code -9"
LOG = b"".join(
    (
        numbered(100),
        b"2026-11-21 14:00:00 ERROR by its level\n  at one.py\n",
        numbered(100),
        OOM + b"\n  behind it\n",
        numbered(100),
        b" 10%|#  | 1/10\r 20%|## | 2/10\r" + KILLED + b"\r 30%|###| 3/10\n",
        b"WARNING a warning\n",
        b"assert server.died is False\n",
        numbered(100),
    )
)
STATES = b"".join(b"\rbatch: %3d%%|##  | %d/63 [00:21, 2.1s/it]" % (n, n) for n in range(64))
BAR = b"first\n" + STATES + b"\nlast 7/63\n"


def at_data(at: PaneDesk, part: bytes) -> bool:
    line = at.pane.view.line
    return line is not None and line.at == at.pane.view.current and part in line.data


def said(at: PaneDesk, sign: str) -> bool:
    return at.rows[-2].rstrip().endswith(f" {sign}")


async def test_an_error_is_told_by_its_level_or_by_what_it_says() -> None:
    async with desk(LOG) as at:
        for part, sign in ((KILLED, "killed"), (OOM, "host OOM")):
            await at.press("E")
            await at.until(partial(at_data, at, part))
            await at.until(partial(said, at, sign))
        await at.press("E")
        await at.until(lambda: at_data(at, b"ERROR by its level"))
        await at.until(lambda: "OOM" not in at.rows[-2])
        await at.press("e")
        await at.until(lambda: at_data(at, OOM))
        await at.until(lambda: "host OOM" in at.rows[-2])
        await at.press("down", "G")
        await at.until(lambda: "host OOM" not in at.rows[-2])


async def test_warnings_are_told_so_too() -> None:
    async with desk(LOG) as at:
        for part in (b"WARNING a warning", KILLED, OOM, b"ERROR by its level"):
            await at.press("left_square_bracket")
            await at.until(partial(at_data, at, part))


async def test_a_log_in_utf16_tells_of_failures() -> None:
    text = f"\ufeffline one\n{DIED}\nline two\n" + "more\n" * 50
    async with desk(text.encode("utf-16-le")) as at:
        await at.press("E")
        await at.until(lambda: at_data(at, "exited".encode("utf-16-le")))
        await at.until(lambda: "process died of a signal" in at.rows[-2])


async def test_among_what_a_level_lets_pass_are_those_failures_alone_that_it_lets_pass() -> None:
    data = b"ERROR first\nINFO all is well\n" + OOM + b"\nERROR second\n  at one.py\n" + KILLED + b"\nINFO last\n"
    async with desk(data) as at:
        await at.press("l", "l")  # warnings and above, and the lines behind them
        await at.until(lambda: at.lines == ["ERROR first", "ERROR second", "  at one.py", "Killed"])
        for part in (KILLED, b"ERROR second", b"ERROR first"):
            await at.press("E")
            await at.until(partial(at_data, at, part))


async def test_what_is_found_in_a_hidden_state_of_a_bar_is_said_to_be() -> None:
    async with desk(BAR) as at:
        await at.press("slash")
        await at.type("7/63")
        await at.press("enter")
        await at.until(lambda: at_data(at, b"last 7/63"))
        await at.settled()
        assert "hidden" not in at.rows[-2]
        await at.press("N")
        await at.until(lambda: at_data(at, b"63/63"))
        await at.until(lambda: "1 of 2, in a hidden state of this bar; Enter shows the whole line" in at.rows[-2])
        await at.press("enter")
        await at.until(lambda: any("batch:   7%|##  | 7/63" in row for row in at.rows))
        await at.press("escape", "escape")
        await at.until(lambda: "hidden" not in at.rows[-2])


async def test_what_is_found_in_the_state_of_a_bar_that_is_shown_is_not() -> None:
    async with desk(BAR) as at:
        await at.press("slash")
        await at.type("63/63")
        await at.press("enter")
        await at.until(lambda: at_data(at, b"63/63"))
        await at.until(lambda: "1 of 1" in at.rows[-2])
        await at.settled()
        assert "hidden" not in at.rows[-2]


async def test_what_is_found_in_a_line_that_was_painted_over_is_said_to_be() -> None:
    data = b"start\na:  10%|# | 1/10\nb:  11%|# | 1/10\n\x1b[2A\ra:  20%|## | 2/10\nb:  21%|## | 2/10\nend\n"
    async with desk(data) as at:
        await at.press("slash")
        await at.type("11%")
        await at.press("enter")
        await at.until(lambda: "1 of 1, in a line that is not shown, a later one painted over it" in at.rows[-2])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
async def test_a_line_that_was_painted_over_is_shown_whole_and_where_it_would_stand(encoding: str) -> None:
    bars = "a:  10%|# | 1/10\nb:  11%|# | 1/10\n\x1b[2A\ra:  20%|## | 2/10\nb:  21%|## | 2/10\nend\n"
    lines = numbered(400).decode()
    async with desk(f"\ufeff{lines}{bars}{lines}".encode(encoding)) as at:
        await at.press("slash")
        await at.type("11%")
        await at.press("enter")
        await at.until(lambda: "a later one painted over it" in at.rows[-2])
        await at.until(lambda: {"a:  20%|## | 2/10", "b:  21%|## | 2/10", "end"} <= {*at.lines})
        await at.press("enter")
        await at.until(lambda: any(row.strip() == "b:  11%|# | 1/10" for row in at.rows))
        assert "the whole line: " in at.shown
        await at.press("escape", "g", "enter")
        await at.until(lambda: "\n line 1\n" in at.shown.partition("the whole line: ")[2])
