from __future__ import annotations

import math
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hosts.errors import InputError
from hosts.host import Json
from hosts.yamldoc import YamlError, dotted, load

DOCUMENT = b"""\
# what runs
stages:
  - name: first
    env: {LR: 1.10, N: 007, ON: on}
  - name: second
    "odd key": [1,
      2]
empty:
"""


def value_of(text: str) -> Json:
    return load(text.encode(), "f.yaml").value


def test_value_and_places() -> None:
    document = load(DOCUMENT, "f.yaml")
    assert document.value == {
        "stages": [
            {"name": "first", "env": {"LR": 1.1, "N": "007", "ON": "on"}},
            {"name": "second", "odd key": [1, 2]},
        ],
        "empty": None,
    }
    assert document.line_of(()) == 2
    assert document.line_of(("stages",)) == 2
    assert document.position(("stages", 0)) == (3, 5)
    assert document.position(("stages", 0, "env", "N")) == (4, 21)
    assert document.locate(("stages", 1, "odd key", 1)) == 'f.yaml:7: stages[1]["odd key"][1]'
    assert document.locate(("empty",)) == "f.yaml:8: empty"


def test_what_is_missing_is_located_at_what_is_around_it() -> None:
    document = load(DOCUMENT, "f.yaml")
    assert document.locate(("stages", 1, "needed")) == "f.yaml:5: stages[1].needed"
    assert document.line_of(("stages", 9)) == 2
    assert document.line_of(("stages", "x", "y")) == 2
    assert document.line_of(("none",)) == 2
    error = document.error(("stages", 0, "env"), "must be a list")
    assert str(error) == "f.yaml:4: stages[0].env: must be a list"
    assert str(document.error((), "must be a mapping")) == "f.yaml:2: must be a mapping"


def test_what_was_typed() -> None:
    document = load(DOCUMENT, "f.yaml")
    assert document.text(("stages", 0, "env", "LR")) == "1.10"
    assert document.text(("stages", 0, "env", "N")) == "007"
    assert document.text(("empty",)) == ""
    assert document.text(("stages",)) is None
    assert document.text(("stages", 7)) is None
    assert document.text(("stages", 0, "name", "x")) is None


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("No", "No"), ("y", "y"),
        ("true", True), ("True", True), ("FALSE", False), ("tRUE", "tRUE"),
        ("null", None), ("~", None), ("", None), ("NULL", None), ("none", "none"),
        ("012", "012"), ("0", 0), ("-0", 0), ("+3", 3), ("12", 12), ("-12", -12), ("1_000", "1_000"), ("00", "00"),
        ("0x1F", 31), ("0o17", 15), ("0b1", "0b1"), ("0xg", "0xg"),
        ("1:20", "1:20"), ("190:20:30", "190:20:30"), ("2026-05-22", "2026-05-22"),
        ("2026-05-22T16:52:36Z", "2026-05-22T16:52:36Z"), ("12e03", 12000.0),
        ("1e3", 1000.0), ("1.10", 1.1), (".5", 0.5), ("5.", 5.0), ("-1.5E-3", -0.0015), ("1.2.3", "1.2.3"),
        ("0.0", 0.0),
        ("'12'", "12"), ('"true"', "true"), ("''", ""), ("|\n  12\n", "12\n"), ("=", "="), ("infinity", "infinity"),
        ("!!str 12", "12"), ("! 12", "12"), ("!!int 12", 12), ('!!int "12"', 12), ("!!float 12", 12.0),
        ("!!null ''", None),
        ("é ü", "é ü"), ("\U0001f600", "\U0001f600"),
    ],
)  # fmt: skip
def test_scalars_by_the_core_schema_less_its_surprises(typed: str, value: Json) -> None:
    found = value_of(f"k: {typed}")
    assert found == {"k": value}
    assert isinstance(found, dict)
    assert type(found["k"]) is type(value)


def test_keys_are_text_as_typed() -> None:
    assert value_of("on: 1\n2: x\n1.10: y\ntrue: z\n") == {"on": 1, "2": "x", "1.10": "y", "true": "z"}


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
MERGE_BOMB = "a0: &a0 {k: x}\n" + "".join(
    f"a{i}: &a{i} {{{', '.join(f'b{j}: {{<<: *a{i - 1}}}' for j in range(10))}}}\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3: duplicate key 'a' (first on line 1)"),
        ("a:\n  x: 1\n  'x': 2\n", "f:3: duplicate key 'x' (first on line 2)"),
        ("1: a\n'1': b\n", "f:2: duplicate key '1' (first on line 1)"),
        ("a:\n\t- b\n", "f:2: a tab stands in the indentation; YAML takes only blanks there"),
        ("a: b: c\n", "f:1: mapping values are not allowed in this context (column 5)"),
        ("a: [1,\n", "f:2: did not find expected node content, while parsing a flow node (column 1)"),
        ("a: 'x\n", None),
        ("a: *x\n", "f:1: alias *x has no anchor before it"),
        ("a: &x [*x]\n", "f:1: alias *x stands within what it refers to"),
        ("a: !!python/object/apply:os.system [id]\n", "f:1: tag !!python/object/apply:os.system is not read"),
        ("a: !!timestamp 2026-01-01\n", "f:1: tag !!timestamp is not read"),
        ("a: !mine x\n", "f:1: tag !mine is not read"),
        ("a: !!int x\n", "f:1: 'x' is not what its tag says"),
        ("a:\n - .nan\n", "f:2: .nan is not a finite number"),
        ("a: -.INF\n", "f:1: -.INF is not a finite number"),
        ("a: 1e999\n", "f:1: 1e999 is out of range"),
        ("a: " + "9" * 5000, "f:1: a number of 5000 digits, at most 4300 are read"),
        ("a: 1\n---\nb: 2\n", "f:2: a second document starts here; one file holds one"),
        ("? [a]\n: 1\n", "f:1: a key must be a plain word, not a list or a mapping"),
        ("'': 1\n", "f:1: an empty key"),
        ("a: 1\nb: \x07\n", "f:2: character U+0007 is not allowed in YAML"),
        ("a: " + "[" * 100_000, "f:1: nested too deeply, at most 100 levels are read"),
        ("\n".join(" " * i + "a:" for i in range(150)), "f:101: nested too deeply, at most 100 levels are read"),
        ("<<: 1\n", "f:1: << must be followed by a mapping, or by a list of them"),
        (BOMB, None),
        (MERGE_BOMB, None),
        ("a: &a x\nb: [" + "*a, " * 1001 + "]", "f:2: too many aliases, or they stand for too much"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "any",
)  # fmt: skip
def test_refuses_with_a_line(data: str, message: str | None) -> None:
    start = time.perf_counter()
    with pytest.raises(YamlError) as caught:
        load(data.encode(), "f")
    assert time.perf_counter() - start < 10
    assert str(caught.value) == message or (message is None and str(caught.value).startswith("f:"))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_aliases_that_honest_files_use() -> None:
    document = load(b"base: &b {x: 1, y: 2}\none: *b\ntwo:\n  <<: *b\n  y: 3\nthree: {<<: [*b, {z: 4}], x: 0}\n", "f")
    assert document.value == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 2},
        "two": {"y": 3, "x": 1},
        "three": {"x": 0, "y": 2, "z": 4},
    }
    assert isinstance(document.value, dict)
    assert document.value["one"] is not document.value["base"]
    assert document.line_of(("two", "y")) == 5
    assert document.line_of(("two", "x")) == 1


def test_a_deep_alias_counts_where_it_is_used() -> None:
    deep = "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60
    with pytest.raises(YamlError, match="nested too deeply"):
        load(deep.encode(), "f")


def test_encodings() -> None:
    assert load(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "f").value == {"a": 1, "b": 2}
    with pytest.raises(YamlError, match="f:1: starts with a UTF-16 byte order mark"):
        load("a: 1".encode("utf-16"), "f")
    with pytest.raises(YamlError, match="f:2: not UTF-8: byte 0xff at offset 8"):
        load(b"a: 1\nb: \xff\n", "f")
    with pytest.raises(YamlError, match="f:1: too large"):
        load(b"#" * (8 << 20) + b"\n", "f")


def test_nothing_is_a_document() -> None:
    assert load(b"", "f").value is None
    assert load(b"# only words\n", "f").line_of(("a",)) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=12,
)


def without_merge_keys(value: Json) -> bool:
    if isinstance(value, dict):
        return "<<" not in value and all(map(without_merge_keys, value.values()))
    return all(map(without_merge_keys, value)) if isinstance(value, list) else True


@given(json_values.filter(without_merge_keys))
def test_what_another_writer_writes_is_read_back(value: Json) -> None:
    def same(ours: Json, theirs: Json) -> bool:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
        if isinstance(ours, list) and isinstance(theirs, list):
            return len(ours) == len(theirs) and all(map(same, ours, theirs))
        return ours == theirs or (isinstance(theirs, float) and math.isclose(float(str(ours)), theirs))

    assert same(load(yaml.safe_dump(value).encode(), "f").value, value)


@given(st.binary(max_size=60) | st.text("-:[]{}&*!|>'\"#%@ \n\tab1.<?,", max_size=60).map(str.encode))
def test_any_input_gives_a_value_or_a_yaml_error(data: bytes) -> None:
    try:
        said = load(data, "f").locate(())
    except YamlError as error:
        said = str(error)
    assert said.startswith("f:")
    assert "\n" not in said


def test_paths_as_people_write_them() -> None:
    assert dotted(()) == ""
    assert dotted(("a", "b-c", 2, "d_1")) == "a.b-c[2].d_1"
    assert dotted((0, "a")) == "[0].a"
    assert dotted(("a b", 'c"\n')) == '["a b"]["c\\"\\n"]'
