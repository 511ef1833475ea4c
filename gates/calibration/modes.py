"""Which planned values are written, which are asked about, and why (spec/calibration.md, section 6, modes).

`decide` is asked twice: without answers it says what has to be asked, with them what is written. What is unknown or
equal is never written, whatever the mode and the answers.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Union, cast

from gates.calibration.plan import ApplyPlan, PlanRow
from gates.calibration.values import (
    Direction,
    Number,
    direction,
    direction_text,
    finite,
    literal_text,
    read_number_text,
    tighter,
)
from gates.calibration.words import one_line
from gates.documents import Json

Mode = Literal["report", "smart", "full"]
REPORT, SMART, FULL = "report", "smart", "full"
MODES: tuple[Mode, ...] = ("report", "smart", "full")
KEEP, APPLY = "keep", "apply"

WRITTEN_ALWAYS = frozenset({"accuracy", "wer", "similarity", "utmos"})

_MOST_NAMED = 3


class AnswersError(ValueError):
    """Answers that cannot be used; the message names the key and what would be right."""


@dataclass(frozen=True)
class Custom:
    """A number that a person gave.

    Attributes:
        text: As it was typed, and as it is written.
    """

    value: Number
    text: str


Answer = Union[Literal["keep", "apply"], Custom]
Answers = Mapping[str, Answer]


@dataclass(frozen=True)
class Edit:
    """One literal that is replaced.

    Attributes:
        row: What was planned.
        value: What is written, the planned value or a person's, as Python reads `text`: 4.0 where a 4 is planned for
            a place that holds a 3.0.
        text: The literal.
        direction: What that does to the gate.
        reason: Why it is written, in words.
    """

    row: PlanRow
    value: Number
    text: str
    direction: Direction
    reason: str

    @property
    def direction_text(self) -> str:
        """As the applied table shows it: `tightens (+2.1%)`."""
        return direction_text(self.row.worst_op, self.row.current_raw, self.value)


@dataclass(frozen=True)
class Question:
    """One value that a person has to decide on: keep, apply, or a number of their own."""

    row: PlanRow
    reason: str

    @property
    def key(self) -> str:
        """What a file of answers calls it."""
        return self.row.answer_key


@dataclass(frozen=True)
class Left:
    """One literal that is left as it is, and why."""

    row: PlanRow
    reason: str


@dataclass(frozen=True)
class Decisions:
    """What becomes of every row.

    Attributes:
        mode: As it was asked for.
        written: What is edited, in the order of the plan.
        asked: What is still to be answered; until then it is in `kept` too.
        kept: What a person decides to leave, or has not decided on.
        skipped: What is not up for decision: equal, unknown, decided with another row, or the mode is report.
    """

    mode: Mode
    written: tuple[Edit, ...]
    asked: tuple[Question, ...]
    kept: tuple[Left, ...]
    skipped: tuple[Left, ...]


def decide(plan: ApplyPlan, mode: str, answers: Answers | None = None) -> Decisions:
    """Say for every row of a plan what becomes of it.

    An answer counts for every row that could be written, also for one that the mode would not ask about: what a
    person said about it goes before what the mode says.

    Args:
        plan: The plan.
        mode: "report", "smart" or "full".
        answers: What a person said, by `stage/source`; see `parse_answers`.

    Raises:
        ValueError: There is no such mode.
        AnswersError: An answer is for a row that the plan does not have, or two answers for one literal differ.
    """
    if mode not in MODES:
        raise ValueError(f"no mode {mode!r}: {', '.join(MODES)}")
    given = _by_row(plan, answers or {})
    written: list[Edit] = []
    asked: list[Question] = []
    kept: list[Left] = []
    skipped: list[Left] = []
    first: dict[object, PlanRow] = {}
    for row in plan.rows:
        said = given.get(row.place)
        hindrance = _hindrance(row, mode)
        earlier = first.setdefault(row.place, row) if hindrance is None else row
        if hindrance is None and earlier is not row:
            hindrance = f"the same literal as {earlier.answer_key}, decided there"
        if hindrance is not None:
            note = "; the answer was not used" if said is not None and earlier is row else ""
            skipped.append(Left(row, hindrance + note))
            continue
        question = _question(row) if mode == SMART else None
        if said is None and question is not None:
            asked.append(Question(row, question))
            kept.append(Left(row, f"{question}; not answered, so the current value stays"))
        elif said == KEEP:
            kept.append(Left(row, "answered: keep"))
        elif isinstance(said, Custom):
            _custom(row, said, written, kept)
        else:
            reason = "answered: apply" if said == APPLY else _why(row, mode)
            written.append(Edit(row, read_number_text(row.write_text), row.write_text, row.direction, reason))
    return Decisions(mode, tuple(written), tuple(asked), tuple(kept), tuple(skipped))


def parse_answers(document: Json) -> dict[str, Answer]:
    """Read a file of answers: `{"stage/source": "keep" | "apply" | number}`.

    Raises:
        AnswersError: It has another shape, or a number is not finite.
    """
    if not isinstance(document, dict):
        raise AnswersError('answers: expected an object {"stage/source": "keep" | "apply" | number}')
    answers: dict[str, Answer] = {}
    for key, value in document.items():
        if value in (KEEP, APPLY):
            answers[key] = cast("Answer", value)
            continue
        try:
            number = finite(value)
        except ValueError:
            raise AnswersError(
                f'{one_line(key)}: expected "keep", "apply" or a finite number, got {one_line(repr(value)[:80])}'
            ) from None
        answers[key] = Custom(number, literal_text(number))
    return answers


def parse_answer(text: str) -> Answer:
    """Read what a person typed at one question; a number is kept as it was typed.

    Raises:
        AnswersError: It is none of keep, apply and a finite decimal number.
    """
    typed = text.strip()
    if typed.lower() in (KEEP, APPLY):
        return cast("Answer", typed.lower())
    try:
        return Custom(read_number_text(typed), typed)
    except ValueError as error:
        raise AnswersError(f"{one_line(typed, 60)!r}: {error}; expected keep, apply or a number") from None


def _by_row(plan: ApplyPlan, answers: Answers) -> dict[object, Answer]:
    """Answers by the literal that they are for."""
    places: dict[str, list[object]] = {}
    for row in plan.rows:
        for name in dict.fromkeys((row.answer_key, f"{row.stage_key}/{row.resolved_source}")):
            places.setdefault(name, []).append(row.place)
    found: dict[object, tuple[str, Answer]] = {}
    for key, answer in answers.items():
        if key not in places:
            near = difflib.get_close_matches(key, places, n=_MOST_NAMED, cutoff=0.5)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise AnswersError(f"{one_line(key)} is not in the plan{hint}")
        for place in places[key]:
            earlier = found.setdefault(place, (key, answer))
            if earlier[1] != answer:
                raise AnswersError(f"{one_line(earlier[0])} and {one_line(key)} are one literal with two answers")
    return {place: answer for place, (_key, answer) in found.items()}


def _hindrance(row: PlanRow, mode: str) -> str | None:
    """Why a row is not up for decision at all."""
    if row.problem is not None or row.direction == "unknown" or row.current_raw is None:
        return f"unknown: {row.problem or 'what stands in the source is not known'}"
    if row.direction == "equal":
        return "equal: what would be written stands there already"
    return "mode report writes nothing" if mode == REPORT else None


def _question(row: PlanRow) -> str | None:
    """Why smart asks about a row; None when it does not."""
    if row.group in WRITTEN_ALWAYS or row.direction == "tightens":
        return None
    return f"{row.group} would loosen"


def _why(row: PlanRow, mode: str) -> str:
    if mode == FULL:
        return "mode full writes every metric"
    if row.group in WRITTEN_ALWAYS:
        return f"mode smart writes {row.group}"
    return f"mode smart writes {row.group} that tightens"


def _custom(row: PlanRow, said: Custom, written: list[Edit], kept: list[Left]) -> None:
    moved = direction(row.worst_op, row.current_raw, said.value)
    if moved == "equal":
        kept.append(Left(row, f"answered: {said.text}, which stands there already"))
        return
    reason = f"answered: {said.text}"
    if tighter(row.worst_op, said.value, row.worst_raw):
        reason += f"; tighter than the worst repeat ({row.worst_raw}), which would have failed it"
    written.append(Edit(row, said.value, said.text, moved, reason))
