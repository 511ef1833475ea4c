"""Text of others in every place of the apply prompt: shown as it is, obeyed nowhere, and never wider than its row."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.modes import Decisions, Edit, Left, Question
from gates.calibration.rows import PlanRow
from jobs.calibration.offering import Change, CutOff
from tests.peers.quick import git
from tests.tui.screens.applying import TEST, Lab, Table, desk
from tests.tui.screens.test_prompt_flow import rows
from tests.tui.snapshots import text
from tui.screens import prompt_pages as pages
from tui.screens.prompt_flow import Flow, Judged, Step
from tui.screens.prompt_page import Page

NASTY = "[red]r[/red] [/x] [@click=app.quit]c[/] \x1b[2J\x1b]0;\x07 \u202egnp\u202c \u200bz e\u0301\u0301 宽 🎉 \x9b31m"
LONG = "x" * 10_000


def _safe(shown: str) -> None:
    bad = [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cf") and letter != "\n"]
    assert bad == []


def _looked_at(at: Table) -> None:
    for row in text(at.app):
        _safe(row)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A repository and a run whose every name and comment is nobody's friend."""
    lab = Lab.make(tmp_path / NASTY.replace("/", "|").replace("\x9b", ""), name="r [red] \x1b[2J")
    path = lab.folder / TEST
    nasty = NASTY.replace("\n", "")
    path.write_text(path.read_text().replace("# not 0.9", f"# {nasty} {LONG} not 0.9"))
    git(lab.folder, "commit", "--quiet", "--all", "--message", "nasty")
    lab.write_run()
    return lab


async def test_nothing_of_a_hostile_project_is_obeyed(lab: Lab) -> None:
    place = replace(await lab.place(), title=f"{NASTY} {LONG}", host=f"{NASTY} {LONG}")
    async with desk(lab, (80, 24), place) as at:
        await at.smart()
        _looked_at(at)
        await at.press("down", "enter", "enter")
        await at.at(Step.CHANGE)
        _looked_at(at)
        assert "[ No, change nothing ]" in at.said, "however long the names are, the answers stay on the screen"
        for _ in range(12):
            await at.press("pagedown")
            _looked_at(at)
        await at.press("home")
        assert "[red]r[/red]" in at.said
        await at.write()
        _looked_at(at)
        assert "[ close ]" in at.said
    assert "0.912  # [red]" in lab.test


async def test_an_interrupted_apply_of_a_hostile_person(lab: Lab) -> None:
    async with desk(lab, (80, 24)) as at:
        await at.open()
        await at.press("down", "down", "enter")
        await at.at(Step.CHANGE)
        await at.write()
    path = next((lab.run_dir / ".gatewatch" / "apply").glob("*/journal.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "prepared", "who": f"{NASTY}{LONG}"}))
    events = lab.run_dir / "events.jsonl"
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:2]))
    async with desk(lab, (80, 24)) as at:
        await at.press("A")
        await at.at(Step.CUT_OFF)
        _looked_at(at)
        assert "leave it" in at.said


async def test_what_is_pasted_as_a_number_is_no_control_sequence(lab: Lab) -> None:
    async with desk(lab, (80, 24)) as at:
        await at.smart()
        await at.press("down", "down", "enter")
        field = at.prompt.box.number.query_one("Input")
        field.insert_text_at_cursor(f"{NASTY}{LONG}")  # type: ignore[attr-defined]  # an Input
        await at.pilot.pause()
        _looked_at(at)
        assert "expected keep, apply or a number" in at.said
        await at.press("enter")
        assert at.step is Step.QUESTION


nasty = st.one_of(st.text(max_size=60), st.sampled_from([NASTY, LONG, "\u202e", "a" * 79 + "宽", ""]))


def _fits(page: Page, width: int) -> None:
    for row in (*page.rows, *page.ask, *page.below):
        _safe(row.plain)
        assert row.cell_length <= width, (page.title, row.plain)


@given(rows(), nasty, nasty, nasty, st.integers(40, 160), st.booleans())
def test_every_page_fits_its_width_whatever_it_shows(
    row: PlanRow, one: str, two: str, three: str, width: int, ascii_only: bool
) -> None:
    row = replace(row, stage_key=one, source=two, symbol=two, file=three, group=one, problem=two)
    judged = Judged(None, error=one, effect="loosens (+1%)", caution=two)
    flow = Flow("smart", (Question(row, one),))
    for height in (24, 50):
        _fits(pages.question(flow, width, height, ascii_only, judged), width)
    edit = Edit(row, row.write_value, row.write_text, "loosens", one)
    decisions = Decisions("smart", (edit,), (), (Left(row, two),), (Left(row, three),))
    change = Change(decisions, (), ((f"--- a/{one}", f"+++ b/{one}", "@@ @@", f"-{two}", f"+{three}"),))
    _fits(pages.change(change, (one, two), three, one, width, ascii_only), width)
    cut = CutOff("id", one, two, three, one, ((one, "old"), (two, "new"), (three, two)), why=three)
    _fits(pages.cut_off(cut, one, width), width)
    _fits(pages.over(one, (two, three), "", width), width)
    _fits(pages.preparing((one, two), width, ascii_only), width)
