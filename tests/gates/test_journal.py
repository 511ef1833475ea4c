from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.journal import Event, Journal, decode_journal, encode_event

pytestmark = pytest.mark.travels

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.builds(
    Event,
    id=st.text(max_size=26),
    seq=st.integers(0, 1 << 60),
    writer=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    at=st.text(max_size=20),
    kind=st.text(max_size=20),
    data=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
)


@given(st.lists(EVENTS, max_size=5))
def test_what_was_written_is_read(events: list[Event]) -> None:
    data = b"".join(map(encode_event, events))
    assert decode_journal(data) == Journal(tuple(events))
    assert data.count(b"\n") == len(events)


@given(st.lists(EVENTS, min_size=1, max_size=4), st.data())
def test_every_prefix_loads(events: list[Event], data: st.DataObject) -> None:
    lines = [encode_event(event) for event in events]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    journal = decode_journal(whole[:cut])
    assert journal.findings == ()
    assert journal.events == tuple(events[: len(journal.events)])
    assert len(journal.events) >= whole[:cut].count(b"\n")
    assert journal.torn is (cut > 0 and whole[cut - 1] != 10)


@given(st.lists(EVENTS, min_size=1, max_size=3), st.binary(max_size=30))
def test_a_torn_line_is_closed_by_the_next_writer_and_told(events: list[Event], torn: bytes) -> None:
    lines = [encode_event(event) for event in events]
    journal = decode_journal(lines[0] + torn + b"\n" + b"".join(lines))
    assert journal.events[0] == events[0]
    assert journal.events[-len(events) :] == tuple(events)
    assert not journal.torn


@given(st.binary(max_size=300))
def test_any_bytes_load(data: bytes) -> None:
    journal = decode_journal(data)
    assert journal.last_seq >= 0 or journal.events
    assert all(finding.startswith("events.jsonl:") for finding in journal.findings)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"id":"x","at":"t","kind":"k","seq":true}',
        b'{"id":"x","at":"t","kind":"k","seq":1,"data":NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_broken_line_is_a_finding_and_the_rest_goes_on(line: bytes) -> None:
    good = encode_event(Event("a", 1, {}, "2026-05-25T02:43:02Z", "run.started"))
    journal = decode_journal(good + line + b"\n" + good)
    assert len(journal.events) == 2
    assert len(journal.findings) == 1
    assert journal.findings[0].startswith("events.jsonl:2: ")


@pytest.mark.parametrize("tail", [b"x" * 200_000, b"\0" * 40, b"{\0\0", b"[1]"])
def test_an_end_that_no_crash_leaves_is_a_finding(tail: bytes) -> None:
    good = encode_event(Event("a", 1, {}, "2026-05-25T02:43:02Z", "run.started"))
    journal = decode_journal(good + tail)
    assert journal.torn
    assert [finding[:16] for finding in journal.findings] == ["events.jsonl:2: "]
    assert decode_journal(good + tail, good, decode_journal(good)) == journal
    assert decode_journal(good + good[:-5]).findings == ()


def test_unknown_kinds_are_kept() -> None:
    event = Event("a", 7, {"pid": 1}, "2026-05-25T02:43:02Z", "something.new", {"x": [1]})
    journal = decode_journal(encode_event(event))
    assert journal.last("something.new") == event
    assert journal.last("run.started") is None
    assert (journal.last_seq, Journal(()).last_seq) == (7, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_json_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_event(Event("a", 1, {}, "t", "k", {"x": value}))
