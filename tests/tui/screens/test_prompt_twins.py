"""The screen beside the command line, other operators and applies that were cut off: same answers, same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.calibration.offering import Ready, carry_out, get_ready, make_change
from jobs.connect import open_actor
from monitors.calibration import Calibration
from monitors.snapshot import Snapshot
from tests.peers.quick import ROOT
from tests.tui.screens.applying import MEAN, P95, TEST, Lab, desk
from tui.exits import ExitCode
from tui.screens.prompt_flow import Step
from tui.screens.prompt_state import apply_state
from tui.screens.subject import RunLook


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.make(tmp_path)


@pytest.fixture
def twin(lab: Lab, tmp_path: Path) -> Lab:
    """The same repository and run at another place."""
    shutil.copytree(lab.folder, tmp_path / "twin" / "lab", symlinks=True)
    return Lab(tmp_path / "twin" / "lab", lab.name, lab.values)


def gatewatch(lab: Lab, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, str(ROOT / "gatewatch.py"), "calibrate", *words, "--run-dir", str(lab.run_dir)]
    return subprocess.run(argv, cwd=lab.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=50, check=False)


def told(lab: Lab) -> list[tuple[str, Any]]:
    """The journal without what is every apply's own: its id, where the repository lies, and the file's inode."""

    def common(value: Any) -> Any:
        if isinstance(value, list):
            return [common(one) for one in value]
        if isinstance(value, dict):
            return {key: common(one) for key, one in value.items() if key not in ("id", "repo", "inode", "plan")}
        return value

    return [(kind, common(data)) for kind, data in lab.journal()]


TYPED = ("down", "down", "enter", "0", "full_stop", "0", "2", "5", "enter")
CASES = {
    "kept": ("smart", ("enter",), ("enter",), {MEAN: "keep", P95: "keep"}),
    "applied": ("smart", ("down", "enter"), ("enter",), {MEAN: "apply", P95: "keep"}),
    "typed": (
        "smart",
        ("enter",),
        ("down", "down", "enter", "0", ".", "0", "2", "5", "enter"),
        {MEAN: "keep", P95: 0.025},
    ),
    "full": ("full", (), (), {}),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_screen_and_the_command_line_write_the_same(lab: Lab, twin: Lab, tmp_path: Path, case: str) -> None:
    mode, first, second, answers = CASES[case]
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(answers))
    done = gatewatch(twin, "apply", "--mode", mode, "--answers", str(file), "--yes")
    assert done.returncode == 0, done.stderr
    async with desk(lab) as at:
        await at.open()
        await at.press("down", *(["down"] if mode == "full" else []), "enter")
        await at.press(*first, *second)
        await at.at(Step.CHANGE)
        await at.write()
        assert "Wrote " in at.said
    assert lab.sources() == twin.sources()
    assert told(lab) == told(twin)
    assert {kind for kind, _data in lab.journal()} == {"apply.begun", "apply.file", "apply.done"}


async def test_another_operator_was_first(lab: Lab) -> None:
    async with desk(lab) as at:
        await at.change()
        assert gatewatch(lab, "apply", "--mode", "full", "--yes").returncode == 0
        before = lab.sources()
        await at.write()
        assert "applied from this run meanwhile; nothing was changed." in at.said
    assert lab.sources() == before
    assert [kind for kind, _data in lab.journal()].count("apply.begun") == 1


async def test_a_look_tells_of_the_other_operator(lab: Lab) -> None:
    async with desk(lab) as at:
        await at.change()
        assert gatewatch(lab, "apply", "--mode", "smart", "--yes").returncode == 0
        await at.look()
        assert at.step is Step.OVER
        assert "Already applied; nothing was changed." in at.said
        await at.press("escape", "A")
        await at.until(lambda: "apply: already applied" in at.said)


def _closed(snapshot: Snapshot[Calibration]) -> str:
    return apply_state(RunLook(snapshot), False)


async def _ready(lab: Lab) -> Ready:
    place = await lab.place()
    found = await get_ready(
        place.reader, place.watched, lambda one: apply_state(RunLook(one), False), lambda _line: None
    )
    assert isinstance(found, Ready)
    return found


async def test_two_that_confirm_at_the_same_moment(lab: Lab) -> None:
    """Past the last look the verb decides: the same change is written once, another one not at all."""
    mine, same, other = await _ready(lab), await _ready(lab), await _ready(lab)
    actor = open_actor(None, False)
    full = await make_change(mine, "full", {})
    done = await carry_out(actor, mine.prepared, full.files, "full", "ann")
    assert not done.already
    again = await carry_out(actor, same.prepared, (await make_change(same, "full", {})).files, "full", "ben")
    assert again.already
    before = lab.sources()
    smart = await make_change(other, "smart", {})
    with pytest.raises(Exception, match="changed since the plan was made"):
        await carry_out(actor, other.prepared, smart.files, "smart", "cai")
    assert lab.sources() == before


def _cut_off(lab: Lab, *, old: bool) -> str:
    """Leave an apply as a machine leaves it that lost its power in the middle of it; returns what the file held."""
    before = lab.test
    assert gatewatch(lab, "apply", "--mode", "full", "--yes").returncode == 0
    path = next((lab.run_dir / ".gatewatch" / "apply").glob("*/journal.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "prepared"}))
    events = lab.run_dir / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join(lines[: 1 if old else 2]))
    if old:
        (lab.folder / TEST).write_text(before)
    return before


@pytest.mark.parametrize("old", [True, False], ids=["before the file", "after the file"])
@pytest.mark.parametrize("way", ["leave", "finish", "roll back"])
async def test_an_apply_that_was_cut_off_is_brought_to_an_end(lab: Lab, way: str, old: bool) -> None:
    before = _cut_off(lab, old=old)
    cut = lab.tree()
    async with desk(lab) as at:
        await at.press("A")
        await at.at(Step.CUT_OFF)
        assert f"apply interrupted {0 if old else 1}/1" in at.said
        assert at.prompt.box.choices.marked == "no"
        if way == "leave":
            await at.press("enter")
            assert not at.is_open
        else:
            await at.press(*["down"] * (1 if way == "finish" else 2), "enter")
            await at.at(Step.OVER)
            assert f"The interrupted apply was {'completed' if way == 'finish' else 'rolled back'}." in at.said
    if way == "leave":
        assert lab.tree() == cut
        return
    assert (lab.test == before) == (way == "roll back")
    assert lab.journal()[-1][0] == ("apply.done" if way == "finish" else "apply.rolled_back")


async def test_a_file_that_others_changed_cannot_be_finished(lab: Lab) -> None:
    _cut_off(lab, old=False)
    (lab.folder / TEST).write_text(lab.test + "# mine\n")
    async with desk(lab) as at:
        await at.press("A")
        await at.at(Step.CUT_OFF)
        assert "It cannot be finished: a file was changed by somebody else since." in at.said
        assert [one.value for one in at.prompt.box.choices.choices] == ["no", "roll back"]
        await at.press("down", "enter")
        await at.at(Step.OVER)
        assert f"Left alone, because others changed them: {TEST}" in at.said
    assert lab.test.endswith("# mine\n")


async def test_somebody_else_ends_the_cut_off_apply(lab: Lab) -> None:
    _cut_off(lab, old=True)
    async with desk(lab) as at:
        await at.press("A")
        await at.at(Step.CUT_OFF)
        await at.look()
        assert at.step is Step.CUT_OFF
        assert gatewatch(lab, "apply", "--roll-back").returncode == 0
        await at.look()
        assert "omebody else dealt with the interrupted apply meanwhile" in at.said


@dataclass(frozen=True)
class Hold:
    """The run's Python waits as long as this file is there; it says that it does by another one."""

    path: Path

    def begin(self) -> None:
        self.path.touch()

    def end(self) -> None:
        self.path.unlink()

    def is_met(self) -> bool:
        return self.path.with_name("hold.met").exists()


@pytest.fixture
def slow(lab: Lab, tmp_path: Path) -> Hold:
    """A run whose Python can be held up."""
    hold, python = tmp_path / "hold", tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\n[ -e {hold} ] && touch {hold}.met\nwhile [ -e {hold} ]; do sleep 0.05; done\n"
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    lab.write_run(venv_python=str(python))
    return Hold(hold)


async def test_what_is_being_written_is_not_left_half_way(lab: Lab, slow: Hold) -> None:
    async with desk(lab) as at:
        await at.change()
        slow.begin()
        await at.press("right", "enter")
        await at.until(slow.is_met, "the proof at work")
        assert at.step is Step.WRITING
        await at.press("escape", "q", "enter", "backspace")
        assert at.step is Step.WRITING
        assert "cannot be stopped half way" in at.said
        slow.end()
        await at.at(Step.OVER)
        assert "Wrote 2 literals in 1 file" in at.said


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (("q",), ExitCode.OK),
        (("ctrl+q",), ExitCode.OK),
        (("ctrl+c",), ExitCode.INTERRUPTED),
        (("question_mark", "ctrl+c"), ExitCode.INTERRUPTED),
        (("question_mark", "ctrl+q"), ExitCode.OK),
    ],
    ids=str,
)
async def test_no_key_leaves_while_something_is_written_but_the_second_time(
    lab: Lab, slow: Hold, keys: tuple[str, ...], code: ExitCode
) -> None:
    async with desk(lab) as at:
        await at.change()
        slow.begin()
        await at.press("right", "enter")
        await at.until(slow.is_met, "the proof at work")
        await at.press(*keys)
        assert "the same key again leaves anyway" in at.said
        assert at.app.is_running
        await at.press(keys[-1])
        assert at.app.return_value == code
        slow.end()


async def test_what_is_prepared_is_given_up_at_once(lab: Lab, slow: Hold) -> None:
    before = lab.tree()
    slow.begin()
    async with desk(lab) as at:
        await at.press("A")
        await at.until(slow.is_met, "the sources being read")
        assert at.step is Step.PREPARING
        assert "reading the thresholds in the test files" in at.said
        await at.press("escape")
        assert not at.is_open
        slow.end()
    assert lab.tree() == before


async def test_an_apply_that_fails_half_way_says_how_far_it_came(lab: Lab, slow: Hold) -> None:
    """Somebody saves the file after the last look and before it is replaced."""
    before = lab.sources()
    async with desk(lab) as at:
        await at.change()
        slow.begin()
        await at.press("right", "enter")
        await at.until(slow.is_met, "the proof at work")
        path = lab.folder / TEST
        text = path.read_text()
        path.write_text(text + "# mine\n")
        slow.end()
        await at.at(Step.OVER)
        assert "not applied" in at.said
        path.write_text(text)
    assert lab.sources() == before
