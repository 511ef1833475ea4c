"""The one plain sentence, the header and the gates, in every state a run can be in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from hosts.host import Observation
from monitors.host import HostMonitor
from monitors.snapshot import Now, Seen, State
from tests.monitors.runs import SHA
from tests.tui.screens.runs import RUNNER, RunBench
from tui.screens.matrix_grid import body_of, grid
from tui.screens.run_facts import Clock, Said, clock, said
from tui.screens.run_header import Marks, age_of, elapsed, gates, header
from tui.screens.run_ink import Row, width
from tui.screens.run_pace import Pace, following, pace
from tui.screens.subject import RunLook

UNITS = {"a": ("a_acc", "a_speed"), "b": ("b_wer",), "c": ("c_acc", "c_wer")}


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    """Three units, the first of which is done; a runner lives."""
    made = RunBench.make(tmp_path, UNITS, 3)
    made.begin(2_000)
    made.past("a", 3, 400, 100)
    return made


def told(bench: RunBench, look: RunLook | None = None) -> Said:
    look = look or bench.look()
    seen = grid(None, look.snapshot)
    audit = body_of(look.snapshot).audit
    return said(look, seen, pace(seen, audit.incomplete) if audit else None, clock(look.snapshot, bench.now, UTC))


def running(bench: RunBench) -> None:
    bench.past("b", 1, 90, 120)
    bench.start("b", 2, 60)


def again(bench: RunBench) -> None:
    running(bench)
    bench.folder.cell("b_wer", 1, sample_counts={"total": 50, "ok": 49})


def foreign(bench: RunBench) -> None:
    running(bench)
    bench.folder.cell("a_acc", 1, git_sha=SHA[::-1])


def last_unit(bench: RunBench) -> None:
    bench.observed("b", 3)
    bench.start("c", 1, 5)


def between(bench: RunBench) -> None:
    running(bench)
    bench.end("b", 2)


def waiting(bench: RunBench) -> None:
    bench.note("unit.waiting", 300, unit="b", run=1, why="GPU 0: held by pid 7 (bert)")


def slow(bench: RunBench) -> None:
    bench.start("b", 1, 400)
    bench.note("unit.slow_start", 300, unit="b", run=1, compile=["nvcc a.cu"], suspects={"X": None, "Y": "z"})


def stalled(bench: RunBench) -> None:
    bench.start("b", 1, 2_000)
    bench.silent = 900


def adopted(bench: RunBench) -> None:
    running(bench)
    bench.runner = False


def dead(bench: RunBench) -> None:
    bench.start("b", 1, 500)
    bench.die()
    bench.silent = 480


def halted(bench: RunBench) -> None:
    bench.leave("run.halted", why="stopped", detail="stopped by anna")


def ready(bench: RunBench) -> None:
    bench.observed("b", 3)
    bench.observed("c", 3)
    bench.leave()


def failed(bench: RunBench) -> None:
    ready(bench)
    bench.folder.cell("c_wer", 2, status="failed", reason="missing wer", metrics={})


def ended_foreign(bench: RunBench) -> None:
    ready(bench)
    bench.folder.cell("c_wer", 2, git_sha=SHA[::-1])


def short(bench: RunBench) -> None:
    bench.leave()


def unjudged(bench: RunBench) -> None:
    between(bench)
    bench.folder.lock(replace(RUNNER, host="gpu-7", boot_id="another"))
    bench.die()


def unreadable(bench: RunBench) -> None:
    (bench.root / "plan.json").write_bytes(b"{")


SENTENCES: list[tuple[Callable[[RunBench], None], State, str, str]] = [
    (running, State.RUNNING, "2 of 5 stages ready. Nothing is wrong. Next: c, about 02:47.", ""),
    (
        again,
        State.RUNNING,
        "2 of 5 stages ready. 1 repeat will run again (b_wer 1). Next: c, about 02:47.",
        "warning",
    ),
    (foreign, State.RUNNING, "2 of 5 stages ready. Provenance fails: 1 artifact differs: a_acc/run1.json has", "error"),
    (last_unit, State.RUNNING, "3 of 5 stages ready. Nothing is wrong. This is the last unit.", ""),
    (between, State.RUNNING, "2 of 5 stages ready. Nothing is wrong. Between two repeats.", ""),
    (
        adopted,
        State.RUNNING,
        "2 of 5 stages ready. The runner is gone and its pytest still runs; --resume takes it over. R resumes it.",
        "warning",
    ),
    (waiting, State.WAITING, "Waiting since 02:38 (5 min) with b 1/3: GPU 0: held by pid 7 (bert). 2 of 5", "warning"),
    (
        slow,
        State.SLOW_START,
        "Slow start: b 1/3, started 02:36 (6 min ago), is not ready: a broken environment, not a threshold.",
        "warning",
    ),
    (stalled, State.STALLED, "Stalled: nothing was written for 15 min; pid 4001 still lives. 2 of 5", "warning"),
    (dead, State.DEAD, "Dead: the runner is gone without a last event and without a word", "error"),
    (halted, State.HALTED, "Halted: stopped by anna. R resumes it.", "warning"),
    (ready, State.ENDED, "Ended: 5 of 5 stages ready. No gate fails; the checkout was not looked at.", "success"),
    (
        failed,
        State.ENDED,
        "Ended: 4 of 5 stages ready. Not complete: c_wer 2: status failed: missing wer.",
        "error",
    ),
    (ended_foreign, State.ENDED, "Ended: 5 of 5 stages ready. The provenance gate fails: 1 artifact differs", "error"),
    (short, State.ENDED, "Ended: 2 of 5 stages ready. 2 of 5 stages have 3 strict repeats.", "warning"),
    (
        unjudged,
        State.UNKNOWN,
        "Whether its runner lives cannot be told from here; if it is gone for certain, --resume --take-over goes on.",
        "warning",
    ),
    (unreadable, State.UNKNOWN, "How it stands cannot be told: plan.json cannot be used: plan.json:1:2: ", "warning"),
]


@pytest.mark.parametrize(
    ("make", "state", "sentence", "ink"), SENTENCES, ids=lambda value: getattr(value, "__name__", "")
)
def test_is_it_fine(bench: RunBench, make: Callable[[RunBench], None], state: State, sentence: str, ink: str) -> None:
    make(bench)
    look = bench.look()
    assert look.snapshot.state is state
    shown = told(bench, look)
    assert shown.sentence.startswith(sentence)
    assert shown.ink == ink
    if state not in (State.RUNNING, State.SLOW_START):
        assert "running" not in shown.sentence.lower(), "nobody says so of what does not run"


@pytest.mark.parametrize("state", [State.UNKNOWN, State.STALLED, State.DEAD, State.HALTED])
def test_a_gate_that_fails_is_told_of_in_every_state(bench: RunBench, state: State) -> None:
    foreign(bench)
    shown = told(bench, RunLook(replace(bench.look().snapshot, state=state, error="nobody knows"))).sentence
    assert "nobody knows. " in shown
    assert "The provenance gate fails: 1 artifact differs: a_acc/run1.json has" in shown


@pytest.mark.parametrize("make", [running, ready, waiting, halted])
def test_a_journal_that_cannot_be_read_whole_is_told(bench: RunBench, make: Callable[[RunBench], None]) -> None:
    with (bench.root / "events.jsonl").open("ab") as file:
        file.write(b"not json\n\0\n")
    make(bench)
    shown = told(bench)
    why = "journal cannot be read whole: events.jsonl:11: not a JSON object (JSONDecodeError) and 1 more"
    assert why in f"{shown.sentence} {shown.evidence}"
    assert "Nothing is wrong" not in shown.sentence
    assert shown.ink == "warning"


def test_evidence_is_named_where_it_is_not_fine(bench: RunBench) -> None:
    running(bench)
    assert told(bench).evidence == ""
    dead(bench)
    assert told(bench).evidence == ("last write 02:35 (8 min ago); lock: pid 4001 on h20-a, dead; no pytest lives")
    assert "R resumes it." in told(bench).sentence
    look = bench.look()
    asked = said(look, grid(None, look.snapshot), None, clock(look.snapshot, bench.now, UTC), read_only=True)
    assert asked.sentence.endswith("It can be resumed: start with --act.")


def test_a_slow_start_shows_what_is_suspected(bench: RunBench) -> None:
    slow(bench)
    assert told(bench).evidence == "nvcc a.cu; X=unset; Y=z"


def test_a_blind_look_keeps_what_was_seen_and_says_when(bench: RunBench) -> None:
    running(bench)
    bench.look()
    shown = told(bench, bench.blind("no answer for 30 s", 300))
    assert shown.sentence == "The last look failed: no answer for 30 s. What is shown was seen at 02:43."


def test_a_run_that_was_seen_before_its_folder_was_taken_away_has_been_seen(bench: RunBench) -> None:
    running(bench)
    bench.look()
    (bench.root / "plan.json").unlink()
    assert told(bench, bench.look()).sentence == "How it stands cannot be told: there is no plan.json."
    shown = told(bench, bench.blind("/r: not there", 300))
    assert shown.sentence == "The last look failed: /r: not there. What is shown was seen at 02:43."
    assert shown.ink == "warning"


def test_a_run_that_was_never_there_has_not_been_seen(bench: RunBench) -> None:
    shutil.rmtree(bench.root)
    assert told(bench).sentence == f"It has not been seen yet: {bench.root}: not there."


def test_what_cannot_be_judged_is_not_fine(bench: RunBench) -> None:
    running(bench)
    (bench.root / "stages.yaml").unlink()
    assert "It cannot be judged: a manifest (stages.yaml) missing." in told(bench).sentence


def row(spans: Row) -> str:
    return "".join(text for text, _ in spans)


def line(bench: RunBench, room: int, look: RunLook | None = None, marks: Marks = Marks()) -> str:  # noqa: B008 - frozen
    look = look or bench.look()
    seen = grid(None, look.snapshot)
    audit = body_of(look.snapshot).audit
    going = pace(seen, audit.incomplete) if audit else None
    return row(header(bench.place(), look, seen, going, clock(look.snapshot, bench.now, UTC), room, marks))


def test_the_header_leaves_out_whole_parts(bench: RunBench) -> None:
    running(bench)
    look = bench.look()
    assert line(bench, 80, look) == (" qwen3-omni r3 @h20-a ffea71b   ● running b 2/3   7/15   eta 02:54 ±<1m   ⟳ <5s")
    full = line(bench, 200, look)
    assert "±" in full
    assert "(mean of this run's own repeats; 1 units not seen yet)" in full
    for room in range(1, 220):
        shown = line(bench, room, look)
        assert len(shown) <= max(room, 16), "the age and the state stay, whatever is left out"
        assert "eta" not in shown or "eta 02:54" in shown, "no number is cut"
        assert "/15" not in shown or "7/15" in shown


@pytest.mark.parametrize("state", State)
def test_what_no_longer_runs_is_not_called_running(bench: RunBench, state: State) -> None:
    running(bench)
    look = bench.look()
    shown = line(bench, 120, RunLook(replace(look.snapshot, state=state, active=())))
    assert state.value in shown
    assert (state is State.RUNNING) == ("running" in shown)


def test_ages_and_what_was_asked_for(bench: RunBench) -> None:
    running(bench)
    look = bench.look()
    assert age_of(look, bench.now + 65, Marks()) == ("⟳ 1m", "muted")
    assert age_of(look, bench.now + 121, Marks()) == ("⟳ 2m", "warning")
    assert age_of(look, bench.now, Marks(asked=True))[0] == "⟳ looking"
    assert age_of(look, bench.now, Marks(ascii_only=True, paused=True))[0] == "= paused"


def test_the_gates_and_how_long_it_took(bench: RunBench) -> None:
    running(bench)
    look = bench.look()
    at = clock(look.snapshot, bench.now, UTC)
    assert row(gates(look, at, 120, Marks())).startswith(
        " — strict 2/5  ✓ provenance ok  ? environment unknown  elapsed 33 min  began 02:09"
    )
    assert width(gates(look, at, 80, Marks())) <= 80
    foreign(bench)
    look = bench.look()
    shown = row(gates(look, at, 200, Marks()))
    assert "provenance: 1 artifact differs" in shown, "of the gates the one that fails is told of first"
    bench.folder.cell("a_acc", 1)
    failed(bench)
    look = bench.look()
    assert row(gates(look, at, 80, Marks())).startswith(" ✗ strict 4/5")
    bench.now += 7_200
    over = bench.look()
    assert elapsed(over, clock(over.snapshot, bench.now, UTC)) == "took 33 min"
    bench.note("apply.done")
    over = bench.look()
    assert elapsed(over, clock(over.snapshot, bench.now, UTC)) == "took 33 min", "what was done with it came later"
    (bench.root / "events.jsonl").unlink()
    bench.folder.write("plan.json", {**plan_of(bench), "timestamp": "2026-05-25T02:00:00Z"})
    bench.folder.cell("a_acc", 1, recorded_at="2026-05-25T02:21:00Z")
    over = bench.look()
    assert elapsed(over, clock(over.snapshot, bench.now, UTC)) == "took 21 min", "files may have been copied since"


def plan_of(bench: RunBench) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((bench.root / "plan.json").read_text())
    return plan


def test_the_far_clock_may_be_another_one(bench: RunBench) -> None:
    running(bench)
    look = bench.look()
    ours = replace(look.snapshot.seen, received=bench.now - 3600)
    bench.now -= 3600
    shown = told(bench, RunLook(replace(look.snapshot, seen=ours)))
    assert "about 01:47" in shown.sentence, "times are told by our clock, which is an hour behind the host's"


@pytest.mark.parametrize("began", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_plan_of_a_time_that_no_calendar_has_began_by_its_journal(bench: RunBench, began: str) -> None:
    running(bench)
    bench.folder.write("plan.json", {**plan_of(bench), "timestamp": began})
    look = bench.look()
    apart = 3600 if began < "1" else -3600
    shown = row(gates(look, Clock(bench.now, bench.now + apart, UTC), 200, Marks()))
    assert f"began {'01' if began < '1' else '03'}:09 " in shown


def test_a_run_began_by_our_clock_and_the_hosts_is_told_where_there_is_room(bench: RunBench) -> None:
    running(bench)
    look = bench.look()
    far, bench.now = bench.now, bench.now - 3600
    seen = Observation("h20-a", far, bench.now, 0.2)
    ours = RunLook(
        replace(look.snapshot, seen=Seen(seen.at, seen.received)),
        HostMonitor("h20-a").fold(None, seen, Now(bench.now)),
    )
    at = clock(ours.snapshot, bench.now, UTC)
    assert "  elapsed 33 min  began 01:09  clock 1 h 00 min ahead  env" in row(gates(ours, at, 200, Marks()))
    assert "began 01:09" in row(gates(ours, at, 100, Marks()))
    assert "clock" not in row(gates(ours, at, 100, Marks())), "when it began is the more telling"
    behind = replace(ours, host=HostMonitor("h20-a").fold(None, replace(seen, at=bench.now - 300), Now(bench.now)))
    assert "  clock 5 min behind  " in row(gates(behind, at, 200, Marks()))
    for alike in (20.0, 3.0):
        near = HostMonitor("h20-a").fold(None, replace(seen, at=bench.now + alike), Now(bench.now))
        assert "clock" not in row(gates(replace(ours, host=near), at, 200, Marks())), "what is read at a glance fits"


def test_what_comes_next_and_when(bench: RunBench) -> None:
    bench.past("b", 1, 90, 120)
    bench.start("b", 2, 60)
    look = bench.look()
    seen = grid(None, look.snapshot)
    audit = body_of(look.snapshot).audit
    assert audit is not None
    known = pace(seen, audit.incomplete)
    assert known.left == {"b": (2, 3), "c": (1, 2, 3)}
    usual = known.usual["b"]
    coming = following(seen, known, bench.now)
    assert coming is not None
    assert coming.unit == "c"
    assert coming.at == pytest.approx(bench.now + (usual - 60) + usual)
    assert known.spread is not None
    assert following(seen, Pace({}, known.left, None), bench.now) is not None
    assert following(replace(seen, now=None), known, bench.now) is None
