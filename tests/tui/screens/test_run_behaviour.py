"""What the screen of a run does: messages and what others are told first, then what is on screen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from monitors.snapshot import Progress, Seen, Snapshot, State
from tests.tui.screens.run_desk import RunApp, RunDesk, run_desk
from tests.tui.screens.runs import RunBench, eight_gpus, host_look
from tui.screens.job import JobPane
from tui.screens.matrix import Matrix
from tui.screens.run import READ_ONLY, RunScreen
from tui.screens.run_ink import Rows
from tui.screens.subject import RunLook
from tui.screens.supervision import SupervisionPane


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    """A small run of three units: one is done, the second is at its second repeat."""
    units = {"a": ("a_acc", "a_speed"), "b": ("b_wer",), "c": ("c_acc", "c_wer")}
    made = RunBench.make(tmp_path, units, 3)
    made.begin(2_000)
    made.past("a", 3, 400)
    made.past("b", 1, 90)
    made.start("b", 2, 80, b"batch 1\n")
    return made


def supervision(at: RunDesk) -> SupervisionPane:
    return at.screen.query_one(SupervisionPane)


def shown(at: RunDesk) -> set[str]:
    """The panes that are seen."""
    return {pane.id or "" for pane in at.screen.query("#run-body > *") if pane.display}


def toasts(at: RunDesk) -> list[str]:
    return [note.message for note in at.app._notifications]


def paints(at: RunDesk) -> list[int]:
    return [at.screen.matrix.paints, *(rows.paints for rows in at.screen.query(Rows))]


async def test_what_is_still_shown_is_not_said_twice(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        for text in ("one", "one", "two", "one"):
            at.app.say(text)
            await at.pilot.pause()
        assert toasts(at) == ["one", "two", "one"]


# The cursor.


async def test_live_the_cursor_is_on_what_runs(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        matrix = at.screen.matrix
        assert (matrix.row and matrix.row.key, matrix.run, matrix.live) == ("b_wer", 2, True)
        bench.end("b", 2)
        bench.start("c", 1, 0)
        await at.show(bench.look())
        assert (matrix.row and matrix.row.key, matrix.run, matrix.live) == ("c_acc", 1, True)
        assert supervision(at).pinned is None


async def test_of_a_run_that_cannot_be_seen_any_more_what_ran_is_told_as_that(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        matrix = at.screen.matrix
        await at.show(bench.blind("h20-a: the host key has changed", 400))
        await at.settled()
        assert (matrix.row and matrix.row.key, matrix.run) == ("b_wer", 2)
        row = next(row for row in at.rows if "b_wer " in row)
        assert "✓ ◌ —" in row
        assert "b_wer 2/3  ◌ ran when last seen" in at.shown
        assert "not seen to end, usually " in at.shown
        assert "not run yet" not in at.shown
        painted = matrix.paints
        bench.now += 400
        await at.settled()
        assert matrix.paints == painted, "it does not fill up"
        await at.pilot.resize_terminal(80, 20)
        await at.until(lambda: " 2/3 ◌ ran when last seen" in at.shown)
        await at.show(bench.look())
        await at.until(lambda: "ran when last seen" not in at.shown)


async def test_another_size_leaves_neither_stale_nor_blank_rows_below_the_stages(bench: RunBench) -> None:
    bench.past("b", 2, 5)
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        for size in ((80, 24), (200, 50), (80, 24), (120, 40)):
            await at.pilot.resize_terminal(*size)
            await at.settled()
            shown = at.screen._stages._pointed
            assert shown.size.height == len(shown.rows), size
            assert len(shown.rows) > 1 or size == (80, 24)


@pytest.mark.parametrize("how", ["waits", "dead", "without a journal", "ended and whole", "ended with a fault"])
async def test_where_nothing_runs_the_cursor_is_where_the_run_stands(how: str, bench: RunBench) -> None:
    bench.end("b", 2)
    stands = ("c_acc", 1)
    if how == "waits":
        bench.note("unit.waiting", 5, unit="c", run=1, why="GPU 0: held by pid 7712")
    elif how == "dead":
        bench.start("c", 1, 5)
        bench.die()
    elif how == "without a journal":
        bench.die()
        (bench.root / "events.jsonl").unlink()
        stands = ("b_wer", 2)
    else:
        for unit in bench.units:
            bench.observed(unit, 3)
        bench.leave()
        stands = ("a_acc", 1)
    if how == "ended with a fault":
        bench.folder.cell("c_wer", 3, sample_counts={"total": 50, "ok": 49})
        stands = ("c_wer", 3)
    async with run_desk(bench, bench.look()) as at:
        matrix = at.screen.matrix
        assert (matrix.row and matrix.row.key, matrix.run, matrix.live) == (*stands, True)


async def test_a_mark_pins_its_own_log_and_escape_goes_back_to_what_runs(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("up")
        assert {(told.key, told.run) for told in at.messages if isinstance(told, Matrix.Moved)} == {("a_speed", 2)}
        await at.until(lambda: supervision(at).pinned == "_pytest/a/run2.log", "the pinned log")
        await at.until(lambda: "collecting" in at.shown, "the log of that repeat")
        await at.press("escape")
        assert supervision(at).pinned is None
        assert at.screen.matrix.live
        assert at.screen.is_current, "escape took one layer"
        assert at.screen.matrix.row is not None
        assert at.screen.matrix.row.key == "b_wer"


async def test_the_mark_that_runs_and_one_without_a_log_show_what_runs(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("up")
        await at.until(lambda: supervision(at).pinned is not None)
        await at.press("down")  # back on the repeat that runs, by hand
        await at.until(lambda: supervision(at).pinned is None)
        await at.press("up")
        await at.until(lambda: supervision(at).pinned is not None)
        await at.press("down", "down")  # c has not run
        await at.until(lambda: supervision(at).pinned is None)


async def test_a_hand_on_the_cursor_is_not_pushed_by_looks(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("home", "right")
        bench.end("b", 2)
        bench.start("b", 3, 0)
        await at.show(bench.look())
        assert at.screen.matrix.row is not None
        assert at.screen.matrix.row.key == "a_acc"


async def test_keys_for_stages_work_in_the_log_as_well(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("2", "left_curly_bracket")
        assert at.screen.matrix.row is not None
        assert at.screen.matrix.row.key == "a_speed"
        await at.press("right_curly_bracket", "right_curly_bracket")
        assert at.screen.matrix.row.key == "c_acc"


async def test_a_click_goes_there_and_another_one_goes_in(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        row = next(number for number, text in enumerate(at.rows) if "a_speed" in text)
        column = at.rows[row].index("✓")
        await at.pilot.click(offset=(column + 4, row))
        matrix = at.screen.matrix
        assert (matrix.row and matrix.row.key, matrix.run) == ("a_speed", 3)
        await at.pilot.click(offset=(column + 4, row), times=2)
        await at.until(lambda: type(at.app.screen).__name__ == "StageScreen")


async def test_enter_shows_all_of_a_stage(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("enter")
        await at.until(lambda: type(at.app.screen).__name__ == "StageScreen")
        assert getattr(at.app.screen, "key", "") == "b_wer"


async def test_faults_are_found(bench: RunBench) -> None:
    bench.folder.cell("a_speed", 2, status="failed", reason="no server", metrics={})
    bench.folder.cell("a_acc", 3, sample_counts={"total": 50, "ok": 49})
    async with run_desk(bench, bench.look(), (120, 40)) as at:
        where = []
        for key in ("e", "e", "E"):
            await at.press(key)
            assert at.screen.matrix.row is not None
            where.append((at.screen.matrix.row.key, at.screen.matrix.run))
        assert where == [("a_acc", 3), ("a_speed", 2), ("a_acc", 3)]
        assert "49 of 50 samples ok" in at.shown


# What costs nothing.


async def test_the_same_look_again_paints_nothing(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(eight_gpus()), (120, 40)) as at:
        before = paints(at)
        for _ in range(3):
            await at.show(bench.look(eight_gpus()))
        assert paints(at) == before


async def test_an_age_paints_when_its_step_changes_and_only_its_row(bench: RunBench) -> None:
    look = bench.look(eight_gpus())
    async with run_desk(bench, look, (120, 40)) as at:
        before = paints(at)
        bench.now += 3
        await at.show(look)
        assert paints(at) == before
        bench.now += 8
        await at.show(look)
        assert "10s" in at.rows[0]
        assert [now - then for now, then in zip(paints(at), before, strict=True)].count(1) == 1


async def test_below_another_screen_nothing_is_painted(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.app.push_screen(Screen())
        before = paints(at)
        bench.observed("b", 2)
        bench.end("b", 2)
        bench.start("b", 3, 0)
        await at.show(bench.look())
        await at.settled()
        assert paints(at) == before
        await at.app.pop_screen()
        await at.until(lambda: "b 3/3" in at.rows[0])


async def test_what_a_dialog_lets_through_goes_on(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.app.push_screen(ModalScreen())
        bench.end("b", 2)
        bench.start("b", 3, 0)
        await at.show(bench.look())
        await at.until(lambda: "b 3/3" in at.rows[0])


async def test_space_stops_painting_and_never_watching(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("space")
        assert "paused" in at.rows[0]
        before = at.rows
        bench.end("b", 2)
        bench.start("c", 1, 0)
        await at.show(bench.look())
        await at.settled()
        assert at.rows == before
        await at.press("space")
        await at.until(lambda: "c 1/3" in at.rows[0])


@pytest.mark.parametrize("covered", [False, True], ids=["seen", "covered"])
async def test_another_size_lays_out_anew_what_is_shown_while_painting_is_stopped(
    bench: RunBench, covered: bool
) -> None:
    def around(at: RunDesk) -> list[str]:
        """What stands above and below the panes."""
        body = at.screen.query_one("#run-body").region
        return at.rows[: body.y] + at.rows[body.bottom : -1]

    async with run_desk(bench, bench.look(eight_gpus()), (120, 30)) as at:
        await at.press("space")
        wide = around(at)
        assert "paused" in wide[0]
        await at.pilot.resize_terminal(40, 24)
        await at.settled()
        narrow = around(at)
        assert "paused" in narrow[0], "laid out for this width, the least telling is left out"
        bench.end("b", 2)
        bench.start("c", 1, 0)
        bench.now += 300
        await at.show(bench.look(eight_gpus(busy=())))
        await at.settled()
        assert around(at) == narrow
        if covered:
            await at.press("enter")
            await at.until(lambda: at.app.screen is not at.screen)
        await at.pilot.resize_terminal(120, 30)
        await at.settled()
        if covered:
            await at.press("escape")
            await at.until(lambda: at.app.screen is at.screen)
            await at.settled()
        assert around(at) == wide, "the same look, at the same moment"
        await at.press("space")
        await at.until(lambda: "c 1/3" in at.rows[0])


async def test_many_stages_are_no_widgets_and_rows_are_kept(tmp_path: Path) -> None:
    units = {f"u{number}": (f"stage_{number}",) for number in range(500)}
    bench = RunBench.make(tmp_path, units, 20)
    bench.begin()
    bench.observed("u3", 2)
    async with run_desk(bench, bench.look()) as at:
        assert len(at.screen.query("*")) < 60
        matrix = at.screen.matrix
        rows = matrix.grid.rows
        await at.press("G", "right")
        await at.until(lambda: "stage_499" in at.shown)
        for _ in range(25):
            await at.press("right")
        assert matrix.run == 20
        await at.show(bench.look(host_look()))
        assert at.screen.matrix.grid.rows is rows


# Keys of the run.


async def test_a_look_can_be_asked_for(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("r")
        assert len(bench.asked) == 1
        assert "looking" in at.rows[0]
        await at.show(bench.look())
        assert "looking" not in at.rows[0]


@pytest.mark.parametrize("key", ["A", "N", "R"])
async def test_read_only_changes_nothing_and_says_so(bench: RunBench, key: str) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press(key)
        assert toasts(at) == [READ_ONLY]
        assert at.screen.is_current


@pytest.mark.parametrize("key", ["A", "N", "R"])
async def test_in_the_log_no_key_asks_to_change_anything(bench: RunBench, key: str) -> None:
    async with run_desk(bench, bench.look(), read_only=False) as at:
        await at.press("2")
        await at.until(lambda: supervision(at).has_focus_within)
        await at.press(key)
        assert toasts(at) == [] or key == "N", "N is the log's own"
        assert at.screen.is_current


async def test_apply_says_how_far_away_it_is(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), read_only=False) as at:
        assert at.rows[-1].endswith("A apply: 3 stages to go")
        await at.press("A")
        assert toasts(at) == ["apply: 3 stages to go"]
        await at.press("R")
        assert toasts(at)[-1].startswith("there is nothing to resume")


@pytest.mark.parametrize(("key", "name"), [("R", "ResumeScreen"), ("N", "FormScreen")])
async def test_what_changes_something_asks_on_a_screen_of_its_own(bench: RunBench, key: str, name: str) -> None:
    bench.die()
    async with run_desk(bench, bench.look(), read_only=False) as at:
        await at.press(key)
        await at.until(lambda: type(at.app.screen).__name__ == name)


async def test_apply_asks_once_all_is_ready(bench: RunBench) -> None:
    bench.observed("b", 3)
    bench.observed("c", 3)
    bench.leave()
    async with run_desk(bench, bench.look(), read_only=False) as at:
        assert at.rows[-1].endswith("A apply: asks")
        await at.press("A")
        await at.until(lambda: type(at.app.screen).__name__ == "PromptScreen")


async def test_panes_zoom_and_the_way_back(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("tab")
        assert supervision(at).has_focus_within
        await at.press("3")
        assert at.screen.query_one(JobPane).has_focus_within
        await at.press("tab")
        assert at.screen.query_one(Matrix).has_focus
        await at.press("shift+tab", "z")
        assert shown(at) == {"job"}
        await at.press("1")
        assert shown(at) == {"stages"}, "the zoom goes with the focus"
        await at.press("up", "escape")
        assert shown(at) == {"stages", "supervision", "job"}
        assert "Esc: live" in at.shown
        await at.press("escape")
        assert at.screen.matrix.live
        await at.press("escape")
        await at.until(lambda: not at.screen.is_attached)
        assert at.rows[0] == "home"


async def test_help_and_palette_know_the_run(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        await at.press("question_mark")
        await at.until(lambda: "keys: stage matrix" in at.shown)
        assert "This run" in at.shown
        await at.press("escape", "colon")
        await at.press(*"zoom")
        await at.until(lambda: "run: zoom  (z)" in at.shown)


async def test_any_size_and_back(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(eight_gpus())) as at:
        before = at.rows
        for size in ((1, 1), (2, 30), (200, 2), (5, 5), (79, 23), (300, 100), (80, 24)):
            await at.pilot.resize_terminal(*size)
            await at.pilot.pause()
            if size == (79, 23):
                assert "made for 80x24" in at.rows[-1]
        await at.settled()
        assert at.rows == before


# Looks of every kind.


def never_seen() -> RunLook:
    nothing: Any = None
    blind = Snapshot("run", State.BLIND, Seen(None, None), Progress(None, None), None, (), (), (), "no answer", nothing)
    return RunLook(blind, None)


async def test_a_host_that_never_answered(bench: RunBench) -> None:
    async with run_desk(bench, never_seen()) as at:
        assert "It has not been seen yet: no answer." in at.shown
        assert "blind" in at.rows[0]
        await at.press("down", "enter", "z", "escape", "e")
        await at.show(bench.look())
        assert "1 of 3 stages" not in at.shown
        assert "2 of 5 stages ready." in at.shown


async def test_before_the_first_look(bench: RunBench) -> None:
    async with run_desk(bench) as at:
        assert "looking for the first time" in at.rows[0]
        await at.press("down", "A", "z", "z", "question_mark", "escape")
        await at.show(bench.look())
        assert "running" in at.rows[0]


@pytest.mark.parametrize(
    "text", ["\x1b]0;x\x07\x1b[2J", "[red]x[/red]", "[/]", "\u202eabc", "e" + "\u0301" * 99, "模" * 5_000]
)
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_hostile_text_everywhere(tmp_path: Path, text: str, size: tuple[int, int]) -> None:
    name = "".join(letter for letter in text if letter >= " ").replace("/", "-")[:60] or "x"
    bench = RunBench.make(tmp_path, {name: (name, "b")}, 3, model=text, calibration_git_sha=text)
    bench.begin()
    bench.folder.cell(name, 1, status="failed", reason=text, git_sha=text, metrics={"accuracy": None})
    bench.note("unit.waiting", 5, unit=text, run=2, why=text)
    look = bench.look(host_look(None, error=text), error=text)
    async with run_desk(bench, look, size, title=text, host=text) as at:
        for state in State:
            await at.show(RunLook(replace(look.snapshot, state=state), look.host))
            await at.press("down", "up")
            letters = {letter for row in at.rows for letter in row}
            assert not [letter for letter in letters if letter < " " or "\x7f" <= letter < "\xa0" or letter == "\u202e"]
        if text.startswith("["):
            assert text in at.rows[0] or text[:3] in at.rows[0], "nothing was taken for markup"


async def test_what_lives_and_writes_nothing_is_nowhere_called_running(bench: RunBench) -> None:
    bench.silent = 900
    for size in ((80, 24), (120, 40)):
        async with run_desk(bench, bench.look(), size) as at:
            assert "stalled b 2/3" in at.rows[0]
            ours = [row[:30] if "supervision" not in row else row for row in at.rows[1:]]
            assert not [row for row in ours if "running" in row]
            assert any("▲ stalled" in row for row in ours)


async def test_it_can_be_told_before_it_is_there(bench: RunBench) -> None:
    """The dashboard pushes it and hands it a look at once."""
    screen = RunScreen(bench.place())
    screen.show(bench.look())
    app = RunApp(bench, screen)
    app.zone = UTC
    async with app.run_test(size=(80, 24)) as pilot:
        at = RunDesk(app, pilot, bench)
        await at.until(lambda: "b 2/3" in at.rows[0])
        assert at.app.query(Static)
        await asyncio.sleep(0)


async def test_what_is_typed_ahead_of_a_pane_goes_into_it(bench: RunBench) -> None:
    async with run_desk(bench, bench.look()) as at:
        for key in "3z":
            at.app.post_message(Key(key, key))
        await at.until(lambda: at.screen.has_class("-zoom"))
        assert shown(at) == {"job"}
