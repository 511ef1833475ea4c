from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local.wire import from_wire, to_wire
from monitors.calibration.glance import Glance, glance, since
from monitors.snapshot import State
from tests.monitors.runs import RunFolder, Watch

pytestmark = pytest.mark.travels

MARKS = {"a": "✓✓—", "b": "———", "c": "✓✓✓"}
BEFORE = Glance("r", 100.0, "running", "NOT READY", MARKS, 1)


def after(state: str = "running", verdict: str = "NOT READY", **marks: str) -> Glance:
    return replace(BEFORE, at=900.0, state=state, verdict=verdict, marks={**MARKS, **marks})


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (after(), ()),
        (after(b="✓——"), ("1 repeat done",)),
        (after(b="✓✓—"), ("2 repeats done",)),
        (after(a="✓✓✓", b="✓✓✓"), ("2 stages done (a, b)",)),
        (after(a="✓✓✗"), ("1 stage failed a repeat (a)",)),
        (after(a="✓D—"), ("1 stage failed a repeat (a)", "1 stage lost a good repeat (a)")),
        (after("halted"), ("running → halted",)),
        (
            after("ended", "READY", a="✓✓✓", b="✓✓✓"),
            ("running → ended", "gate NOT READY → READY", "2 stages done (a, b)"),
        ),
    ],
)
def test_what_was_missed(now: Glance, told: tuple[str, ...]) -> None:
    assert since(BEFORE, now) == told


def test_many_names_are_counted() -> None:
    many = {f"s{number}": "✗" for number in range(5)}
    assert since(replace(BEFORE, marks={}), replace(BEFORE, marks=many)) == (
        "5 stages failed a repeat (s0, s1, s2, and 2 more)",
    )


def test_another_run_in_the_same_place_is_another_story() -> None:
    assert since(BEFORE, replace(after("ended"), run="another")) == ()


@given(st.dictionaries(st.text(max_size=5), st.text("✓✗D△—?", max_size=4), max_size=4))
def test_nothing_happened_where_nothing_changed(marks: dict[str, str]) -> None:
    seen = replace(BEFORE, marks=marks)
    assert since(seen, replace(seen, at=seen.at + 1)) == ()
    assert from_wire(Glance, to_wire(seen)) == seen


def test_a_run_as_it_stands(run: RunFolder, watch: Watch) -> None:
    run.plan()
    run.cell("a", 1)
    found = watch.look()
    seen = glance(found, 5.0)
    assert seen is not None
    assert seen.marks == {"a": "✓—", "b": "——"}
    assert (seen.run, seen.at, seen.ready) == (run.run_id, 5.0, 0)
    assert glance(replace(found, state=State.BLIND), 5.0) is None
