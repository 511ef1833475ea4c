from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings

from gates.calibration.edits import (
    Edit,
    EditError,
    FileEdits,
    apply_edits,
    blanked,
    digest,
    files_json,
    is_inside,
    number_in,
    number_text,
    parse_files,
    spans_after,
)
from gates.calibration.source import Number, literal, parse_facts
from jobs.runner.calibration import facts_script
from tests.gates.calibration.sourcefiles import NUMBERS, Written, files

pytestmark = pytest.mark.travels

FINITE = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def changes(draw: st.DrawFn) -> tuple[bytes, list[Edit]]:
    """Bytes, and edits in any order that do not overlap."""
    data = draw(st.binary(min_size=1, max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(data)), max_size=12)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    edits = [Edit(start, end, data[start:end], draw(st.binary(max_size=5))) for start, end in spans]
    return data, draw(st.permutations(edits))


@given(changes())
def test_nothing_but_the_edits_changes(change: tuple[bytes, list[Edit]]) -> None:
    data, edits = change
    result = apply_edits(data, edits)
    for edit, (start, end) in zip(edits, spans_after(edits), strict=True):
        assert result[start:end] == edit.new
    back = [
        Edit(start, end, edit.new, edit.old)
        for edit, (start, end) in zip(edits, spans_after(edits), strict=True)
        if edit.new
    ]
    if len(back) == len(edits):
        assert apply_edits(result, back) == data
    untouched = bytearray(data)
    for edit in sorted(edits, key=lambda one: -one.start):
        del untouched[edit.start : edit.end]
    rest = bytearray(result)
    for start, end in sorted(spans_after(edits), reverse=True):
        del rest[start:end]
    assert rest == untouched


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ([Edit(0, 2, b"ab", b"x"), Edit(1, 3, b"bc", b"y")], "overlap"),
        ([Edit(0, 2, b"ab", b"x"), Edit(0, 2, b"ab", b"x")], "overlap"),
        ([Edit(2, 9, b"c", b"x")], "outside"),
        ([Edit(-1, 1, b"a", b"x")], "outside"),
        ([Edit(1, 1, b"", b"x")], "outside"),
        ([Edit(0, 1, b"b", b"x")], "byte 0: 'b' was planned to be replaced, 'a' is there"),
    ],
)
def test_edits_that_do_not_fit_are_refused(edits: list[Edit], why: str) -> None:
    with pytest.raises(EditError, match=why):
        apply_edits(b"abc", edits)


def test_blanking_forgets_the_literals_alone() -> None:
    assert blanked(b"T = 0.5 # 0.5", [(4, 7), (4, 7)]) == blanked(b"T = 1_000 # 0.5", [(4, 9)])
    assert blanked(b"T = 0.5 # 0.5", [(4, 7)]) != blanked(b"T = 0.5 # 0.6", [(4, 7)])


@pytest.mark.parametrize(
    ("new", "like", "expected"),
    [
        (4, "3", "4"),
        (4.0, "3", "4"),
        (4.5, "3", "4.5"),
        (54, "53.1", "54.0"),
        (54.0, "53.1", "54.0"),
        (0.1 + 0.2, "0.3", "0.30000000000000004"),
        (1800.0, "1_800.0", "1_800.0"),
        (0.04, "0.0400", "0.0400"),
        (1801.5, "1_800.0", "1801.5"),
        (0.06, "5.5e-2", "0.06"),
        (1e-7, "5.5e-2", "1e-07"),
        (-2, "- 1", "-2"),
        (2, "-(1)", "2"),
        (16, "0x0f", "16"),
        (2**53 + 1, "0.5", "9007199254740993"),
        (1e23, "3", "1e+23"),
    ],
)
def test_the_style_of_a_number_survives(new: float, like: str, expected: str) -> None:
    assert number_text(new, like) == expected


@given(FINITE, st.sampled_from(NUMBERS) | FINITE.map(repr))
def test_no_precision_is_lost(new: float, like: str) -> None:
    text = number_text(new, like)
    assert number_in(text) == new
    if text != like:
        whole = new == int(new) and (isinstance(new, int) or abs(new) <= 2**53)
        stays = whole if isinstance(number_in(like), int) else isinstance(new, int) and float(new) != new
        assert isinstance(number_in(text), int) == stays


@pytest.mark.parametrize("new", [math.nan, math.inf, -math.inf, True, 10**400])
def test_no_number_is_no_literal(new: float) -> None:
    with pytest.raises(EditError, match="not a finite number"):
        number_text(new, "3")


@pytest.mark.parametrize(
    "text",
    ["", "x", "3j", "True", "1 if x else 2", "1-2", "1e999", "3 # 4", "3\n", "__import__('os')", "(3", "03", "3 or 4"],
)
def test_other_texts_are_no_numbers(text: str) -> None:
    with pytest.raises(EditError, match="not a number"):
        number_in(text)


@settings(max_examples=100)
@given(files(), st.data())
def test_exactly_the_planned_literals_of_a_random_file_change(made: Written, data: st.DataObject) -> None:
    found = parse_facts(facts_script.facts("t.py", made.data))
    edits: list[Edit] = []
    meant: dict[tuple[str, str | None, int | None], float] = {}
    for one in data.draw(st.lists(st.sampled_from(made.planted), min_size=1, unique_by=lambda one: one.start)):
        number = literal(found, one.symbol, one.subkey, one.outer)
        assert isinstance(number, Number)
        new = data.draw(st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9))
        text = number_text(new, number.text).encode()
        edits.append(Edit(number.start, number.end, number.text.encode(), text))
        meant[one.symbol, one.subkey, one.outer] = new
    result = apply_edits(made.data, edits)
    asked = [
        {"old": [edit.start, edit.end], "new": list(span), "value": number_in(edit.new.decode())}
        for edit, span in zip(edits, spans_after(edits), strict=True)
    ]
    assert facts_script.check("t.py", made.data, result, asked) is None
    before, after = _run(made.data), _run(result)
    for one in made.planted:
        called = (one.symbol, one.subkey, one.outer)
        assert _value(after, *called) == meant.get(called, _value(before, *called))
    # and nothing is found out about anything else
    assert _run(result, blank=made) == _run(made.data, blank=made)


def _run(data: bytes, blank: Written | None = None) -> dict[str, Any]:
    """What a file's names mean; with `blank`, without those that were planted."""
    names: dict[str, Any] = {}
    exec(compile(data, "t.py", "exec", dont_inherit=True), names)  # noqa: S102 - a file of this test
    planted = {one.symbol for one in blank.planted} if blank is not None else set()
    return {
        name: value
        for name, value in names.items()
        if name not in planted and name != "__builtins__" and (blank is None or isinstance(value, (int, str, list)))
    }


def _value(names: dict[str, Any], symbol: str, subkey: str | None, outer: int | None) -> Any:
    value = names[symbol]
    value = value if outer is None else value[outer]
    return value if subkey is None else value[subkey]


@pytest.mark.parametrize(
    ("new", "planned", "why"),
    [
        (b"T = 4\nU = 3\n", 4, None),
        (b"T = 4\nU = 5\n", 4, "more than the planned"),
        (b"T = 4\nV = 3\n", 4, "more than the planned"),
        (b"T = 4\nU = 3; W = 1\n", 4, "more than the planned"),
        (b"T = 4\nU = 3 # x\n", 4, None),
        (b"T = 5\nU = 3\n", 4, "5 would be written where 4 is planned"),
        (b"T = 4\nU = 3\n", 4.0, "4 would be written where 4.0 is planned"),
        (b"T = x\nU = 3\n", 4, "no number of its own"),
        (b"T = 4\nU = (\n", 4, "as it would be written: syntax error, line 2"),
    ],
)
def test_the_proof_of_a_result_can_fail(new: bytes, planned: float, why: str | None) -> None:
    said = facts_script.check("t.py", b"T = 3\nU = 3\n", new, [{"old": [4, 5], "new": [4, 5], "value": planned}])
    assert (said is None) if why is None else why in str(said)


def test_a_payload_comes_back_as_it_went() -> None:
    about = MappingProxyType({"stage": "digits_speed", "direction": "tightens"})
    edits = (Edit(4, 8, b"-0.5", b"0.25", about), Edit(20, 21, b"3", b"4"))
    planned = [
        FileEdits("tests/test_x.py", "0" * 64, 0o644, 77, edits),
        FileEdits("b.py", "1" * 64, 0o600, None, edits),
    ]
    again = parse_files(files_json(planned))
    assert again == tuple(planned)
    assert digest(again) == digest(list(reversed(again)))


@given(st.data())
def test_the_digest_names_exactly_one_change(data: st.DataObject) -> None:
    edits = st.builds(
        Edit, st.integers(0, 3), st.integers(4, 6), st.sampled_from([b"1", b"2"]), st.sampled_from([b"3", b"4"])
    )
    file = st.builds(
        FileEdits,
        st.sampled_from(["a.py", "b.py"]),
        st.sampled_from(["0" * 64, "1" * 64]),
        st.sampled_from([0o644, 0o755]),
        st.none(),
        st.lists(edits, min_size=1, max_size=2).map(tuple),
    )
    one, other = data.draw(file), data.draw(file)
    assume(one != other and {*one.edits} != {*other.edits})
    assert digest([one]) != digest([other])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"path": "../x.py"}, "path"),
        ({"path": "/etc/x.py"}, "path"),
        ({"path": ".git/hooks/x"}, "path"),
        ({"sha256": "00"}, "sha256"),
        ({"mode": -1}, "mode"),
        ({"mode": None}, "mode"),
        ({"inode": "7"}, "inode"),
        ({"edits": {}}, "edits"),
        ({"edits": [{"start": 0, "end": 1, "old": "3", "new": "import os"}]}, "not a number"),
        ({"edits": [{"start": 0, "end": 1, "old": "3", "new": "(4)"}]}, "not a plain number"),
        ({"edits": [{"start": 0, "end": 1, "old": "3", "new": "nan"}]}, "not a number"),
        ({"edits": [{"start": 0, "end": 1, "old": "x", "new": "4"}]}, "not a number"),
        ({"edits": [{"start": True, "end": 1, "old": "3", "new": "4"}]}, "start"),
    ],
)
def test_a_payload_of_another_kind_is_refused(change: dict[str, Any], why: str) -> None:
    good: dict[str, Any] = {
        "path": "a.py",
        "sha256": "0" * 64,
        "mode": 0o644,
        "edits": [{"start": 0, "end": 1, "old": "3", "new": "4"}],
    }
    assert parse_files([good])
    with pytest.raises(EditError, match=why):
        parse_files([{**good, **change}])


def test_a_file_is_planned_once_and_changes_something() -> None:
    same: Any = {
        "path": "a.py",
        "sha256": "0" * 64,
        "mode": 0o644,
        "edits": [{"start": 0, "end": 1, "old": "3", "new": "3"}],
    }
    assert parse_files([same]) == ()
    with pytest.raises(EditError, match="twice"):
        parse_files([same, same])


@pytest.mark.parametrize("path", ["a.py", "tests/é/b.py", "..a/b", "-x.py"])
def test_paths_inside(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "./a", "a/../b", "a/.git/config", "a\0b"])
def test_paths_elsewhere(path: str) -> None:
    assert not is_inside(path)
