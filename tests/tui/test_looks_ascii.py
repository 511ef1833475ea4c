"""Where only ASCII is asked for, every cell of every screen is ASCII: ours, the framework's, and what was shortened."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from textual.color import Color

from tests.tui.screens.applying import Lab, desk
from tests.tui.screens.homes import everything, home
from tests.tui.screens.run_desk import run_desk
from tests.tui.screens.runs import RunBench, eight_gpus
from tests.tui.snapshots import text
from tui.asciified import SIGNS, Asciified
from tui.cells import painted
from tui.screens.resume import open_resume
from tui.screens.stage import StageScreen

_LOG = b"".join(b"2026-05-25 02:40:%02d INFO batch %d of 60\n" % (n, n) for n in range(60))
_UNIT = "a_unit_with_a_name_that_no_row_has_room_for_" * 2
_UNITS = {_UNIT: tuple(f"{_UNIT}_{part}" for part in ("accuracy", "speed")), "b": ("b_wer",)}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Made outside of the event loop, which it would block."""
    return Lab.make(tmp_path)


def foreign(rows: list[str]) -> list[str]:
    """The rows that are not ASCII."""
    return [row for row in rows if not row.isascii()]


def broken(folder: Path, how: str) -> RunBench:
    """A run with a mark of every kind, in a folder whose path is longer than any row."""
    deep = folder / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    bench = RunBench.make(deep, _UNITS, 4)
    bench.begin(4_000)
    bench.past(_UNIT, 4, 400)
    bench.folder.cell(_UNITS[_UNIT][0], 2, sample_counts={"total": 50, "ok": 49})
    bench.folder.cell(_UNITS[_UNIT][0], 3, status="failed", reason="missing metric wer in r.json " * 9, metrics={})
    bench.folder.cell(_UNITS[_UNIT][1], 4, destructive=True, destructive_evidence=["GPU 0 was shared " * 9])
    bench.past("b", 1, 90)
    bench.start("b", 2, 80, _LOG)
    if how == "dead":
        bench.die()
    elif how == "waiting":
        bench.end("b", 2)
        bench.note("unit.waiting", 5, unit="b", run=3, why="GPU 0: held by pid 7712 " * 9)
    return bench


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_home(size: tuple[int, int], tmp_path: Path) -> None:
    async with home(size, ascii_only=True, first=("Looking ...",)) as at:
        await at.show(everything(tmp_path))
        at.app.say("a word in passing")
        for keys in ((), ("G",), ("u",), ("question_mark",), ("escape", "colon")):
            await at.press(*keys)
            assert foreign(at.rows) == []
        await at.until(lambda: any("home: go in" in row for row in at.rows))
        assert foreign(at.rows) == []
        await at.press("z", "z")
        await at.until(lambda: any("No matches" in row for row in at.rows))
        assert foreign(at.rows) == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=str)
@pytest.mark.parametrize("how", ["running", "waiting", "dead"])
async def test_a_run(how: str, size: tuple[int, int], tmp_path: Path) -> None:
    bench = broken(tmp_path, how)
    async with run_desk(bench, bench.look(eight_gpus()), size, read_only=False, ascii_only=True) as at:
        for keys in ((), ("e",), ("e",), ("z",), ("z", "2"), ("slash",), ("escape", "at"), ("escape", "3"), ("z",)):
            await at.press(*keys)
            await at.settled()
            assert foreign(at.rows) == [], keys
        await at.press("z", "question_mark")
        await at.until(lambda: "keys: job" in at.shown)
        assert foreign(at.rows) == []
        await at.press("escape", "colon")
        await at.until(lambda: "run: back" in at.shown)
        assert foreign(at.rows) == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=str)
async def test_a_stage_and_the_question_whether_to_resume(size: tuple[int, int], tmp_path: Path) -> None:
    bench = broken(tmp_path, "dead")
    look = bench.look(eight_gpus())
    async with run_desk(bench, look, size, read_only=False, ascii_only=True) as at:
        await at.press("g", "enter")
        await at.until(lambda: isinstance(at.app.screen, StageScreen))
        for keys in ((), ("down",), ("down",), ("pagedown",), ("enter",)):
            await at.press(*keys)
            await at.settled()
            assert foreign(at.rows) == [], keys
        await at.press("escape", "escape")
        await at.settled()
        open_resume(at.app, bench.place(read_only=False), look)
        await at.until(lambda: "resume this run?" in at.shown)
        await at.settled()
        assert foreign(at.rows) == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_the_pages_of_apply(size: tuple[int, int], lab: Lab) -> None:
    async with desk(lab, size, ascii_only=True) as at:
        await at.open()
        assert foreign(text(at.app)) == []
        await at.smart()
        assert foreign(text(at.app)) == []
        await at.press("escape")
        await at.change()
        assert foreign(text(at.app)) == []


@given(st.text(alphabet=st.sampled_from([chr(sign) for sign in SIGNS]), min_size=1))
def test_a_twin_takes_the_cells_of_its_sign(text: str) -> None:
    (made,) = Asciified().apply([Segment(text)], Color(0, 0, 0))
    assert made.text.isascii()
    assert len(made.text) == painted(text)
