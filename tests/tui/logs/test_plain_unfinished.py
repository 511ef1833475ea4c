"""What is printed of a line that has not ended: what nothing that follows changes, and rows of ours around it."""

from __future__ import annotations

import asyncio

import pytest

from hosts.local.levels import Level
from hosts.local.lines import UTF16_LE, Encoding
from monitors.logs.types import Filter, MarkKind, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.test_plain import Printed, _at_once, until  # noqa: F401 - a fixture of this module too
from tui.logs import plain
from tui.logs.plain import Request
from tui.logs.plainprint import Printer
from tui.logs.plaintext import PlainText


@pytest.mark.parametrize(
    ("rest", "asks"),
    [
        (b"Password: ", True),
        (b"Password:", True),
        (b"Continue? [y/N] ", True),
        (b"loading http://host", True),
        (b"gr\xc3", True),
        (b"\xc3", False),
        (b" 10%|# | 1/10\r 20%|## | 2/10", False),
        (b"10%\x08\x08\x08", False),
        (b"\x1b[32m10%", False),
    ],
)
def test_what_redraws_itself_asks_nothing(rest: bytes, asks: bool) -> None:
    printer = Printer(None, None, PlainText(), list[bytes]().append)
    printer.take(b"before\n" + rest)
    assert printer.is_asking is asks


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([b"gr\xc3", b"\xbc\xc3\x9fe\n"], ["gr", "grüße\n"]),
        ([b"\xf0\x9f", b"\x98", b"\x80 ", b"\n"], ["", "", "😀 ", "😀 \n"]),
        ([b"a hf_ABCDEFGH", b"IJKLMNOPQRSTUVWX ", b"b\n"], ["a hf_", "a hf_‹redacted› ", "a hf_‹redacted› b\n"]),
        ([b"a hf", b"_ABCDEFGHIJKLMNOPQRSTUVWX b\n"], ["a hf", "a hf_‹redacted› b\n"]),
        ([b"a hf", b"_ABCDEFGH", b"IJKLMNOPQRSTUVWX\n"], ["a hf", "a hf_", "a hf_‹redacted›\n"]),
        (
            [b"A", b"uthorization: ", b"Bearer ab", b"cdef\n"],
            ["A", "Authorization: ", "Authorization: ", "Authorization: ‹redacted›\n"],
        ),
        (
            [b"Password: ", b"\nhf_ABC", b"DEFGHIJKLMNOP\n"],
            ["Password: ", "Password: \nhf_", "Password: \nhf_‹redacted›\n"],
        ),
        ([b"ssh hf_short", b" and on\n"], ["ssh hf_", "ssh hf_short and on\n"]),
        ([b"at http://host:80", b"00/ now"], ["at http://host:", "at http://host:8000/ now"]),
        ([b"hf_" + b"a" * 5000, b" b"], ["hf_‹redacted›", "hf_‹redacted› b"]),
    ],
)
def test_what_is_shown_of_a_line_that_has_not_ended(parts: list[bytes], shown: list[str]) -> None:
    out = bytearray()
    printer = Printer(None, None, PlainText(), out.extend)
    so_far = []
    for part in parts:
        printer.take(part)
        if printer.is_asking:
            printer.show_rest()
        assert not printer.is_asking
        so_far.append(out.decode())
    assert so_far == shown


def away(source: MemorySource) -> None:
    source.mark(MarkKind.OFFLINE, "no answer")


@pytest.mark.parametrize("spec", [None, Filter((Query("ERROR boom"),)), Filter(level=Level.ERROR)])
@pytest.mark.parametrize("lines", [None, 2])
@pytest.mark.parametrize("encoding", [None, UTF16_LE], ids=["utf-8", "le"])
async def test_a_line_in_which_nobody_answered_is_one(
    encoding: Encoding | None, lines: int | None, spec: Filter | None
) -> None:
    def written(text: bytes, bom: bytes = b"") -> bytes:
        return text if encoding is None else bom + text.decode().encode(encoding.name)

    made = Printed(
        MemorySource(written(b"first\n10:00 ERR", encoding.bom if encoding else b"")),
        Request(lines, follow=True, wanted=spec),
    )
    rest = written(b"OR boom\n11:00 INFO last\n12:00 ha")
    await made.run(
        [
            away,
            lambda source: source.mark(MarkKind.OFFLINE, "no answer again"),
            lambda source: source.append(rest),
            lambda source: source.append(written(b"lf\n")),
            MemorySource.end,
        ]
    )
    around = b"first\n", b"11:00 INFO last\n12:00 half\n"
    begin, end = around if spec is None else (b"", b"")
    assert bytes(made.out) == begin + b"10:00 ERROR boom\n--- no answer\n--- no answer again\n" + end


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (Request(), b"one\ntwo\n--- no answer\nthr\n--- no answer\n--- rotated\nnew\n"),
        (Request(3), b"two\n--- no answer\nthr\n--- no answer\n--- rotated\nnew\n"),
        (Request(2, wanted=Filter((Query("two"),))), b"two\n--- no answer\n--- no answer\n--- rotated\n"),
        (Request(2, wanted=Filter((Query("thr"),))), b"--- no answer\nthr\n--- no answer\n--- rotated\n"),
    ],
)
async def test_what_is_read_later_of_a_line_in_which_nobody_answered_is_one(asked: Request, shown: bytes) -> None:
    source = MemorySource(b"one\ntw")
    away(source)
    source.append(b"o\nthr")
    away(source)
    source.rotate(b"new")
    made = Printed(source, asked)
    await made.run()
    assert bytes(made.out) == shown


async def test_rows_of_ours_keep_their_order_where_the_rest_of_a_line_is_gone() -> None:
    def lose(source: MemorySource) -> None:
        source.append(b"x" * 100)
        source.forget(0, 90, told=False)

    made = Printed(MemorySource(b"half"), Request(follow=True))
    await made.run([away, lose, MemorySource.end])
    assert bytes(made.out) == b"half\n--- no answer\n--- 86 earlier bytes are gone\n" + b"x" * 14 + b"\n"


async def test_a_row_of_ours_within_a_line_is_said_once_when_it_is_searched_further_before() -> None:
    barred = (b"two " + b"z" * (3 << 19) + b" bad\n") * 5  # the one is found in a block without the other
    source = MemorySource(b"two 1\nhay\ntwo 2\nhay\n" + barred + b"two 3", descriptors=True)
    away(source)
    made = Printed(source, Request(3, wanted=Filter((Query("two"),), (Query("bad"),))))
    await made.run()
    assert bytes(made.out) == b"two 1\ntwo 2\ntwo 3\n--- no answer\n"


async def test_a_row_of_ours_within_the_last_line_is_said_behind_it() -> None:
    source = MemorySource(b"one\ntw")
    away(source)
    made = Printed(source, Request())
    await made.run()
    assert bytes(made.out) == b"one\ntw\n--- no answer\n"


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (None, b"--- no answer\nGo on? y\nnext\n"),
        (Filter((Query("on? y"),)), b"--- no answer\nGo on? y\n"),
    ],
)
async def test_that_nobody_answered_is_said_though_a_line_does_not_end(
    wanted: Filter | None, shown: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.2)
    made = Printed(MemorySource(b""), Request(follow=True, wanted=wanted))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    made.source.append(b"Go on? ")
    away(made.source)
    await until(lambda: bytes(made.out) == (b"--- no answer\n" if wanted else b"--- no answer\nGo on? "))
    made.source.append(b"y\nnext\n")
    await until(lambda: bytes(made.out) == shown)
    made.source.end()
    await task
    await made.model.close()
    assert bytes(made.out) == shown


async def test_that_nobody_answered_is_said_behind_what_was_shown_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    made = Printed(MemorySource(b"Go on? "), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    await until(lambda: bytes(made.out) == b"Go on? ")
    away(made.source)
    await until(lambda: bytes(made.out) == b"Go on? \n--- no answer\n")
    made.source.append(b"y\n")
    made.source.end()
    await task
    await made.model.close()
    assert bytes(made.out) == b"Go on? \n--- no answer\ny\n"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (b"key hf_abcdefghij", b"klmnopqrstuv12\n", "key hf_\n--- no answer\n‹redacted›\n"),
        (b"na\xc3\xafve gr\xc3", b"\xbc\xc3\x9fe\n", "naïve gr\n--- no answer\nüße\n"),
    ],
)
async def test_what_is_kept_back_is_kept_back_behind_a_row_of_ours(
    before: bytes, after: bytes, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.1)
    made = Printed(MemorySource(before), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    await until(lambda: bytes(made.out) != b"")
    away(made.source)
    await until(lambda: bytes(made.out).endswith(b"--- no answer\n"))
    made.source.append(after)
    made.source.end()
    await task
    await made.model.close()
    assert bytes(made.out).decode() == shown
