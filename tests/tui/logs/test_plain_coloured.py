"""Lines of a stream are chosen by what is shown of them, and printed as they are."""

from __future__ import annotations

import pytest

from hosts.local.lines import UTF16_LE, Encoding
from monitors.logs.types import Filter, Query
from tests.monitors.logs.memory import MemorySource
from tests.tui.logs.test_plain import Printed, _at_once, printed  # noqa: F401 - a fixture of this module too
from tui.logs.plain import Request
from tui.logs.plaintext import PlainText
from tui.logs.sieve import sieve_of

PASSED = b"tests/b.py::test_y \x1b[32mPASSED\x1b[0m\n"
ERROR = b"\x1b[1m\x1b[31mERROR\x1b[0m: boom\n"
PLAIN = b"31m ERROR\n"
LOG = PASSED + b"hay\n" + ERROR + PLAIN

FILTERS = [
    (Filter((Query("test_y PASSED"),)), PASSED),
    (Filter((Query("error: BOOM", case=False),)), ERROR),
    (Filter((Query("^ERROR", regex=True),)), ERROR),
    (Filter((Query("PASSED$", regex=True),)), PASSED),
    (Filter((Query("31m"),)), PLAIN),
    (Filter(exclude=(Query("ERROR: b"), Query("hay"))), PASSED + PLAIN),
    (Filter((Query("ERROR: b"),), context=1), b"hay\n" + ERROR + PLAIN),
]


@pytest.mark.parametrize("lines", [None, 3])
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("encoding", [None, UTF16_LE], ids=["utf-8", "le"])
@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
async def test_colours_hide_nothing(
    wanted: Filter, expected: bytes, encoding: Encoding | None, follow: bool, lines: int | None
) -> None:
    data = LOG if encoding is None else encoding.bom + LOG.decode().encode(encoding.name)
    source = MemorySource(data, descriptors=True)
    made = Printed(source, Request(lines, follow=follow, wanted=wanted))
    await made.run([MemorySource.end] if follow else [])
    assert bytes(made.out) == PlainText().render(expected)


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
def test_what_passes_keeps_its_colours(wanted: Filter, expected: bytes) -> None:
    assert b"".join(sieve_of(wanted).sift(LOG)) == expected
    windows = b"".join(sieve_of(wanted).sift(LOG.replace(b"\n", b"\r\n")))
    assert windows.replace(b"\r\n", b"\n") == expected


@pytest.mark.parametrize("behind", [b"\r", b"\x1b[0m\r", b"\r\x1b[0m"])
def test_the_last_line_ends_before_its_carriage_return(behind: bytes) -> None:
    rows = b"x boom%b\ny boom%b\n" % (behind, behind)
    assert b"".join(sieve_of(Filter((Query("boom$", regex=True),))).sift(rows)).count(b"boom") == 2


@pytest.mark.parametrize("cut", range(1, len(PASSED)))
def test_pieces_of_a_line_pass_together(cut: int) -> None:
    for text, expected in (("y PASSED", PASSED), ("Y P", b"")):
        sieve = sieve_of(Filter((Query(text),)))
        assert b"".join(part for piece in (PASSED[:cut], PASSED[cut:]) for part in sieve.sift(piece)) == expected
