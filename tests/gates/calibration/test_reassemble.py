"""What is put together again after a change is what would have been put together from nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.assemble import Run, assemble, reassemble
from gates.calibration.audit import audit, reaudit
from gates.documents import Broken, Document
from gates.journal import Event, Journal, decode_journal, encode_event
from tests.gates.calibration.samples import manifest_of, plan_data, record_data, stage_data

pytestmark = pytest.mark.travels

CHECKOUT = manifest_of(a=stage_data(), b=stage_data())
PATHS = [
    "plan.json",
    "stages.yaml",
    "environment-fingerprint.json",
    "a/run1.json",
    "a/run2.json",
    "b/run1.json",
    "c/run1.json",
]

documents = st.fixed_dictionaries(
    {},
    optional={
        "plan.json": st.sampled_from([plan_data(["a"]), plan_data(["a", "b"]), Broken("half")]),
        "stages.yaml": st.sampled_from([{"a": stage_data(expected_samples=20)}, {"a": stage_data()}, Broken("half")]),
        "environment-fingerprint.json": st.sampled_from([{"python": "3.12"}, {"python": "3.11"}]),
        **{
            path: st.sampled_from([record_data(), record_data(status="failed"), Broken("half"), None, []])
            for path in PATHS[3:]
        },
    },
)
events = st.lists(
    st.builds(
        lambda kind, stage, run, data: Event(
            "id", 1, {}, "2026-05-25T02:43:02Z", kind, {"stage": stage, "run": run, **data}
        ),
        st.sampled_from(["cell.recorded", "cell.discarded", "attempt.started"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 2),
        st.sampled_from(
            [{}, {"sha256": "x"}, {"sha256": "y"}, {"why": "discard", "reason": "loud"}, {"why": "set-aside"}]
        ),
    ),
    max_size=6,
)


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        path
        for path in before.keys() | after.keys()
        if path not in before or path not in after or before[path] != after[path]
    ]


@given(st.lists(st.tuples(documents, events, st.booleans()), min_size=2, max_size=5), st.sampled_from([None, CHECKOUT]))
def test_a_run_after_changes_is_the_run_from_nothing(
    steps: list[tuple[dict[str, Document], list[Event], bool]], checkout: Any
) -> None:
    before: dict[str, Document] = {}
    run: Run | None = None
    result = None
    written: list[Event] = []
    for found, more, rewritten in steps:
        written = more if rewritten else [*written, *more]
        journal = Journal(tuple(written))
        sums = {path: "x" if isinstance(document, dict) else "y" for path, document in found.items()}
        whole = assemble(found, checkout, journal, sha256=sums)
        again = whole if run is None else reassemble(run, found, changed(before, found), checkout, journal, sha256=sums)
        assert again == whole
        assert again._basis == whole._basis
        judged = audit(whole) if result is None else reaudit(result, again, changed(before, found))
        assert judged == audit(whole)
        before, run, result = found, again, judged


def test_another_checkout_is_seen() -> None:
    found: dict[str, Document] = {"plan.json": plan_data(["a"]), "a/run1.json": record_data()}
    run = reassemble(assemble(found), found, [], CHECKOUT)
    assert run.manifest == CHECKOUT
    assert run.manifest_from == "checkout"


lines = st.lists(
    st.one_of(
        st.integers(0, 99).map(lambda n: encode_event(Event(f"id{n}", n, {}, "2026-05-25T02:43:02Z", "k", {"n": n}))),
        st.sampled_from(
            [b"\n", b"torn", b'{"v":1', b"not json\n", b"[]\n", b"\xff\n", b'{"id":1}\n', "\n".encode("utf-16")]
        ),
    ),
    max_size=8,
)


@given(lines, lines)
def test_a_journal_that_grew_reads_like_the_whole(first: list[bytes], more: list[bytes]) -> None:
    before = b"".join(first)
    data = before + b"".join(more)
    assert decode_journal(data, before, decode_journal(before)) == decode_journal(data)


@given(lines, lines)
def test_a_journal_that_was_rewritten_is_read_anew(first: list[bytes], other: list[bytes]) -> None:
    before, data = b"".join(first), b"".join(other)
    assert decode_journal(data, before, decode_journal(before)) == decode_journal(data)


def test_the_newest_event_of_several_kinds() -> None:
    kinds = ["a", "b", "a", "c", "b"]
    journal = Journal(tuple(Event(f"id{n}", n, {}, "", kind) for n, kind in enumerate(kinds)))
    assert [
        event and event.seq for event in (journal.last("a"), journal.last("a", "c"), journal.last("x", "b", "a"))
    ] == [2, 3, 4]
    assert journal.last("x") is None
    assert Journal(()).last("a") is None
