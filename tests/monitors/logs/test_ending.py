"""The last lines of a log: those that a whole model shows there, for a few bytes of it."""

from __future__ import annotations

import pytest

from hosts.errors import UnreachableError
from monitors.logs.ending import LogEnd
from monitors.logs.model import LogModel
from monitors.logs.types import BEFORE
from tests.monitors.logs.memory import MemorySource

LOGS = {
    "nothing": b"",
    "one that has not ended": b"one",
    "lines": b"".join(b"line %d\n" % number for number in range(50)) + b"and half",
    "bars": b"begin\n" + b"".join(b"batch %d/9\r" % number for number in range(10)) + b"\nend\n",
    "UTF-16": "\ufeffone\ntwo\nthrée\n".encode("utf-16-le"),
    "a very long line": b"first\n" + b"x" * (3 << 20) + b"\nlast\n",
    "no line at all": b"y" * (2 << 20),
    "bytes that are no text": b"\xff\xfe\x00\n\x1b[2J\x9b\n",
}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("most", [1, 3, 12])
async def test_they_are_those_that_the_model_shows(name: str, most: int) -> None:
    model, end = LogModel(MemorySource(LOGS[name])), LogEnd(MemorySource(LOGS[name]))
    await model.start()
    await end.start(lambda: None)
    window = await model.window(model.end_place(), most, 0)
    found = await end.lines(most)
    wanted = [(one.at, one.data, one.complete, one.encoding, one.piece > 0, one.before) for one in window.lines]
    told = [(one.at, one.data, one.complete, one.encoding, one.piece > 0, one.before) for one in found]
    assert told == (wanted[-len(told) :] if name == "a very long line" else wanted), "long ones may be fewer"
    assert bool(told) == bool(wanted)
    assert all(one.before == LOGS[name][: one.at.offset][-BEFORE:] for one in found if one.piece)
    await model.close()
    await end.close()


def step(number: int) -> str:
    return f"train: step {number}/500000 |####| 3.1 it/s"


def bar(first: int, count: int) -> str:
    return "".join(f"\r{step(number)}" for number in range(first, first + count))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("ended", [False, True])
async def test_a_long_bar_is_shown_as_it_was_written_last(encoding: str, ended: bool) -> None:
    text = f"start\n{bar(0, 12_000)}\n{bar(100_000, 12_000)}" + "\n" * ended
    source = MemorySource((b"\xff\xfe" if encoding == "utf-16-le" else b"") + text.encode(encoding))
    end = LogEnd(source)
    await end.start(lambda: None)
    found = [(one.data.decode(encoding), one.complete) for one in await end.lines(12)]
    wanted = [(step(11_999), True), (step(111_999), ended)]
    assert found == wanted[-len(found) :], "of long ones there may be fewer"
    for number in range(0 if ended else 3):
        source.append(bar(200_000 + 9_000 * number, 9_000).encode(encoding))
        [last] = await end.lines(1)
        # What stands behind it, if anything, is a bar that was cut where a line is too long for one row
        assert last.data.decode(encoding).split("\r")[0] == step(200_000 + 9_000 * (number + 1) - 1)
    await end.close()


async def test_a_bar_that_goes_on_costs_what_it_writes() -> None:
    source = MemorySource(b"start\n" + bar(0, 100_000).encode())
    end = LogEnd(source)
    await end.start(lambda: None)
    await end.lines(12)
    before = source.bytes_read
    for number in range(9):
        source.append(bar(100_000 + number, 1).encode())
        assert (await end.lines(12))[-1].data.decode() == step(100_000 + number)
    assert source.bytes_read - before < 1 << 10
    await end.close()


async def test_a_long_line_without_a_bar_at_its_end_shows_its_beginning() -> None:
    for text in (b"a\rb" + b"x" * (1 << 20), b"a\rb" + b"x" * (1 << 20) + b"\r\n"):
        model, end = LogModel(MemorySource(text)), LogEnd(MemorySource(text))
        await model.start()
        await end.start(lambda: None)
        while (window := await model.window(model.end_place(), 1, 0)).busy:
            pass
        assert [one.data for one in await end.lines(1)] == [one.data for one in window.lines]
        await model.close()
        await end.close()


async def test_a_large_log_costs_as_little_as_a_small_one() -> None:
    source = MemorySource(b"".join(b"%09d\n" % number for number in range(1_000_000)))
    end = LogEnd(source)
    await end.start(lambda: None)
    assert [one.data for one in await end.lines(2)] == [b"000999998", b"000999999"]
    assert source.bytes_read < 256 << 10
    before = source.bytes_read
    source.append(b"more\n")
    assert [one.data for one in await end.lines(2)] == [b"000999999", b"more"]
    assert source.bytes_read - before < 1 << 10, "what is held is not read again"
    await end.close()


async def test_another_file_in_its_place_is_told_and_read_on() -> None:
    source = MemorySource(b"old 1\nold 2\n")
    end = LogEnd(source)
    await end.start(lambda: None)
    assert len(await end.lines(9)) == 2
    source.rotate(b"new\n")
    found = await end.lines(9)
    assert [one.data for one in found] == [b"old 1", b"old 2", b"new"]
    assert [mark.text for mark in found[2].marks] == ["rotated"]
    await end.close()


async def test_who_does_not_answer_is_an_error_and_the_next_look_goes_on() -> None:
    source = MemorySource(b"one\n")
    end = LogEnd(source)
    await end.start(lambda: None)
    source.unreachable = "h: no answer"
    with pytest.raises(UnreachableError, match="no answer"):
        await end.lines(3)
    source.unreachable = ""
    assert [one.data for one in await end.lines(3)] == [b"one"]
    await end.close()
