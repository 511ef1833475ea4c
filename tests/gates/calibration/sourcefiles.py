"""Python files made up at random, of which it is known where each threshold's literal stands."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from hypothesis import strategies as st

NUMBERS = (
    *("0", "3", "1_000", "0x1F", "0b101", "0o17", "-7", "- 7", "-\t7", "+2", "--3", "-+4", "123456789012345678901"),
    *("0.5", "1e-3", "1_0.0_1", ".5", "5.", "1E+5", "-0.0", "-1.5e-7", "6.02_2e2_3", "54.0", "-(3)", "+( 2.5 )"),
)
WRAPS = (("", ""), ("(", ")"), ("(  ", " )"), ("((", "))"), ("(\n    ", "  # 9.9\n)"))
NOISE = (
    "",
    "# T0 = 0.5  (é)",
    '"""T0 = 0.5\nT1: float = 3\n"""',
    "note = f'T0 = {1 + 2} é'",
    "raw = r'\\T0 = 3'",
    "if note_off := False:\n\tinner = 3\nelse:\n\tinner = 4",
    "def test_a(tmp_path):\n    T9 = 3  # local\n    return tmp_path / 'sub'",
    "class Local:\n    T0 = 3",
    "\f",
    "long = 1 + \\\n    2",
    "pairs = [value for value in (1, 2)]",
)
KEYS = ("throughput_qps", "latency_mean_s", "größe", "T0")


@dataclass(frozen=True)
class Planted:
    """A literal: what it is called, and where its text stands."""

    symbol: str
    subkey: str | None
    outer: int | None
    text: str
    start: int
    end: int


@dataclass
class Written:
    """A file as it grows."""

    encoding: str
    newline: str
    data: bytes = b""
    planted: list[Planted] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Append text, with this file's line ends."""
        self.data += text.replace("\n", self.newline).encode(self.encoding)

    def plant(self, text: str, symbol: str, subkey: str | None = None, outer: int | None = None) -> None:
        """Append a literal that is to be found again."""
        start = len(self.data)
        self.add(text)
        self.planted.append(Planted(symbol, subkey, outer, text, start, len(self.data)))


@st.composite
def files(draw: st.DrawFn) -> Written:
    """A file with some thresholds, among what looks like them."""
    encoding, cookie, mark = draw(
        st.sampled_from(
            [
                ("utf-8", "", b""),
                ("utf-8", "", codecs.BOM_UTF8),
                ("utf-8", "# -*- coding: utf-8 -*-\n", b""),
                ("latin-1", "# coding: latin-1\n", b""),
                ("latin-1", "#!/bin/python\n# vim: set fileencoding=iso-8859-1 :\n", b""),
                ("cp1252", "# coding=cp1252\n", b""),
            ]
        )
    )
    made = Written(encoding, draw(st.sampled_from(["\n", "\r\n", "\r"])), mark)
    made.add(cookie)
    for number in range(draw(st.integers(1, 4))):
        made.add(f"{draw(st.sampled_from(NOISE))}\n")
        _threshold(draw, made, f"T{number}")
    made.add(draw(st.sampled_from(["", "\n", "# the end, T0 = 1"])))
    return made


def _threshold(draw: st.DrawFn, made: Written, name: str) -> None:
    kind = draw(st.sampled_from(["plain", "annotated", "continued", "beside", "table", "flat"]))
    comment = draw(st.sampled_from(["", f"  # {name} = 0.5 é", " # not 3"]))
    if kind in ("table", "flat"):
        made.add(f"{name} = {{{comment}\n")
        outers = draw(st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True)) if kind == "table" else [None]
        for outer in outers:
            if outer is not None:
                made.add(f"    {outer}: {{  # {outer}: 9\n")
            for key in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True)):
                made.add(f"\t\t{draw(st.sampled_from(['', chr(39) + 'é' + chr(39) + ': None, ']))}{key!r}:")
                _number(draw, made, name, key, outer)
                made.add(f",{comment}\n")
            if outer is not None:
                made.add("    },\n")
        made.add("}\n")
        return
    before = {
        "plain": f"{name} = ",
        "annotated": f"{name}:float=",
        "continued": f"{name} = \\\n   ",
        "beside": f"é{name} = 'é'; {name} = ",
    }[kind]
    made.add(before)
    _number(draw, made, name)
    made.add(f"{comment}\n")


def _number(draw: st.DrawFn, made: Written, *called: str | int | None) -> None:
    left, right = draw(st.sampled_from(WRAPS))
    made.add(left)
    made.plant(draw(st.sampled_from(NUMBERS)), *called)  # type: ignore[arg-type]  # symbol, subkey, outer
    made.add(right)
