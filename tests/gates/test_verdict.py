from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.verdict import Decision, Evidence, Offer, Verdict, combine

pytestmark = pytest.mark.travels

VALUES = st.none() | st.text(max_size=5) | st.integers() | st.floats()


@given(st.lists(st.sampled_from(Decision)))
def test_a_failure_outweighs_the_unknown_and_that_the_rest(decisions: list[Decision]) -> None:
    said = combine(decisions)
    order = [Decision.FAIL, Decision.UNKNOWN, Decision.NOT_YET, Decision.PASS]
    assert said is (min(decisions, key=order.index) if decisions else Decision.UNKNOWN)
    assert combine(reversed(decisions)) is said


@given(VALUES, VALUES)
def test_equal_verdicts_have_equal_digests(value: str | int | float | None, limit: str | int | float | None) -> None:
    def make() -> Verdict:
        part = Verdict("part", Decision.FAIL, "FAIL", evidence=(Evidence("x", "a/run1.json", 3, value, limit),))
        return Verdict("whole", Decision.FAIL, "FAIL", missing=("y",), parts=(part,))

    one, other = make(), make()
    assert one.digest() == other.digest()
    assert len(one.digest()) == 64
    json.dumps(one.to_json(), allow_nan=False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_shown_and_not_computed_with(value: float) -> None:
    verdict = Verdict("g", Decision.FAIL, "FAIL", evidence=(Evidence("x", value=value),))
    assert json.loads(json.dumps(verdict.to_json()))["evidence"][0]["value"] == str(value)


def test_everything_that_is_said_enters_the_digest() -> None:
    plain = Verdict("g", Decision.PASS, "READY")
    others = [
        Verdict("h", Decision.PASS, "READY"),
        Verdict("g", Decision.FAIL, "READY"),
        Verdict("g", Decision.PASS, "ready"),
        Verdict("g", Decision.PASS, "READY", failure="x"),
        Verdict("g", Decision.PASS, "READY", detail="x"),
        Verdict("g", Decision.PASS, "READY", evidence=(Evidence("x"),)),
        Verdict("g", Decision.PASS, "READY", missing=("x",)),
        Verdict("g", Decision.PASS, "READY", action="x"),
        Verdict("g", Decision.PASS, "READY", parts=(plain,)),
    ]
    assert len({verdict.digest() for verdict in (plain, *others)}) == 10


def test_another_verdict_or_change_is_another_offer() -> None:
    def offer(verdict: str = "d", change: str = "c", action: str = "apply", run: str = "r") -> str:
        return Offer(run, action, verdict, change, "host", danger=True, expires=None).id

    assert offer() == offer()
    assert len({offer(), offer(verdict="e"), offer(change="x"), offer(action="y"), offer(run="z")}) == 5
