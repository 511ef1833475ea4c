"""What is missing is asked once, in one form, in a real terminal; nothing starts without an answer."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.peers.quick import Quick, tree
from tests.peers.terminal import CTRL_C, CTRL_D, Terminal

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

STAGES_ASKED = "stages (names from above, @group, or ALL) [ALL]: "
REPEATS_ASKED = "repeats (1, 2, 3, 5; 1 is a smoke test) [5]: "


def ask(quick: Quick, *words: str, stdout: Path | None = None) -> Terminal:
    return Terminal(quick.argv("calibrate", "run", *words), quick.folder, {**os.environ, **quick.env}, stdout=stdout)


def test_the_form(quick: Quick, tmp_path: Path) -> None:
    with ask(quick, stdout=tmp_path / "out") as screen:
        screen.until(STAGES_ASKED)
        assert screen.text.replace("\r", "").splitlines()[:4] == [
            "gatewatch: what can be calibrated of quick:",
            "BASE  GROUPS          TEST",
            "a     accuracy speed  tests/test_quick_a.py",
            "b     wer             tests/test_quick_b.py",
        ]
        screen.press(b"@wer\n")
        screen.until(REPEATS_ASKED)
        screen.press(b"1\n")
        assert screen.wait() == 0
    (run,) = quick.runs.iterdir()
    plan = json.loads((run / "plan.json").read_bytes())
    assert (plan["stages"], plan["repeats"]) == (["b_wer"], 1)
    out = (tmp_path / "out").read_text()
    assert out.startswith("calibration_git_sha: ")
    assert out.endswith(f"STRICT + GIT: READY\nrun-dir: {run}\n")


def test_enter_takes_what_stands_there(quick: Quick) -> None:
    with quick.holding(), ask(quick, "--repeats", "1") as screen:
        screen.until(STAGES_ASKED)
        screen.press(b"\n")
        screen.until("START test_quick_a 1/1")
        assert "repeats (" not in screen.text
        assert "Running quick: ALL, 1 repeats on commit " in screen.text.replace("\r\n", "")
        screen.press(CTRL_C)
        screen.until("[e]nd it")
        screen.press(b"e\n")
        assert screen.wait() == 130


def test_one_of_several_models(quick: Quick) -> None:
    shutil.copytree(quick.config.parent, quick.config.parent.parent / "second")
    with ask(quick, "--stages", "b", "--repeats", "1") as screen:
        screen.until("model (quick, second) [quick]: ")
        screen.press(b"second\n")
        assert screen.wait() == 0
    (run,) = quick.runs.iterdir()
    assert json.loads((run / "plan.json").read_bytes())["model"] == "second"


@pytest.mark.parametrize(
    ("keys", "code", "said"),
    [
        ([b"zz\n", b"1\n"], 2, "error: --stages: no stage is called 'zz'"),
        ([b"a\n", b"many\n"], 2, "error: repeats: expected a whole number from 1 to 1000, got 'many'"),
        ([b"a\n", b"0\n"], 2, "error: repeats: expected a whole number from 1 to 1000, got '0'"),
        ([CTRL_D], 2, "error: no answer; nothing was started"),
        ([CTRL_C], 130, "error: interrupted"),
        ([b"a\n", CTRL_C], 130, "error: interrupted"),
    ],
    ids=["unknown stage", "no number", "no repeats", "ctrl-d", "ctrl-c", "ctrl-c later"],
)
def test_without_a_good_answer_nothing_starts(keys: list[bytes], code: int, said: str, quick: Quick) -> None:
    before = tree(quick.folder)
    with ask(quick) as screen:
        for question, key in zip((STAGES_ASKED, REPEATS_ASKED), keys, strict=False):
            screen.until(question)
            screen.press(key)
        assert screen.wait() == code
        assert f"gatewatch: {said}" in screen.text.replace("\r\n", "\n").replace("\n", "", 0)
    assert tree(quick.folder) == before
