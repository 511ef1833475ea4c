"""A log as a stream: every line once, in order, with rows of ours between them, and only those that were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.errors import InputError, UnreachableError
from hosts.local.levels import Level
from hosts.local.lines import UTF16_BE, UTF16_LE, Encoding
from monitors.logs import hits as _hits  # noqa: F401 - else it is imported late, on the event loop
from monitors.logs import listeners
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, GoneError, MarkKind, Place, Query, Status
from tests.monitors.logs.memory import MemorySource
from tui.logs import plain, plainback, plainlast, plainprint
from tui.logs.plain import MEMORY, Request, Stream
from tui.logs.plainready import ready
from tui.logs.plaintext import PlainText

Act = Callable[[MemorySource], None]


class News(asyncio.Event):
    """News that somebody waits for, or does not.

    Attributes:
        waiting: Which of the two.
    """

    waiting = False

    async def wait(self) -> Literal[True]:
        self.waiting = True
        try:
            return await super().wait()
        finally:
            self.waiting = False


class Printed:
    """A stream over a source, and what came of it."""

    def __init__(self, source: MemorySource, request: Request, model: LogModel | None = None) -> None:
        self.source = source
        self.out = bytearray()
        self.parts: list[bytes] = []
        self.told: list[str] = []
        self.news = News()
        self.model = model or LogModel(source, memory=MEMORY, counts=False)
        self.model.listen(self.news.set)
        self.stream = Stream(self.model, self.news, request, PlainText(), self._write, self.told.append)

    async def run(self, acts: Sequence[Act] = ()) -> None:
        """Print; while it is followed, let these things happen, and see after each of them that all is printed."""
        await self.model.start()
        try:
            task = asyncio.create_task(self.stream.run())
            for act in acts:
                await settled(task)
                await until(lambda: self.news.waiting or task.done())
                act(self.source)
            await asyncio.wait_for(task, 10)
        finally:
            await self.model.close()

    def _write(self, data: bytes) -> None:
        self.parts.append(data)
        self.out += data


@pytest.fixture(autouse=True, scope="module")
def _at_once() -> Iterator[None]:
    """What happens is told in the same moment, and of the shortest log the last lines are searched for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_LITTLE", -1)
        patch.setattr(listeners, "INTERVAL", 0.0)
        yield


async def settled(task: asyncio.Task[None]) -> None:
    """Let the stream do all that it can do now."""
    for _ in range(60):
        await asyncio.sleep(0)
    assert not task.done() or task.exception() is None


async def until(true: Callable[[], object]) -> None:
    """Wait for something that will come."""
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


def printed(data: bytes, request: Request, block: int = 1 << 20) -> bytes:
    """What is printed of a log that nobody writes to."""

    async def run() -> bytes:
        made = Printed(MemorySource(data), request)
        await made.run()
        assert made.told == []
        return bytes(made.out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "BLOCK", block)
        patch.setattr(plainback, "_STEP", block)
        return asyncio.run(run())


def ended(data: bytes) -> bytes:
    return data if data.endswith(b"\n") or not data else data + b"\n"


logs = st.lists(
    st.sampled_from([b"one", b"", b"ERROR: two", b"  behind it", b"INFO: three", "übung".encode(), b"WARNING: four"]),
    max_size=20,
).flatmap(lambda lines: st.sampled_from([b"\n".join(lines), b"".join(line + b"\n" for line in lines)]))
blocks = st.integers(1, 40)


@settings(deadline=None, max_examples=40)
@given(logs, blocks)
def test_all_of_a_log(data: bytes, block: int) -> None:
    assert printed(data, Request(), block) == ended(data)


@pytest.mark.parametrize("seen", [0, 1000])
@settings(deadline=None, max_examples=40)
@given(logs, blocks, st.integers(0, 25))
def test_the_last_lines(seen: int, data: bytes, block: int, lines: int) -> None:
    every = ended(data).splitlines(keepends=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plainback, "_SEEN", seen)
        assert printed(data, Request(lines=lines), block) == b"".join(every[-lines:] if lines else [])


def test_lines_that_others_were_painted_over_are_none_of_the_last() -> None:
    drawn = [b"one %d%%\ntwo %d%%\n" % (step, step) for step in range(1, 9)]
    data = b"begin\nloading\n" + b"\x1b[2A".join(drawn)
    every = printed(data, Request()).splitlines(keepends=True)
    assert len(every) == 4
    assert printed(data, Request(3)) == b"".join(every[1:])


@pytest.mark.parametrize("encoding", [UTF16_LE, UTF16_BE], ids=lambda encoding: encoding.name)
@settings(deadline=None, max_examples=40)
@given(logs, st.integers(1, 40), st.one_of(st.none(), st.integers(0, 25)))
def test_utf_16(encoding: Encoding, data: bytes, block: int, lines: int | None) -> None:
    written = encoding.bom + data.decode().encode(encoding.name)
    every = ended(data).splitlines(keepends=True)
    wanted = every if lines is None else every[-lines:] if lines else []
    assert printed(written, Request(lines=lines), 2 * block) == b"".join(wanted)


RANKS = {b"ERROR": 3, b"INFO:": 1, b"WARNI": 2}


def holds(line: bytes, query: Query) -> bool:
    text = line.decode()
    return query.text in (text.lower() if query.ignore_case else text)


def passing(data: bytes, spec: Filter) -> list[bytes]:
    """What a filter lets through, line by line."""
    lines = ended(data).splitlines()
    return [lines[number] for number in shown(data, spec)]


def shown(data: bytes, spec: Filter) -> list[int]:
    """The numbers of these lines."""
    lines, level = ended(data).splitlines(), -1
    own: list[bool] = []
    for line in lines:
        level = RANKS.get(line[:5], level)
        own.append(
            all(holds(line, query) for query in spec.include)
            and not any(holds(line, query) for query in spec.exclude)
            and (spec.level is None or level >= spec.level.rank)
        )
    found = {
        number
        for at, true in enumerate(own)
        if true
        for number in range(at - spec.context, at + spec.context + 1)
        if 0 <= number < len(lines)
    }
    return sorted(found)


queries = st.lists(st.sampled_from(["o", "e", "th", "ü", "INFO"]).map(Query), max_size=2).map(tuple)
filters = st.builds(
    Filter, queries, queries, st.sampled_from([None, Level.INFO, Level.WARNING, Level.ERROR]), st.integers(0, 3)
)


@pytest.mark.parametrize("little", [-1, 1 << 20])
@settings(deadline=None, max_examples=40)
@given(logs, blocks, filters, st.one_of(st.none(), st.integers(1, 5)))
def test_filters_and_lines_around(little: int, data: bytes, block: int, spec: Filter, lines: int | None) -> None:
    request = Request(lines, wanted=spec)
    wanted = passing(data, spec)
    wanted = wanted if lines is None else wanted[-lines:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_LITTLE", little)
        assert printed(data, request, block) == b"".join(line + b"\n" for line in wanted)


@settings(deadline=None, max_examples=60)
@given(logs, st.lists(logs, max_size=3), filters, st.integers(0, 5))
def test_the_last_that_pass_and_what_comes(data: bytes, more: list[bytes], spec: Filter, lines: int) -> None:
    data = ended(data)
    text = data + b"".join(map(ended, more))
    acts: list[Act] = [lambda source, part=part: source.append(ended(part)) for part in more]  # type: ignore[misc]

    async def run() -> Printed:
        made = Printed(MemorySource(data), Request(lines, follow=True, wanted=spec))
        await made.run([*acts, MemorySource.end])
        return made

    first = shown(data, spec)
    later = sorted({*shown(text, spec)} - {*first})
    every = text.splitlines(keepends=True)
    made = asyncio.run(run())
    assert bytes(made.out) == b"".join(every[number] for number in [*(first[-lines:] if lines else []), *later])


@settings(deadline=None, max_examples=40)
@given(logs, filters, st.integers(1, 5))
def test_the_last_that_pass_in_utf_16(data: bytes, spec: Filter, lines: int) -> None:
    written = UTF16_LE.bom + data.decode().encode(UTF16_LE.name)
    assert printed(written, Request(lines, wanted=spec)) == b"".join(
        line + b"\n" for line in passing(data, spec)[-lines:]
    )


def test_what_was_half_a_letter_is_none_behind_what_is_left_out() -> None:
    text = "".join(f"{'hay' * 10}\n" * 9 + f"needle {number}\n" for number in range(6))
    written = UTF16_LE.bom + text.encode(UTF16_LE.name)
    wanted = b"".join(b"needle %d\n" % number for number in range(2, 6))
    assert printed(written, Request(4, wanted=Filter((Query("needle"),))), 7) == wanted


@pytest.mark.parametrize("spec", [Filter((Query("needle"),)), Filter((Query("needle"),), level=Level.INFO, context=1)])
@pytest.mark.parametrize("follow", [False, True])
async def test_the_last_that_pass_are_looked_for_from_the_end(spec: Filter, follow: bool) -> None:
    hay = b"INFO: hay in the stack\n" * 400_000
    parts = [hay, b"1 needle\n", hay, b"2 needle\n", hay, b"WARNING: 3 needle\n"]
    around = b"INFO: hay in the stack\n" if spec.context else b""
    source = MemorySource(b"".join(parts), descriptors=True)
    made = Printed(source, Request(2 + 2 * spec.context, follow=follow, wanted=spec))
    await made.run([MemorySource.end] if follow else [])
    wanted = around + b"2 needle\n" + around + around + b"WARNING: 3 needle\n"
    assert made.out == b"".join(wanted.splitlines(keepends=True)[-2 - 2 * spec.context :])
    assert source.bytes_read < 8 << 20


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_a_bar_that_redraws_itself_is_one_of_the_last_lines(block: int) -> None:
    data = b"a 1%\ra 3%\nb\na second\r\na 10%\ra 20%\n"
    request = Request(2, wanted=Filter((Query("a"),)))
    assert printed(data, request, block) == b"a second\na 20%\n"


def test_between_two_places() -> None:
    data = b"".join(b"%d\n" % number for number in range(10))
    assert printed(data, Request(since=Place(0, 4), until=Place(0, 8))) == b"2\n3\n"
    assert printed(data, Request(2, until=Place(0, 8))) == b"2\n3\n"
    assert printed(data, Request(since=Place(0, 16))) == b"8\n9\n"
    assert printed(data, Request(2, since=Place(0, 4))) == b"8\n9\n"
    assert printed(data, Request(2, since=Place(0, 18))) == b"9\n"
    assert printed(data, Request(2, since=Place(0, 4), until=Place(0, 12))) == b"4\n5\n"


TRUNCATED = b"--- truncated, how much is missing is unknown\n"
appended = logs.map(lambda data: ("append", data))
turned = st.tuples(st.sampled_from(["rotate", "truncate"]), logs)
events = st.lists(st.one_of(appended, appended, turned, st.just(("mark", b""))), max_size=8)


@settings(deadline=None, max_examples=40)
@given(logs, events, blocks)
def test_following_prints_every_byte_once_and_marks_in_their_places(
    first: bytes, happens: list[tuple[str, bytes]], block: int
) -> None:
    parts: list[bytes] = []
    text, late = first, b""  # of ours, within a line that has not ended

    def over() -> bytes:
        """All that was written, its last line ended, and what was to be said meanwhile."""
        return ended(text) + late

    acts: list[Act] = []
    for number, (kind, data) in enumerate(happens):
        if kind == "append":
            acts.append(lambda source, data=data: source.append(data))  # type: ignore[misc]
            end = data.find(b"\n") + 1 if late else 0
            text, late = (text + data[:end] + late + data[end:], b"") if end else (text + data, late)
        elif kind == "mark":
            words = f"nothing was seen, {number}"
            acts.append(lambda source, words=words: source.mark(MarkKind.OFFLINE, words))  # type: ignore[misc]
            row = f"--- {words}\n".encode()
            text, late = (text + row, late) if not text or text.endswith(b"\n") else (text, late + row)
        else:
            acts.append(lambda source, kind=kind, data=data: getattr(source, kind)(data))  # type: ignore[misc]
            parts.append(over() + (b"--- rotated\n" if kind == "rotate" else TRUNCATED))
            text, late = data, b""
    acts.append(MemorySource.end)

    async def run() -> Printed:
        made = Printed(MemorySource(first), Request(follow=True))
        await made.run(acts)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "BLOCK", block)
        made = asyncio.run(run())
    assert bytes(made.out) == b"".join(parts) + over()


async def test_a_line_is_printed_when_it_has_ended() -> None:
    made = Printed(MemorySource(b"whole\nhalf"), Request(follow=True))
    out: list[bytes] = []

    def look(source: MemorySource) -> None:
        out.append(bytes(made.out))
        source.append(b" and half\n")

    await made.run([look, lambda source: out.append(bytes(made.out)), MemorySource.end])
    assert out == [b"whole\n", b"whole\nhalf and half\n"]


async def test_a_question_without_a_newline_is_shown_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    made = Printed(MemorySource(b"Continue? [y/n] "), Request(follow=True))
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    await until(lambda: made.out)
    assert bytes(made.out) == b"Continue? [y/n] "
    made.source.append(b"y\n10%|#\r")
    await until(lambda: made.out == b"Continue? [y/n] y\n")
    made.source.mark(MarkKind.OFFLINE, "nothing was seen")
    made.source.end()
    await task
    assert made.out == b"Continue? [y/n] y\n10%|#\n--- nothing was seen\n"


async def test_bytes_that_are_thrown_away_before_they_are_read() -> None:
    def lose(source: MemorySource) -> None:
        source.append(b"x" * 100)
        source.forget(0, 90)

    made = Printed(MemorySource(b"a\n"), Request(follow=True))
    await made.run([lose, MemorySource.end])
    assert made.out == b"a\n--- 90 bytes are gone\n" + b"x" * 12 + b"\n"


class Forgetful(LogModel):
    """A model whose source throws something away while it is read.

    Args:
        source: The log.
        when: At which question about its bytes, from 0.
        what: What happens then.
    """

    def __init__(self, source: MemorySource, when: int, what: Act) -> None:
        super().__init__(source, memory=MEMORY, counts=False)
        self._memory, self._left, self._what = source, when, what

    async def encoding(self, number: int) -> Encoding:
        self._asked()
        return await super().encoding(number)

    async def read(self, at: Place, size: int) -> bytes:
        self._asked()
        return await super().read(at, size)

    def _asked(self) -> None:
        if self._left == 0:
            self._what(self._memory)
        self._left -= 1


PARTS = [b"a0\na1\n", b"b0\nb1\n", b"c0\n"]


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(("when", "before"), [(0, b""), (1, b""), (2, b"a0\na1\n"), (3, b"a0\na1\n")])
async def test_a_file_that_is_let_go_while_it_is_read_is_a_row(when: int, before: bytes, follow: bool) -> None:
    source = MemorySource(PARTS[0])
    for part in PARTS[1:]:
        source.rotate(part)
    made = Printed(source, Request(follow=follow), Forgetful(source, when, lambda source: source.forget(1)))
    await made.run([MemorySource.end] if follow else [])
    assert made.out == before + b"--- rotated\n--- rotated\n--- 12 bytes are gone\nc0\n"
    assert made.told == []


@pytest.mark.parametrize("lines", [None, 3])
async def test_what_is_let_go_without_a_word_is_a_row_all_the_same(lines: int | None) -> None:
    def lose(source: MemorySource) -> None:
        source.append(b"b" * 2000 + b"\nc\n")
        source.forget(0, 2003, told=False)

    made = Printed(MemorySource(b"a\n"), Request(lines, follow=True))
    await made.run([lose, MemorySource.end])
    assert made.out == b"a\n--- 2,001 earlier bytes are gone\nc\n"


async def test_what_was_printed_already_is_not_missed_when_it_is_let_go() -> None:
    made = Printed(MemorySource(b"a\nb\n"), Request(follow=True))

    def lose(source: MemorySource) -> None:
        source.forget(0, 3)
        source.forget(0, 4, told=False)
        source.rotate(b"c\n")

    await made.run([lose, lambda source: source.forget(0, told=False), MemorySource.end])
    assert made.out == b"a\nb\n--- rotated\nc\n"


async def test_a_file_that_went_before_it_was_read_to_its_end() -> None:
    def lose(source: MemorySource) -> None:
        source.append(b"b\n")
        source.rotate(b"c\n")
        source.forget(0, told=False)

    made = Printed(MemorySource(b"a\n"), Request(follow=True))
    await made.run([lose, MemorySource.end])
    assert made.out == b"a\n--- earlier lines are gone, how much is missing is unknown\n--- rotated\nc\n"


@pytest.mark.parametrize("follow", [False, True])
async def test_a_file_that_nobody_can_read_though_nobody_says_so(follow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(MemorySource):
        async def read(self, generation: int, offset: int, size: int) -> bytes:
            if generation == 1:
                raise GoneError("nobody has it")
            return await super().read(generation, offset, size)

    monkeypatch.setattr(plain, "_RETRY_S", 0.01)
    source = Broken(b"a\n")
    source.rotate(b"b\n")
    with pytest.raises(GoneError, match="nobody has it"):
        await Printed(source, Request()).run()
    source.rotate(b"c\n")
    made = Printed(source, Request(follow=follow))
    task = asyncio.create_task(made.run())
    await until(lambda: b"c\n" in made.out)
    source.end()
    await task
    gone = b"--- earlier lines are gone, how much is missing is unknown\n"
    assert made.out == b"a\n--- rotated\n" + gone + b"--- rotated\nc\n"


async def test_a_row_that_is_set_where_all_was_printed_already() -> None:
    made = Printed(MemorySource(b"a\nb\n"), Request(follow=True))

    def late(source: MemorySource) -> None:
        source.mark(MarkKind.LOST, "some files came and went", None, Place(0, 0))

    await made.run([late, MemorySource.end])
    assert made.out == b"a\nb\n--- some files came and went, how much is missing is unknown\n"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (None, b"a 1\n--- here\na 2\n--- there, 12.3 kB missing\n"),
        (5, b"a 1\n--- here\na 2\n--- there, 12.3 kB missing\n"),
        (1, b"--- here\na 2\n--- there, 12.3 kB missing\n"),
        (0, b""),
    ],
)
async def test_rows_of_ours_stand_between_the_last_lines_that_pass(lines: int | None, shown: bytes) -> None:
    source = MemorySource(b"a 1\nb\n")
    source.mark(MarkKind.OFFLINE, "here")
    source.append(b"a 2\nb\n")
    source.mark(MarkKind.LOST, "there", 12_345)
    made = Printed(source, Request(lines, wanted=Filter((Query("a"),))))
    await made.run()
    assert made.out == shown


@pytest.mark.parametrize(
    ("lines", "shown"),
    [(1, b"c\n"), (2, b"--- rotated\nb\nc\n"), (3, b"a\n--- rotated\nb\nc\n"), (9, b"a\n--- rotated\nb\nc\n")],
)
@pytest.mark.parametrize("seen", [0, 1000])
async def test_the_last_lines_are_those_of_several_files(
    lines: int, shown: bytes, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plainback, "_SEEN", seen)
    source = MemorySource(b"a\n")
    source.rotate(b"b\nc\n")
    made = Printed(source, Request(lines))
    await made.run()
    assert made.out == shown


@pytest.mark.parametrize("lines", [None, 2])
async def test_a_line_has_no_level_of_another_file(lines: int | None) -> None:
    source = MemorySource(b"ERROR: 1\n  behind it\n")
    source.rotate(b"no level\nERROR: 2\n")
    made = Printed(source, Request(lines, wanted=Filter(level=Level.ERROR)))
    await made.run()
    assert made.out == (b"ERROR: 1\n" if lines is None else b"") + b"  behind it\n--- rotated\nERROR: 2\n"


async def test_a_line_that_has_not_ended_is_none_of_the_last_that_pass() -> None:
    source = MemorySource(b"a 0\n")
    source.mark(MarkKind.OFFLINE, "here")
    source.append(b"a 1\na 2\nhalf a")
    made = Printed(source, Request(1, follow=True, wanted=Filter((Query("a"),))))
    out: list[bytes] = []
    await made.run([lambda _: out.append(bytes(made.out)), MemorySource.end])
    assert [*out, bytes(made.out)] == [b"a 2\n", b"a 2\nhalf a\n"]


async def test_the_input_is_read_to_its_end_before_its_last_lines_are_known() -> None:
    made = Printed(MemorySource(b"1\n"), Request(lines=2, whole=True))
    await made.run([lambda source: source.append(b"2\n3\n4\n"), MemorySource.end])
    assert made.out == b"3\n4\n"


async def test_nobody_answers() -> None:
    source = MemorySource(b"1\n")
    source.unreachable = "h: no answer"
    with pytest.raises(UnreachableError, match="h: no answer"):
        await Printed(source, Request()).run()


async def test_nobody_answers_while_the_last_that_pass_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plainlast, "_STUCK_S", 0.01)
    source = MemorySource(b"a line\n" * 100)

    class Fading(LogModel):
        async def encoding(self, number: int) -> Encoding:
            found = await super().encoding(number)
            source.unreachable = "h: no answer"
            return found

    request = Request(2, wanted=Filter((Query("other"),)))
    with pytest.raises(UnreachableError, match="h: no answer"):
        await Printed(source, request, Fading(source, memory=MEMORY, counts=False)).run()


async def test_whoever_follows_is_told_of_an_outage_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_RETRY_S", 0.01)
    monkeypatch.setattr(plain, "_STALE_S", 0.01)
    made = Printed(MemorySource(b"1\n"), Request(follow=True))
    made.source.unreachable = "h: no answer"
    await made.model.start()
    task = asyncio.create_task(made.stream.run())
    await until(lambda: made.told)
    made.source.unreachable = ""
    made.source.status(Status.STALE, "memory: lost the link")
    await until(lambda: "memory: lost the link" in made.told)
    made.source.end()
    await task
    assert made.out == b"1\n"


async def test_a_log_that_fails_while_it_is_followed() -> None:
    made = Printed(MemorySource(b"1\n"), Request(follow=True))
    with pytest.raises(InputError, match=r"memory: input/output error"):
        await made.run([lambda source: source.status(Status.FAILED, "input/output error")])
    assert made.out == b"1\n"


@pytest.mark.parametrize(
    ("status", "detail", "error", "line"),
    [
        (Status.WAITING, "no log in memory yet", InputError, "no log in memory yet; --wait waits for it"),
        (Status.WAITING, "cannot list memory: not there", InputError, "cannot list memory: not there"),
        (Status.DENIED, "permission denied", InputError, "memory: permission denied"),
        (Status.STALE, "", UnreachableError, "memory: no answer"),
    ],
)
async def test_no_log(status: Status, detail: str, error: type[Exception], line: str) -> None:
    source, news = MemorySource(), asyncio.Event()
    await source.start(news.set)
    source.status(status, detail)
    with pytest.raises(error, match=f"^{line}$"):
        await ready(source, news, 0.01)


async def test_a_line_that_does_not_end_goes_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"x" * 5000
    monkeypatch.setattr(plain, "BLOCK", 100)
    monkeypatch.setattr(plainprint, "LONGEST", 200)
    made = Printed(MemorySource(data), Request())
    await made.run()
    assert made.out == data + b"\n"
    assert max(map(len, made.parts)) <= 300


async def test_what_was_shown_of_a_file_before_is_not_missing_where_it_goes_on() -> None:
    made = Printed(MemorySource(b"a\nb\n"), Request(follow=True))
    await made.run(
        [
            lambda source: source.rotate(b"new\n"),
            lambda source: source.rotate(b"a\nb\nlate\n", first=4),
            lambda source: source.rotate(b"new\nnext\n", first=4),
            MemorySource.end,
        ]
    )
    rows = made.out.decode().splitlines()
    assert [row for row in rows if not row.startswith("---")] == ["a", "b", "new", "late", "next"]
    assert all("rotated" in row for row in rows if row.startswith("---"))
