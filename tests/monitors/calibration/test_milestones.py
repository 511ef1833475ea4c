from __future__ import annotations

import calendar
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.journal import Event, Journal
from jobs.runner.calibration.context import append_milestone
from jobs.runner.places import RunPlaces
from monitors.calibration.milestones import LINE, Kind, Milestone, Milestones, key_line, read_line
from monitors.calibration.milestones_journal import of_journal

pytestmark = pytest.mark.travels

AT = float(calendar.timegm((2026, 5, 25, 2, 43, 2)))
STAMP = "2026-05-25T02:43:02Z "
LOG = "_pytest/test_a/run2.log"

OURS = [
    (
        "RUN m: 3 stages, 2 repeats, commit f00",
        Milestone(Kind.RUN, AT, "", None, "m: 3 stages, 2 repeats, commit f00", 0),
    ),
    ("RESUME m: 3 stages", Milestone(Kind.RESUME, AT, "", None, "m: 3 stages", 0)),
    ("environment: /v/bin/python, A=b", Milestone(Kind.ENVIRONMENT, AT, "", None, "/v/bin/python, A=b", 0)),
    (
        "emptied before every launch: /c",
        Milestone(Kind.ENVIRONMENT, AT, "", None, "emptied before every launch: /c", 0),
    ),
    (
        "== test_a: pass 1, repeats 1, 2 of 5",
        Milestone(Kind.SECTION, AT, "", None, "test_a: pass 1, repeats 1, 2 of 5", 0),
    ),
    (f"START test_a 2/5 {LOG}", Milestone(Kind.START, AT, "test_a", 2, "", 0, 5, log=LOG)),
    (
        f"START test_a 2/5 (attempt 3) GPU 0,1 {LOG}",
        Milestone(Kind.START, AT, "test_a", 2, "", 0, 5, None, 3, "0,1", LOG),
    ),
    ("PASS test_a 2/5 159.3 s", Milestone(Kind.PASS, AT, "test_a", 2, "", 0, 5, 159.3)),
    (
        "FAIL test_a 2/5 12.0 s threshold_assertion (exit 1), a valid observation",
        Milestone(Kind.FAIL, AT, "test_a", 2, "threshold_assertion (exit 1), a valid observation", 0, 5, 12.0),
    ),
    ("ABORT test_a 2/5 OOM", Milestone(Kind.ABORT, AT, "test_a", 2, "OOM", 0, 5)),
    ("ABORT test_a 2/5 stopped", Milestone(Kind.ABORT, AT, "test_a", 2, "stopped", 0, 5)),
    ("ABORT stopped: a person asked", Milestone(Kind.ABORT, AT, "", None, "stopped: a person asked", 0)),
    ("HALT test_a 2/5: no accuracy", Milestone(Kind.HALT, AT, "test_a", 2, "no accuracy", 0, 5)),
    ("WAIT test_a 2/5: GPU 0: 9 GiB", Milestone(Kind.WAIT, AT, "test_a", 2, "GPU 0: 9 GiB", 0, 5)),
    ("WAIT not released: GPU 0 3/4 used", Milestone(Kind.WAIT, AT, "", None, "not released: GPU 0 3/4 used", 0)),
    ("ADOPT test_a 2/5: the pytest", Milestone(Kind.ADOPT, AT, "test_a", 2, "the pytest", 0, 5)),
    ("SLOW START test_a 2/5: not ready", Milestone(Kind.SLOW_START, AT, "test_a", 2, "not ready", 0, 5)),
    ("DISCARD a_speed run 2: noisy", Milestone(Kind.DISCARD, AT, "a_speed", 2, "noisy", 0)),
    ("DISCARD a_speed run 2 dropped: again", Milestone(Kind.DISCARD, AT, "a_speed", 2, "dropped: again", 0)),
    ("END every repeat", Milestone(Kind.END, AT, "", None, "every repeat", 0)),
]
LABEL = "[test_a] run 2/5 (3 stage(s), needs 2 GPU)"
OLD = [
    ("run log: /r/run.log", Milestone(Kind.RUN, None, "", None, "run log: /r/run.log", 0)),
    (
        "venv_python: /v/bin/python (flag)",
        Milestone(Kind.ENVIRONMENT, None, "", None, "venv_python: /v/bin/python (flag)", 0),
    ),
    ("  GPUs: 8× H20 — 8/8 free", Milestone(Kind.ENVIRONMENT, None, "", None, "GPUs: 8× H20 — 8/8 free", 0)),
    ("precheck OK", Milestone(Kind.ENVIRONMENT, None, "", None, "precheck OK", 0)),
    (
        f"{LABEL} using GPU(s) [0, 1] (CUDA_VISIBLE_DEVICES=0,1)",
        Milestone(Kind.START, None, "test_a", 2, "", 0, 5, gpus="0,1", log=LOG),
    ),
    (f"{LABEL} ok (159.3s)", Milestone(Kind.PASS, None, "test_a", 2, "", 0, 5, 159.3)),
    (f"{LABEL} failed: exit 1 (12.0s)", Milestone(Kind.FAIL, None, "test_a", 2, "exit 1", 0, 5, 12.0)),
    (
        f"{LABEL} failed: crashed (X (y)) (12.0s)",
        Milestone(Kind.ABORT, None, "test_a", 2, "crashed (X (y))", 0, 5, 12.0),
    ),
    (
        f"{LABEL} OOM — must clear GPU to <2 GiB before retry (1/4)",
        Milestone(Kind.ABORT, None, "test_a", 2, "OOM — must clear GPU to <2 GiB before retry (1/4)", 0, 5),
    ),
    (
        f"error: metric extraction HALT after {LABEL}",
        Milestone(Kind.HALT, None, "test_a", 2, "pytest passed and a metric is missing", 0, 5),
    ),
    ("error: HEAD moved", Milestone(Kind.ABORT, None, "", None, "HEAD moved", 0)),
    (
        "=== calibration pass 2/10: retry test_a run 1 ===",
        Milestone(Kind.SECTION, None, "", None, "calibration pass 2/10: retry test_a run 1", 0),
    ),
    (
        "  ⚠ a_speed: sample scope mismatch",
        Milestone(Kind.WARNING, None, "", None, "a_speed: sample scope mismatch", 0),
    ),
    ("START wer_ci 1/1", Milestone(Kind.START, None, "wer_ci", 1, "", 0, 1)),
]
NOTHING = [
    "",
    "   ",
    "2026-05-25T02:43:02Z",
    "2026-05-25T02:43:02Z INFO server started on 127.0.0.1:33959",
    "INFO:     Uvicorn running on http://127.0.0.1:8000",
    "tests/test_a.py::test_a PASSED",
    "PASSED tests/test_a.py",
    "FAILED tests/test_a.py::test_a - assert 0.6 > 0.7",
    "STARTED server",
    "RUN ./server",  # only with the time that ours has
    "============================= test session starts ==============================",
    "= 1 failed, 2 passed, 13 warnings in 3.20s (0:00:03) =",
    "=== 2 passed in 0.1s ===",
    "=========================== short test summary info ============================",
    f"{LABEL} running… GPU mem={{0: 7}} log=10B stall=30s",
    f"{LABEL} config:",
    "  → a_speed: samples=50/50 throughput_qps=12.5",
    "  waiting: need 2 GPU(s) each <= 2048 MiB (30s/600s): mem={}",
    "Traceback (most recent call last):",
]


@pytest.mark.parametrize(("line", "meant"), [*((STAMP + line, meant) for line, meant in OURS), *OLD])
def test_every_line_of_both_tools_is_read(line: str, meant: Milestone) -> None:
    assert read_line(line.encode(), 0) == meant
    assert read_line(line.encode() + b"\r", 0) == meant


@pytest.mark.parametrize("line", NOTHING)
def test_what_servers_and_pytest_say_is_no_milestone(line: str) -> None:
    assert read_line(line.encode(), 7) is None


def test_what_the_runner_writes_is_read(tmp_path: Path) -> None:
    """The grammar is the runner's own, also of what it has made printable."""
    places = RunPlaces(tmp_path)
    for line, _ in OURS:
        append_milestone(places, line)
    append_milestone(places, "WAIT test_a 2/5: \x1b[2J GPU")
    found = Milestones()
    assert found.feed((tmp_path / "run.log").read_bytes()) == len(OURS) + 1
    assert [(one.kind, one.stage, one.run, one.text) for one in found.items[:-1]] == [
        (meant.kind, meant.stage, meant.run, meant.text) for _, meant in OURS
    ]
    assert all(one.at is not None for one in found.items)


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("2026-05-25 02:43:02Z", AT),
        ("[2026-05-25T04:43:02+02:00]", AT),
        ("2026-05-24T21:13:02.123-0530", AT),
        ("2026-05-25 02:43:02,123", None),  # of no known zone
        ("2026-13-45T99:99:99Z", None),
    ],
)
def test_times(stamp: str, at: float | None) -> None:
    found = read_line(f"{stamp} END".encode(), 0)
    assert found is not None
    assert (found.kind, found.at) == (Kind.END, at)


def test_a_line_without_its_end_waits_for_it() -> None:
    found = Milestones()
    assert found.feed(b"END a\nEND b") == 1
    assert found.feed(b"c") == 0
    assert found.feed(b"d\n") == 1
    assert [(one.text, one.place) for one in found.items] == [("a", 0), ("bcd", 6)]
    assert found.end == 14


def test_what_begins_amid_a_line_begins_with_the_next() -> None:
    found = Milestones(100)
    found.feed(b"END of what nobody saw\nEND a\n")
    assert [(one.text, one.place) for one in found.items] == [("a", 123)]


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [(STAMP + line + "\n").encode() for line, _ in OURS] + [(line + "\n").encode() for line, _ in OLD]
        ),
        st.binary(max_size=40),
        st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass") + b"\n"),
    ),
    max_size=12,
)


@given(pieces, st.lists(st.integers(0, 900), max_size=8))
@settings(deadline=None)
def test_any_split_gives_the_same(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole, split = Milestones(keep=5), Milestones(keep=5)
    whole.feed(data)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for first, last in itertools.pairwise(bounds):
        split.feed(data[first:last])
    assert (split.items, split.dropped, split.end) == (whole.items, whole.dropped, whole.end)
    lines = data.split(b"\n")[:-1]
    assert len(whole.items) <= len(lines)
    for one in whole.items:
        assert data[one.place - 1 : one.place] in (b"\n", b"")
        assert one.text.isprintable()
        assert one.stage.isprintable()


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_garbage_never_raises(data: bytes) -> None:
    for line in (data, b"START " + data, STAMP.encode() + data, STAMP.encode() + b"PASS a 1/2 " + data, b"[" + data):
        found = read_line(line, 0)
        assert found is None or (found.text + found.stage + found.log).isprintable()


def test_a_line_of_megabytes_costs_no_more_than_its_beginning() -> None:
    found = Milestones()
    for _ in range(40):
        found.feed(b"END " + b"x" * 100_000)
    assert found.held <= LINE
    found.feed(b"\nEND b\n")
    assert [len(one.text) for one in found.items] == [LINE - 4, 1]
    assert found.items[1].place == 40 * 100_004 + 1


def test_ten_thousand_artifacts_are_bounded() -> None:
    found = Milestones(keep=50)
    for run in range(10_000):
        found.feed(f"{STAMP}PASS a {run + 1}/10000 1.0 s\n".encode())
    assert 50 <= len(found.items) <= 50 + 1024
    assert found.dropped + len(found.items) == 10_000
    assert found.items[-1].run == 10_000


def test_long_texts_are_bounded_together() -> None:
    found = Milestones()
    for _ in range(2000):
        found.feed(b"END " + b"x" * 8000 + b"\n")
    assert sum(len(one.text) for one in found.items) <= 4 << 20
    assert found.dropped + len(found.items) == 2000


def test_the_key_line_of_a_cell() -> None:
    found = Milestones()
    lines = (
        "START a 1/2",
        "PASS a 1/2",
        "START b 1/2",
        "START a 2/2",
        "FAIL a 2/2",
        "START a 2/2 (attempt 2)",
        "END x",
    )
    found.feed("".join(f"{line}\n" for line in lines).encode())
    assert key_line(found.items, {"a"}, 1) == 1
    assert key_line(found.items, {"b", "b_speed"}, 1) == 2
    assert key_line(found.items, {"a"}, 2) == 5  # it runs again
    assert key_line(found.items, {"a"}, None) == 5
    assert key_line(found.items, {"c"}, 1) is None
    assert key_line((), {"c"}, 1) is None


def event(kind: str, **data: object) -> Event:
    return Event("i", 1, {}, STAMP.strip(), kind, data)


def test_the_journal_says_it_in_the_same_words() -> None:
    about: dict[str, object] = {"unit": "test_a", "run": 2, "token": "t"}
    events = (
        event("run.started", model="m", stages=["x", "y", "z"], repeats=2, git_sha="f00"),
        event("attempt.intended", **about, n=3, gpus=[0, 1]),
        event("attempt.started", **about, n=3, log=LOG),
        event("attempt.ended", **about, outcome="ok", duration_s=159.3, reason=""),
        event("attempt.ended", **about, outcome="threshold", duration_s=12.0, reason="threshold_assertion (exit 1)"),
        event("attempt.ended", **about, outcome="stopped"),
        event("unit.waiting", **about, why="GPU 0: 9 GiB"),
        event("cell.discarded", stage="a_speed", run=2, why="discard", reason="noisy"),
        event("cell.discarded", stage="a_speed", run=2, why="set-aside", reason="incomplete"),
        event("cell.recorded", stage="a_speed", run=2),
        event("run.halted", why="halt", detail="no accuracy"),
        event("run.halted", why="stopped", detail="stopped: a person asked"),
        event("something.new", unit=7),
        event("run.ended"),
    )
    found = of_journal(Journal(events), 5)
    meant = {line.split(" ", 1)[0]: one for line, one in OURS}
    assert [one.kind.value for one in found] == (
        ["RUN", "START", "PASS", "FAIL", "ABORT", "WAIT", "DISCARD", "HALT", "ABORT", "END"]
    )
    assert (found[0].text, found[0].at) == (meant["RUN"].text, AT)
    start = found[1]
    assert (start.cell, start.rest) == ("test_a 2/5", f"GPU 0,1 (attempt 3) {LOG}")
    assert (found[2].cell, found[2].took) == ("test_a 2/5", 159.3)
    assert found[3].text == meant["FAIL"].text
    assert found[4].text == "stopped"
    assert (found[6].stage, found[6].run, found[6].text) == ("a_speed", 2, "noisy")
    assert [one.place for one in found][:3] == [0, 2, 3]
    assert of_journal(Journal(events), 5, 3) == found[2:]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["run.started", "attempt.started", "attempt.ended", "unit.slow_start", "cell.discarded", "x"]
            ),
            st.dictionaries(
                st.sampled_from(
                    ["unit", "run", "n", "log", "gpus", "stages", "why", "reason", "outcome", "duration_s"]
                ),
                st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=3),
            ),
        ),
        max_size=6,
    )
)
@settings(deadline=None)
def test_any_journal_is_read(told: list[tuple[str, dict[str, object]]]) -> None:
    for one in of_journal(Journal(tuple(Event("i", 1, {}, "x", kind, data) for kind, data in told)), 2):
        assert (one.text + one.stage + one.log + one.gpus).isprintable()
