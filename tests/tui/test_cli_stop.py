"""`calibrate stop`: ends what the run started, keeps what it has, and touches nothing else."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.peers.quick import Quick, tree, until

# Real runs, each of several processes: on a busy machine a minute is not enough.
pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("host", [None, "hop"])
def test_a_live_run_is_ended_and_can_be_resumed(host: str | None, quick: Quick) -> None:
    quick.hop()
    quick.commit()
    words = ("--host", host) if host else ()
    at = f"{host}:{quick.runs / 'r'}" if host else str(quick.runs / "r")
    with quick.holding():
        assert quick.run("--detach", *words, repeats=1).code == 0
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        done = quick.gatewatch("calibrate", "stop", "--run-dir", at, "--json")
        assert (done.code, done.err) == (0, b"")
        assert done.json() == {"run_dir": str(quick.runs / "r"), "asked": True}
        until(lambda: not quick.processes(), "the end of all processes")
    status = quick.gatewatch("calibrate", "status", "--run-dir", at, "--json").json()
    assert (status["state"], status["detail"]) == ("halted", "stopped: a person asked for it")
    assert [offer["action"] for offer in status["offers"]] == ["resume"]
    assert not list((quick.runs / "r").glob("*_*/run*.json"))
    assert quick.run("--resume", *words).code == 0


def test_what_was_observed_before_is_kept(quick: Quick) -> None:
    with quick.holding():
        quick.run("--detach", repeats=1)
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        quick.hold.unlink()
        until((quick.runs / "r" / "a_speed" / "run1.json").exists, "the first repeat")
        quick.hold.write_text("")
        quick.gatewatch("calibrate", "stop", "--run-dir", "r")
        until(lambda: not quick.processes(), "the end of all processes")
    kept = {path: path.read_bytes() for path in (quick.runs / "r").glob("a_*/run1.json")}
    assert kept
    assert quick.run("--resume").code == 0
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_run_that_has_ended_cannot_be_stopped(quick: Quick) -> None:
    assert quick.run(repeats=1).code == 0
    before = tree(quick.runs / "r")
    done = quick.gatewatch("calibrate", "stop", "--run-dir", "r")
    assert (done.code, done.out) == (1, b"")
    assert done.said == f"gatewatch: error: no runner is at work in {quick.runs / 'r'}\n"
    after = tree(quick.runs / "r")
    assert {path: after[path] for path in before} == before
    assert not list((quick.runs / "r").glob(".gatewatch/inbox/*"))


def test_a_run_whose_runner_was_killed_cannot_be_stopped(quick: Quick) -> None:
    with quick.holding():
        quick.run("--detach")
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        quick.kill()
        done = quick.gatewatch("calibrate", "stop", "--run-dir", "r")
        assert (done.code, done.said) == (1, f"gatewatch: error: no runner is at work in {quick.runs / 'r'}\n")


def test_whoever_watches_sees_that_somebody_else_stopped_it(quick: Quick) -> None:
    words = quick.argv("calibrate", "run", "--stages", "ALL", "--repeats", "2", "--output-dir", str(quick.runs / "r"))
    pipe = subprocess.PIPE
    with (
        quick.holding(),
        subprocess.Popen(
            words, cwd=quick.folder, env={**os.environ, **quick.env}, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as watcher,
    ):
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        assert quick.gatewatch("calibrate", "stop", "--run-dir", "r").code == 0
        out, err = watcher.communicate(timeout=30)
    assert watcher.returncode == 1  # nobody is at work any more, and repeats are missing
    assert b"STRICT + GIT: NOT READY" in out
    assert b" ABORT stopped: a person asked for it\n" in err
    assert quick.processes() == []
