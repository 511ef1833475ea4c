from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hosts.host import Accelerators, DiskSeen, GpuDevice, Wants, merge
from hosts.local import later, observe
from hosts.local.accelerators import AcceleratorReader
from hosts.local.later import Asked, Later
from hosts.local.observe import Observer
from hosts.local.wire import from_wire, to_wire

pytestmark = pytest.mark.travels

LONG_S = 30.0
GPUS = Wants(accelerators=True, load=True, patience=0.2)


class Slow:
    """Something that answers with its number when it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.most = 0
        self._under_way = 0
        self._go = threading.Semaphore(0)

    def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        self._go.acquire(timeout=LONG_S)
        self._under_way -= 1
        return number

    def let_go(self, question: Asked) -> float:
        """End the question that is on its way; gives when it was answered."""
        self._go.release()
        question._question.join(LONG_S)
        assert question._question.answer is not None
        return question._question.answer.at


def until() -> float:
    return time.monotonic() + LONG_S


def test_an_answer_that_comes_in_time_is_of_now() -> None:
    asked = Later().ask("a", LONG_S, 0.0, lambda: 7)
    before = time.time()
    assert asked.result(until()) == 7
    assert asked.at is not None
    assert abs(asked.at - before) < 1.0


def test_one_that_does_not_is_for_the_next_look() -> None:
    questions, slow = Later(), Slow()
    first = questions.ask("a", 0.05, LONG_S, slow)
    began = time.monotonic()
    assert first.result(until()) is None
    assert time.monotonic() - began < 1.0
    assert first.error == "no answer yet after 0 s"
    assert first.at is None
    answered = slow.let_go(first)
    second = questions.ask("a", 0.05, LONG_S, slow)
    assert (second.result(until()), second.at, slow.asked) == (1, answered, 2)
    third = questions.ask("a", 0.05, LONG_S, slow)
    assert (third.result(until()), third.at, slow.asked) == (1, second.at, 2), "it can be told as what was said before"
    slow.let_go(third)
    assert questions.ask("a", 0.05, LONG_S, lambda: 9).result(until()) == 9


def test_one_that_was_slow_is_hardly_waited_for_the_next_time() -> None:
    questions, slow = Later(), Slow()
    first = questions.ask("a", LONG_S, LONG_S, lambda: 1)
    assert first.result(until()) == 1
    assert first._question.answer is not None
    first._question.answer = replace(first._question.answer, took=2 * LONG_S)
    began = time.monotonic()
    second = questions.ask("a", LONG_S, LONG_S, slow)
    assert second.result(until()) == 1
    assert time.monotonic() - began < 5.0
    slow.let_go(second)


def test_one_that_hangs_is_one_thread_however_often_it_is_asked() -> None:
    questions, slow = Later(), Slow()
    before = threading.active_count()
    asked = [questions.ask("a", 0.01, LONG_S, slow) for _ in range(50)]
    began = time.monotonic()
    assert {one.result(until()) for one in asked} == {None}
    assert time.monotonic() - began < 5.0
    assert (slow.asked, slow.most) == (1, 1)
    assert threading.active_count() == before + 1
    slow.let_go(asked[0])
    assert threading.active_count() == before


def test_who_shares_one_that_is_on_its_way_waits_from_when_it_was_asked() -> None:
    questions, slow = Later(), Slow()
    first = questions.ask("a", LONG_S, LONG_S, slow)
    first._question.asked -= LONG_S
    began = time.monotonic()
    asked = questions.ask("a", LONG_S, LONG_S, slow)
    assert asked.result(until()) is None
    assert time.monotonic() - began < LONG_S / 3
    assert asked.error == f"no answer yet after {LONG_S:.0f} s"
    slow.let_go(first)


def test_what_was_said_long_ago_is_not_told() -> None:
    questions, slow = Later(), Slow()
    assert questions.ask("a", LONG_S, 0.0, lambda: 3).result(until()) == 3
    asked = questions.ask("a", 0.01, 0.0, slow)
    assert asked.result(until()) is None
    slow.let_go(asked)


def test_a_machine_that_slept_does_not_take_what_was_said_before_for_new(monkeypatch: pytest.MonkeyPatch) -> None:
    questions, slow = Later(), Slow()
    assert questions.ask("a", LONG_S, 60.0, lambda: 3).result(until()) == 3
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600.0)
    asked = questions.ask("a", 0.01, 60.0, slow)
    assert asked.result(until()) is None
    slow.let_go(asked)


def test_one_that_fails_says_why() -> None:
    questions = Later()
    for _ in range(2):
        asked = questions.ask("a", LONG_S, LONG_S, lambda: 1 // 0)
        assert asked.result(until()) is None
        assert asked.error.startswith("ZeroDivisionError")


def test_what_nobody_asks_for_any_more_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "_KEPT", 0.0)
    questions = Later()
    for number in range(100):
        assert questions.ask(number, LONG_S, LONG_S, lambda: 1).result(until()) == 1
    assert len(questions._asked) == 1


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """A driver that answers when it is let go; the GPU's memory is the number of the question."""
    asked = Slow()

    def read(self: object, timeout: float) -> Accelerators:
        return Accelerators((GpuDevice(0, "H100", "GPU-0", asked(), 80_000, 1),), "nvidia-smi")

    monkeypatch.setattr(AcceleratorReader, "read", read)
    return asked


def memory(seen: Accelerators | None) -> int | None:
    return None if seen is None else seen.devices[0].memory_used


def wait(true: Callable[[], Any]) -> None:
    end = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_driver_that_is_slow_does_not_hold_up_a_look(slow: Slow) -> None:
    observer = Observer()
    began = time.monotonic()
    first = observer.observe(GPUS, None, "here", deadline=LONG_S)
    assert time.monotonic() - began < 5.0
    assert (first.accelerators, dict(first.errors)) == (None, {"accelerators": "no answer yet after 0 s"})
    assert first.load is not None
    slow._go.release()
    wait(lambda: observer._later._asked["accelerators"].answer)
    second = observer.observe(GPUS, None, "here", deadline=LONG_S)
    assert (memory(second.accelerators), dict(second.errors)) == (1, {})
    assert second.accelerators is not None
    assert second.accelerators.at is not None
    assert second.accelerators.at < second.at
    slow._go.release()


def test_whoever_needs_an_answer_waits_for_one_of_its_own(slow: Slow) -> None:
    observer = Observer()
    assert observer.observe(GPUS, None, "here", deadline=LONG_S).accelerators is None
    threading.Timer(0.5, slow._go.release, (2,)).start()
    found = observer.observe(Wants(accelerators=True), None, "here", deadline=LONG_S)
    assert (memory(found.accelerators), dict(found.errors)) == (2, {}), "not what was asked before it came"
    assert found.accelerators is not None
    assert found.accelerators.at is None
    assert slow.most == 1


def test_a_disk_that_is_slow_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Slow()
    monkeypatch.setattr(observe, "look_at_disk", lambda path: DiskSeen(path, asked(), 100))
    observer, want = Observer(), Wants(disks=("/data",), patience=0.05)
    first = observer.observe(want, None, "here", deadline=LONG_S)
    assert first.disks == (DiskSeen("/data", None, None, error="no answer yet after 0 s"),)
    asked._go.release()
    wait(lambda: observer._later._asked["disk", "/data"].answer)
    assert observer.observe(want, None, "here", deadline=LONG_S).disks == (DiskSeen("/data", 1, 100),)
    asked._go.release()


def test_together_they_have_the_patience_of_who_has_least_and_none_where_one_needs_an_answer() -> None:
    assert merge([Wants(load=True), GPUS, Wants(disks=("/x",), patience=0.1)]).patience == 0.1
    assert merge([GPUS, Wants(accelerators=True)]).patience is None
    assert merge([GPUS, Wants(disks=("/x",))]).patience is None
    assert merge([]).patience is None
    assert from_wire(Wants, to_wire(GPUS)) == GPUS
