"""A calibration that is killed again and again ends as one that was left in peace.

`--long-proof KILLS` kills so often, and dies once at every step of runner, shim and start; without it a few of each.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from hosts.errors import RefusedError
from hosts.local.procs import send_signal
from tests.jobs.runner.chaos import Chaos, role_of
from tests.jobs.runner.conftest import Make
from tests.jobs.runner.fast import HOUSE, PATIENCE_S, START, FastProject, FastRun, until
from tests.jobs.runner.ledger import Ledger

KILLS = 8
LONG_KILLS = 24
MOST_STEPS = {"run": 190, "exec": 26, "start": 70}
# The moments between two steps that belong together: who, the how manieth step of this kind, and whether half of it
# is still done. The script below makes a first launch that is killed, a second that is set aside, and a third.
MOMENTS = (
    ("run", 1, r"Popen \(", False),
    ("run", 1, r"Popen done", False),
    ("run", 1, r"rename .*run1\.attempt1\.log", False),
    ("run", 1, r"rename .*_discarded.*run1\.attempt\.json", False),
    ("run", 2, r"rename .*_discarded.*/run1\.json", False),
    ("run", 3, r"write .*cell\.recorded", False),
    ("run", 4, r"write .*cell\.recorded", True),
    ("exec", 1, r"rename .*run1\.rc", False),
    ("start", 1, r"link .*plan\.json", False),
    ("start", 1, r"Popen .*pyz", False),
)
MORE_MOMENTS = (
    ("run", 1, r"write .*run\.started", True),
    ("run", 1, r"rename .*run1\.attempt\.json", False),
    ("run", 2, r"rename .*run1\.attempt\.json", False),
    ("run", 1, r"write .*cell\.recorded", False),
    ("run", 2, r"write .*cell\.discarded", True),
    ("run", 1, r"write .*run\.ended", True),
    ("run", 1, r"unlink .*lock", False),
    ("exec", 1, r"Popen \(", False),
    ("exec", 1, r"rename .*run1\.started\.json", False),
    ("start", 1, r"rename .*job\.json", False),
)

# What is set aside and what is launched again must be met by kills too.
SCRIPT = {
    "test_fast_alpha_ci:1": ["partial", "ok"],
    "test_fast_beta_ci:one:1": ["killed", "ok"],
    "test_fast_beta_ci:two:2": ["partial", "ok"],
}
ALPHA = ("alpha_accuracy", "alpha_speed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted: int = metafunc.config.getoption("--long-proof")
    if "seed" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--proof-seed")
        metafunc.parametrize("seed", [f"{seed}.{part}" for part in range(max(1, -(-wanted // LONG_KILLS)))])
    if "step" in metafunc.fixturenames:
        every = [
            (who, step, "", torn)
            for who, most in MOST_STEPS.items()
            for step in range(1, most)
            for torn in (False, True)
        ]
        name = "{0[0]} {0[1]} {0[2]}{1}".format
        metafunc.parametrize(
            "step",
            [*MOMENTS, *((*MORE_MOMENTS, *every) if wanted else ())],
            ids=lambda step: name(step, " torn" if step[3] else ""),
        )


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long proof."""
    return bool(request.config.getoption("--long-proof"))


@pytest.mark.timeout(580)
def test_kills_at_any_moment_leave_no_trace_in_the_result(make_project: Make, seed: str, long: bool) -> None:
    # Long enough, in the long proof, for a resumed runner to find pytest still at work.
    project = make_project(script=SCRIPT, batch_s=0.15 if long else 0.04)
    audit = _in_peace(project, 3, ("ALL",))
    most = LONG_KILLS if long else KILLS
    done = 0
    for number in count():
        run = project.run(f"chaos{number}", repeats=3)
        # A run whose pytests are short ends soon, so that fewer kills would meet it.
        chaos = Chaos(run, f"{seed}.{number}", most - done, 2.5 if long else 0.8)
        try:
            chaos.go()
            chaos.check(audit)
        except BaseException:
            sys.stderr.write(f"{chaos}\n")
            raise
        sys.stdout.write(f"{chaos.summary()}\n")
        done += len(chaos.kills)
        project.side.unlink()
        if done >= most:
            return


@pytest.mark.timeout(180)
def test_a_death_at_any_step_leaves_no_trace_in_the_result(
    make_project: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[str, int, str, bool]
) -> None:
    who, number, like, torn = step
    project = make_project(script={"test_fast_alpha_ci:1": ["killed", "partial", "ok"]})
    run, once = project.run(stages=ALPHA), tmp_path / "died"
    ledger = Ledger(run)
    with monkeypatch.context() as mortal:
        mortal.setenv("FAST_DIE_WHO", who)
        mortal.setenv("FAST_DIE_AT", str(number))
        mortal.setenv("FAST_DIE_LIKE", like)
        mortal.setenv("FAST_DIE_ONCE", str(once))
        if torn:
            mortal.setenv("FAST_DIE_TORN", "1")
        _start_mortal(run, who)
        until(lambda: run.runner() is None, "an end")
    # Of all steps the last numbers are more than there are; a moment that never comes is a mistake in this table.
    assert once.exists() or not like
    ledger.remember()
    if not run.plan():
        run.start()
    elif run.journal_or_none() is None or run.events("run.ended") == []:
        run.start(resume=True)
    run.wait()
    ledger.check(_expected(run))


@pytest.mark.parametrize("victims", [("runner",), ("runner", "shim")])
def test_a_pytest_at_work_is_taken_over_and_nothing_starts_beside_it(
    make_project: Make, victims: tuple[str, ...]
) -> None:
    project = make_project(script={"test_fast_alpha_ci:1": ["held"]})
    project.hold.touch()
    run = project.run(stages=ALPHA)
    run.start()
    (first,) = until(project.witnessed, "a pytest at work")
    for process in run.processes():
        if role_of(process) in victims:
            assert send_signal(process.ref, signal.SIGKILL)
    until(lambda: run.runner() is None, "the death of the runner")
    run.start(resume=True)
    until(lambda: run.events("attempt.adopted"), "what the new runner makes of it")
    project.hold.unlink()
    run.wait()
    assert [data["alive"] for data in run.events("attempt.adopted")] == [True]
    (only,) = project.witnessed()
    assert (only.token, only.end is not None) == (first.token, True)
    for stage in ALPHA:
        cell = run.cell(stage)
        # Without a shim nobody measured how long it took; how it ended stands in pytest's own last line.
        assert (cell["attempt_token"], cell["pytest_rc"], cell["attempts"]) == (first.token, 0, 1)
        assert (cell["duration_s"] is None) == ("shim" in victims)
    assert run.audit() == _expected(run)


def test_nothing_starts_beside_a_pytest_of_a_later_repeat(make_project: Make) -> None:
    # The first repeat is to be run again, and its turn comes before that of the one which is at work.
    one, other = "test_fast_alpha_ci:1", "test_fast_alpha_ci:2"
    project = make_project(script={one: ["partial", "ok"], other: ["held"]})
    project.hold.touch()
    run = project.run(repeats=2, stages=ALPHA)
    run.start()
    until(lambda: project.launches(other), "the second repeat")
    runner = run.runner()
    assert runner is not None
    assert send_signal(runner, signal.SIGKILL)
    until(lambda: run.runner() is None, "the death of the runner")
    run.start(resume=True)
    until(lambda: run.events("attempt.adopted") or project.launches(one) > 1, "what the new runner begins with")
    project.hold.unlink()
    run.wait()
    assert [seen.name for seen in project.witnessed()] == [one, other, one]
    Ledger(run).check(run.audit())
    assert run.audit()[-1] == "STRICT + GIT: READY"


def test_every_prefix_of_a_journal_can_be_read_and_continued(project: FastProject, tmp_path: Path) -> None:
    from gates.journal import decode_journal
    from hosts.local.procs import self_ref
    from jobs.runner.journal import JournalWriter

    run = project.run(stages=ALPHA)
    run.finish()
    data = run.places.journal.read_bytes()
    whole = decode_journal(data)
    assert whole.findings == ()
    assert len(whole.events) >= 6
    for cut in range(len(data) + 1):
        journal = decode_journal(data[:cut])
        assert journal.findings == ()
        assert journal.events == whole.events[: len(journal.events)]
        assert len(journal.events) - data[:cut].count(b"\n") in (0, 1)
        assert journal.torn == (not data[:cut].endswith(b"\n") and cut > 0)
    for cut in range(0, len(data), 97):
        path = tmp_path / "events.jsonl"
        path.write_bytes(data[:cut])
        before = decode_journal(data[:cut])
        writer = JournalWriter(path, self_ref())
        writer.append("cut", {"at": cut})
        writer.close()
        after = decode_journal(path.read_bytes())
        assert after.events[:-1] == before.events
        assert (after.events[-1].kind, after.events[-1].seq) == ("cut", before.last_seq + 1)
        assert len(after.findings) <= 1
        assert not after.torn


@pytest.mark.timeout(120)
def test_a_shim_that_cannot_live_is_not_started_for_ever(make_project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    run = project.run(stages=ALPHA, max_passes=1)
    monkeypatch.setenv("FAST_DIE_WHO", "exec")
    monkeypatch.setenv("FAST_DIE_AT", "1")
    run.finish()
    assert run.halted()["why"] == "exhausted"
    cell = run.cell("alpha_speed")
    assert (cell["status"], cell["attempts"], len(cell["attempt_history"])) == ("failed", 4, 3)
    assert project.witnessed() == []


def _in_peace(project: FastProject, repeats: int, stages: tuple[str, ...]) -> list[str]:
    run = project.run("peace", repeats, stages)
    run.start()
    run.wait(4 * PATIENCE_S)
    project.side.unlink()
    audit = run.audit()
    assert audit[-1] == "STRICT + GIT: READY"
    return audit


def _expected(run: FastRun) -> list[str]:
    """The audit of an undisturbed run of the two alpha stages, once."""
    return [
        f"calibration_git_sha: {run.plan()['git_sha']}",
        "GIT PROVENANCE: ok (all artifacts match calibration commit)",
        "ENVIRONMENT: unknown (no reference)",
        "alpha_accuracy: ✓ (1/1 strict, expected=20)",
        "alpha_speed: ✓ (1/1 strict, expected=20)",
        "STRICT READY: 2/2 stages (1 repeats each)",
        "STRICT + GIT: READY",
    ]


def _start_mortal(run: FastRun, who: str) -> None:
    if who == "start":
        # In a process of its own, since it is the start itself that dies.
        subprocess.run([sys.executable, "-c", START], input=json.dumps(run.payload()), text=True, cwd=HOUSE, timeout=50)
        return
    try:
        run.start()
    except RefusedError as error:
        if "the runner ended at once" not in str(error):
            raise
