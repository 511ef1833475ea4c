"""A model for whoever prints a log: it looks at nothing that nobody asks for."""

from __future__ import annotations

import asyncio
from datetime import UTC

import pytest

from hosts.local.lines import UTF8, UTF16_LE
from monitors.logs import hits as _hits  # noqa: F401 - else it is imported late, on the event loop
from monitors.logs.model import LogModel
from monitors.logs.types import Filter, GoneError, Query
from tests.monitors.logs.memory import MemorySource

SECOND = 1_779_676_980.0  # 2026-05-25 02:43:00 UTC
DATED = b"".join(b"2026-05-25 02:43:%02dZ INFO line %d\n" % (number, number) for number in range(8))


async def settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def last(model: LogModel, wanted: list[bytes]) -> bool:
    """Whether these are the last lines that pass, soon."""
    for _ in range(2000):
        window = await model.window(model.end_place(), len(wanted), 0)
        if [line.data for line in window.lines] == wanted:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_is_not_counted_is_not_looked_at_but_for_how_it_is_written() -> None:
    source = MemorySource(b"line\n" * 2_000_000)
    model = LogModel(source, counts=False)
    await model.start()
    await settled()
    assert source.bytes_read <= 64 << 10
    assert model.state.lines is None
    assert [line.data for line in (await model.window(model.end_place(), 2, 0)).lines] == [b"line", b"line"]
    assert source.bytes_read <= 256 << 10
    await model.close()


async def test_a_filter_needs_no_counting() -> None:
    source = MemorySource(b"a\nb\n" * 10)
    model = LogModel(source, counts=False)
    await model.start()
    model.filter(Filter((Query("b"),)))
    assert await last(model, [b"b", b"b"])
    source.append(b"b2\n")
    assert await last(model, [b"b", b"b2"])
    await model.close()


async def test_how_a_generation_is_written() -> None:
    source = MemorySource("übung\n".encode())
    model = LogModel(source, counts=False)
    await model.start()
    source.rotate(UTF16_LE.bom + "b\n".encode("utf-16-le"))
    assert [await model.encoding(0), await model.encoding(1)] == [UTF8, UTF16_LE]
    source.forget(0)
    with pytest.raises(GoneError):
        await model.encoding(0)
    await model.close()


@pytest.mark.parametrize(
    ("data", "last"),
    [
        (DATED, SECOND + 7),
        (DATED + b"Traceback\n  a line\n" * 50, SECOND + 7),
        (b"02:43:05 a\n02:43:06 b\n", SECOND + 6),
        (b"no time\n", None),
        (b"", None),
    ],
)
async def test_when_the_last_line_was_written(data: bytes, last: float | None) -> None:
    model = LogModel(MemorySource(data), counts=False, zone=UTC)
    await model.start()
    assert await model.last_time(SECOND + 3600) == last
    await model.close()
