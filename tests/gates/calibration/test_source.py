from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from gates.calibration.source import (
    Call,
    Constant,
    FactsError,
    Import,
    Key,
    Name,
    Number,
    Other,
    Problem,
    SourceFacts,
    Table,
    Text,
    import_paths,
    literal,
    lookup,
    number_of,
    parse_all,
    parse_facts,
)
from jobs.runner.calibration import facts_script
from tests.gates.calibration.sourcefiles import Written, files

pytestmark = pytest.mark.travels

ROW = "T = {8: {'a': 1.5, 'b': 2}, 16: {'a': 3.5, 'b': 4}}\n"


def facts(text: str | bytes, path: str = "tests/test_x.py") -> SourceFacts:
    return parse_facts(facts_script.facts(path, text if isinstance(text, bytes) else text.encode()))


@pytest.mark.parametrize(
    ("text", "called", "expected"),
    [
        ("T = 3\n", ("T",), "3"),
        ("T = (3)  # T = 4\n", ("T",), "3"),
        ("T: Final[float] = -  1_0.5e-3\n", ("T",), "-  1_0.5e-3"),
        ("T = -(3)\n", ("T",), "-(3)"),
        ("T = --3\n", ("T",), "--3"),
        ("T = 0x1F\n", ("T",), "0x1F"),
        ("T: float\nT = 3\n", ("T",), "3"),
        ("A = 1; T = \\\n  3\n", ("T",), "3"),
        (ROW, ("T", "a", 8), "1.5"),
        (ROW, ("T", "a", 16.0), "3.5"),
        ("T = {8: {'a': 1.5}}\n", ("T", "a"), "1.5"),
        ("T = {'a': 1.5, 'b': 2}\n", ("T", "a"), "1.5"),
        ("CONCURRENCY = 8\nT = {CONCURRENCY: {'a': 1.5}, 16: {'a': 2}}\n", ("T", "a", 8), "1.5"),
        ("T = {CONCURRENCY: {'a': 1.5}}\n", ("T", "a", 8), "1.5"),
        ("T = {CONCURRENCY: {'a': 1.5}}\n", ("T", "a"), "1.5"),
        ("T = {-1: {'a': 1.5}}\n", ("T", "a", -1), "1.5"),
        ("if True:\n    U = 3\nT = 3\ndef f():\n    T = 4\nclass A:\n    T = 5\n", ("T",), "3"),
        ("T = 3\nx = [T for T in (1, 2)]\n", ("T",), "3"),
        ("T = 3\ndef f(T):\n    return T\n", ("T",), "3"),
    ],
)
def test_a_literal_is_found(text: str, called: tuple[str, str | None, Key | None], expected: str) -> None:
    found = literal(facts(text), *called)
    assert isinstance(found, Number), found
    assert found.text == expected
    assert text.encode()[found.start : found.end].decode() == expected


@pytest.mark.parametrize(
    ("text", "called", "why"),
    [
        ("U = 3\n", ("T",), "has no T"),
        ("T = 3\nT = 4\n", ("T",), "more than once in tests/test_x.py, line 1, 2"),
        ("T = 3\nT += 1\n", ("T",), "changed in place"),
        ("if X:\n    T = 3\n", ("T",), 'assigned under "if"'),
        ("try:\n    T = 3\nexcept E:\n    pass\n", ("T",), 'assigned under "try"'),
        ("T = 3\nif X:\n    T = 4\n", ("T",), "more than once"),
        ("T = U = 3\n", ("T",), "together with others"),
        ("T, U = 3, 4\n", ("T",), "unpacked"),
        ("[T] = [3]\n", ("T",), "unpacked"),
        ("print(T := 3)\n", ("T",), ":="),
        ("T = 3\nx = [(T := y) for y in z]\n", ("T",), "more than once"),
        ("T = 3\ndel T\n", ("T",), "deleted"),
        ("T = 3\ndef f():\n    global T\n    T = 4\n", ("T",), "global"),
        ("T = 3\nfor T in x:\n    pass\n", ("T",), "loop"),
        ("T = 3\nwith x as T:\n    pass\n", ("T",), "with"),
        ("T = 3\ntry:\n    pass\nexcept E as T:\n    pass\n", ("T",), "more than once"),
        ("T = 3\ndef T(): ...\n", ("T",), "function or class"),
        ("T = 3\nimport T\n", ("T",), "more than once"),
        ("T = 3\nfrom x import *\n", ("T",), "import of *"),
        ("from x import T\n", ("T",), "is imported into"),
        ("T = True\n", ("T",), "True"),
        ("T = None\n", ("T",), "None"),
        ("T = 3j\n", ("T",), "complex"),
        ("T = '3'\n", ("T",), "a string"),
        ("T = 2 * 3\n", ("T",), "computed"),
        ("T = ~3\n", ("T",), "computed"),
        ("T = 1e999\n", ("T",), "float"),
        ("T = (-  # why\n 3)\n", ("T",), "cannot be located"),
        ("T = U\n", ("T",), "the value of U"),
        ("T = apply_slack(U)\n", ("T",), "the result of apply_slack"),
        ("T = {'a': 3}\n", ("T",), "a dict"),
        (ROW, ("T", "a"), "several outer keys (8, 16)"),
        (ROW, ("T", "a", 32), "no key 32 (it has 8, 16)"),
        (ROW, ("T", "a", "8"), "no key '8'"),
        (ROW, ("T", "c", 8), "no key 'c'"),
        ("T = {8: {'a': 1, 'a': 2}}\n", ("T", "a", 8), "more than once"),
        ("T = {8: {'a': 1}, 8.0: {'a': 2}}\n", ("T", "a", 8), "more than once"),
        ("T = {8: {'a': 1}, **U}\n", ("T", "a", 8), "computed"),
        ("T = {8: {'a': 1, 'a' + '': 2}}\n", ("T", "a", 8), "computed"),
        ("T = {8: {'a': 1}, N: {'a': 2}}\n", ("T", "a", 8), "the name N"),
        ("T = {True: {'a': 1}}\n", ("T", "a"), "computed"),
        ("T = {8: dict(a=1)}\n", ("T", "a", 8), "the result of dict"),
        ("T = dict(a=1)\n", ("T", "a"), "the result of dict"),
        ("T = {}\n", ("T", "a"), "empty"),
        ("T = 3\n", ("T", "a"), "a number, not a dict"),
        (ROW + "T[8]['a'] = 2\n", ("T", "a", 8), "changed in place, line 2"),
        (ROW + "def f():\n    T.update(x)\n", ("T", "a", 8), "changed in place, line 3"),
        (ROW + "T |= x\n", ("T", "a", 8), "changed in place"),
        ("T = 3\nx = (\n", ("T",), "tests/test_x.py: syntax error, line 2"),
        ("T = 3\0\n", ("T",), "null byte"),
    ],
)
def test_what_is_not_certain_is_a_problem(text: str, called: tuple[str, str | None, Key | None], why: str) -> None:
    found = literal(facts(text), *called)
    assert isinstance(found, Problem)
    assert why in str(found)


def test_imported_keys_are_known_where_the_caller_knows_them() -> None:
    found = facts("from x import N\nT = {8: {'a': 1}, N: {'a': 2}}\n")
    assert getattr(literal(found, "T", "a", 16, {"N": 16}), "text", None) == "2"
    assert isinstance(literal(found, "T", "a", 8, {"N": 8}), Problem)


@settings(max_examples=150)
@given(files())
def test_planted_literals_are_found_where_they_stand(made: Written) -> None:
    found = facts(made.data)
    assert found.error is None
    for one in made.planted:
        number = literal(found, one.symbol, one.subkey, one.outer)
        assert isinstance(number, Number), (number, made.data)
        assert (number.text.encode(), number.start, number.end) == (
            made.data[one.start : one.end],
            one.start,
            one.end,
        )
        value = eval(one.text)  # noqa: S307 - a literal of this test
        assert (number.value, number.is_int) == (value, isinstance(value, int))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"# coding: utf-7\nT = 3 # +AOk-\n", ""),
        ("# coding: iso2022_jp\ns = '漢'; T = 3\n".encode("iso2022_jp"), ""),
        (b"# coding: hex\nT = 3\n", "encoding"),
        (b"# coding: no-such\nT = 3\n", "encoding"),
        (b"\xef\xbb\xbf# coding: latin-1\nT = 3\n", "encoding"),
        (b"T = 3 # \xff\n", "encoding"),
    ],
)
def test_an_odd_encoding_is_followed_exactly_or_not_at_all(data: bytes, why: str) -> None:
    number = literal(facts(data), "T")
    if isinstance(number, Number):
        assert data[number.start : number.end] == b"3"
        assert not why
    else:
        assert why in str(number)


def test_what_a_file_says() -> None:
    found = facts(
        "import benchmarks.eval.mmsu\n"
        "from .utils import LIMIT as L, apply_slack\n"
        "A = 3\nB = A\nC = apply_slack(B, lib.THRESHOLD_SLACK_HIGHER)\nD = 'x'\nE = A * 2\n_F: dict = {A: {'k': 1}}\n"
        "class TestIt:\n"
        "    async def test_b(self, tmp_path, *, port):\n"
        "        from late import LATER\n"
        "        run(tmp_path / 'one', max_samples=A)\n"
        "        run(tmp_path / 'two' / 'x', max_samples=50, max_tokens=cfg.tokens)\n"
    )
    assert [(one.name, one.line, one.annotated) for one in found.constants] == [
        *(("A", 3, False), ("B", 4, False), ("C", 5, False), ("D", 6, False), ("E", 7, False), ("_F", 8, True))
    ]
    a, b, c, d, e, f = (one.value for one in found.constants)
    assert isinstance(a, Number)
    assert (b, c, d) == (Name("A"), Call("apply_slack", ("B", "lib", "THRESHOLD_SLACK_HIGHER")), Text("x"))
    assert e == Other(("A",), "")
    assert isinstance(f, Table)
    assert (f.entries[0].key, f.entries[0].key_name) == (None, "A")
    assert found.imports == (
        Import("benchmarks.eval.mmsu", "", "benchmarks", 0),
        Import("utils", "LIMIT", "L", 1),
        Import("utils", "apply_slack", "apply_slack", 1),
        Import("late", "LATER", "LATER", 0, top=False),
    )
    (function,) = found.functions
    assert (function.name, function.params, function.tmp_subs) == (
        "test_b",
        ("self", "tmp_path", "port"),
        ("one", "two"),
    )
    assert list(found.keywords) == ["max_samples"]
    assert [getattr(one, "text", one) for one in found.keywords["max_samples"]] == [Name("A"), "50"]


def test_names_are_followed_through_imports() -> None:
    known = {
        path: facts(text, path)
        for path, text in {
            "tests/a/test_x.py": "from tests.utils import N as M\nfrom .near import P\nfrom sib import Q\nK = M\n",
            "tests/utils.py": "from ..tests.deep import N\n",
            "tests/deep/__init__.py": "ONE = 50\nN = ONE\n",
            "tests/a/near.py": "P = 1\nP = 2\n",
            "tests/a/sib.py": "Q = 7\n",
        }.items()
    }
    found = lookup(known, "tests/a/test_x.py", "M")
    assert isinstance(found, Constant)
    assert found.value == Name("ONE")
    assert getattr(number_of(known, "tests/a/test_x.py", "K"), "value", None) == 50
    assert getattr(number_of(known, "tests/a/test_x.py", "Q"), "value", None) == 7
    for name in ("P", "NOPE"):
        assert lookup(known, "tests/a/test_x.py", name) is None
    assert lookup(known, "nowhere.py", "M") is None
    # Two folders hold a module of that name: which one is meant depends on how pytest is run
    known["sib.py"] = facts("Q = 8\n", "sib.py")
    assert lookup(known, "tests/a/test_x.py", "Q") is None


def test_circles_end() -> None:
    known = {"a.py": facts("from b import X\nY = Z\nZ = Y\n", "a.py"), "b.py": facts("from a import X\n", "b.py")}
    assert lookup(known, "a.py", "X") is None
    assert number_of(known, "a.py", "Y") is None


@pytest.mark.parametrize(
    ("path", "module", "level", "expected"),
    [
        ("tests/t.py", "a.b", 0, (("a/b/__init__.py", "a/b.py"), ("tests/a/b/__init__.py", "tests/a/b.py"))),
        ("t.py", "a", 0, (("a/__init__.py", "a.py"),)),
        ("tests/x/t.py", "a", 1, (("tests/x/a/__init__.py", "tests/x/a.py"),)),
        ("tests/x/t.py", "a", 2, (("tests/a/__init__.py", "tests/a.py"),)),
        ("tests/x/t.py", "", 1, (("tests/x/__init__.py",),)),
        ("tests/t.py", "a", 3, ()),
    ],
)
def test_where_a_module_may_lie(path: str, module: str, level: int, expected: tuple[tuple[str, ...], ...]) -> None:
    assert import_paths(path, module, level) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["path", "sha256", "constants", "value", "kind", "name", "line", "entries", "keywords"]),
            inner,
        )
    ),
)


@given(_JSON)
def test_any_document_is_facts_or_an_error(document: object) -> None:
    for read in (parse_facts, parse_all):
        try:
            read(document)  # type: ignore[arg-type]
        except FactsError:
            continue
