"""Colours put anywhere into rows."""

from __future__ import annotations

from hypothesis import strategies as st

SEQUENCES = ("\x1b[m", "\x1b[0m", "\x1b[1;31m", "\x1b[38;2;1;12;3m", "\x1b[4:3m", f"\x1b[{'1;' * 32}m")
"""What sets a look, and is not shown."""

SHOWN = ("\x1b", "\x1b[", "\x1b[2K", "\x1b[1A", "\x1b[?25l", "\x1b[1 m", f"\x1b[{'1' * 65}m", "[1m")
"""What is shown, since it is no such sequence."""

PLACES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(SEQUENCES)), max_size=8)
"""Where in a text there are sequences, as parts of its length."""


def coloured(text: bytes, places: list[tuple[float, str]]) -> bytes:
    """A text with sequences between its letters, and none within what is no sequence by itself."""
    letters = text.decode("utf-8", "surrogateescape")
    for part, sequence in sorted(places, reverse=True):
        at = round(part * len(letters))
        if "\x1b" not in letters[max(0, at - 70) : at]:
            letters = letters[:at] + sequence + letters[at:]
    return letters.encode("utf-8", "surrogateescape")
