"""`calibrate discard`: one observation is disowned, by whoever may write the journal, and run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.journal import decode_journal
from tests.peers.quick import STAGES, Quick, old_run, tree, until
from tui.cli.main import main

WHY = "the neighbour | rebuilt\nhis `kernel` \x1b[2J"


@pytest.fixture
def checkout(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.chdir(quick.folder)
    return quick


def discard(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(("calibrate", "discard", *words))
    return (code, *capsys.readouterr())


def events(run: Path, kind: str) -> list[Any]:
    return [event.data for event in decode_journal((run / "events.jsonl").read_bytes()).events if event.kind == kind]


def marks(quick: Quick, run: Path) -> dict[str, str]:
    data = quick.gatewatch("calibrate", "audit", "--run-dir", str(run), "--json").json()
    return {stage["stage_key"]: "".join(cell["mark"] for cell in stage["cells"]) for stage in data["stages"]}


def test_a_discard_is_journalled_and_judged(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    cells = {path: body for path, body in tree(run).items() if path.endswith(".json")}
    code, out, err = discard(capsys, "a_speed", "2", "--reason", WHY, "--run-dir", "o")
    assert (code, err) == (0, "")
    assert out == "discarded a_speed/run2.json; it is run again by --resume, or by the runner that is at work\n"
    (event,) = events(run, "cell.discarded")
    assert {key: event[key] for key in ("stage", "run", "why", "reason")} == {
        "stage": "a_speed",
        "run": 2,
        "why": "discard",
        "reason": WHY,
    }
    assert "@" in event["by"]
    assert marks(checkout, run)["a_speed"] == "✓D"
    assert {path: body for path, body in tree(run).items() if path in cells} == cells  # nothing is deleted
    assert not (run / ".gatewatch" / "lock").exists()
    log = (run / "run.log").read_text()
    assert log.count("\n") == 1
    assert "\x1b" not in log


def test_twice_is_refused(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    assert discard(capsys, "a_speed", "run2", "--reason", "x")[0] == 0
    code, _, err = discard(capsys, "a_speed", "2", "--reason", "x")
    assert (code, err) == (1, "gatewatch: error: a_speed/run2.json is discarded already\n")
    assert len(events(run, "cell.discarded")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a_sped", "1", "--reason", "x"), "near: a_speed"),
        (("zzz", "1", "--reason", "x"), "it has a_accuracy, a_speed, b_wer"),
        (("a_speed", "9", "--reason", "x"), "there are runs 1, 2"),
        (("a_speed", "0", "--reason", "x"), "expected a run's number"),
        (("a_speed", "two", "--reason", "x"), "expected a run's number"),
        (("a_speed", "1", "--reason", "  "), "needs a reason"),
        (("a_speed", "1", "--reason", "x" * 2001), "at most 2000"),
        (("a_speed", "1"), "--reason"),
        (("a_speed", "1", "--reason", "x", "--read-only"), "read-only"),
        (("a_speed", "1", "--reason", "x", "--run-dir", "tests"), "no plan.json"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    checkout: Quick, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    run = old_run(checkout.runs / "o")
    code, out, err = discard(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (run / "events.jsonl").exists()
    assert not (checkout.folder / "tests" / ".gatewatch").exists()


def test_a_live_runner_takes_it_in_and_runs_it_again(checkout: Quick) -> None:
    """The first unit is long done while the second waits; its discarded repeat is observed again before the end."""
    second = checkout.folder / "tests" / "test_quick_b.py"
    second.write_text(second.read_text().replace('"QUICK_HOLD"', '"QUICK_HOLD_B"'))
    checkout.commit("the second test waits for a file of its own")
    hold = checkout.hold.with_name("hold-b")
    hold.write_text("")
    run = checkout.runs / "r"
    try:
        started = checkout.run("--detach", env={"QUICK_HOLD_B": str(hold)})
        assert started.code == 0, started.said
        until((run / "_pytest" / "test_quick_b" / "run1.started.json").exists, "the second unit")
        first = json.loads((run / "a_speed" / "run1.json").read_bytes())["attempt_token"]
        done = checkout.gatewatch("calibrate", "discard", "a_speed", "1", "--reason", "odd", "--run-dir", str(run))
        assert done.code == 0, done.said
        assert [event["why"] for event in events(run, "cell.discarded")] == ["discard"]  # the runner wrote it
        assert events(run, "run.ended") == []
    finally:
        hold.unlink()
    until(lambda: not checkout.processes(), "the end")
    assert marks(checkout, run) == dict.fromkeys(STAGES, "✓✓")
    assert json.loads((run / "a_speed" / "run1.json").read_bytes())["attempt_token"] != first
    about = [(event["stage"], event["why"]) for event in events(run, "cell.discarded")]
    assert about[0] == ("a_speed", "discard")
    assert ("a_speed", "set-aside") in about
    assert len(events(run, "run.ended")) == 1


def test_json(checkout: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = old_run(checkout.runs / "o")
    code, out, _ = discard(capsys, "b_wer", "1", "--reason", "x", "--json")
    assert code == 0
    assert json.loads(out) == {"run_dir": str(run), "cell": "b_wer/run1.json", "journalled": True}
