from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.cells import StageAudit
from tests.tui.screens.runs import RunBench
from tui.screens.matrix import Matrix
from tui.screens.matrix_columns import MARKER, USUAL, Columns, columns, widths
from tui.screens.matrix_grid import FILLS, LAST_SEEN, Grid, Now, Row, fill, fill_sign, fill_step, grid, log_of, look_of
from tui.screens.matrix_told import told
from tui.screens.run_facts import Clock


def made(names: list[str], repeats: int) -> Grid:
    rows = tuple(Row(StageAudit(name, None, (), 0, False, repeats), name, None, (), None, None) for name in names)
    return Grid(rows, repeats)


def taken(laid: Columns) -> int:
    """Cells that a row of these columns takes."""
    beside = (laid.ready + 1 if laid.ready else 0) + (laid.usual + 2 if laid.usual else 0)
    return laid.marks + laid.count * laid.step + beside + (laid.why + 2 if laid.why else 0)


@given(
    st.lists(st.text("abc_", min_size=1, max_size=60), max_size=4), st.integers(0, 40), st.integers(1, 200), st.data()
)
def test_a_row_fits_and_shows_the_cursor(names: list[str], repeats: int, room: int, data: st.DataObject) -> None:
    cursor = data.draw(st.integers(0, max(0, repeats - 1)))
    laid = columns(made(names, repeats), room, cursor)
    assert laid.first <= cursor < laid.first + laid.count
    if room >= 8:
        assert taken(laid) <= room
    for place in range(laid.first, laid.first + laid.count):
        assert laid.column_at(laid.marks + (place - laid.first) * laid.step) == place
    assert laid.column_at(0) is None
    assert laid.column_at(laid.marks + laid.count * laid.step) is None


def test_more_room_shows_more() -> None:
    some = made(["videoamme_talker_tp2_accuracy", "tts_wer"], 5)
    assert columns(some, 29).name < 29, "a narrow one gives up the middle of a name, never a mark"
    assert columns(some, 29).count == 5
    assert columns(some, 50) == Columns(29, 2, 0, 5, 3)
    assert columns(some, 60).usual == USUAL
    assert widths(some)[0] <= widths(some)[1]
    assert taken(columns(some, widths(some)[0])) <= widths(some)[0]
    assert columns(some, widths(some)[0]).step == 2
    assert MARKER == 1


@pytest.mark.parametrize(
    ("share", "sign", "plain"),
    [(None, "●", "*"), (0.0, "▁", "1"), (0.49, "▄", "4"), (0.99, "█", "8"), (7.0, "█", "8")],
)
def test_what_runs_fills_up(share: float | None, sign: str, plain: str) -> None:
    assert fill_sign(fill_step(share), ascii_only=False) == sign
    assert fill_sign(fill_step(share), ascii_only=True) == plain
    assert len(FILLS) == 8


def test_the_fill_is_by_the_stages_own_durations(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path, {"a": ("a1", "a2")}, 3)
    bench.begin()
    bench.folder.cell("a1", 1, duration_s=100.0)
    bench.start("a", 2, 25)
    seen = grid(None, bench.look().snapshot)
    one, two = seen.rows
    assert fill(seen, one, bench.now) == 0.25
    assert fill(seen, two, bench.now) is None, "nothing is known of it yet"
    assert seen.runs(one, 2)
    assert not seen.runs(one, 1)


def test_rows_are_kept_from_look_to_look(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path)
    bench.begin()
    bench.observed("mmmu", 2)
    first = grid(None, bench.look().snapshot)
    same = grid(first, bench.look().snapshot)
    assert same == first
    assert same.rows is first.rows, "another look that shows the same"
    bench.observed("tts", 1)
    second = grid(first, bench.look().snapshot)
    kept = [one is two for one, two in zip(first.rows, second.rows, strict=True)]
    assert kept.count(False) == 2
    assert second.place("tts_wer") == 10


def test_the_log_of_a_repeat(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path, {"a": ("a1",), "b": ("b1",)}, 2)
    bench.folder.cell("a1", 1)
    bench.folder.cell("b1", 1, pytest_log="/elsewhere/.tune-runs/x/_pytest/test_b__preset/run1.log")
    bench.log("a", 1, b"x")
    bench.log("test_b__preset", 1, b"x")
    snapshot = bench.look().snapshot
    seen = grid(None, snapshot)
    assert log_of(seen, snapshot.body, seen.rows[0], 1) == "_pytest/a/run1.log"
    assert log_of(seen, snapshot.body, seen.rows[0], 2) is None
    assert log_of(seen, snapshot.body, seen.rows[1], 1) == "_pytest/test_b__preset/run1.log"


def test_what_ran_when_it_was_last_seen_is_neither_running_nor_not_run(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path, {"a": ("a1", "a2")}, 3)
    bench.begin()
    bench.folder.cell("a1", 1, duration_s=100.0)
    bench.start("a", 2, 25)
    running = grid(None, bench.look().snapshot)
    seen = grid(running, bench.blind("no answer", 40).snapshot)
    one = seen.rows[0]
    assert seen.now is not None
    assert seen.now.word == LAST_SEEN.word
    assert look_of(seen, one, one.stage.cells[1]) is LAST_SEEN
    assert fill(seen, one, bench.now) is None, "whether it still runs nobody knows"
    at = Clock(bench.now, bench.now, UTC)
    said = ["".join(text for text, _ in row) for row in told(seen, one, 2, at, 60, 9, False)]
    assert said[1:] == [" a1 2/3  ◌ ran when last seen", " not seen to end, usually 1m 40s"]
    other = ["".join(text for text, _ in row) for row in told(seen, one, 3, at, 60, 9, False)]
    assert "not run yet, usually 1m 40s" in other[2]
    bench.end("a", 2)
    bench.look()
    nothing = grid(seen, bench.blind("no answer", 40).snapshot)
    assert (nothing.now, nothing.stands) == (None, ("a1", 2)), "nothing ran when it was last seen"


def test_when_it_was_recorded_is_told_by_our_clock(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path, {"a": ("a1",)}, 2)
    bench.folder.cell("a1", 1, recorded_at="2026-05-25T02:21:00Z")
    seen = grid(None, bench.look().snapshot)

    def minute(ahead: float) -> int:
        rows = told(seen, seen.rows[0], 1, Clock(bench.now, bench.now + ahead, UTC), 200, 14, False)
        found = re.search(r"recorded .*?(\d\d):(\d\d)", "".join(text for row in rows for text, _ in row))
        assert found is not None
        return 60 * int(found[1]) + int(found[2])

    assert [(minute(ahead) - minute(0)) % 1440 for ahead in (3600, -3600)] == [1380, 60]


def test_the_help_tells_what_every_cell_means() -> None:
    looks = [
        Now("a", 1, frozenset("a"), None, stalled, unseen).look for stalled in (True, False) for unseen in (True, False)
    ]
    assert {look.word for look in looks} <= {look.word for look in Matrix.HELP_SIGNS}
