from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor
from textual.events import Paste
from textual.geometry import Region

from tests.tui.logs.panes import desk, numbered

MIXED = b"".join(
    b"2026-11-21 14:00:%02d %s step %d of many\n"
    % (n % 60, (b"ERROR", b"INFO", b"INFO", b"WARNING", b"INFO")[n % 5] if n % 50 < 5 else b"INFO", n)
    for n in range(1000)
)


async def test_finding_while_one_types_with_a_count_and_back_again() -> None:
    async with desk(numbered(2000)) as at:
        before = at.lines
        await at.press("slash")
        await at.type("line 77")
        await at.until(lambda: any("11 found" in row or "of 11" in row for row in at.rows))
        await at.until(lambda: any(line.startswith("line 77") for line in at.lines))
        assert at.pane.reader is not None
        assert not at.pane.reader.following
        await at.press("escape")
        await at.until(lambda: at.lines == before)
        assert at.pane.reader.following


async def test_a_line_to_type_in_opens_and_the_log_is_not_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[Region] = []
    render = Compositor.render_update

    def counted(self: Compositor, *args: Any, **more: Any) -> Any:
        painted.extend(self._dirty_regions)
        return render(self, *args, **more)

    async with desk(numbered(300)) as at:
        await at.press("slash", "escape")
        await at.settled()
        monkeypatch.setattr(Compositor, "render_update", counted)
        before = at.pane.view.painted
        await at.press("slash")
        await at.until(lambda: painted)
        await at.settled()
        assert at.pane.asking is not None
        assert at.app.screen.focused is not at.pane.view
        assert not at.pane.view.has_focus
        assert max(region.height for region in painted) == 1
        assert at.pane.view.painted == before
        await at.press("escape")
        await at.until(lambda: at.pane.view.has_focus)


async def test_next_and_previous_go_around() -> None:
    async with desk(numbered(300)) as at:
        await at.press("slash")
        await at.type("line 29")
        await at.press("enter")
        await at.until(lambda: "11 of 11" in at.rows[-2])  # the last one, seen from the end
        await at.press("N")
        await at.until(lambda: "10 of 11" in at.rows[-2])
        await at.press("n", "n")
        await at.until(lambda: " 1 of 11" in at.rows[-2])
        assert "line 29" in at.lines
        await at.until(lambda: any("on from the top" in row for row in at.rows))
        await at.press("escape")
        await at.until(lambda: "of 11" not in at.rows[-2])


async def test_a_wrong_expression_is_said_beside_it() -> None:
    async with desk(numbered(300)) as at:
        await at.press("slash", "ctrl+r")
        await at.type("(")
        await at.until(lambda: any("not a regular expression" in row for row in at.rows))
        await at.press("escape")
        assert at.pane.asking is None


async def test_what_is_typed_stays_in_sight_however_much_is_wrong_with_it() -> None:
    async with desk(numbered(300)) as at:
        await at.press("slash", "ctrl+r")
        await at.type("line (one|two")
        await at.until(lambda: any("not a regular expression" in row for row in at.rows))
        assert any("line (one|two" in row for row in at.rows)


async def test_enter_on_a_wrong_expression_leaves_it_to_be_mended() -> None:
    async with desk(numbered(300)) as at:
        await at.press("slash", "ctrl+r")
        await at.type("line 7(")
        await at.press("enter")
        await at.until(lambda: any("not a regular expression" in row for row in at.rows))
        assert at.pane.asking is not None
        await at.press("backspace", "enter")
        await at.until(lambda: "11 of 11" in at.rows[-2])
        assert at.pane.asking is None


@pytest.mark.parametrize(("key", "top", "led", "said"), [
    ("N", "end", "line 299", "11 of 11"),
    ("n", "end", "line 29", "1 of 11"),
    ("N", "home", "line 299", "11 of 11"),
    ("n", "home", "line 29", "1 of 11"),
])  # fmt: skip
async def test_a_search_that_was_left_goes_on_from_here_in_either_direction(
    key: str, top: str, led: str, said: str
) -> None:
    async with desk(numbered(320)) as at:
        await at.press("slash")
        await at.type("line 29")
        await at.press("enter")
        await at.until(lambda: "11 of 11" in at.rows[-2])
        await at.press("escape")
        await at.until(lambda: "of 11" not in at.rows[-2])
        await at.press(top)
        await at.settled()
        at.pane.view.set_current(None)
        await at.press(key)
        await at.until(lambda: f" {said}" in at.rows[-2])
        assert any(row.shown.text == led and row.line.at == at.pane.view.current for row in at.pane.view.rows)
        around = (key, top) in (("n", "end"), ("N", "home"))
        wrapped = "past the end: on from the top" if key == "n" else "past the top: on from the end"
        assert [line for line in at.rows if "past the" in line] == [
            line for line in at.rows if around and wrapped in line
        ]


async def test_what_is_not_there_is_said() -> None:
    async with desk(numbered(300)) as at:
        await at.press("slash")
        await at.type("nowhere")
        await at.press("enter")
        await at.until(lambda: any("no line found" in row for row in at.rows))


@pytest.mark.parametrize("taken", [False, True])
async def test_a_search_that_is_given_up_says_nothing_of_what_is_there(taken: bool) -> None:
    async with desk(numbered(300) + b"a" * 60 + b"!\n" + numbered(50)) as at:
        await at.press("slash", "ctrl+r")
        await at.type("(a+)+b|no such")  # years, for a line of that many
        await at.until(lambda: any("0 found" in row for row in at.rows))
        if taken:
            await at.press("enter")
        await at.press("escape")
        await at.until(lambda: not any("0 found" in row for row in at.rows))
        await at.settled()
        assert not any("line found" in row for row in at.rows)
        assert at.pane.asking is None
        assert "memory: 351 lines" in at.rows[-2]


async def test_errors_and_warnings() -> None:
    async with desk(MIXED) as at:
        await at.press("E")
        await at.until(lambda: at.pane.view.line is not None and b"ERROR step 950" in at.pane.view.line.data)
        await at.press("right_square_bracket")
        await at.until(lambda: at.pane.view.line is not None and b"WARNING step 953" in at.pane.view.line.data)
        await at.press("e")
        await at.until(lambda: at.pane.view.line is not None and b"ERROR step 0" in at.pane.view.line.data)


async def test_the_status_line_is_whole_once_nobody_types_any_more() -> None:
    async with desk(numbered(100)) as at:
        await at.press("slash")
        await at.type("77")
        await at.until(lambda: any("1 of 1" in row for row in at.rows))
        await at.press("enter")
        await at.until(lambda: any("memory: 100 lines" in row and "1 of 1" in row for row in at.rows))


async def test_the_next_error_of_a_followed_log_is_its_newest() -> None:
    async with desk(MIXED) as at:
        await at.press("e")
        await at.until(lambda: at.pane.view.line is not None and b"ERROR step 950" in at.pane.view.line.data)


async def test_filters_are_live_and_can_be_taken_away() -> None:
    async with desk(numbered(1000)) as at:
        await at.press("ampersand")
        await at.type("9")
        await at.until(lambda: all("9" in line for line in at.lines))
        await at.press("enter")
        await at.until(lambda: any("271 lines" in row for row in at.rows))
        at.source.append(b"line 1001\nline 1009\n")
        await at.until(lambda: at.lines[-1] == "line 1009")
        assert "line 1001" not in at.lines
        await at.press("exclamation_mark")
        await at.type("99")
        await at.press("enter")
        await at.until(lambda: not any("99" in line for line in at.lines))
        assert [chip.text for chip in at.pane.chips.chips] == ["9", "no 99"]
        await at.press("backspace", "backspace")
        await at.until(lambda: at.lines[-1] == "line 1009" and at.lines[-2] == "line 1001")
        assert at.pane.chips.chips == ()


async def test_a_filter_that_is_cancelled_was_never_there() -> None:
    async with desk(numbered(1000)) as at:
        before = at.lines
        await at.press("ampersand")
        await at.type("!9")
        await at.until(lambda: not any("9" in line for line in at.lines))
        await at.press("escape")
        await at.until(lambda: at.lines == before)


async def test_levels_and_lines_around() -> None:
    async with desk(MIXED) as at:
        await at.press("l", "l", "l")
        await at.until(lambda: at.lines and all("ERROR" in line for line in at.lines))
        await at.until(lambda: any("20 lines" in row for row in at.rows))
        await at.press("c")
        await at.until(lambda: any("step 949" in line for line in at.lines))
        await at.press("l")
        await at.until(lambda: "step 999" in at.lines[-1])


async def test_since_and_until() -> None:
    async with desk(numbered(1000)) as at:
        await at.until(lambda: at.pane.model is not None and at.pane.model.state.lines == 1000)
        await at.press("less_than_sign")
        await at.type("990")
        await at.press("enter")
        await at.until(lambda: at.lines[0] == "line 990")
        await at.press("greater_than_sign")
        await at.type("995")
        await at.press("enter")
        await at.until(lambda: at.lines == [f"line {n}" for n in range(990, 995)])


async def test_saving_what_the_filter_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with desk(numbered(1000)) as at:
        await at.press("ampersand")
        await at.type("99")
        await at.press("enter")
        await at.until(lambda: any("19 lines" in row for row in at.rows))
        await at.press("S")
        await at.type("out.txt")
        await at.press("enter")
        await at.until(lambda: "out.txt" in os.listdir(tmp_path))
        expected = b"".join(line + b"\n" for line in numbered(1000).splitlines() if b"99" in line)
        assert (tmp_path / "out.txt").read_bytes() == expected
        await at.press("S")
        await at.type("out.txt")
        await at.press("enter")
        await at.until(lambda: any("File exists" in row for row in at.rows))
        assert os.listdir(tmp_path) == ["out.txt"]


async def test_what_is_pasted_holds_nothing_that_a_terminal_obeys() -> None:
    async with desk(numbered(30)) as at:
        await at.press("slash")
        at.app.screen.focused.post_message(Paste("a\x9b2J\x1b]0;owned\x07b\u202ec"))  # type: ignore[union-attr]
        await at.until(lambda: any("a2J" in row for row in at.rows))
        assert not any(letter in "\x1b\x07\x9b\u202e" for row in at.rows for letter in row)
