r"""A whole line, page by page: every byte of it once, safe, bounded, and field by field where it has fields."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.logs.types import Generation, LogLine, Place
from tests.tui.logs.corpus import bombs, unsafe
from tests.tui.logs.panes import desk
from tui.logs import detail as detail_module
from tui.logs import fields
from tui.logs.ansi import Sgr
from tui.logs.detail import FIELDS, HEX_PAGE, PAGE, Extent, LineDetail, View, extent
from tui.logs.detailpane import told


class Held:
    """A log that is held in memory, and counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read_bytes = 0

    async def read(self, at: Place, size: int) -> bytes:
        self.read_bytes += size
        return self.data[at.offset : at.offset + size]


class Zeros:
    """A line of any length."""

    read_bytes = 0

    async def read(self, at: Place, size: int) -> bytes:
        self.read_bytes += size
        return b"x" * size


def detail(data: bytes, before: bytes = b"before\n", encoding: str = "utf-8") -> LineDetail:
    return LineDetail(Held(before + data + b"\nafter"), Extent(Place(0, len(before)), len(data)), encoding)


async def text_of(one: LineDetail, width: int = 10_000_000) -> str:
    pages = [await one.page(View.TEXT, number, width) for number in range(one.pages(View.TEXT))]
    edges = [(page.first, page.last) for page in pages]
    assert edges[0][0] == 0
    assert edges[-1][1] == one.line.size
    assert [last for _, last in edges[:-1]] == [first for first, _ in edges[1:]]
    for page in pages:
        assert not unsafe("".join(row.text for row in page.rows))
        assert all(row.cells <= max(width, 20) for row in page.rows)
    return "".join(row.text for page in pages for row in page.rows)


UNITS = st.sampled_from(
    ["x", "é", "世", "😀", "\x1b[31mr\x1b[0m", "\x1b[38;2;100;200;100mg", "\x1b[2J", "e\u0301", "\r5%"]
)


@settings(deadline=None)
@given(st.integers(0, 80), st.lists(UNITS, min_size=1, max_size=3), st.integers(20, 200))
async def test_pages_hold_every_character_once(pad: int, units: list[str], width: int) -> None:
    text = "." * pad + "".join(units) * (PAGE * 9 // 8 // len("".join(units).encode()))
    expected = text.replace("\x1b[31m", "").replace("\x1b[0m", "").replace("\x1b[38;2;100;200;100m", "")
    expected = expected.replace("\x1b", "␛").replace("\r", "␍")
    assert await text_of(detail(text.encode()), width) == expected


@given(st.binary(max_size=80), st.integers(1, 900), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]))
async def test_pages_of_any_bytes_are_safe_and_complete(data: bytes, times: int, encoding: str) -> None:
    await text_of(detail(data * times, encoding=encoding), 80)


async def test_no_bomb_comes_out() -> None:
    for bomb in bombs():
        one = detail(bomb.data, encoding=bomb.encoding)
        assert bomb.word in await text_of(one, 80)
        for view in await one.views():
            page = await one.page(view, 0, 80)
            assert not unsafe("".join(row.text for row in page.rows))


async def test_a_line_of_any_size_costs_a_page() -> None:
    source = Zeros()
    one = LineDetail(source, Extent(Place(0, 7), 100_000_000_000))
    assert await one.views() == (View.TEXT, View.HEX)
    assert source.read_bytes == 0
    assert one.pages(View.TEXT) == -(-100_000_000_000 // PAGE)
    page = await one.page(View.TEXT, one.page_of(View.TEXT, 50_000_000_000), 100)
    assert page.first <= 50_000_000_000 < page.last
    assert sum(len(row.text) for row in page.rows) == PAGE
    page = await one.page(View.HEX, 10**9, 100)
    assert page.number == one.pages(View.HEX) - 1
    assert source.read_bytes < 4 * PAGE


async def test_colours_go_on_from_page_to_page() -> None:
    one = detail(b"x" * (PAGE - 1000) + b"\x1b[1m\x1b[31m" + b"y" * 2000 + b"\x1b[22mz")
    page = await one.page(View.TEXT, 1, 10_000)
    assert [span.style for span in page.rows[0].spans] == [Sgr(fg=1, bold=True), Sgr(fg=1)]
    assert page.rows[0].text[page.rows[0].spans[1].start :] == "z"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_a_wide_character_across_pages_is_shown_once(encoding: str) -> None:
    text = "." + "😀" * PAGE
    assert await text_of(detail(text.encode(encoding), encoding=encoding)) == text


async def test_carriage_returns_begin_rows() -> None:
    one = detail(b"\x1b[31m 10%\r 20%\x1b[0m\rERROR\r")
    page = await one.page(View.TEXT, 0, 80)
    assert [row.text for row in page.rows] == [" 10%␍", " 20%␍", "ERROR"]
    assert [[(span.start, span.end) for span in row.spans] for row in page.rows] == [[(0, 5)], [(0, 4)], []]


@pytest.mark.parametrize("back", range(0, 60, 7))
async def test_a_secret_across_pages_is_not_shown(back: int) -> None:
    data = b"-" * (PAGE - back) + b" hf_" + b"a1B2c3D4" * 5 + b" tail" + b"-" * PAGE
    shown = await text_of(detail(data))
    assert "a1B" not in shown
    assert "B2c" not in shown
    assert shown.count("‹redacted›") == 1
    assert " tail" in shown


async def test_bytes() -> None:
    one = detail(b"0123456789abcdef\x00\xff\x1b[31m hf_" + b"a1B2c3D4" * 4, before=b"")
    page = await one.page(View.HEX, 0, 80)
    assert [row.text for row in page.rows] == [
        "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef",
        "00000010  00 ff 1b 5b 33 31 6d 20  68 66 5f ·· ·· ·· ·· ··  ...[31m hf_·····",
        "00000020  ·· ·· ·· ·· ·· ·· ·· ··  ·· ·· ·· ·· ·· ·· ·· ··  ················",
        "00000030  ·· ·· ·· ·· ·· ·· ·· ··  ·· ·· ··                 ···········",
    ]
    narrow = await one.page(View.HEX, 0, 40)
    assert narrow.rows[0].text == "00000000  30 31 32 33 34 35 36 37  01234567"
    wide = detail(("hf_" + "a1B2c3D4" * 4).encode("utf-16-be"), encoding="utf-16-be")
    assert "a1" not in (await wide.page(View.HEX, 0, 80)).rows[0].text.replace(".", "")
    for at in (HEX_PAGE - 20, HEX_PAGE - 5):
        edge = detail(b"-" * at + b" hf_" + b"a1B2c3D4" * 4)
        for number in (0, 1):
            assert "61 31" not in " ".join(row.text for row in (await edge.page(View.HEX, number, 80)).rows)


async def shown_fields(text: str, width: int = 80) -> list[str]:
    one = detail(text.encode())
    if (await one.views())[0] is not View.FIELDS:
        return []
    return [row.text for row in (await one.page(View.FIELDS, 0, width)).rows]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"level": "error", "n": 1.50e3}', ['"level": "error"', '"n": 1.50e3']),
        ('2025-01-01 INFO {"a": 1} done', ["2025-01-01 INFO", '"a": 1', "done"]),
        ('{"a": 1, "a": 2, "b": NaN}', ['"a": 1', '"a": 2', '"b": NaN']),
        ('{"a": {"b": [], "c": {}}, "d": [1, "x", null, true]}',
         ['"a": {', '  "b": []', '  "c": {}', "}", '"d": [1, "x", null, true]']),
        ('{"a": [{"b": 1}, 2]}', ['"a": [', "  {", '    "b": 1', "  }", "  2", "]"]),
        ('{"exc": "Traceback:\\n\\tat x\\nEnd"}', ['"exc": Traceback:', "      at x", "  End"]),
        ('{"a": "\\u001b[2J\\u202e"}', ['"a": "\\u001b[2J\\u202e"']),
        ('{"[red]": "[/x]"}', ['"[red]": "[/x]"']),
        (f'{{"n": {"9" * 6000}}}', ['"n": ' + "9" * 75, *["9" * 80] * 74, "9" * 5]),
        ('ts=12:00 level=error msg="a b" x=1', ["   ts=12:00", "level=error", '  msg="a b"', "    x=1"]),
        ("step done, loss=0.5, lr=1e-4 on gpu 3", ["step done,", "loss=0.5", "  lr=1e-4", "on gpu 3"]),
        ("only=one pair", []),
        ("no fields", []),
        ("{not json}", []),
        ("{}", []),
    ],
)  # fmt: skip
async def test_fields(text: str, rows: list[str]) -> None:
    assert await shown_fields(text) == rows


@pytest.mark.parametrize(
    "text",
    [
        '{"Authorization": "Bearer abcdefgh12345678", "url": "https://u:abcdefgh12345678@h/"}',
        '{"k": "hf_\\u0061bcdefgh12345678", "x": {"y": {"token": "sk-abcdefgh12345678"}}}',
        "x=1 y=2 authorization=Bearer abcdefgh12345678 z=1",
        "MY_TOKEN=abcdefgh12345678 x=1 y=2",
        'a=1 b=2 MY_SECRET="abcdefgh12345678"',
    ],
)
async def test_fields_hold_no_secret(text: str) -> None:
    shown = "".join(await shown_fields(text))
    assert shown
    assert "bcdefgh12345678" not in shown
    assert "‹redacted›" in shown


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 900 + "1" + "}" * 900,
        "[" * 100_000 + "{",
        '{"a":' * 100_000,
        "{" * 500_000,
        '{"a": "' + "x" * 1_000_000,
        '{"a": [' + "1," * 400_000 + "1]}",
        '{"a": [' + "[1]," * 200_000 + "1]}",
        "a=1 " * 250_000,
        'a="' * 250_000,
        "a=" * 500_000,
        '{"a": "' + "\\n" * 400_000 + '"}',
        '{"a": "' + "\u202e" * 300_000 + '"}',
    ],
    ids=lambda text: text[:12],
)
async def test_hostile_fields_are_bounded(text: str) -> None:
    one = detail(text.encode()[:FIELDS])
    for view in await one.views():
        page = await one.page(view, 0, 80)
        assert len(page.rows) <= 2 * fields.MOST
        assert not unsafe("".join(row.text for row in page.rows))


def test_fields_are_counted() -> None:
    assert len(fields.entries("a=1 " * 10_000)) == fields.MOST + 1
    assert len(fields.entries('{"a": [[1]' + ",[1]" * 10_000 + "]}")) == fields.MOST + 1


async def test_a_line_too_long_for_fields_has_none() -> None:
    text = json.dumps({"a": "x" * FIELDS})
    assert await detail(text.encode()).views() == (View.TEXT, View.HEX)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc", max_size=3), JSON, min_size=1, max_size=5), st.integers(20, 90))
async def test_any_object_is_shown(value: dict[str, object], width: int) -> None:
    rows = await shown_fields(json.dumps(value), width)
    assert rows
    assert not unsafe("".join(rows))
    assert all(f'"{key}": '[: width - 1] in "".join(rows) for key in value)


def pieces(data: bytes, encoding_unit: int = 1) -> tuple[Held, Generation]:
    return Held(data), Generation(0, len(data))


async def test_the_whole_line_of_a_piece() -> None:
    source, generation = pieces(b"first\n" + b"x" * 3_000_000 + b"\nlast")
    middle = LogLine(Place(0, 1 << 20), 2 << 20, b"x", 1 << 20, None, False, 1)
    assert await extent(source, middle, generation) == Extent(Place(0, 6), 3_000_000)
    first = LogLine(Place(0, 0), 6, b"first", 5, 1, True)
    assert await extent(source, first, generation) == Extent(Place(0, 0), 5)
    last = LogLine(Place(0, 3_000_007), 3_000_011, b"last", 4, 3, False)
    assert await extent(source, last, generation) == Extent(Place(0, 3_000_007), 4, True, False)


async def test_a_line_whose_beginning_is_gone_says_so() -> None:
    source, _ = pieces(b"x" * 3_000_000)
    piece = LogLine(Place(0, 2 << 20), 3_000_000, b"x", 3_000_000 - (2 << 20), None, False, 2)
    found = await extent(source, piece, Generation(0, 3_000_000, first=1 << 20))
    assert found == Extent(Place(0, 1 << 20), 3_000_000 - (1 << 20), False, False)
    found = await extent(source, piece, Generation(0, 3_000_000))
    assert found == Extent(Place(0, 0), 3_000_000, True, False)


@pytest.mark.parametrize(
    ("reach", "size", "said"),
    [
        (64 << 20, 4_000_001, "the whole line: 4.00 MB  page 1 of 245  "),
        (2 << 20, 3_145_728, "3.15 MB of a longer line, more lies behind  page 1 of 192  "),
    ],
)
async def test_a_line_that_is_too_long_to_be_found_whole_says_how_much_is_shown(
    reach: int, size: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail_module, "REACH", reach)
    async with desk(b"x" * 4_000_001 + b"\nlast\n", (120, 24)) as at:
        await at.press("home", "enter")
        await at.until(lambda: at.pane.detail.is_open and said in at.shown)


async def test_what_is_beyond_reach_is_neither_gone_nor_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail_module, "REACH", 2 << 20)
    source, generation = pieces(b"x" * (12 << 20) + b"\n")
    piece = LogLine(Place(0, 5 << 20), 6 << 20, b"x", 1 << 20, None, False, 5)
    found = await extent(source, piece, generation)
    assert found == Extent(Place(0, 3 << 20), 5 << 20, False, False, before=True, behind=True)
    assert told(found) == "5.24 MB of a longer line, more lies before, more lies behind"
    held = Generation(0, 12 << 20, first=4 << 20)
    assert (
        told(await extent(source, piece, held)) == "4.19 MB of a longer line, its beginning is gone, more lies behind"
    )


async def test_extent_of_wide_characters() -> None:
    data = "a\nਊ਼ਊ\nb".encode("utf-16-le")  # holds the bytes of a newline out of step
    source, generation = pieces(data)
    line = LogLine(Place(0, 4), 12, b"", 6, 2, True, encoding="utf-16-le")
    assert await extent(source, line, generation) == Extent(Place(0, 4), 6)
    line = LogLine(Place(0, 4), 8, b"", 4, 2, False, encoding="utf-16-le")
    assert await extent(source, line, generation) == Extent(Place(0, 4), 6)
