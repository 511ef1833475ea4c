"""`calibrate status`: how a run stands, and what can be done about it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from monitors.calibration import Calibration
from monitors.snapshot import Eta, Progress, Seen, Snapshot, State
from tests.peers.quick import MODEL, SHA, Quick, old_run, tree, until, write_cell
from tui.cli.calibration_follow import describe

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)

SPEC_KEYS = {
    "run_dir",
    "model",
    "repeats",
    "complete",
    "ok",
    "total",
    "missing_count",
    "missing",
    "strict_ready",
    "strict_complete",
    "pytest_active",
}


def test_a_finished_old_run(quick: Quick) -> None:
    run = old_run(quick.runs / "o")
    before = tree(quick.folder)
    done = quick.gatewatch("calibrate", "status")
    assert (done.code, done.err) == (0, b"")
    assert done.text.splitlines() == [
        "quick: ended, 3 of 3 stages ready, 6/6 cells strict",
        f"run-dir {run}",
        "  ✓✓  a_accuracy",
        "  ✓✓  a_speed",
        "  ✓✓  b_wer",
    ]
    assert tree(quick.folder) == before


def test_the_json_has_the_shape_that_scripts_know(quick: Quick) -> None:
    run = old_run(quick.runs / "o")
    write_cell(run, "a_speed", 1, sample_counts={"total": 50, "ok": 49})
    (run / "b_wer" / "run2.json").write_text("{")
    done = quick.gatewatch("calibrate", "status", "--json")
    assert (done.code, done.err) == (3, b"")
    data = done.json()
    assert set(data) >= SPEC_KEYS
    assert (data["run_dir"], data["model"], data["repeats"]) == (str(run), MODEL, 2)
    assert (data["ok"], data["total"], data["missing_count"], data["strict_ready"]) == (5, 6, 1, "1/3")
    assert data["missing"] == [{"stage_key": "b_wer", "run": 2, "reason": data["missing"][0]["reason"]}]
    assert "unreadable" in data["missing"][0]["reason"]
    assert (data["complete"], data["strict_complete"], data["pytest_active"]) == (False, False, False)
    assert [(cell["stage_key"], cell["run"], cell["mark"]) for cell in data["incomplete"]] == [
        ("a_speed", 1, "△"),
        ("b_wer", 2, "✗"),
    ]


def test_an_old_run_that_lacks_cells_says_so(quick: Quick) -> None:
    run = old_run(quick.runs / "o")
    for name in ("run1.json", "run2.json"):
        (run / "b_wer" / name).unlink()
    done = quick.gatewatch("calibrate", "status")
    assert (done.code, done.err) == (3, b"")
    assert done.text.startswith("quick: no runner; 2 cells missing, 2 of 3 stages ready, 4/6 cells strict\n")
    write_cell(run, "a_speed", 1, sample_counts={"total": 50, "ok": 49})
    done = quick.gatewatch("calibrate", "status")
    assert done.text.startswith("quick: no runner; 2 cells missing and 1 cell not strict, ")


def test_a_model_that_the_checkout_does_not_have(quick: Quick) -> None:
    old_run(quick.runs / "o", model="zzz")
    for word in ("audit", "status", "plan", "report"):
        done = quick.gatewatch("calibrate", word, "--run-dir", "o")
        assert done.code == 2, word
        said = "plan.json names model zzz; "
        assert done.said == (f"gatewatch: error: {said}{quick.folder}/models does not have it (there are: quick)\n"), (
            word
        )
    (quick.folder / "models" / "zzz").mkdir()
    (quick.folder / "models" / "zzz" / "config.yaml").write_text("{}\n")
    done = quick.gatewatch("calibrate", "audit", "--run-dir", "o")
    assert done.code == 2
    assert "stages.yaml is missing; make it with: gatewatch calibrate discover --model zzz" in done.said


def test_partial_cells_are_complete_and_not_strict(quick: Quick) -> None:
    run = old_run(quick.runs / "o")
    write_cell(run, "a_speed", 1, sample_counts={"total": 50, "ok": 49})
    data = quick.gatewatch("calibrate", "status", "--json").json()
    assert (data["complete"], data["strict_complete"], data["missing_count"]) == (True, False, 0)


def test_a_foreign_commit_is_never_shown_as_done(quick: Quick) -> None:
    run = old_run(quick.runs / "o")
    write_cell(run, "a_speed", 1, git_sha="f" * 40)
    done = quick.gatewatch("calibrate", "status", "--json")
    assert done.code == 3
    assert [(cell["stage_key"], cell["run"]) for cell in done.json()["incomplete"]] == [("a_speed", 1)]


def test_the_newest_is_the_one_that_was_started_last(quick: Quick) -> None:
    first, second = old_run(quick.runs / "zz"), old_run(quick.runs / "aa")
    os.utime(first / "plan.json", (1_700_000_000, 1_700_000_000))
    assert quick.gatewatch("calibrate", "status", "--json").json()["run_dir"] == str(second)
    assert quick.gatewatch("calibrate", "status", "--json", "--run-dir", "zz").json()["run_dir"] == str(first)


def test_when_it_is_done_is_told_by_our_clock() -> None:
    """Whatever the host's own clock says."""
    now = 1_779_676_982.0
    told = []
    for apart in (0.0, 7200.0, -7200.0):
        snapshot = Snapshot(
            "r",
            State.RUNNING,
            Seen(now + apart, now),
            Progress(1, 4),
            Eta(now + apart + 600, "mean"),
            (),
            (),
            (),
            None,
            Calibration(),
        )
        told.append(describe(snapshot))
    assert told == [f"done about {time.strftime('%H:%M:%S', time.localtime(now + 600))}, running"] * 3
    assert Seen(None, None).ours(5.0) == 5.0


def test_a_live_run_and_the_orphan_that_it_leaves(quick: Quick) -> None:
    with quick.holding():
        assert quick.run("--detach").code == 0
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        done = quick.gatewatch("calibrate", "status")
        assert (done.code, done.err) == (3, b"")
        lines = done.text.splitlines()
        assert lines[0] == "quick: running, 0 of 3 stages ready, 0/6 cells strict"
        assert lines[2].startswith("  now test_quick_a run 1 for ")
        assert lines[2].endswith(", log _pytest/test_quick_a/run1.log")
        assert lines[3] == "  eta unknown (no repeat has finished yet)"
        data = quick.gatewatch("calibrate", "status", "--json").json()
        assert (data["state"], data["runner"], data["pytest_active"]) == ("running", "alive", True)
        assert data["active"][0]["log"] == "_pytest/test_quick_a/run1.log"
        assert data["offers"] == []
        quick.kill("runner")
        done = quick.gatewatch("calibrate", "status")
        assert done.code == 3
        assert "the runner is gone and its pytest still runs; --resume takes it over" in done.text
        data = quick.gatewatch("calibrate", "status", "--json").json()
        assert (data["state"], data["runner"], data["pytest_active"]) == ("running", "dead", True)


def words_of(command: str) -> list[str]:
    """What a shell makes of a command that was pasted."""
    bash = f"gatewatch() {{ printf '%s\\0' \"$@\"; }}; {command}"
    return subprocess.run(["bash", "-c", bash], capture_output=True, check=True, text=True).stdout.split("\0")[:-1]


@pytest.mark.parametrize("host", [None, "hop"])
def test_a_dead_run_offers_a_command_that_works_when_pasted(host: str | None, quick: Quick, tmp_path: Path) -> None:
    quick.hop()
    quick.commit()
    name = "a\nrun; $(touch never)\x1b"  # to be pasted into a shell
    words = ("--host", host) if host else ()
    with quick.holding():
        done = quick.run("--detach", *words, name=name, repeats=1)
        assert done.code == 0, done.said
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        quick.kill()
    at = f"{host}:{quick.runs / name}" if host else str(quick.runs / name)
    look_again = words_of(done.text.removeprefix("started; look at it with: "))
    assert look_again == ["calibrate", "status", "--run-dir", at]
    done = quick.gatewatch(*look_again)
    assert done.code == 3
    assert done.text.startswith("quick: dead, 0 of 3 stages ready")
    command = done.text.splitlines()[-1].removeprefix("  to continue: ")
    assert command == quick.gatewatch("calibrate", "status", "--run-dir", at, "--json").json()["offers"][0]["change"]
    done = quick.gatewatch(*words_of(command), cwd=tmp_path)
    assert done.code == 0, done.said
    assert "STRICT + GIT: READY" in done.text
    assert quick.gatewatch("calibrate", "status", "--run-dir", at).code == 0


def test_the_offer_knows_a_checkout_that_lies_elsewhere(quick: Quick, tmp_path: Path) -> None:
    elsewhere = tmp_path / "settings"
    elsewhere.mkdir()
    (quick.folder / "models").rename(elsewhere / "models")
    quick.commit()
    with quick.holding():
        done = quick.run("--detach", "--root", str(elsewhere), "--repo", str(quick.folder), repeats=1)
        assert done.code == 0, done.said
        quick.kill()
    status = quick.gatewatch("calibrate", "status", "--run-dir", str(quick.runs / "r"), "--json", cwd=tmp_path)
    command = status.json()["offers"][0]["change"]
    assert command == f"gatewatch calibrate run --root {elsewhere} --resume --output-dir {quick.runs / 'r'}"
    done = quick.gatewatch(*shlex.split(command)[1:], cwd=tmp_path)
    assert done.code == 0, done.said


def test_a_halted_run_offers_nothing(quick: Quick) -> None:
    done = quick.run(repeats=1, env={"QUICK_OMIT": "a"})
    assert done.code == 1
    assert "HALT" in done.said
    assert "accuracy" in done.said
    done = quick.gatewatch("calibrate", "status")
    assert done.code == 3
    assert done.text.startswith("quick: halted, ")
    assert "to continue" not in done.text
    data = quick.gatewatch("calibrate", "status", "--json").json()
    assert (data["state"], data["offers"]) == ("halted", [])
    assert "summary.accuracy" in data["detail"]


def test_a_lock_of_another_machine_cannot_be_judged_and_is_left_to_it(quick: Quick) -> None:
    run = old_run(quick.runs / "o")
    (run / "b_wer" / "run2.json").unlink()
    ours = run / ".gatewatch"
    ours.mkdir()
    with quick.holding():
        quick.run("--detach", name="live")
        lock = json.loads((quick.runs / "live" / ".gatewatch" / "lock").read_bytes())
    lock["holder"]["host"], lock["holder"]["boot_id"] = "elsewhere", "0" * 32
    (ours / "lock").write_text(json.dumps(lock))
    done = quick.gatewatch("calibrate", "status", "--run-dir", "o")
    assert done.code == 3
    assert done.text.startswith("quick: unknown, ")
    assert "on elsewhere since " in done.text
    assert "cannot be judged from here" in done.text
    assert SHA in quick.gatewatch("calibrate", "status", "--run-dir", "o", "--json").text
    done = quick.gatewatch("calibrate", "stop", "--run-dir", "o")
    assert done.code == 1
    assert "on elsewhere since " in done.said
    assert done.said.endswith("cannot be judged from here; stop it on its own host\n")
