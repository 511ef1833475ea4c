"""Bars in a filtered stream: they paint over what stands above them in the log, and over nothing else."""

from __future__ import annotations

import pytest

from monitors.logs.types import Filter, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.test_plain import Printed, _at_once, printed  # noqa: F401 - a fixture of this module too
from tui.logs import plain
from tui.logs.plain import Request

TWO = Filter((Query("two"),))
APART = (
    b"ERROR: two\none\n\x1b[A\r0: 20%|## | two\nWARNING: four\nERROR: two\n  behind\n\x1b[A\r0: 20%|## | two\n\n"
    b"0: 10%|# | 1/10\n  behind\nINFO: three\n\n\x1b[A\r0: 20%|## | two\n"
)


@pytest.mark.parametrize("little", [-1, 1 << 20])
@pytest.mark.parametrize("lines", [None, 1, 3, 5, 9])
def test_bars_between_which_lines_are_left_out_stay(little: int, lines: int | None) -> None:
    bar = b"0: 20%|## | two\n"
    wanted = [b"ERROR: two\n", bar, b"ERROR: two\n", bar, bar]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_LITTLE", little)
        assert printed(APART, Request(lines, wanted=TWO)) == b"".join(wanted[-(lines or 9) :])


@pytest.mark.parametrize("context", [0, 1])
def test_bars_that_follow_each_other_are_folded(context: int) -> None:
    data = b"".join(b"\x1b[A\r0: %d%%|## | two\n" % step for step in range(10, 20))
    wanted = Filter((Query("two"),), context=context)
    assert printed(b"hay\nhay\n" + data + b"hay\n", Request(wanted=wanted)).endswith(
        b"hay\n0: 19%|## | two\nhay\n" if context else b"0: 19%|## | two\n"
    )


@pytest.mark.parametrize("little", [-1, 1 << 20])
@pytest.mark.parametrize("follow", [False, True])
async def test_lines_that_are_painted_over_are_none_of_the_last_that_pass(
    little: int, follow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_LITTLE", little)
    bars = b"0: 1%|# | two\n" + b"".join(b"\x1b[A\r0: %d%%|## | two\n" % step for step in range(2, 99))
    source = MemorySource(b"two 1\nhay\ntwo 2\nhay\n" + bars + b"two 3\n")
    made = Printed(source, Request(3, follow=follow, wanted=TWO))
    await made.run([lambda source: source.append(b"two 4\n"), MemorySource.end] if follow else [])
    assert made.out == b"two 2\n0: 98%|## | two\ntwo 3\n" + (b"two 4\n" if follow else b"")


async def test_rows_of_ours_stand_where_they_stood_when_it_is_searched_further_before() -> None:
    bars = b"0: 1%|# | two\n" + b"".join(b"\x1b[A\r0: %d%%|## | two\n" % step for step in range(2, 30))
    source = MemorySource(b"two 1\nhay\ntwo 2\n")
    source.rotate(bars + b"two 3\n")
    made = Printed(source, Request(3, wanted=TWO))
    await made.run()
    assert made.out == b"two 2\n--- rotated\n0: 29%|## | two\ntwo 3\n"
