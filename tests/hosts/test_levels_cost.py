"""What it costs to tell a level from text that was written to cost much."""

from __future__ import annotations

import pytest

from hosts.local import jsonlevels, levels
from hosts.local.levels import NO_LEVEL, Level, Levels, level_of
from tests.hosts.cost import UNBOUNDED, hostile, little_work

pytestmark = pytest.mark.travels


@pytest.mark.parametrize("front", [b"", b'{"log":"', b'{"level":', b"=== "])
@pytest.mark.parametrize(
    "unit",
    [
        b"h1 p[1]: ",
        b"1 a a[1]: ",
        b"error: 0 ",
        b"[ ",
        b'{"level":',
        b"\\r",
        b'{"a":',
        b'"',
        b'"a":"b",',
        b"[",
        b"1 ",
        b"a: ",
        b"1:",
        b"a b ",
        b"= ",
        b"__ _ ",
        b" ",
        b"a.",
    ],
)
def test_a_long_hostile_head_costs_little(front: bytes, unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "HEAD", UNBOUNDED)
    monkeypatch.setattr(jsonlevels, "REACH", UNBOUNDED)
    line = front + hostile(unit, b" level error")
    with little_work():
        level_of(line)
        Levels().ranks(line)


@pytest.mark.parametrize(
    ("front", "filling", "last", "most"),
    [
        (b"x ", b"x", b" level=error ", levels.HEAD),
        (b'{"x":"', b"x", b'","level":"error"}', jsonlevels.REACH),
        (b'{"level_of":{},"x":"', b"x", b'","level":"error"}', jsonlevels.REACH),
        (b'{"level_of":{},', b'"x":1,', b'"level":"error"}', 6 * 1000),  # six bytes each, and no more than a thousand
    ],
)
def test_what_stands_far_behind_is_not_looked_at(front: bytes, filling: bytes, last: bytes, most: int) -> None:
    least = (most - len(front) - len(last)) // len(filling)
    near, far = (front + filling * count + last for count in (least - 5, least + len(last)))
    assert (level_of(near), level_of(far)) == (Level.ERROR, None)
    assert list(Levels().ranks(near + b"\n" + far)) == [Level.ERROR.rank, NO_LEVEL]
