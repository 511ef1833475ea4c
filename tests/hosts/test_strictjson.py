from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.strictjson import JsonError, dumps, loads

pytestmark = pytest.mark.travels

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 2]))
def test_what_was_written_is_read_back(value: Json, indent: int | None) -> None:
    assert loads(dumps(value, indent=indent)) == value


@given(st.text() | st.binary())
def test_any_input_gives_a_value_or_a_json_error(data: str | bytes) -> None:
    try:
        same = loads(data, "f.json") == json.loads(data)
    except JsonError as error:
        same = str(error).startswith("f.json:") and "\n" not in str(error)
    assert same


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"a": 1,\n  "a": 2}', 'f:2:3: duplicate key "a" (first on line 1)'),
        ('{"x": [{"k": 1}, {"k": 1, "j": 2,\n"k": 3}]}', 'f:2:1: duplicate key "x[1].k" (first on line 1)'),
        ('{"a": 1, "\\u0061": 2}', 'f:1:10: duplicate key "a" (first on line 1)'),
        ('{"a": {"b": [1, NaN]}}', 'f:1:17: NaN is not JSON (at "a.b[1]")'),
        ("[1,\n-Infinity]", 'f:2:1: -Infinity is not JSON (at "[1]")'),
        ("NaN", "f:1:1: NaN is not JSON"),
        ('["NaN", 1e999]', 'f:1:9: 1e999 is out of range (at "[1]")'),
        ('{"n": -1e400}', 'f:1:7: -1e400 is out of range (at "n")'),
        ('{"n": ' + "9" * 5000 + "}", 'f:1:7: a number of 5000 digits, at most 640 are read (at "n")'),
        ("[" * 201 + "]" * 201, "f:1:201: nested too deeply, at most 200 levels are read"),
        ("[" * 100_000, "f:1:201: nested too deeply, at most 200 levels are read"),
        ('{"a":' * 100_000, "f:1:1001: nested too deeply, at most 200 levels are read"),
        ("", "f:1:1: empty, no JSON value in it"),
        (" \n", "f:1:1: empty, no JSON value in it"),
        ('{"a": 1} x', "f:1:10: extra data"),
        ('{"a": "é",\n "b": tru}', "f:2:7: expecting value"),
        ('["a\nb"]', "f:1:4: invalid control character at"),
        (b'{"\xc3\xa9": "\xff"}', "f:1:8: not UTF-8: byte 0xff at offset 8"),
        (b'{\n"a": "\xc3', "f:2:7: not UTF-8: byte 0xc3 at offset 8"),
        (b"\xef\xbb\xbf{}", "f:1:1: starts with a UTF-8 byte order mark; plain UTF-8 is needed"),
        ("\ufeff{}", "f:1:1: starts with a byte order mark; plain UTF-8 is needed"),
        ("{}".encode("utf-16"), "f:1:1: starts with a UTF-16 byte order mark; plain UTF-8 is needed"),
        ("{}".encode("utf-32"), "f:1:1: starts with a UTF-32 byte order mark; plain UTF-8 is needed"),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) < 80 else "long",
)
def test_refuses_with_a_place(data: str | bytes, message: str) -> None:
    with pytest.raises(JsonError) as caught:
        loads(data, "f")
    assert str(caught.value) == message
    assert isinstance(caught.value, InputError)


@pytest.fixture(params=[640, 4300, 0], ids=["least", "usual", "none"])
def limit_of_python(request: pytest.FixtureRequest) -> Iterator[None]:
    """What PYTHONINTMAXSTRDIGITS may set."""
    if sys.version_info < (3, 11):
        pytest.skip("not every Python of this version has a limit")
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(request.param)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("limit_of_python")
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("room", [0, 5000], ids=["short", "long"])
def test_how_long_a_number_may_be_is_not_for_the_environment_to_say(sign: str, room: int) -> None:
    lines = "[1,\n" + " " * room
    longest = sign + "9" * 640
    assert str(loads(f"{lines}{longest}]")) == f"[1, {longest}]"
    for digits in (641, 700, 4300, 4301):
        with pytest.raises(JsonError) as caught:
            loads(f"{lines}{sign}{'9' * digits}]", "f")
        assert str(caught.value) == f'f:2:{room + 1}: a number of {digits} digits, at most 640 are read (at "[1]")'


def test_depth_is_counted_in_levels() -> None:
    deep = "[" * 200 + "]" * 200
    assert loads(deep) is not None
    wide = json.dumps([[{"a": []}]] * 300)
    assert len(str(loads(wide, max_depth=4))) > 0
    with pytest.raises(JsonError, match="at most 3 levels"):
        loads(wide, max_depth=3)


def test_size_is_bounded_before_anything_is_read() -> None:
    with pytest.raises(JsonError, match="too large: 11 bytes, at most 10 are read"):
        loads(b"[1,2,3,4,5]", max_bytes=10)


def test_a_long_key_does_not_flood_the_message() -> None:
    key = "k" * 10_000
    with pytest.raises(JsonError) as caught:
        loads(f'{{"{key}": 1, "{key}": 2}}')
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [math.nan, math.inf, [{"a": -math.inf}]])
def test_nothing_that_is_no_json_is_written(value: Json) -> None:
    with pytest.raises(JsonError, match="cannot be written as JSON"):
        dumps(value)


def test_how_it_is_written() -> None:
    assert dumps({"b": [1, "é"], "a": None}) == '{"b":[1,"é"],"a":null}'.encode()
    assert dumps({"a": [1]}, indent=2) == b'{\n  "a": [\n    1\n  ]\n}\n'
    assert loads(dumps({"\udc80": "é"})) == {"\udc80": "é"}


def test_a_key_and_a_number_of_the_good_path_cost_one_call_each() -> None:
    def calls(count: int) -> int:
        values = [i * 0.37 for i in range(count)]
        data = json.dumps({"metrics": {f"metric_{i}": value for i, value in enumerate(values)}, "all": values}).encode()
        seen = 0

        def note(_frame: object, event: str, _argument: object) -> None:
            nonlocal seen
            seen += event == "call"

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            strictjson.loads(data)
        finally:
            sys.setprofile(before)
        return seen

    assert calls(1_000) < 3_050  # a thousand keys, and two thousand numbers
