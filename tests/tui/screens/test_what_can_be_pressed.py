"""What is offered can be pressed: the help, the key line and the palette, wherever the focus is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from tests.tui.desks import PATIENCE_S
from tests.tui.screens.applying import Lab, desk
from tests.tui.screens.run_desk import RunApp, RunDesk, run_desk
from tests.tui.screens.runs import RunBench
from tui import keys
from tui.app import pressable
from tui.cells import painted
from tui.help import HelpScreen, help_content
from tui.screens.pane_title import Title, title_strip
from tui.screens.prompt_flow import Step
from tui.screens.prompt_page import folded
from tui.screens.run import RunScreen
from tui.screens.run_words import machine


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    made = RunBench.make(tmp_path, {"a": ("a_acc", "a_speed"), "b": ("b_wer",)}, 3)
    made.begin(2_000)
    made.past("a", 3, 400)
    made.start("b", 1, 80, b"batch 1\n")
    return made


def offered(at: RunDesk) -> list[str]:
    return [action.id for action, _ in pressable(at.screen)]


async def test_a_log_within_a_run_offers_the_run_and_nothing_that_changes_it(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("2")
        assert {"log.find", "run.zoom", "app.help"} <= set(offered(at))
        assert not [one for one in offered(at) if keys.action(one).danger]
        assert "z zoom" in at.rows[-1]
        await at.press("question_mark")
        await at.until(lambda: "keys: log" in at.shown)
        assert isinstance(at.app.screen, HelpScreen)


async def test_while_somebody_types_letters_are_text(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("2", "slash")
        await at.until(lambda: "F1 help" in at.rows[-1])
        assert "ctrl+q quit" in at.rows[-1]
        assert "zoom" not in at.rows[-1]
        assert "? help" not in at.rows[-1]
        assert {one.partition(".")[0] for one in offered(at)} == {"ask", "app"}
        await at.press("f1")
        await at.until(lambda: "keys: while typing" in at.shown)


async def test_a_line_to_type_in_offers_what_it_understands(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("2", "slash")
        await at.until(lambda: "take it" in at.rows[-1])
        assert {"ask.take", "ask.regex", "ask.case", "ask.older"} <= set(offered(at)), "Enter and arrows are no text"
        await at.press("escape", "at")
        await at.until(lambda: "go to" in at.shown)
        assert "ask.take" in offered(at)
        assert not {"ask.regex", "ask.case"} & set(offered(at)), "a time is no expression"
        assert "regex" not in at.rows[-1]


async def test_what_is_said_in_passing_covers_neither_the_age_nor_the_log(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        before = at.rows
        at.app.say("a word in passing")
        await at.until(lambda: "a word in passing" in at.shown)
        changed = [place for place, row in enumerate(at.rows) if row != before[place]]
        assert changed == [len(before) - 2], "the row above the keys, which is the hosts'"


async def test_escape_says_where_it_leads(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("2")
        assert "Esc back" in at.rows[-1]
        await at.press("1", "up")
        await at.until(lambda: "pinned" in at.shown)
        await at.press("2")
        assert "Esc live" in at.rows[-1]


async def test_the_palette_begins_with_what_has_a_name(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 50)) as at:
        await at.press("colon")
        await at.until(lambda: "matrix: why" in at.shown)
        assert at.shown.index("run: zoom  (z)") < at.shown.index("matrix: up")


@pytest.mark.parametrize("key", ["pagedown", "pageup", "home", "end", "down"])
async def test_the_palette_takes_keys_where_there_is_no_room_for_it(key: str, bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("colon")
        await at.until(lambda: "matrix: why" in at.shown)
        await at.pilot.resize_terminal(1, 1)
        await at.press(key)
        await at.pilot.resize_terminal(120, 40)
        await at.until(lambda: "matrix: why" in at.shown)


@pytest.mark.parametrize("columns", range(1, 9))
async def test_the_palette_outlives_a_window_of_a_few_columns(columns: int, bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("colon")
        await at.until(lambda: "matrix: why" in at.shown)
        await at.pilot.resize_terminal(columns, 24)
        await at.pilot.resize_terminal(columns, 3)
        await at.pilot.resize_terminal(120, 40)
        await at.until(lambda: "matrix: why" in at.shown)


async def test_a_click_on_a_key_of_the_run_presses_it_from_any_pane(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("3")
        await at.pilot.click("RunKeyLine", offset=(at.rows[-1].index("z zoom"), 0))
        await at.until(lambda: at.screen.has_class("-zoom"))


async def test_a_pane_without_a_log_takes_the_keys_itself(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path, {"a": ("a_acc",)}, 2)
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        await at.press("2")
        assert not [one for one in offered(at) if one.startswith("log.")]


async def test_the_first_paint_of_a_long_run_is_full(tmp_path: Path) -> None:
    stages = tuple(f"s{number:02d}" for number in range(40))
    bench = RunBench.make(tmp_path, {name: (name,) for name in stages}, 2)
    bench.begin(500)
    bench.start("s39", 1, 5)
    screen = RunScreen(bench.place())
    screen.show(bench.look())
    app = RunApp(bench, screen)
    async with app.run_test(size=(80, 24)) as pilot:
        at = RunDesk(app, pilot, bench)
        await at.until(lambda: screen.is_current and screen.is_mounted, f"within {PATIENCE_S} s")
        await at.settled()
        body = at.rows[screen.matrix.region.y : screen.matrix.region.bottom]
        assert all(row[1:4].startswith("s") for row in body), body


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.make(tmp_path)


async def test_a_prompt_offers_no_choice_where_there_is_none(lab: Lab) -> None:
    async with desk(lab) as at:
        await at.open()
        await at.at(Step.MODES)
        offers = {action.id for action, _ in pressable(at.prompt)}
        assert {"prompt.take", "prompt.down"} <= offers
        assert "prompt.back" not in offers
        await at.change()
        offers = {action.id for action, _ in pressable(at.prompt)}
        assert {"prompt.back", "prompt.right", "prompt.yes"} <= offers
        await at.write()
        offers = {action.id for action, _ in pressable(at.prompt)}
        assert "prompt.take" in offers
        assert not {"prompt.back", "prompt.down", "prompt.yes"} & offers


def test_what_changes_something_is_dim_where_nothing_may_be_changed() -> None:
    styles = [
        {str(span.style) for span in help_content(keys.actions("run"), 100, read_only=read_only).spans}
        for read_only in (False, True)
    ]
    assert "bold $text-warning" in styles[0]
    assert "bold $text-warning" not in styles[1]


def test_an_age_gives_way_to_a_name() -> None:
    said = Title("supervision", "_pytest/test_voices/run2.log", "journal, under 10 s")
    rows = [title_strip(said, room, lambda _part: Style(), Style()).text.rstrip() for room in (80, 56, 44)]
    assert rows[0].endswith("run2.log  journal, under 10 s")
    assert rows[1].endswith("_pytest/test_voices/run2.log  journal")
    assert "…" in rows[2]
    pinned = Title("supervision", "_pytest/mmmu/run2.log", "pinned", ("live: mmsu_talker run 2 - Esc", "Esc: live"))
    row = title_strip(pinned, 70, lambda _part: Style(), Style()).text
    assert "_pytest/mmmu/run2.log  pinned" in row
    assert row.rstrip().endswith("Esc: live")


@given(st.text(alphabet="ab 0.9語\u0301", max_size=60), st.integers(1, 30), st.integers(0, 4))
def test_a_folded_line_loses_nothing(text: str, width: int, indent: int) -> None:
    rows = [row.plain for row in folded(text, width, indent=indent)]
    assert rows[0] + "".join(row[indent:] for row in rows[1:]) == text
    assert all(painted(row) <= max(width, indent + 2) for row in rows)


def test_a_line_is_folded_behind_a_blank() -> None:
    rows = [row.plain for row in folded("+LIMIT = 0.912  # not 0.9", 21, indent=2)]
    assert rows == ["+LIMIT = 0.912  # ", "  not 0.9"]


def test_a_host_in_a_sentence(bench: RunBench) -> None:
    assert machine(bench.place(host="here")) == "this machine"
    assert machine(bench.place(host="h20-a")) == "h20-a"
