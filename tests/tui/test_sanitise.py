from __future__ import annotations

import random
import re
import string
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import sanitise
from tui.sanitise import LIMIT, clean, clean_inline, clean_marked, confirmable, redact, redact_marked
from tui.sanitise import secrets as hidden

every_character = st.text(st.characters(blacklist_categories=()))
hostile = st.text(
    st.sampled_from(
        "a[/]\x1b\x07\r\n\t\x00\x7f\x9b\x9d\x85\u202e\u2066\u200b\u200d\u2028\ufeff\U000e0041\ud800\u0301é漢😀"
    )
)

# What a terminal would obey or reorder, spelled out by code point so that the test does not share our tables
FORBIDDEN = {
    *range(0x20), *range(0x7F, 0xA0), 0x61C, *range(0x200B, 0x2010), 0x2028, 0x2029, *range(0x202A, 0x202F),
    *range(0x2060, 0x2070), 0xFEFF, *range(0xD800, 0xE000), *range(0xE0000, 0xE0080),
}  # fmt: skip


def bad(text: str, *allowed: str) -> set[str]:
    return {character for character in text if ord(character) in FORBIDDEN} - set(allowed)


@given(every_character | hostile | st.binary(), st.booleans(), st.booleans())
def test_nothing_dangerous_comes_out_and_clean_text_stays(text: str | bytes, tabs: bool, lines: bool) -> None:
    shown = clean(text, keep_tabs=tabs, multiline=lines)
    assert not bad(shown, *("\t" if tabs else ""), *("\n" if lines else ""))
    assert clean(shown, keep_tabs=tabs, multiline=lines) == shown
    shown.encode()


@given(every_character | hostile | st.binary())
def test_one_line_is_one_line(text: str | bytes) -> None:
    for function in (clean_inline, confirmable):
        shown = function(text)
        assert not bad(shown)
        assert len(shown.splitlines()) <= 1
        assert function(shown) == shown


@given(hostile | st.binary(max_size=500), st.integers(32, 200))
def test_the_limit_holds_and_the_rest_is_counted(text: str | bytes, limit: int) -> None:
    shown = clean(text, limit=limit)
    assert len(shown) <= limit
    assert clean(shown, limit=limit) == shown


@pytest.mark.parametrize("byte", range(256))
def test_every_byte(byte: int) -> None:
    shown = clean(bytes([byte]))
    if 0x20 <= byte < 0x7F:
        assert shown == chr(byte)
    elif byte < 0x20:
        assert shown == chr(0x2400 + byte)
    elif byte == 0x7F:
        assert shown == "␡"
    else:
        assert shown == f"\\x{byte:02x}"
        assert clean(chr(byte)) == (shown if byte < 0xA0 or byte == 0xAD else chr(byte))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        (b"50%\r100%\r\n", "50%␍100%␍␊"),
        ("a\tb", "a␉b"),
        ("csi \x9b2J", "csi \\x9b2J"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("zero\u200bwidth\u200d\ufeff", "zero\\u200bwidth\\u200d\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("para\u2028graph", "para\\u2028graph"),
        ("half\ud83d", "half\\ud83d"),
        (b"caf\xc3\xa9 \xc3( \xff\xfe", "café \\xc3( \\xff\\xfe"),
        ("[/foo] [red] [@click=app.quit]x", "[/foo] [red] [@click=app.quit]x"),
        ("Привет, 世界 😀 ❤️ naïve café e\u0301", "Привет, 世界 😀 ❤️ naïve café e\u0301"),
    ],
)
def test_it_stays_visible(text: str | bytes, shown: str) -> None:
    assert clean(text) == shown


def test_tabs_and_lines_on_request() -> None:
    assert clean("a\tb\nc\r\n", keep_tabs=True, multiline=True) == "a\tb\nc␍\n"
    assert clean("a\tb\nc", keep_tabs=True) == "a\tb␊c"
    assert clean_inline("a\tb\nc\r\n") == "a␉b␤c␍␤"


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " äßéñøПривет世界日本한국", max_size=500))
def test_plain_text_is_unchanged(text: str) -> None:
    assert clean(text) == text
    assert clean(text.encode()) == text


def test_heaps_of_marks_are_counted() -> None:
    heap = "e" + "\u0301" * 1_000_000 + "x"
    shown = clean(heap, limit=None)
    assert shown == "e" + "\u0301" * 4 + "[+999996 marks]x"
    assert clean("e" + "\u0301" * 4) == "e" + "\u0301" * 4
    mixed = clean("o" + "\u0301\u20dd\u0f71\U000e0100" * 500)
    assert sum(unicodedata.category(character) in ("Mn", "Me") for character in mixed) == 4


def test_the_cut_says_how_much_is_missing() -> None:
    text = "é" * 30_000
    for given_as in (text, text.encode()):
        shown = clean(given_as, limit=100)
        kept = shown.count("é")
        assert shown == "é" * kept + f"… {2 * (30_000 - kept)} bytes cut"
        assert 60 <= kept <= 100
    assert clean("x" * LIMIT) == "x" * LIMIT
    assert clean("x" * (LIMIT + 1)).endswith(" bytes cut")
    assert len(clean("\u202e" * LIMIT)) <= LIMIT
    assert clean(b"\xe4\xb8\x96" * 100, limit=32).replace("世", "").startswith("…")


@pytest.mark.parametrize("text", [b"x" * 10**8, b"\x00" * 10**8, "\u202e" * 10**6, "\u0301" * 10**6, "世" * 10**6])
def test_a_bomb_costs_little(text: str | bytes) -> None:
    start = time.perf_counter()
    shown = clean(text)
    # Generous: it takes some 50 ms, of which most is the search for where to cut; reading it all would take seconds
    assert time.perf_counter() - start < 2
    assert len(shown) <= LIMIT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpu-17.example.org", "gpu-17.example.org"),
        ("gpu-\u0430.example", "gpu-\\u0430.example"),
        ("rm -rf /data\u2215run", "rm -rf /data\\u2215run"),
        ("a\u00a0b", "a\\xa0b"),
        ("a\u2010b", "a\\u2010b"),
        ("\uff52\uff4d", "\\uff52\\uff4d"),
        ("e\u0301", "e\\u0301"),
        ("привет мир", "привет мир"),
        ("café", "café"),
        ("two\nlines\u202e", "two␤lines\\u202e"),
        ("pay\u200dload", "pay\\u200dload"),
    ],
)
def test_what_an_operator_confirms(text: str, shown: str) -> None:
    assert confirmable(text) == shown


def secrets(seed: int) -> list[tuple[str, str]]:
    """Texts with seeded fakes of the shapes that real ones have, and the part that must not show."""
    draw = random.Random(seed)

    def letters(alphabet: str, count: int) -> str:
        return "".join(draw.choice(alphabet) for _ in range(count))

    alnum = string.ascii_letters + string.digits
    hf, sk, gh = letters(string.ascii_letters, 34), letters(alnum, 47) + "7", letters(alnum, 36)
    aws = letters(string.ascii_uppercase + string.digits, 16)
    password, bearer = letters(alnum + "!$%&*+@:", 20) + "x", letters(alnum + "-._~", 40)
    return [
        (f"token hf_{hf} used", hf),
        (f"HF_TOKEN=hf_{hf}", hf),
        (f"OPENAI key sk-{sk}", sk),
        (f'key="sk-proj-{sk}"', sk),
        (f"https://ghp_{gh}@github.com/x/y", gh),
        (f"github_pat_{gh}_{gh}", gh),
        (f"id AKIA{aws}", aws),
        (f"Authorization: Bearer {bearer}", bearer),
        (f"authorization: token {gh}", gh),
        (f"{{'Authorization': 'Basic {bearer}', 'Accept': '*/*'}}", bearer),
        (f'{{\\"Authorization\\": \\"Bearer {bearer}\\"}}', bearer),
        (f"git clone https://user:{password}@example.org/r.git", password),
        (f"postgres://me:{password}@db:5432/x?y=1", password),
        (f"MY_API_KEY={gh} python x.py", gh),
        (f"export WANDB_TOKEN='{gh}'", gh),
    ]


@pytest.mark.parametrize("seed", range(25))
def test_secrets_do_not_show(seed: int) -> None:
    for text, secret in secrets(seed):
        shown = redact(text)
        assert secret not in shown
        assert not any(secret[start : start + 12] in shown for start in range(len(secret) - 11))
        assert "‹redacted›" in shown
        assert redact(shown) == shown
        assert clean(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "max_new_tokens=128 eos_token: <|endoftext|> tokens 5120/s",
        "task-force sk-learn-compatible-estimator risk-based",
        "https://example.org:8080/a@b http://localhost:30000/v1",
        "hf_transfer hf_hub_download from_pretrained",
        "mail me@example.org at 12:30",
        "DISK=full PATH=/usr/bin:/bin",
        "sha256:51d622ca8330f4a8ded677127155a138cfd4bc484080c620537fe072770fa20a",
        "unauthorized: 401",
    ],
)
def test_ordinary_text_is_not_redacted(text: str) -> None:
    assert redact(text) == text


@given(every_character)
def test_redacting_is_total_and_stable(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_redacting_is_linear() -> None:
    for text in (
        "-sk-" * 5000,
        "gh" * 10_000,
        "://a:" * 4000,
        "A_" * 10_000 + "=",
        "authorization:" * 1500,
        " " * 20_000,
    ):
        start = time.perf_counter()
        redact(text)
        assert time.perf_counter() - start < 2, re.escape(text[:14])


@given(hostile | every_character, st.booleans(), st.lists(st.integers(0, 30)))
def test_places_are_followed_through_cleaning(text: str, tabs: bool, wanted: list[int]) -> None:
    places = sorted(place for place in wanted if place <= len(text))
    shown, moved = clean_marked(text, places, keep_tabs=tabs)
    assert shown == clean(text, keep_tabs=tabs, limit=None)
    assert len(moved) == len(places)
    assert moved == sorted(moved)
    heaps = "marks]" in shown
    for before, after in zip(places, moved, strict=True):
        assert heaps or clean(text[:before], keep_tabs=tabs, limit=None) == shown[:after]


@pytest.mark.parametrize("seed", range(5))
def test_places_are_followed_through_redaction(seed: int) -> None:
    for text, secret in secrets(seed):
        start = text.index(secret)
        end = start + len(secret)
        shown, moved = redact_marked(f"{text}\ntail", [0, start, start + 1, end, len(text) + 1])
        assert shown == redact(f"{text}\ntail")
        assert moved[0] == 0
        assert moved[1] == moved[2] <= start
        assert shown.endswith("tail")
        assert moved[3] <= moved[4] <= len(shown)
        assert any(first <= start and end <= last for first, last in hidden(text))


def test_every_combining_mark_may_begin_a_heap() -> None:
    marks = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Mn", "Me")]
    unnoticed = [mark for mark in marks if not sanitise._MAYBE_MARKS.search(mark * 5)]
    assert [mark for mark in unnoticed if clean(mark) == mark] == []
