from __future__ import annotations

import ast
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.modes import (
    Answer,
    AnswersError,
    Custom,
    Decisions,
    decide,
    parse_answer,
    parse_answers,
)
from gates.calibration.plan import ApplyPlan, PlanRow, PlanStage
from gates.calibration.values import Number, Worst, direction, literal_text
from gates.documents import Json

pytestmark = pytest.mark.travels

GROUPS = ("accuracy", "wer", "similarity", "utmos", "speed", "reliability", "diarization", "of-a-project")


def row(
    name: str,
    group: str,
    old: Number | None,
    new: Number,
    worst: Worst = "min",
    subkey: str | None = None,
    problem: str | None = None,
) -> PlanRow:
    return PlanRow(
        stage_key=f"mmmu_{group}",
        metric_key=name.lower(),
        source=name if subkey is None else f"{name}['{subkey}']",
        source_kind="bare" if subkey is None else "nested",
        symbol=name,
        subkey=subkey,
        outer=None if subkey is None else 8,
        file="tests/test_a.py",
        group=group,
        worst_op=worst,
        runs=(1, 2),
        per_run_raw=(new, new),
        worst_raw=new,
        worst_rounded=new,
        write_value=new,
        write_text=literal_text(new),
        digits=4,
        scale=1,
        label=name,
        count=False,
        current_raw=old,
        current_text=None if old is None else literal_text(old),
        direction=direction(worst, old, new),
        problem=problem,
        span=None if old is None else (0, 3),
    )


def plan_of(*rows: PlanRow) -> ApplyPlan:
    stages = (
        PlanStage(one.stage_key, 2, one.file, None, one.stage_key, one.group, None, None, None, None, (one,))
        for one in rows
    )
    return ApplyPlan("tiny", 2, "f" * 40, tuple(stages))


def names(decisions: Decisions) -> dict[str, list[str]]:
    return {
        "written": [edit.row.symbol for edit in decisions.written],
        "asked": [question.row.symbol for question in decisions.asked],
        "kept": [left.row.symbol for left in decisions.kept],
        "skipped": [left.row.symbol for left in decisions.skipped],
    }


PLAN = plan_of(
    row("ACC", "accuracy", 0.62, 0.56),
    row("WER", "wer", 0.01, 0.02, "max"),
    row("SIM", "similarity", 0.7, 0.6),
    row("MOS", "utmos", 4.2, 4.1),
    row("QPS", "speed", 1.2, 1.3),
    row("LAT", "speed", 1.2, 1.3, "max"),
    row("FAILED", "reliability", 2, 3, "max"),
    row("FEWER", "reliability", 3, 2, "max"),
    row("CER", "diarization", 13.5, 14.5, "max"),
    row("SAME", "accuracy", 0.7, 0.7),
    row("AWAY", "accuracy", None, 0.7),
    row("ODD", "speed", 1.0, 2.0, problem="bound twice"),
)
AUTO = ["ACC", "WER", "SIM", "MOS", "QPS", "FEWER"]
ASKED = ["LAT", "FAILED", "CER"]
NEVER = ["SAME", "AWAY", "ODD"]


def test_report_writes_nothing() -> None:
    found = names(decide(PLAN, "report"))
    assert found["written"] == found["asked"] == found["kept"] == []
    assert len(found["skipped"]) == len(PLAN.rows)


def test_smart_writes_quality_and_what_tightens_and_asks_for_the_rest() -> None:
    decisions = decide(PLAN, "smart")
    assert names(decisions) == {"written": AUTO, "asked": ASKED, "kept": ASKED, "skipped": NEVER}
    assert all("not answered, so the current value stays" in left.reason for left in decisions.kept)
    assert [edit.reason for edit in decisions.written[-2:]] == [
        "mode smart writes speed that tightens",
        "mode smart writes reliability that tightens",
    ]
    assert [question.key for question in decisions.asked] == [
        "mmmu_speed/LAT",
        "mmmu_reliability/FAILED",
        "mmmu_diarization/CER",
    ]
    assert decisions.written[0].direction_text == "loosens (-9.7%)"


def test_full_writes_all_but_equal_and_unknown() -> None:
    found = names(decide(PLAN, "full"))
    assert sorted(found["written"]) == sorted(AUTO + ASKED)
    assert found["skipped"] == NEVER
    assert found["asked"] == []


def test_every_reason_is_said() -> None:
    for mode in ("report", "smart", "full"):
        found = decide(PLAN, mode)
        reasons = [edit.reason for edit in found.written] + [question.reason for question in found.asked]
        assert all(reasons + [left.reason for left in (*found.kept, *found.skipped)])
    assert decide(PLAN, "full").skipped[-1].reason == "unknown: bound twice"


def test_answers_decide() -> None:
    answers = parse_answers(
        {
            "mmmu_speed/LAT": "apply",
            "mmmu_reliability/FAILED": 5,
            "mmmu_diarization/CER": "keep",
            "mmmu_accuracy/ACC": 0.6,
        }
    )
    decisions = decide(PLAN, "smart", answers)
    assert decisions.asked == ()
    written = {edit.row.symbol: (edit.value, edit.text, edit.direction, edit.reason) for edit in decisions.written}
    assert written["LAT"] == (1.3, "1.3", "loosens", "answered: apply")
    assert written["FAILED"] == (5, "5", "loosens", "answered: 5")
    assert written["ACC"][:3] == (0.6, "0.6", "loosens")
    assert written["ACC"][3].startswith("answered: 0.6; tighter than the worst repeat (0.56)")
    assert [(left.row.symbol, left.reason) for left in decisions.kept] == [("CER", "answered: keep")]


def test_a_number_is_written_as_it_was_typed() -> None:
    answer = parse_answer(" 1.2500 ")
    edit = next(edit for edit in decide(PLAN, "smart", {"mmmu_speed/LAT": answer}).written if edit.row.symbol == "LAT")
    assert (edit.value, edit.text) == (1.25, "1.2500")


def test_an_answer_for_what_is_never_written_is_not_lost_silently() -> None:
    answers: dict[str, Answer] = {"mmmu_accuracy/SAME": Custom(0.5, "0.5"), "mmmu_accuracy/AWAY": "apply"}
    decisions = decide(PLAN, "full", answers)
    assert not {"SAME", "AWAY"} & set(names(decisions)["written"])
    assert [left.reason.endswith("the answer was not used") for left in decisions.skipped] == [True, True, False]


def test_a_number_that_stands_there_already_changes_nothing() -> None:
    decisions = decide(PLAN, "smart", {"mmmu_speed/LAT": Custom(1.2, "1.2")})
    assert "LAT" in names(decisions)["kept"]
    assert "LAT" not in names(decisions)["asked"]


@pytest.mark.parametrize("mode", ["report", "smart", "full"])
def test_an_answer_that_no_row_has_is_an_error_that_names_the_near_ones(mode: str) -> None:
    with pytest.raises(AnswersError, match=r"mmmu_speed/LATT is not in the plan; near it: mmmu_speed/LAT"):
        decide(PLAN, mode, {"mmmu_speed/LATT": "keep"})


def test_a_nested_source_may_be_named_with_its_outer_key() -> None:
    plan = plan_of(row("_P95", "speed", 1.2, 1.3, "max", "rtf_mean"))
    for key in ("mmmu_speed/_P95['rtf_mean']", "mmmu_speed/_P95[8]['rtf_mean']"):
        assert len(decide(plan, "smart", {key: "apply"}).written) == 1
    both: dict[str, Answer] = {"mmmu_speed/_P95['rtf_mean']": "keep", "mmmu_speed/_P95[8]['rtf_mean']": "apply"}
    with pytest.raises(AnswersError, match="one literal with two answers"):
        decide(plan, "smart", both)


def test_one_literal_is_written_once() -> None:
    plan = plan_of(row("ACC", "accuracy", 0.62, 0.56), replace(row("ACC", "accuracy", 0.62, 0.56), stage_key="b"))
    decisions = decide(plan, "full")
    assert names(decisions)["written"] == ["ACC"]
    assert decisions.skipped[0].reason == "the same literal as mmmu_accuracy/ACC, decided there"
    assert decide(plan, "full", {"b/ACC": "keep"}).written == ()


def test_there_are_three_modes() -> None:
    with pytest.raises(ValueError, match="report, smart, full"):
        decide(PLAN, "all")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "keep",
        {"a": True},
        {"a": None},
        {"a": "KEEP"},
        {"a": "0.5"},
        {"a": ["keep"]},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 10**400},
    ],
)
def test_answers_of_another_shape_are_an_error(document: Json) -> None:
    with pytest.raises(AnswersError, match="expected"):
        parse_answers(document)


@pytest.mark.parametrize("text", ["", "yes", "nan", "1e999", "1,5", "0x10", "1 2", "\x1b[2J"])
def test_what_is_typed_has_to_be_an_answer(text: str) -> None:
    with pytest.raises(AnswersError, match="expected keep, apply or a number") as caught:
        parse_answer(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("text", "answer"), [("keep", "keep"), ("Apply", "apply"), ("-3", Custom(-3, "-3"))])
def test_typed_answers(text: str, answer: Answer) -> None:
    assert parse_answer(text) == answer


rows = st.builds(
    row,
    st.sampled_from([f"N{k}_MIN" for k in range(6)]),
    st.sampled_from(GROUPS),
    st.one_of(st.none(), st.floats(0, 2), st.integers(0, 3)),
    st.one_of(st.floats(0, 2), st.integers(0, 3)),
    st.sampled_from(["min", "max"]),
    st.none(),
    st.one_of(st.none(), st.just("bound twice")),
)
answers: st.SearchStrategy[Answer] = st.one_of(
    st.just("keep"), st.just("apply"), st.floats(-2, 4).map(lambda value: Custom(value, literal_text(value)))
)


@given(st.lists(rows, max_size=8), st.sampled_from(["report", "smart", "full"]), st.data())
def test_every_row_goes_one_way_and_nothing_unknown_or_equal_is_written(
    listed: list[PlanRow], mode: str, data: st.DataObject
) -> None:
    plan = plan_of(*listed)
    keys = sorted({one.answer_key for one in listed})
    given_answers: dict[str, Answer] = {}
    places = {}
    for key in keys:
        place = next(one.place for one in listed if one.answer_key == key)
        if place not in places and data.draw(st.booleans()):
            given_answers[key] = data.draw(answers)
        places[place] = key
    decisions = decide(plan, mode, given_answers)
    gone = [edit.row for edit in decisions.written] + [left.row for left in (*decisions.kept, *decisions.skipped)]
    assert sorted(map(id, gone)) == sorted(map(id, plan.rows))
    assert {id(one.row) for one in decisions.asked} <= {id(one.row) for one in decisions.kept}
    for edit in decisions.written:
        assert edit.row.problem is None
        assert edit.row.direction in ("tightens", "loosens")
        assert edit.direction in ("tightens", "loosens")
        assert edit.row.current_raw is not None
        read = ast.literal_eval(edit.text)
        assert (edit.value, type(edit.value)) == (read, type(read))
        assert edit.value == edit.row.write_value or edit.reason.startswith("answered: ")
    assert len({edit.row.place for edit in decisions.written}) == len(decisions.written)
    assert mode != "report" or not decisions.written
    assert mode == "smart" or not decisions.asked
    json.dumps([edit.value for edit in decisions.written], allow_nan=False)
