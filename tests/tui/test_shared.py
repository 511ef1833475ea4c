"""While others look on: who and where is covered, on every screen, and nothing can be changed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from tests.tui.screens.run_desk import run_desk
from tests.tui.screens.runs import RunBench
from tui.shared import COVER, Shared

BLACK = Color(0, 0, 0)
LINES = st.text(st.sampled_from("ab1/~.:@ \t世界é-_alice"), max_size=60)


def covering() -> Shared:
    return Shared({"alice", "h20-a", "gpu7.lab", "root", "x"})


@pytest.mark.parametrize(
    "secret",
    [
        "/home/bob",
        "~/runs",
        "~bob/runs",
        "/tmp/a-b_c.d/e",
        "alice",
        "h20-a",
        "gpu7.lab",
        "bob@example.org",
        "10.77.0.2",
        "10.77.0.2:22022",
        "fe80::1",
        "2001:db8:0:0:0:0:0:1",
        "https://hub.example/x?token=1",
    ],
)
@pytest.mark.parametrize("before", ["", "run ", "(", "'", "key="])
def test_who_and_where_is_covered(before: str, secret: str) -> None:
    assert covering().cover(f"{before}{secret} end") == f"{before}{COVER * len(secret)} end"


def test_a_path_on_a_host_is_covered() -> None:
    assert covering().cover("far:/home/bob/x 3") == f"far:{COVER * 11} 3"


@pytest.mark.parametrize(
    "text",
    [
        " / find & filter ↵ whole line",
        "31/75 cells  0.3/7.8G  12 MB/s  n/a",
        "tests/test_a.py::test_it PASSED [ 50%]",
        "_pytest/test_a/run1.log",
        "2026-11-21 10:15:24,142 INFO done in 00:01:07",
        "root and x, malice, h20-ab",
        "a :: b, torch 2.9.1, 3:1",
    ],
)
def test_what_says_nothing_of_them_stays(text: str) -> None:
    assert covering().cover(text) == text


@given(LINES, st.lists(st.integers(0, 60), max_size=4))
@example("see /世界/x alice", [5, 6])
def test_a_row_keeps_its_cells_however_it_is_cut_into_segments(line: str, cuts: list[int]) -> None:
    at = sorted({0, len(line), *(min(cut, len(line)) for cut in cuts)})
    segments = [Segment(line[one:other]) for one, other in pairwise(at)]
    shown = covering().apply(segments, BLACK)
    assert [cell_len(one.text) for one in shown] == [cell_len(one.text) for one in segments]
    assert "".join(one.text for one in shown) == covering().cover(line)


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    bench = RunBench.make(tmp_path, {"a": ("a_acc",), "b": ("b_wer",)}, 2)
    bench.begin(60)
    bench.start("a", 1, 5)
    return bench


async def test_a_run_is_shown_without_where_it_is_and_again_with_it(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40), title=f"run of {bench.root} @h20-a") as at:
        at.app.keep_private({"h20-a"})
        assert "h20-a" in at.shown
        await at.press("s")
        await at.until(lambda: COVER in at.shown)
        assert "h20-a" not in at.shown
        assert str(bench.root) not in at.shown
        assert "s end sharing" in at.rows[-1]
        await at.press("s")
        await at.until(lambda: "h20-a" in at.shown)
        assert COVER not in at.shown


@pytest.mark.parametrize("key", ["A", "R", "N"])
async def test_nothing_can_be_changed_meanwhile(key: str, bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40), read_only=False) as at:
        await at.press("s", key)
        await at.until(lambda: "not while others look on" in at.shown)
        assert at.app.screen is at.screen


async def test_a_question_is_answered_or_left_first(bench: RunBench) -> None:
    async with run_desk(bench, bench.look(), (120, 40), read_only=False) as at:
        await at.press("N")
        await at.until(lambda: at.app.screen is not at.screen)
        await at.app.run_action("share")
        await at.until(lambda: "leave the question first" in at.shown)
        assert not at.app.shared
