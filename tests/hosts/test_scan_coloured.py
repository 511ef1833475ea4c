"""A scan of a log with colours in it against one of the same log without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.local import lines, scan
from hosts.local.blocks import BlockHits, Matcher, Pattern
from hosts.local.lines import UTF8, UTF16_BE, UTF16_LE, Encoding
from hosts.local.scan import Job
from tests.hosts.colours import PLACES, coloured
from tests.hosts.expressions import MADE, TABLE

pytestmark = pytest.mark.travels


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 2048)  # no row is longer
        patch.setattr(scan, "_LOOK", 8)
        yield


ROWS = st.lists(st.sampled_from(["ERROR", "error", "x", "é", " ", "1", "boom", "." * 20, "\r"]), max_size=8).map(
    "".join
)
LOGS = st.lists(st.tuples(ROWS, PLACES), min_size=1, max_size=60)
PATTERNS = st.builds(Pattern, st.sampled_from(["ERROR", "r1x", "x é", "om1", "m", "1"]), st.just(False), st.booleans())
EXPRESSIONS = st.builds(
    Pattern, st.sampled_from(["^ERROR", "boom$", "^$", r"x\s?1", *TABLE]) | MADE, st.just(True), st.booleans()
)


@given(
    LOGS,
    PATTERNS | EXPRESSIONS,
    st.booleans(),
    st.sampled_from([UTF8, UTF16_LE, UTF16_BE]),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.floats(0, 1), max_size=3),
)
def test_the_same_rows_pass(
    log: list[tuple[str, list[tuple[float, str]]]],
    pattern: Pattern,
    exclude: bool,
    encoding: Encoding,
    newline: str,
    stops: list[float],
) -> None:
    matcher = Matcher((), (pattern,)) if exclude else Matcher((pattern,))
    plain = "".join(row + newline for row, _ in log).encode(encoding.name)
    painted = "".join(coloured(row.encode(), places).decode() + newline for row, places in log).encode(encoding.name)
    assert rows_that_pass(painted, matcher, encoding, stops) == rows_that_pass(plain, matcher, encoding, [])


def rows_that_pass(data: bytes, matcher: Matcher, encoding: Encoding, stops: list[float]) -> list[int]:
    """Their numbers, of a log that was looked at while it grew."""
    sizes = [round(part * len(data)) for part in sorted(stops)]
    size = sizes.pop(0) if sizes else len(data)
    job = Job(lambda at, wanted: data[at : min(size, at + wanted)], matcher, encoding, 0, size)
    found: dict[int, BlockHits] = {}
    while True:
        found.update({hits.block: hits for hits in iter(job.step, None)})
        if size == len(data):
            break
        size = sizes.pop(0) if sizes else len(data)
        job.grow(0, size)
    rows, first = [], 0
    for block in range(job.blocks):
        bits = int.from_bytes(found[block].bits, "little")
        rows += [first + row for row in range(bits.bit_length()) if bits >> row & 1]
        first = 1 + sum(at < (block + 1) * lines.BLOCK for at in ends(data, encoding))
    return rows


def ends(data: bytes, encoding: Encoding) -> list[int]:
    """Where newlines end."""
    found, at = [], 0
    while (at := lines.find_newline(data, encoding, 0, at)) >= 0:
        at += encoding.unit
        found.append(at)
    return found
