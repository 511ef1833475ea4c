"""Regular expressions and rows to try them on."""

from __future__ import annotations

from hypothesis import strategies as st

TABLE = (
    "ERROR.*node-1[0-9]+", "^ERROR", "x$", "^$", "^x*$", r"\AERROR\Z", r"\bnode\b", r"\Bode", r"\d+", r"\D",
    r"\w+\s\w", r"\W+x", r"\S+ \S", "[^,]+,", "[^a]b", r"[\s,]x", r"[^\s]x", r"[\D]1", r"[\W\d]x", "[a-f0-9]{4}",
    "a.c", "a.{2,3}c", "(?i)error", "(?i:e)rror", r"(?a)\w+é", "(?s)a.c", "(?m)^x$", "(?x) a  c # no", "é", "[éè]",
    "[^é]x", "(?i)É", "(?i)s", "(?i)ki", "(?i)straße", r"(a|b)\1", "(?P<n>x)(?P=n)", "(x)?(?(1)y|z)", "x(?=y)",
    "x(?!y)", "(?<=a)b", "(?<!a)b", r"(?<=\s)x", r"(?<!\s)x", r"x(?!\s)", "a|", "a*", "(?:a|bc)+d", "x{2}", "x{0}y",
    "x+?y", r"\x00", r"\t", r"\r", r"\.", "[]x]", r"[\\s]", r"[&~|\-\]]x", r"\n", r"a\nb", "\udcffx", "[\udcff]",
    "$", "^", "()", "(?!)", "a(?#note)b",
)  # fmt: skip
"""Every kind of thing that an expression can be made of."""

_LETTERS = st.sampled_from(
    [*"abcxyz ,1\t\r.é\0-_", "ERROR", "node-12", "error", "ſ", "K", "İ", "ß", "\u2028", "\x1c", "\udcff"]
)
LINES = st.lists(_LETTERS, max_size=12).map("".join).map(lambda line: line.encode("utf-8", "surrogateescape"))
"""Rows without their newlines; some are no UTF-8."""

_atoms = st.sampled_from(
    [*"abxy1,é", ".", r"\d", r"\s", r"\S", r"\w", "[^a]", "[ax]", "[^x\\s]", r"\b", "^", "$", "[a-é]"]
)
MADE = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "*?", "{1,2}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(st.sampled_from(["(?=", "(?!", "(", "(?i:"]), inner).map(lambda two: f"{two[0]}{two[1]})"),
    ),
    max_leaves=8,
)
"""Expressions put together at random."""
