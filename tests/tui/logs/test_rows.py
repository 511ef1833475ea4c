r"""Rows of a log: safe whatever the bytes are, in cells, with the log's own colours, and bounded."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from monitors.logs.progress import collapse
from monitors.logs.types import KEEP, LogLine, Mark, MarkKind, Place
from tests.tui.logs.corpus import Bomb, bombs, unsafe
from tui.logs import ansi
from tui.logs.ansi import Sgr
from tui.logs.rows import SHOWN, DisplayRow, Options, Span, carried, decoded, display_rows, edge, plain_rows

RED, BLUE = Sgr(fg=1), Sgr(fg=4)
NOTE = re.compile(r" ⋯ ([\d,]+) bytes? more$")


def line(
    data: bytes,
    size: int | None = None,
    at: int = 100,
    piece: int = 0,
    marks: tuple[Mark, ...] = (),
    encoding: str = "utf-8",
    before: bytes = b"",
) -> LogLine:
    size = len(data) if size is None else size
    return LogLine(Place(0, at), at + size + 1, data, size, 7, True, piece, marks, encoding=encoding, before=before)


def row(text: bytes | str, encoding: str = "utf-8") -> DisplayRow:
    data = text.encode(encoding) if isinstance(text, str) else text
    rows = display_rows(line(data, encoding=encoding))
    assert len(rows) == 1
    return rows[0]


def check(rows: tuple[DisplayRow, ...], width: int | None) -> None:
    """What holds for the rows of any bytes."""
    for number, one in enumerate(rows):
        assert not unsafe(one.text)
        one.text.encode()
        assert one.cells == cell_len(one.text)
        assert width is None or one.cells <= max(width, 2)
        assert one.continuation == (number > 0)
        assert all(0 <= span.start < span.end <= len(one.text) for span in one.spans)
        assert one.cut == 0 or number == len(rows) - 1
    assert sum(len(one.text) for one in rows) <= SHOWN + len(" ⋯ 1,000,000,000 bytes more")


@pytest.mark.parametrize("bomb", bombs(), ids=lambda bomb: bomb.name)
def test_no_bomb_comes_out(bomb: Bomb) -> None:
    for data in (bomb.data, collapse(bomb.data, bomb.encoding)):
        rows = display_rows(line(data, encoding=bomb.encoding))
        check(rows, None)
        assert bomb.word in rows[0].text
        check(display_rows(line(data, encoding=bomb.encoding), 40), 40)
        for text in plain_rows(line(data, encoding=bomb.encoding)):
            assert not unsafe(text, "\t")
        (painted,) = plain_rows(line(data, encoding=bomb.encoding), colour=True)
        assert not unsafe(re.sub(r"\x1b\[[0-9;]+m", "", painted), "\t")
        assert not painted.count("\x1b") or painted.endswith("\x1b[0m") or "\x1b[0m" in painted


ENCODINGS = st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"])
NOISE = st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
COLOURED = st.lists(
    st.sampled_from(
        ["a", "世", "\t", "e\u0301", "\x1b[31m", "\x1b[0m", "\x1b[1;44m", "\x1b[2J", "\x00", "❤\ufe0f", " "]
    )
).map(lambda pieces: "".join(pieces).encode())


@given(NOISE | COLOURED, ENCODINGS, st.none() | st.integers(1, 30))
def test_rows_of_any_bytes_are_safe(data: bytes, encoding: str, width: int | None) -> None:
    check(display_rows(line(data, encoding=encoding), width), width)


@given(NOISE | COLOURED, st.integers(1, 30))
def test_wrapped_rows_are_the_one_row_in_pieces(data: bytes, width: int) -> None:
    (whole,) = display_rows(line(data))
    rows = display_rows(line(data), width)
    assert "".join(one.text for one in rows) == whole.text
    assert [style for one in rows for style in _styles(one)] == _styles(whole)
    assert rows[-1].cut == whole.cut


def _styles(one: DisplayRow) -> list[object]:
    return [tuple(span.style for span in one.spans if span.start <= at < span.end) for at in range(len(one.text))]


@given(st.binary(max_size=300))
@example(b"\xed\xa0\x80\xff\xc3")
def test_bytes_that_are_no_text_are_escaped_as_python_does(data: bytes) -> None:
    assert decoded(data, "utf-8") == data.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"", ""),
        (b"plain [red]text[/] {0}", "plain [red]text[/] {0}"),
        (b"\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        (b"a\0b", "a␀b"),
        (b"\x9b2J \xff\xfe", "\\x9b2J \\xff\\xfe"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        (b" 50%\rERROR glued", " 50%␍ERROR glued"),
        (b"a\tb", "a       b"),
        (b"12345678\tb", "12345678        b"),
        ("世\tb", "世      b"),
        (b"a\t\x1b[31mb\tc\x1b[0m\td", "a       b       c       d"),
        ("e\u0301\tb", "e\u0301       b"),
    ],
)
def test_what_is_shown(text: bytes | str, shown: str) -> None:
    assert row(text).text == shown


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_no_text_at_the_beginning_of_a_log(encoding: str) -> None:
    data = "\ufeffüber".encode(encoding)
    assert display_rows(line(data, at=0, encoding=encoding))[0].text == "über"
    assert display_rows(line(data, at=9, encoding=encoding))[0].text == "\\ufeffüber"


def test_colours_stand_where_they_stood() -> None:
    one = row("ok \x1b[31mred\x1b[0m and \x1b[1;34mblue\x1b[0m.")
    assert one.text == "ok red and blue."
    assert one.spans == (Span(3, 6, RED), Span(11, 15, Sgr(fg=4, bold=True)))
    # Behind what becomes longer, or shorter
    one = row("\x00\t\x1b[31mr\u202ed\x1b[0m\ttoken hf_" + "a1" * 10 + " \x1b[34mblue")
    for span, text in zip(one.spans, ["r\\u202ed", "blue"], strict=True):
        assert one.text[span.start : span.end] == text
    one = row("e" + "\u0301" * 100 + "\x1b[31mred")
    assert [one.text[span.start : span.end] for span in one.spans] == ["red"]


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("2025-01-01 12:00:00 ERROR boom", "error"),
        ("WARNING: careful", "warning"),
        ("2025-01-01 12:00:00 INFO fine", None),
        ("0 errors", None),
        ("CRITICAL: gone", "critical"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_lines_have_the_style_of_their_level(text: str, style: str | None, encoding: str) -> None:
    one = row(text, encoding)
    assert one.spans == ((Span(0, len(text), style),) if style else ())
    assert not display_rows(line(text.encode(encoding), piece=1, encoding=encoding))[0].spans
    assert not display_rows(line(text.encode(encoding), encoding=encoding), None, Options(levels=False))[0].spans


def test_a_level_lies_under_colours() -> None:
    one = row("\x1b[34mERROR boom\x1b[0m x")
    assert one.spans == (Span(0, 12, "error"), Span(0, 10, BLUE))


@given(
    st.integers(0, 40),
    st.integers(SHOWN - 40, SHOWN + 40),
    st.sampled_from(["x", "é", "世", "😀", "\x1b[31mx", "\u202e"]),
)
def test_a_long_line_says_how_many_bytes_are_missing(pad: int, count: int, unit: str) -> None:
    data = ("." * pad + unit * count).encode()
    (one,) = display_rows(line(data))
    found = NOTE.search(one.text)
    assert one.cut == (int(found[1].replace(",", "")) if found else 0)
    assert bool(one.cut) == (len(data) > SHOWN or len(one.text) > SHOWN)
    shown = data[: len(data) - one.cut]
    whole = display_rows(line(shown), None, Options(limit=None))[0]
    assert one.text[: found.start() if found else None] == whole.text  # nothing between is missing
    assert len(shown) > SHOWN // 3 - 20
    assert "\\x" not in one.text  # no character is cut in two


@pytest.mark.parametrize("data", [b"\t" * 2000, b"\xff" * SHOWN, "\u202e".encode() * 2000, b"\t" * 500 + b"x" * 5000])
def test_a_line_that_becomes_long_is_cut_too(data: bytes) -> None:
    (one,) = display_rows(line(data))
    check((one,), None)
    assert one.cut
    assert len(one.text) > SHOWN // 2


def test_bytes_that_a_line_does_not_carry_are_missing_too() -> None:
    (one,) = display_rows(line(b"x" * KEEP, size=10_000_000))
    assert one.cut == 10_000_000 - SHOWN
    assert one.text.endswith(" ⋯ 9,991,808 bytes more")
    # Older states of a bar are not to be seen: nothing is missing
    assert display_rows(line(b"100%", size=10_000_000))[0].cut == 0


def test_a_secret_on_the_edge_is_not_shown_in_part() -> None:
    for back in (5, 12, 30):
        data = (
            b"x" * (SHOWN - back) + b" hf_" + b"a1B2c3D4" * 8 + b" https://u:passw0rd" + b"y" * 200 + b"@h " + b"z" * 99
        )
        text = display_rows(line(data))[0].text
        assert not re.search("a1B|passw", text)
    data = b"x" * (SHOWN - 20) + b" https://user:passw0rd" + b"y" * 200 + b"@host"
    assert "passw" not in display_rows(line(data))[0].text


CUT = [("€", "utf-8"), ("é", "utf-8"), ("😀", "utf-8"), ("😀", "utf-16-le"), ("😀", "utf-16-be")]


@pytest.mark.parametrize(("character", "encoding"), CUT)
@pytest.mark.parametrize("count", [3, 3 * SHOWN])
def test_a_piece_begins_with_a_whole_character(character: str, encoding: str, count: int) -> None:
    """What it begins with otherwise belongs to the piece before, of which only the beginning is shown."""
    data = (character * count).encode(encoding)
    for cut in range(0, len(character.encode(encoding)), 2 if encoding.startswith("utf-16") else 1):
        (one,) = display_rows(line(data[cut:], piece=1, encoding=encoding))
        assert set(NOTE.sub("", one.text)) == {character}
        (one,) = display_rows(line(data[cut:], encoding=encoding))
        assert set(NOTE.sub("", one.text)) == {character} or cut  # of a line nothing stands before


def test_bytes_that_are_no_rest_of_a_character_stay() -> None:
    assert display_rows(line(b"\x82\x82\x82\x82 x", piece=1))[0].text == "\\x82\\x82\\x82\\x82 x"
    assert display_rows(line(b"\xe2\x82\xac x", piece=1))[0].text == "€ x"
    assert display_rows(line("\ud83d x".encode("utf-16-le", "surrogatepass"), piece=1, encoding="utf-16-le"))[0].text


SECRETS = ["hf_" + "a1B2c3D4" * 4, "hf_a1B2c3D4\x1b[31ma1B2c3D4", "authorization: Bearer a1B2c3D4a1B2"]


@pytest.mark.parametrize("behind", [" tail", " \x1b[34mtail", " naïve tail", '" tail' + " x" * SHOWN])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_across_a_cut_is_not_shown(secret: str, behind: str) -> None:
    for cut in range(len(secret)):
        before, data = f"x {secret[:cut]}".encode(), f"{secret[cut:]}{behind}".encode()
        one = display_rows(line(data, piece=1, before=before))[0]
        assert not re.search("B2|c3|D4", one.text)
        assert one.text.count("‹redacted›") == 1
        looks = [one.text[span.start : span.end] for span in one.spans if span.style == BLUE]
        assert looks == (["tail"] if "34m" in behind and "hf_" in secret else looks)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_wide_secret_across_a_cut_is_not_shown(encoding: str) -> None:
    for cut in range(len(SECRETS[0])):
        before, data = SECRETS[0][:cut].encode(encoding), f"{SECRETS[0][cut:]} tail".encode(encoding)
        assert display_rows(line(data, piece=1, encoding=encoding, before=before))[0].text == "hf_‹redacted› tail"


def test_what_stands_before_a_piece_is_not_shown() -> None:
    assert display_rows(line(b"tail", piece=1, before=b"before "))[0].text == "tail"
    assert display_rows(line(b"1mtail", piece=1, before=b"before \x1b[3"))[0].text == "tail"
    assert display_rows(line(b"a\tb", piece=1, before=b"before "))[0].text == "a       b"
    assert display_rows(line(b"x" * SHOWN * 2, piece=1, before=b"b" * 2048))[0].text.startswith(
        "x" * SHOWN + " ⋯ 8,192"
    )


UNITS = ["x", "é", "世", "😀", "\x1b[31mr", "\x1b[38;2;100;200;100mg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@given(st.lists(st.sampled_from(UNITS), min_size=1, max_size=5))
def test_a_cut_is_moved_out_of_a_character(encoding: str, units: list[str]) -> None:
    text = "...." + "".join(units)
    data = text.encode(encoding)
    for cut in range(0, len(data) + 1, 2 if encoding.startswith("utf-16") else 1):
        for at in (edge(data, cut, encoding), cut + carried(data[:cut], data[cut:], encoding)):
            parts = data[:at].decode(encoding), data[at:].decode(encoding)
            assert "".join(parts) == text
            if encoding == "utf-8":
                assert "".join(map(ansi.without, parts)) == ansi.without(text)


@pytest.mark.parametrize("around", ["plain", "\x1b[31mred", "naïve", "tab\t", "世界\x1b[2J", "x" * SHOWN])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_secrets_are_redacted(around: str, encoding: str) -> None:
    secret = "hf_" + "a1B2c3D4" * 4
    for text in (f"{secret} {around}", f"{around} {secret}"):
        data = text.encode(encoding)
        assert secret[5:] not in "".join(one.text for one in display_rows(line(data, encoding=encoding), 7))
        assert secret[5:] not in "".join(plain_rows(line(data, encoding=encoding), colour=True))


def test_secrets_in_colours_are_redacted() -> None:
    one = row("token hf_\x1b[31m" + "a1B2c3D4" * 4 + "\x1b[0m end")
    assert one.text == "token hf_‹redacted› end"


def test_marks_come_first() -> None:
    mark = Mark(Place(0, 100), MarkKind.LOST, "lost in \x1b[2J\u202e", 5, 0.0)
    rows = display_rows(line(b"text", marks=(mark,)), 3)
    assert [one.mark for one in rows] == [mark, None, None]
    assert [one.text for one in rows] == ["lost in ␛[2J\\u202e", "tex", "t"]
    tail = LogLine(Place(0, 100), 100, b"", 0, None, True, 0, (mark,))
    assert len(display_rows(tail)) == 1
    assert plain_rows(line(b"text", marks=(mark,))) == ("── lost in ␛[2J\\u202e", "text")


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("abcdef", 3, ["abc", "def"]),
        ("abcdefg", 3, ["abc", "def", "g"]),
        ("世界世", 4, ["世界", "世"]),
        ("世界世", 5, ["世界", "世"]),
        ("a世界", 2, ["a", "世", "界"]),
        ("世", 1, ["世"]),
        ("abe\u0301cd", 3, ["abe\u0301", "cd"]),
        ("❤\ufe0fa", 2, ["❤\ufe0f", "a"]),
        ("", 3, [""]),
    ],
)
def test_wrapping_by_cells(text: str, width: int, rows: list[str]) -> None:
    assert [one.text for one in display_rows(line(text.encode()), width)] == rows


def test_cells_and_characters() -> None:
    one = row("a世e\u0301❤\ufe0f b")
    cells = [one.cell_at(index) for index in range(len(one.text) + 1)]
    assert cells == [0, 1, 3, 3, 4, 4, 6, 7, 8]
    assert [one.index_at(cell) for cell in range(10)] == [0, 1, 1, 2, 4, 4, 6, 7, 8, 8]


@given(NOISE | COLOURED)
def test_a_character_is_found_by_any_of_its_cells(data: bytes) -> None:
    (one,) = display_rows(line(data))
    for index, character in enumerate(one.text):
        if cell_len(character):
            assert one.index_at(one.cell_at(index)) == index
        if unicodedata.combining(character) and index:
            assert one.cell_at(index) <= one.cell_at(index - 1) + 1
    assert one.cell_at(len(one.text)) == one.cells
    assert one.index_at(one.cells) == len(one.text)


def test_plain_rows_keep_tabs_and_all_that_is_there() -> None:
    assert plain_rows(line(b"a\tb\x1b[31mc\x1b[0m")) == ("a\tbc",)
    assert plain_rows(line(b"x" * 50_000)) == ("x" * 50_000,)
    assert plain_rows(line(b"x" * KEEP, size=KEEP + 9))[0].endswith("x ⋯ 9 bytes more")


def test_plain_rows_with_colours_say_them_anew() -> None:
    assert plain_rows(line(b"a\x1b[0;31mb\x1b[2Jc\x1b[md"), colour=True) == ("a\x1b[31mb␛[2Jc\x1b[0md",)
    assert plain_rows(line(b"ERROR: \x1b[34mx"), colour=True) == ("\x1b[31mERROR: \x1b[0m\x1b[31m\x1b[34mx\x1b[0m",)
