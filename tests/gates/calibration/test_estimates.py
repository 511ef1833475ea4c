from __future__ import annotations

import json
import math
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.estimates import (
    Share,
    Slack,
    estimate,
    estimate_json,
    estimate_row,
    rounds,
    sessions_of,
    slack_of_row,
)
from gates.calibration.plan import PlanRow
from gates.calibration.source import Call, Constant, Entry, Import, Name, Number, Other, SourceFacts, Table, Value
from gates.calibration.values import Number as AnyNumber
from gates.calibration.values import Worst, tighter, worst_of
from gates.journal import Event, Journal

pytestmark = pytest.mark.travels

ROOM = Slack(1.25, "test")

# Ties, decimals and neighbours in one: what five repeats look like.
plain = st.one_of(st.floats(0, 100).map(lambda value: round(value, 1)), st.floats(-1e6, 1e6), st.integers(0, 5))
any_number = st.one_of(plain, st.floats(allow_nan=False, allow_infinity=False))
worsts = st.sampled_from(["min", "max"]).map(lambda text: cast("Worst", text))
slacks = st.floats(0.1, 2).map(lambda value: Slack(value, "test"))


def kinds(found: tuple[object, ...]) -> list[str]:
    return [getattr(note, "kind", "") for note in found]


def texts(values: list[AnyNumber], worst: Worst, kind: str, **more: object) -> list[str]:
    found = estimate(values, worst, worst_of(values, worst), **more)  # type: ignore[arg-type]
    return [note.text for note in found.notes if note.kind == kind]


@given(st.lists(any_number, min_size=1, max_size=9), worsts, st.one_of(st.none(), slacks))
def test_estimates_are_probabilities(values: list[AnyNumber], worst: Worst, slack: Slack | None) -> None:
    found = estimate(values, worst, worst_of(values, worst), slack)
    assert found.promise == 1 / (len(values) + 1)
    for share in (found.left_out, found.left_out_slack):
        assert share is None or 0 <= share.share <= 1
    assert 0 <= found.confidence <= 1
    assert (found.left_out is None) == (len(values) == 1)
    assert (found.left_out_slack is None) == (slack is None or len(values) == 1)
    for smallest in (found.smallest, found.smallest_slack):
        assert smallest is None or (smallest >= 0 and math.isfinite(smallest))
    assert all(note.text.isprintable() for note in found.notes)
    json.dumps(estimate_json(found), allow_nan=False)


@given(st.lists(any_number, min_size=2, max_size=9), worsts, slacks)
def test_leaving_one_out_equals_brute_force(values: list[AnyNumber], worst: Worst, slack: Slack) -> None:
    found = estimate(values, worst, worst_of(values, worst), slack)
    plain = slackened = 0
    for place, value in enumerate(values):
        reference = worst_of(values[:place] + values[place + 1 :], worst)
        plain += tighter(worst, reference, value)
        slackened += tighter(worst, reference * slack.multiplier, value)
    assert found.left_out == Share(plain, len(values))
    assert found.left_out_slack == Share(slackened, len(values))


@given(st.lists(any_number, min_size=1, max_size=8), worsts, st.one_of(st.none(), slacks), st.randoms())
def test_the_order_of_repeats_does_not_matter(
    values: list[AnyNumber], worst: Worst, slack: Slack | None, random: Random
) -> None:
    order = list(range(len(values)))
    random.shuffle(order)
    turned = [values[place] for place in order]
    written = worst_of(values, worst)
    one, other = estimate(values, worst, written, slack), estimate(turned, worst, written, slack)
    for name in ("promise", "left_out", "left_out_slack", "smallest", "smallest_slack", "modes", "confidence"):
        assert getattr(one, name) == getattr(other, name)
    assert sorted(values[place] for place in one.outliers) == sorted(turned[place] for place in other.outliers)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, "1", True, 10**400])
def test_what_is_no_number_refuses(bad: AnyNumber) -> None:
    for values, written in (([1.0, bad], 1.0), ([bad], 1.0), ([1.0, 2.0], bad)):
        with pytest.raises(ValueError, match="number"):
            estimate(values, "min", written)
    with pytest.raises(ValueError, match="no values"):
        estimate([], "min", 1.0)


@pytest.mark.parametrize("more", [{"runs": [1]}, {"sessions": ["a"]}, {"step": 0}, {"step": -1.0}, {"step": math.nan}])
def test_what_does_not_fit_the_values_refuses(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"entry per value|step|finite"):
        estimate([1.0, 2.0], "min", 1.0, **more)  # type: ignore[arg-type]


def test_the_next_healthy_run_fails_the_worst_of_n_as_often_as_promised() -> None:
    random = Random(20)
    for n in (3, 5, 10):
        fails = sum(max(random.gauss(1, 0.01) for _ in range(n)) < random.gauss(1, 0.01) for _ in range(20_000))
        assert fails / 20_000 == pytest.approx(estimate([1.0] * n, "max", 1.0).promise, abs=0.01)


@pytest.mark.parametrize("worst", ["min", "max"])
def test_the_smallest_regression_is_noticed_at_the_power_that_is_said(worst: Worst) -> None:
    random = Random(4)
    n, spread, trials = 20, 0.02, 2_000
    noticed = 0
    for _ in range(trials):
        values = [random.gauss(10, 10 * spread) for _ in range(n)]
        limit = worst_of(values, worst)
        smallest = estimate(values, worst, limit).smallest
        assert smallest is not None
        factor = 1 - smallest if worst == "min" else 1 + smallest
        noticed += tighter(worst, limit, random.gauss(10, 10 * spread) * factor)
    assert noticed / trials == pytest.approx(0.8, abs=0.04)


def test_more_slack_hides_more() -> None:
    values = [10.0, 10.1, 9.9, 10.05, 10.2]
    found = estimate(values, "max", 10.2, ROOM)
    assert found.smallest is not None
    assert found.smallest_slack is not None
    assert found.smallest < 0.05 < 0.25 < found.smallest_slack
    assert found.left_out == Share(1, 5)
    assert found.left_out_slack == Share(0, 5)
    assert found.slack == 1.25


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [0, 1, -1], [-1.0, -2.0]])
def test_relative_to_nothing_there_is_no_regression(values: list[AnyNumber]) -> None:
    assert estimate(values, "max", max(values)).smallest is None


def test_a_single_repeat_says_what_it_can() -> None:
    found = estimate([0.5], "min", 0.5)
    assert (found.promise, found.left_out, found.smallest) == (0.5, None, None)
    assert "1 repeat is too few" in found.notes[0].text


def test_less_than_one_step_of_the_metric_is_never_noticed() -> None:
    coarse = estimate([0.75] * 5, "min", 0.75, step=1 / 20).smallest
    assert coarse == pytest.approx((1 / 20) / 0.75)
    assert "spread is not known" in texts([0.75] * 5, "min", "spread")[0]


def test_too_few_repeats_for_a_promise_are_told_with_how_many_it_takes() -> None:
    said = texts([1.0, 1.1, 1.2, 1.3, 1.4], "max", "few")
    assert said == [
        "5 repeats are too few for a promise: that the worst of them covers 95 % of healthy runs is 23 % sure; "
        "59 repeats make it 95 %"
    ]
    assert texts([k / 100 for k in range(58)], "max", "few")
    assert not texts([k / 100 for k in range(59)], "max", "few")
    assert estimate([1.0] * 59, "max", 1.0).confidence >= 0.95 > estimate([1.0] * 58, "max", 1.0).confidence


def test_an_outlier_is_noted_with_its_numbers_and_still_counts() -> None:
    values: list[AnyNumber] = [54.416, 58.788, 58.615, 57.77, 58.594]
    found = estimate(values, "min", 54.416, runs=[2, 3, 4, 5, 6])
    assert found.outliers == (0,)
    note = next(note.text for note in found.notes if note.kind == "outlier")
    assert note == (
        "run 2: 54.416 is 14.3 robust deviations worse than the median 58.594; without it the worst would be 57.77; "
        "it counts like every other"
    )
    assert found.left_out == Share(1, 5)


def test_only_bad_values_are_outliers() -> None:
    values: list[AnyNumber] = [20.0, 10.1, 10.0, 10.2, 9.9]
    assert estimate(values, "max", 20.0).outliers == (0,)
    assert estimate(values, "min", 9.9).outliers == ()


@pytest.mark.parametrize(
    ("values", "worst"),
    [
        ([0.7, 0.7, 0.7, 0.66, 0.7], "min"),  # four steps of two decimals
        ([0.272, 0.272, 0.272, 0.272, 0.273], "max"),  # one step
        ([1000.0, 1000.0, 1000.0, 1000.0, 1030.0], "max"),  # 3 %
        ([1, 1, 1, 0, 1], "min"),
        ([1.0, 1.0, 9.0], "max"),  # too few to say
    ],
)
def test_coarse_decimals_and_lucky_neighbours_make_no_outlier(values: list[AnyNumber], worst: Worst) -> None:
    assert estimate(values, worst, worst_of(values, worst)).outliers == ()


def test_healthy_runs_are_seldom_noted() -> None:
    random = Random(7)
    for n in (4, 5, 10, 20):
        samples = [[random.gauss(1, 0.05) for _ in range(n)] for _ in range(800)]
        found = [estimate(values, "max", max(values)) for values in samples]
        assert sum(bool(one.outliers) for one in found) / len(found) < 0.045
        assert sum(bool(one.modes) for one in found) / len(found) < 0.065


def test_two_modes_are_shown_and_are_no_outliers() -> None:
    values: list[AnyNumber] = [10.0, 15.1, 10.1, 15.0, 9.9]
    found = estimate(values, "max", 15.1)
    assert found.modes == ((9.9, 10.0, 10.1), (15.0, 15.1))
    assert found.outliers == ()
    assert texts(values, "max", "modes") == ["two modes: 9.9–10.1 (3×) and 15–15.1 (2×)"]
    assert estimate([1.0, 1.1, 1.2, 1.3, 1.4], "max", 1.4).modes == ()
    assert estimate([0.6, 0.65, 0.6, 0.65, 0.65], "min", 0.6, step=1 / 20).modes == ()


def test_one_session_promises_nothing_about_another() -> None:
    values: list[AnyNumber] = [1.0, 1.1, 1.2, 1.3]
    one = estimate(values, "max", 1.3, sessions=["a"] * 4)
    assert (one.sessions, one.promise_new_session) == (1, 0.5)
    assert "nothing is promised of another host, boot or day" in one.notes[1].text
    two = estimate(values, "max", 1.3, sessions=["a", "b", "a", "b"])
    assert (two.sessions, two.promise_new_session) == (2, 1 / 3)
    unknown = estimate(values, "max", 1.3, sessions=["a", None, "a", "a"])
    assert (unknown.sessions, unknown.promise_new_session) == (None, None)
    assert "not known" in unknown.notes[1].text


def test_sessions_are_told_apart_with_their_shift() -> None:
    values: list[AnyNumber] = [10.0, 10.2, 12.0, 12.2]
    said = texts(
        values,
        "max",
        "sessions",
        sessions=["h b1 2026-05-24", "h b1 2026-05-24", "h b2 2026-05-25", "h b2 2026-05-25"],
    )
    assert said == [
        "2 sessions with the means h b1 2026-05-24: 10.1 (n=2), h b2 2026-05-25: 12.1 (n=2); they lie 2 apart, within "
        "a session the standard deviation is 0.1414 (14.1 of them)"
    ]
    assert texts([1.0, 2.0], "max", "sessions", sessions=["a", "b"]) == [
        "2 sessions with the means a: 1 (n=1), b: 2 (n=1); they lie 1 apart"
    ]


def test_new_sessions_fail_no_more_often_than_is_said() -> None:
    random = Random(11)
    trials = fails = 0
    for _ in range(20_000):
        shifts = [random.gauss(0, 0.01) for _ in range(3)]
        runs = [shift + random.gauss(1, 0.01) for shift in shifts[:2] for _ in range(3)]
        fails += shifts[2] + random.gauss(1, 0.01) > max(runs)
        trials += 1
    bound = estimate([1.0] * 6, "max", 1.0, sessions=["a"] * 3 + ["b"] * 3)
    assert bound.promise_new_session is not None
    assert bound.promise < fails / trials <= bound.promise_new_session


def row(
    metric: str, worst: Worst, values: list[AnyNumber], runs: tuple[int, ...] = (), group: str = "speed"
) -> PlanRow:
    found = worst_of(values, worst)
    return PlanRow(
        stage_key="a_speed",
        metric_key=metric,
        source=metric.upper(),
        source_kind="bare",
        symbol=metric.upper(),
        subkey=None,
        outer=None,
        file="tests/test_a.py",
        group=group,
        worst_op=worst,
        runs=runs or tuple(range(1, len(values) + 1)),
        per_run_raw=tuple(values),
        worst_raw=found,
        worst_rounded=found,
        write_value=found,
        write_text=str(found),
        digits=4,
        scale=1,
        label=metric,
        count=False,
        samples=20,
    )


def test_a_round_fails_with_its_first_gate() -> None:
    qps, latency = row("qps", "min", [1.0, 1.2, 1.1, 1.3]), row("latency", "max", [9.0, 8.0, 8.5, 9.5])
    assert rounds([(qps, None)]) == Share(1, 4)
    assert rounds([(qps, None), (latency, None)]) == Share(2, 4)
    assert rounds([(qps, Slack(0.5, "")), (latency, ROOM)]) == Share(0, 4)
    assert rounds([]) is None
    assert rounds([(row("qps", "min", [1.0]), None)]) is None


def test_only_repeats_of_all_rows_make_a_round() -> None:
    rows = [
        (row("qps", "min", [1.0, 1.2, 1.1], (1, 2, 3)), None),
        (row("rtf", "max", [1.0, 1.2, 1.1], (2, 3, 4)), None),
    ]
    assert rounds(rows) == Share(1, 2)


@given(st.lists(st.lists(plain, min_size=4, max_size=4), min_size=1, max_size=5), worsts, st.one_of(st.none(), slacks))
def test_rounds_equal_brute_force(columns: list[list[AnyNumber]], worst: Worst, slack: Slack | None) -> None:
    multiplier = 1 if slack is None else slack.multiplier
    failed = sum(
        any(
            tighter(worst, worst_of(values[:run] + values[run + 1 :], worst) * multiplier, values[run])
            for values in columns
        )
        for run in range(4)
    )
    assert rounds([(row(f"m{k}", worst, values), slack) for k, values in enumerate(columns)]) == Share(failed, 4)


def test_an_accuracy_has_steps_of_one_sample() -> None:
    assert estimate_row(row("acc", "min", [0.6, 0.65, 0.6, 0.65], group="accuracy")).modes == ()
    assert estimate_row(row("qps", "min", [0.6, 0.65, 0.6, 0.65])).modes != ()


def event(kind: str, at: str, boot: str = "b1", pid: int = 7, **data: object) -> Event:
    return Event("id", 1, {"host": "h20", "boot_id": boot, "pid": pid, "start_ticks": 1}, at, kind, data)


def test_a_session_is_a_host_a_boot_and_the_day_of_the_start() -> None:
    journal = Journal(
        (
            event("run.started", "2026-05-24T23:00:00Z"),
            event("cell.recorded", "2026-05-24T23:50:00Z", stage="s", run=1),
            event("cell.recorded", "2026-05-25T00:10:00Z", stage="s", run=2),
            event("run.resumed", "2026-05-25T09:00:00Z", pid=8),
            event("cell.recorded", "2026-05-25T09:10:00Z", pid=8, stage="s", run=3),
            event("cell.recorded", "2026-05-26T09:10:00Z", "b2", 9, stage="s", run=4),
            event("cell.recorded", "2026-05-26T09:10:00Z", "b2", 9, stage="other", run=5),
        )
    )
    assert sessions_of(journal, "s", (1, 2, 3, 4, 5)) == (
        "h20 b1 2026-05-24",
        "h20 b1 2026-05-24",
        "h20 b1 2026-05-25",
        "h20 b2 2026-05-26",
        None,
    )
    assert sessions_of(None, "s", (1,)) == (None,)
    assert estimate_row(row("qps", "min", [1.0, 2.0]), None, journal).sessions is None


def facts_of(path: str, values: dict[str, Value], *imports: Import) -> dict[str, SourceFacts]:
    constants = tuple(Constant(name, k, False, value) for k, (name, value) in enumerate(values.items(), 1))
    return {path: SourceFacts(path, "", constants=constants, imports=imports)}


def number(value: float) -> Number:
    return Number(str(value), 1, 2, value, False)


TEST = "tests/test_a.py"
HERE: dict[str, Value] = {"THRESHOLD_SLACK_HIGHER": number(0.9), "THRESHOLD_SLACK_LOWER": number(1.1)}
HELPER = Import("tests.slack", "apply_slack", "apply_slack", 0)


@pytest.mark.parametrize(
    ("values", "worst", "multiplier"),
    [
        ({**HERE, "T": Call("apply_wer_slack", ("apply_wer_slack", "QPS", "THRESHOLD_SLACK_LOWER"))}, "max", 1.1),
        ({**HERE, "T": Call("round", ("round", "QPS", "THRESHOLD_SLACK_LOWER"))}, "max", 1.1),
        ({**HERE, "T": Other(("QPS", "THRESHOLD_SLACK_HIGHER"))}, "min", 0.9),
        (
            {**HERE, "T": Call("Limits", ("QPS", "OTHER", "THRESHOLD_SLACK_HIGHER", "THRESHOLD_SLACK_LOWER"))},
            "min",
            0.9,
        ),
        ({**HERE, "T": Table((Entry("a", None, Other(("QPS", "THRESHOLD_SLACK_LOWER"))),))}, "max", 1.1),
        ({"LONG_THRESHOLD_SLACK_LOWER": number(1.2), "T": Other(("QPS", "LONG_THRESHOLD_SLACK_LOWER"))}, "max", 1.2),
        ({**HERE, "T": Call("apply_slack", ("apply_slack", "QPS"))}, "max", 1.2),
        ({**HERE, "T": Call("tests.apply_slack", ("QPS",))}, "min", 0.8),
        ({**HERE, "T": Call("apply_slack", ("apply_slack", "OTHER"))}, "max", None),
        ({**HERE, "T": Other(("QPS", "THRESHOLD_SLACK_HIGHER"))}, "max", None),
        ({**HERE, "T": Call("other", ("QPS",))}, "max", None),
        ({**HERE, "T": Name("QPS")}, "max", None),
        (HERE, "max", None),
        ({"T": Other(("QPS", "THRESHOLD_SLACK_LOWER"))}, "max", None),
        ({"THRESHOLD_SLACK_LOWER": Other(()), "T": Other(("QPS", "THRESHOLD_SLACK_LOWER"))}, "max", None),
        ({"THRESHOLD_SLACK_LOWER": number(-1), "T": Other(("QPS", "THRESHOLD_SLACK_LOWER"))}, "max", None),
        (
            {
                **HERE,
                "X_THRESHOLD_SLACK_LOWER": number(1.5),
                "T": Other(("QPS", "THRESHOLD_SLACK_LOWER")),
                "U": Other(("QPS", "X_THRESHOLD_SLACK_LOWER")),
            },
            "max",
            None,
        ),
    ],
)
def test_the_slack_of_a_reference(values: dict[str, Value], worst: Worst, multiplier: float | None) -> None:
    there: dict[str, Value] = {"THRESHOLD_SLACK_HIGHER": number(0.8), "THRESHOLD_SLACK_LOWER": number(1.2)}
    facts = {**facts_of(TEST, values, HELPER), **facts_of("tests/slack.py", there)}
    found = slack_of_row(row("qps", worst, [1.0]), facts)
    assert (None if found is None else found.multiplier) == multiplier
    configured = slack_of_row(row("qps", worst, [1.0]), facts, {"higher": 0.7, "lower": 1.3})
    assert configured is not None
    assert configured.multiplier == (multiplier or (0.7 if worst == "min" else 1.3))


def test_without_sources_or_config_the_slack_is_unknown() -> None:
    assert slack_of_row(row("qps", "min", [1.0]), None) is None
    assert slack_of_row(row("qps", "min", [1.0]), None, {"lower": 1.3}) is None
    assert slack_of_row(row("qps", "min", [1.0]), None, {"higher": math.inf}) is None
    found = slack_of_row(row("qps", "min", [1.0]), None, {"THRESHOLD_SLACK_HIGHER": 0.6})
    assert found == Slack(0.6, "slack in the model's config.yaml")
    assert "could not be read" in texts([1.0, 2.0], "min", "slack")[0]
