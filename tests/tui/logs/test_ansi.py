r"""Colours of a log are read, and nothing else that a terminal would obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.logs.ansi import PLAIN, Sgr, parse, without


@pytest.mark.parametrize(
    ("codes", "look"),
    [
        ("", PLAIN),
        ("0", PLAIN),
        ("1", Sgr(bold=True)),
        ("1;2;3;4;7", Sgr(bold=True, dim=True, italic=True, underline=True, reverse=True)),
        ("1;2;22", PLAIN),
        ("3;23;4;24;7;27", PLAIN),
        ("21", Sgr(underline=True)),
        ("4:3", Sgr(underline=True)),
        ("4;4:0", PLAIN),
        ("31", Sgr(fg=1)),
        ("97;100", Sgr(fg=15, bg=8)),
        ("31;39;42;49", PLAIN),
        ("31;;1", Sgr(bold=True)),
        ("38;5;208", Sgr(fg=208)),
        ("48;5;0;1", Sgr(bg=0, bold=True)),
        ("38;2;1;2;3", Sgr(fg=(1, 2, 3))),
        ("38;2;1;2;3;48;2;4;5;6;1", Sgr(fg=(1, 2, 3), bg=(4, 5, 6), bold=True)),
        ("38:5:208", Sgr(fg=208)),
        ("38:2:1:2:3", Sgr(fg=(1, 2, 3))),
        ("38:2::1:2:3", Sgr(fg=(1, 2, 3))),
        ("48:2::1:2:3;1", Sgr(bg=(1, 2, 3), bold=True)),
        # What is not understood changes nothing, and does not take what stands behind it along
        ("38;5;999;1", Sgr(bold=True)),
        ("38;2;1;2;300;1", Sgr(bold=True)),
        ("38;7;1", Sgr(reverse=True, bold=True)),
        ("38;5", PLAIN),
        ("38;2;1;2", PLAIN),
        ("38:2::300:0:0", PLAIN),
        ("38:", PLAIN),
        ("5;6;8;9;53;58:5:1;99999999999999999999", PLAIN),
        # Hidden text is shown
        ("31;41", PLAIN),
        ("38;2;9;9;9;48;2;9;9;9;1", Sgr(bold=True)),
        ("8", PLAIN),
    ],
)
def test_looks(codes: str, look: Sgr) -> None:
    plain, looks = parse(f"before \x1b[{codes}mafter")
    assert plain == "before after"
    assert [one for _, one in looks][-1:] == ([look] if looks else [])
    assert looks or look == PLAIN
    assert all(place == 7 for place, _ in looks)


def test_looks_add_up_until_they_are_reset() -> None:
    plain, looks = parse("a\x1b[1mb\x1b[31mc\x1b[44md\x1b[22me\x1b[0mf\x1b[0mg")
    assert plain == "abcdefg"
    assert looks == [
        (1, Sgr(bold=True)),
        (2, Sgr(fg=1, bold=True)),
        (3, Sgr(fg=1, bg=4, bold=True)),
        (4, Sgr(fg=1, bg=4)),
        (5, PLAIN),
    ]


def test_of_several_looks_in_one_place_the_last_holds() -> None:
    assert parse("\x1b[31m\x1b[32m\x1b[1ma") == ("a", [(0, Sgr(fg=2, bold=True))])


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "\x1b[?1m",
        "\x1b[>4;2m",
        "\x1b[1 m",
        "\x1b[1",
        "\x1b]0;m",
        "\x1b",
        "\x9b31m",
        "\x1b[" + "1" * 65 + "m",
    ],
)
def test_everything_else_stays_in_the_text(text: str) -> None:
    assert parse(f"a{text}b") == (f"a{text}b", [])


@given(st.text(st.sampled_from("\x1b[0123456789;:mab"), max_size=200))
def test_any_text(text: str) -> None:
    plain, looks = parse(text)
    assert plain == without(text)
    places = [place for place, _ in looks]
    assert places == sorted(set(places))
    assert all(0 <= place <= len(plain) for place in places)
    assert all(look.fg is None or look.fg != look.bg for _, look in looks)


channel = st.integers(0, 255)
color = st.none() | channel | st.tuples(channel, channel, channel)


@given(st.builds(Sgr, color, color, *[st.booleans()] * 5))
def test_what_we_emit_says_the_same(look: Sgr) -> None:
    expected = look._replace(fg=None, bg=None) if look.fg is not None and look.fg == look.bg else look
    plain, looks = parse(f"{look.emit()}x")
    assert plain == "x"
    assert looks == ([(0, expected)] if look != PLAIN else [])
