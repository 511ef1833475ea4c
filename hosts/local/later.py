"""Questions that a look waits for only a moment: they go on by themselves, and the next look has what they said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hosts.local.reasons import why

_HURRY = 0.1  # seconds for a question that took longer than may be waited for the last time
_KEPT = 300.0  # seconds for which an answer that nobody asks for is kept


@dataclass(frozen=True)
class _Answer:
    """What was said; `took` by the monotonic clock, `said` by it too, and `at` in seconds since the epoch."""

    value: Any
    error: str
    took: float
    said: float
    at: float

    def age(self) -> float:
        """Seconds since it was said; the monotonic clock does not count the sleep of a machine."""
        return max(time.monotonic() - self.said, time.time() - self.at)


class _Question(threading.Thread):
    """One question on its way, and the answer to the one before it."""

    def __init__(self, run: Callable[..., Any], arguments: tuple[object, ...], before: _Answer | None) -> None:
        super().__init__(name="question", daemon=True)
        self.asked = time.monotonic()
        self.before = before
        self.answer: _Answer | None = None
        self._run = run
        self._arguments = arguments
        self._said = threading.Event()

    def run(self) -> None:
        value, error = None, ""
        try:
            value = self._run(*self._arguments)
        except Exception as fault:  # noqa: BLE001 - told in the answer, where the section is missing
            error = f"{type(fault).__name__}: {why(fault)}"
        now = time.monotonic()
        self.answer = _Answer(value, error, now - self.asked, now, time.time())
        self._said.set()

    def wait(self, until: float) -> _Answer | None:
        """The answer, or None when it does not come in time."""
        self._said.wait(max(0.0, until - time.monotonic()))
        return self.answer


class Later:
    """Asks each question in a thread of its own, one at a time; whoever asks while one is on its way shares it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[object, _Question] = {}

    def ask(self, name: object, patience: float, oldest: float, run: Callable[..., Any], *arguments: object) -> Asked:
        """Put a question, unless it is on its way already.

        Args:
            name: What it is about; the same name is the same question.
            patience: Seconds for which it may be waited for.
            oldest: Seconds for which the answer to the one before stands for that of one which takes longer.
            run: Finds the answer.
            arguments: For `run`.
        """
        with self._lock:
            kept = {key: one for key, one in self._asked.items() if one.answer is None or one.answer.age() < _KEPT}
            question = self._asked.get(name)
            if question is None or question.answer is not None:
                question = _Question(run, arguments, question.answer if question is not None else None)
                question.start()
            self._asked = {**kept, name: question}
        return Asked(question, patience, oldest)


class Asked:
    """A question as one look sees it.

    Attributes:
        error: Why there is no value, once `result` gave none.
        at: When the value was found, seconds since the epoch; None before that.
    """

    def __init__(self, question: _Question, patience: float, oldest: float) -> None:
        self.error = ""
        self.at: float | None = None
        self._question = question
        self._patience = patience
        self._oldest = oldest

    def result(self, until: float) -> Any:
        """The value, or that of the question before where that has to do; None, and `error` says why."""
        question, before = self._question, self._question.before
        hurried = before is not None and before.took > self._patience
        end = question.asked + (min(_HURRY, self._patience) if hurried else self._patience)
        answer = question.wait(min(until, end))
        if answer is None and before is not None and before.value is not None and before.age() <= self._oldest:
            answer = before
        if answer is None:
            self.error = f"no answer yet after {time.monotonic() - question.asked:.0f} s"
            return None
        self.error, self.at = answer.error, answer.at
        return answer.value
