"""A log that is followed from its first byte, and says how it is written only later."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from hosts.local.lines import UTF16_BE, UTF16_LE, Encoding
from monitors.logs.types import Filter, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.test_plain import Act, Printed, _at_once, until  # noqa: F401 - a fixture of this module too
from tui.logs import plain
from tui.logs.plain import Request

TEXT = "".join(f"INFO: übung {number}\n" for number in range(20))


def appends(data: bytes, step: int) -> list[Act]:
    return [lambda source, at=at: source.append(data[at : at + step]) for at in range(0, len(data), step)]  # type: ignore[misc]


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("encoding", [UTF16_LE, UTF16_BE], ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("step", [1, 3, 7, 40, 101])
@pytest.mark.parametrize("spec", [None, Filter((Query("INFO"),))])
async def test_a_log_that_grows_from_nothing(step: int, encoding: Encoding, marked: bool, spec: Filter | None) -> None:
    text = TEXT if marked else TEXT.replace("ü", "u")
    written = (encoding.bom if marked else b"") + text.encode(encoding.name)
    made = Printed(MemorySource(b""), Request(follow=True, wanted=spec))
    await made.run([*appends(written, step), MemorySource.end])
    assert made.out.decode() == text


@pytest.mark.parametrize("first", [b"\xff", b"\xfe", b"\0"])
async def test_what_may_be_a_mark_is_shown_when_nothing_follows(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Printed(MemorySource(b""), Request(follow=True))
    await made.run([partial(MemorySource.append, data=first), MemorySource.end])
    whole = bytes(made.out)
    assert len(whole) > 1
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    made = Printed(MemorySource(b""), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    made.source.append(first)
    await until(lambda: made.out == whole.removesuffix(b"\n"))
    made.source.append(b"\nnext\n")
    await until(lambda: made.out == whole + b"next\n")
    made.source.end()
    await task
    await made.model.close()
    assert made.out == whole + b"next\n"


@pytest.mark.parametrize("first", [b"\xef", b"\xef\xbb"])
async def test_what_may_be_half_a_letter_is_shown_with_its_line(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    made = Printed(MemorySource(b""), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    made.source.append(first)
    await until(lambda: made.stream._as_it_is == 0)
    made.source.append(b"\nnext\n")
    await until(lambda: made.out.endswith(b"next\n"))
    made.source.end()
    await task
    await made.model.close()
    assert made.out.decode() == first.decode(errors="backslashreplace") + "\nnext\n"


async def test_a_log_that_was_taken_for_another_is_read_again_from_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    made = Printed(MemorySource(b"\xff"), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    await until(lambda: made.out)
    shown = bytes(made.out)
    made.source.append(b"\xfe" + "übung\nzwei\n".encode("utf-16-le"))
    await until(lambda: made.out.endswith(b"zwei\n"))
    made.source.end()
    await task
    await made.model.close()
    assert bytes(made.out) == shown + "\nübung\nzwei\n".encode()


async def test_a_line_that_was_taken_for_another_is_read_again_from_a_whole_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    first, rest = "a\n".encode("utf-16-le"), "second line\nthird and last line\n"
    made = Printed(MemorySource(first), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    await until(lambda: made.out.decode() == "a␀\n␀")
    made.source.append(rest.encode("utf-16-le"))
    await until(lambda: made.out.endswith(b"last line\n"))
    made.source.end()
    await task
    await made.model.close()
    assert made.out.decode() == "a␀\n␀\n" + rest


async def test_short_lines_of_a_new_log_are_shown_at_once() -> None:
    made = Printed(MemorySource(b""), Request(follow=True))
    out: list[bytes] = []
    look: Act = lambda _: out.append(bytes(made.out))  # noqa: E731
    await made.run([partial(MemorySource.append, data=b"one\n"), look, MemorySource.end])
    assert out == [b"one\n"]
