"""The questions of one apply, and what was answered so far; pure, so that it can be tried without a screen."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gates.calibration.cautions import caution
from gates.calibration.modes import KEEP, Answer, AnswersError, Custom, Question, parse_answer
from gates.calibration.values import direction_text

_NONE: Mapping[str, Answer] = MappingProxyType({})


class Step(enum.Enum):
    """Where in the prompt one is."""

    PREPARING = "preparing"
    MODES = "modes"
    REPORT = "report"
    QUESTION = "question"
    CHECKING = "checking"
    CHANGE = "change"
    WRITING = "writing"
    CUT_OFF = "cut off"
    MENDING = "mending"
    OVER = "over"


@dataclass(frozen=True)
class Flow:
    """A chosen mode and its questions.

    Attributes:
        questions: In the order of the plan.
        answers: By the question's key, as `decide` takes them.
        at: The question that is shown; behind the last one all are answered.
    """

    mode: str = ""
    questions: tuple[Question, ...] = ()
    answers: Mapping[str, Answer] = field(default_factory=lambda: _NONE)
    at: int = 0

    @property
    def question(self) -> Question | None:
        """What is asked now; None once everything is answered."""
        return self.questions[self.at] if self.at < len(self.questions) else None

    @property
    def given(self) -> Answer | None:
        """What was answered to it before."""
        return None if self.question is None else self.answers.get(self.question.key)

    def answered(self, answer: Answer) -> Flow:
        """With an answer to the question that is shown, and the next one shown."""
        assert self.question is not None  # it is what was asked
        return replace(self, answers=MappingProxyType({**self.answers, self.question.key: answer}), at=self.at + 1)

    def back(self) -> Flow:
        """The question before this one."""
        return replace(self, at=max(0, self.at - 1))

    def forward(self) -> Flow:
        """The question behind this one, once this one is answered."""
        return replace(self, at=self.at + 1) if self.given is not None else self


@dataclass(frozen=True)
class Judged:
    """What was typed at a question.

    Attributes:
        answer: None where it cannot be used.
        error: Why not; "" too where nothing was typed yet.
        effect: What it would do to the gate.
        caution: What should be known of it, or "".
    """

    answer: Answer | None
    error: str = ""
    effect: str = ""
    caution: str = ""


def judge(question: Question, typed: str) -> Judged:
    """Say of every keystroke what Enter would make of it; the same rule as the command line's."""
    if not typed.strip():
        return Judged(None)
    try:
        answer = parse_answer(typed)
    except AnswersError as error:
        return Judged(None, str(error))
    row = question.row
    if not isinstance(answer, Custom):
        value = row.current_raw if answer == KEEP else row.write_value
        return Judged(answer, effect=direction_text(row.worst_op, row.current_raw, value or 0))
    effect = direction_text(row.worst_op, row.current_raw, answer.value)
    said = "" if effect == "equal" else caution(row, answer.value, answer.text, typed=True)
    return Judged(answer, effect="equal: stands there already" if effect == "equal" else effect, caution=said)
