"""Many lines at once come out as they do one by one: safe, without secrets, and untouched where they are harmless."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitors.logs.progress import collapse
from monitors.logs.types import LogLine, Place
from tests.tui.logs.corpus import bombs, unsafe
from tui import sanitise
from tui.logs import ansi
from tui.logs.plaintext import PlainText, suspects
from tui.logs.rows import plain_rows

HARMLESS = b"2026-05-25 02:43:02,170 INFO loop: step_time=0.4 https://host/x gather_size h-1 task-1\tb\n"
BODY = "a1B2c3D4e5f6G7h8" * 2


def alone(line: bytes, *, colour: bool = False) -> bytes:
    """What one line comes to by itself."""
    row = LogLine(Place(0, 1), len(line) + 1, collapse(line), len(line), None, True)
    return plain_rows(row, colour=colour)[-1].encode("utf-8", "replace")


def test_harmless_lines_are_passed_on_as_they_are() -> None:
    rows = HARMLESS * 100
    assert PlainText().render(rows) is rows
    assert PlainText().render(b"last, not ended") == b"last, not ended"


lines = st.one_of(
    st.sampled_from(
        [
            HARMLESS[:-1],
            b"",
            b"\r",
            b"plain\r",
            "übung 漢字 \u202e\u0301\u0301".encode(),
            b"\x1b[31mred\x1b[0m \x1b[2J",
            b"\xff\xfe broken \xc3",
            b" 10%|# | 1/10\r 20%|## | 2/10\rdone",
            b"TRACE hf_" + BODY.encode(),
            b"2026-05-25 02:43:02,170 WARNING loud",
            b"ERROR: bad",
            b"DEBUG quiet \x07",
            *(bomb.data for bomb in bombs(mixed=10) if bomb.encoding == "utf-8"),
        ]
    ),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
)


@given(st.lists(lines, max_size=12), st.booleans(), st.booleans())
@example([b"a\x1b[A", b"b"], False, False)
def test_all_at_once_is_as_one_by_one(many: list[bytes], colour: bool, ended: bool) -> None:
    if any(re.search(rb"\x1b\[\d*[AF]", line) for line in many):
        many = [line for line in many if b"\x1b[" not in line]  # lines that paint over others have a test of their own
    rows = b"\n".join(many) + (b"\n" if ended else b"")
    made = PlainText(colour=colour).render(rows)
    wanted = b"\n".join(alone(line.removesuffix(b"\r"), colour=colour) for line in rows.split(b"\n"))
    assert made == wanted


@given(st.lists(lines, max_size=12))
def test_no_bytes_come_out_that_a_terminal_obeys(many: list[bytes]) -> None:
    text = PlainText().render(b"\n".join(many)).decode()
    assert unsafe(text, "\n", "\t") == set()
    coloured = PlainText(colour=True).render(b"\n".join(many)).decode()
    assert unsafe(re.sub(r"\x1b\[[0-9;]*m", "", coloured), "\n", "\t") == set()


def test_bars_that_later_lines_paint_over_are_left_out() -> None:
    rows = b"start\na:  10%|# | 1/10\nb:  10%|# | 1/10\n\x1b[2A\ra:  20%|## | 2/10\nb:  20%|## | 2/10\nend\n"
    assert PlainText().render(rows) == b"start\na:  20%|## | 2/10\nb:  20%|## | 2/10\nend\n"


SECRETS = (
    "hf_{}",
    "sk-{}",
    "gho_{}",
    "ghp_{}",
    "ghs_{}",
    "ghu_{}",
    "ghr_{}",
    "github_pat_{}",
    "AKIA{}",
    "ASIA{}",
    "glpat-{}",
    "xoxb-{}",
    "Authorization: Bearer {}",
    "authorization={}",
    "AUTHORIZATION: {}",
    "https://user:{}@host/x",
    "MY_TOKEN={}",
    "A_SECRET='{}'",
    "DB_PASSWORD={}",
    "X_API_KEY={}",
    "AWS_ACCESS_KEY={}",
)


@pytest.mark.parametrize("form", SECRETS)
def test_a_secret_among_harmless_lines(form: str) -> None:
    body = BODY.upper() if "IA" in form[:4] else BODY
    line = f"before {form.format(body)} behind\n".encode()
    assert sanitise.redact(line.decode()) != line.decode(), "an example that is none"
    made = PlainText().render(HARMLESS * 50 + line + HARMLESS * 50)
    assert body.encode() not in made
    assert made.count(HARMLESS) == 100


@given(
    st.text(alphabet="hfskgopuriatbAKISXxlTOENCRPWDY_MVZuthz:=-/@ .\\\"'‹10e", max_size=60), st.sampled_from(SECRETS)
)
def test_whatever_is_redacted_is_suspected(noise: str, form: str) -> None:
    for text in (noise, noise + form.format(BODY.upper()) + noise, f"{noise} {form.format(BODY)}{noise}"):
        if sanitise.redact(text) != text:
            data = text.encode()
            assert any(pattern.search(data) for pattern in suspects(data)[1]), text


def test_every_sign_of_a_secret_is_known_here() -> None:
    """A new one needs a new entry in `tui.logs.plaintext`, which looks for them in its own way."""
    signs = {sign for some, _ in sanitise._SECRETS for sign in some}
    assert signs == {
        *("hf_", "sk-", "gh", "github_pat_", "IA", "glpat-", "xox", "authorization", "://"),
        *("_TOKEN=", "_SECRET=", "_PASSWORD=", "_API_KEY=", "_ACCESS_KEY="),
    }


def test_what_counts_as_a_colour_is_what_the_parser_reads() -> None:
    for text in (b"\x1b[m", b"\x1b[0m", b"\x1b[38;2;1;2;3m", b"\x1b[4:3m", b"\x1b[" + b"1;" * 40 + b"m", b"\x1b[?1m"):
        shown = ansi.without(text.decode())
        assert PlainText().render(text) == shown.replace("\x1b", "␛").encode()


def test_a_stream_that_is_not_utf_8() -> None:
    rows = "übung 漢\x07\n".encode()
    assert PlainText(encoding="ascii").render(rows) == b"\\xfcbung \\u6f22\\u2407\n"
    assert PlainText(encoding="UTF-8").render(rows) == "übung 漢␇\n".encode()
