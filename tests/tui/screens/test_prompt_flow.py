"""Questions and answers without a screen: whatever way one takes through them, the command line would say the same."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.cautions import caution
from gates.calibration.modes import Answer, AnswersError, Custom, Question, parse_answer
from gates.calibration.rows import PlanRow
from gates.calibration.values import Worst, direction, write_value
from tui.screens.prompt_flow import Flow, judge

numbers = st.floats(min_value=1e-6, max_value=1e6)


@st.composite
def rows(draw: st.DrawFn) -> PlanRow:
    values = draw(st.lists(numbers, min_size=1, max_size=5))
    now = draw(numbers)
    worst: Worst = draw(st.sampled_from(["min", "max"]))
    bound = min(values) if worst == "min" else max(values)
    new = write_value("speed", bound, worst, 4, False)
    return PlanRow(
        stage_key=f"stage{draw(st.integers(0, 999))}",
        metric_key="m",
        source="A_MIN",
        source_kind="bare",
        symbol="A_MIN",
        subkey=None,
        outer=None,
        file="tests/a.py",
        group="speed",
        worst_op=worst,
        runs=tuple(range(1, len(values) + 1)),
        per_run_raw=tuple(values),
        worst_raw=bound,
        worst_rounded=bound,
        write_value=new,
        write_text=repr(new),
        digits=4,
        scale=1.0,
        label="M",
        count=False,
        current_raw=now,
        current_text=repr(now),
        direction=direction(worst, now, new),
        span=(0, 1),
    )


questions = st.lists(rows(), min_size=1, max_size=5, unique_by=lambda row: row.stage_key).map(
    lambda found: tuple(Question(row, "speed would loosen") for row in found)
)
moves = st.lists(
    st.one_of(
        st.just("back"),
        st.just("forward"),
        st.sampled_from(["keep", "apply"]).map(lambda word: (word,)),
        numbers.map(lambda value: (Custom(value, repr(value)),)),
    ),
    max_size=20,
)


@given(questions, moves)
def test_the_last_answer_to_each_question_counts(asked: tuple[Question, ...], taken: Sequence[object]) -> None:
    flow = Flow("smart", asked)
    expected: dict[str, Answer] = {}
    for move in taken:
        at = flow.question
        if move == "back":
            flow = flow.back()
        elif move == "forward":
            flow = flow.forward()
        elif at is not None and isinstance(move, tuple):
            expected[at.key] = move[0]
            flow = flow.answered(move[0])
        assert 0 <= flow.at <= len(asked)
        assert dict(flow.answers) == expected
        assert all(question.key in expected for question in asked[: flow.at]), "none is passed over"


def _parsed(typed: str) -> tuple[Answer | None, str]:
    try:
        return parse_answer(typed), ""
    except AnswersError as error:
        return None, str(error)


@given(rows(), st.one_of(st.text(max_size=12), numbers.map(repr), st.sampled_from(["keep", " apply ", "1_0", "-0"])))
def test_what_is_typed_is_judged_as_the_command_line_does(row: PlanRow, typed: str) -> None:
    judged = judge(Question(row, "speed would loosen"), typed)
    answer, refused = _parsed(typed)
    assert judged.answer == answer
    assert judged.error == (refused if typed.strip() else "")
    if isinstance(answer, Custom) and not judged.effect.startswith("equal"):
        assert judged.caution == caution(row, answer.value, answer.text, typed=True)
