"""Bars in a filtered stream: as on the screen every line that passes is there, whatever was painted over it."""

from __future__ import annotations

import asyncio

import pytest

from hosts.local.levels import Level
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.test_plain import Printed, _at_once, printed  # noqa: F401 - a fixture of this module too
from tui.logs import plain
from tui.logs.plain import MEMORY, Request
from tui.logs.plaintext import PlainText

TWO = Filter((Query("two"),))
APART = (
    b"ERROR: two\none\n\x1b[A\r0: 20%|## | two\nWARNING: four\nERROR: two\n  behind\n\x1b[A\r0: 20%|## | two\n\n"
    b"0: 10%|# | 1/10\n  behind\nINFO: three\n\n\x1b[A\r0: 20%|## | two\n"
)
STEPS = [b"step: %3d%%|## | %d/100 [loss=%s]" % (at, at, b"nan" if at % 10 < 2 else b"0.1") for at in range(100)]
NESTED = b"\repoch: 0%| | 0/2\n\r" + b"\x1b[A\n\r".join(STEPS) + b"\x1b[A\n"
ROWS = [
    b"\x1b[2K\x1b[1A\x1b[2Ka: %2d%%|# | %d/20\nb: %2d%%|# | %d/20\nERROR: c: %2d%%|# | %d/20\n\n" % (*[at] * 6,)
    for at in range(20)
]
LIVE = b"start\n" + b"\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A".join(ROWS) + b"end\n"
FILTERS = [
    Filter((Query("loss=nan"),)),
    Filter((Query("loss=nan"),), context=1),
    Filter((Query("1/"),), (Query("a:"),)),
    Filter(exclude=(Query("b:"),), context=1),
    Filter((Query("%"),)),
    Filter(level=Level.ERROR),
]


async def on_screen(data: bytes, wanted: Filter) -> bytes:
    """What the screen shows, as a stream gets it."""
    model = LogModel(MemorySource(data), memory=MEMORY)
    news = asyncio.Event()
    model.listen(news.set)
    await model.start()
    try:
        model.filter(wanted)
        while (found := model.state.filter) is None or found.scanned < len(data):
            news.clear()
            await news.wait()
        window = await model.window(model.start_place(), 0, 1000)
        return b"".join(PlainText().render(line.data + b"\n") for line in window.lines if line.end > line.at.offset)
    finally:
        await model.close()


@pytest.mark.parametrize("lines", [None, 7])
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
@pytest.mark.parametrize("data", [NESTED, LIVE], ids=["nested", "live"])
async def test_what_passes_is_what_the_screen_shows(
    data: bytes, wanted: Filter, follow: bool, lines: int | None
) -> None:
    half = len(data) // 2 if follow and lines is None else len(data)
    source = MemorySource(data[:half])
    made = Printed(source, Request(lines, follow=follow, wanted=wanted))
    await made.run([lambda source: source.append(data[half:]), MemorySource.end] if follow else [])
    rows = (await on_screen(data, wanted)).splitlines(keepends=True)
    assert bytes(made.out).splitlines(keepends=True) == rows[-(lines or len(rows)) :]


def test_every_hit_is_printed() -> None:
    hits = [step + b"\n" for step in STEPS if b"nan" in step]
    assert printed(NESTED, Request(wanted=FILTERS[0])) == b"".join(hits)
    assert printed(NESTED, Request()).count(b"\n") < 5


def test_of_a_hit_only_the_newest_state_is_printed() -> None:
    data = b"0: 10%|# | two\r0: 20%|## | two\nhay\n\x1b[A\r0: 30%|## | two\r\x1b[K0: 40%|## | two\n"
    assert printed(data, Request(wanted=TWO)) == b"0: 20%|## | two\n0: 40%|## | two\n"


@pytest.mark.parametrize("little", [-1, 1 << 20])
@pytest.mark.parametrize("lines", [None, 1, 3, 5, 9])
def test_bars_between_which_lines_are_left_out_stay(little: int, lines: int | None) -> None:
    bar = b"0: 20%|## | two\n"
    wanted = [b"ERROR: two\n", bar, b"ERROR: two\n", bar, bar]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_LITTLE", little)
        assert printed(APART, Request(lines, wanted=TWO)) == b"".join(wanted[-(lines or 9) :])


@pytest.mark.parametrize("little", [-1, 1 << 20])
@pytest.mark.parametrize("follow", [False, True])
async def test_lines_that_were_painted_over_are_some_of_the_last_that_pass(
    little: int, follow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_LITTLE", little)
    bars = b"0: 1%|# | two\n" + b"".join(b"\x1b[A\r0: %d%%|## | two\n" % step for step in range(2, 99))
    source = MemorySource(b"two 1\nhay\ntwo 2\nhay\n" + bars + b"two 3\n")
    made = Printed(source, Request(3, follow=follow, wanted=TWO))
    await made.run([lambda source: source.append(b"two 4\n"), MemorySource.end] if follow else [])
    assert made.out == b"0: 97%|## | two\n0: 98%|## | two\ntwo 3\n" + (b"two 4\n" if follow else b"")
