"""Who may import whom, where import-linter's contracts cannot say it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gates.systems import SYSTEMS
from jobs.bundle import travelling_files, travelling_modules

Imports = Callable[[Path], Iterator[tuple[int, str]]]

ROOMS = ("gates", "hosts", "jobs", "monitors", "tui")


def test_all_that_the_second_contract_names_travels(house: Path) -> None:
    promised = {
        path
        for pattern in ("gates/**/*.py", "hosts/local/**/*.py", "jobs/runner/**/*.py")
        for path in house.glob(pattern)
    }
    promised |= {house / "hosts" / f"{name}.py" for name in ("errors", "host", "machine", "target")}
    for system in SYSTEMS:
        promised |= {*house.glob(f"monitors/{system}.py"), *house.glob(f"monitors/{system}/**/*.py")}
    assert promised <= {house / path for path in travelling_files()}


def test_what_travels_imports_the_standard_library_and_what_travels(house: Path, imports: Imports) -> None:
    travelling = set(travelling_modules())

    def allowed(name: str) -> bool:
        if name.split(".", maxsplit=1)[0] in sys.stdlib_module_names:
            return True
        return name in travelling or name.rpartition(".")[0] in travelling

    strangers = [
        f"{path}:{line} imports {name}"
        for path in travelling_files()
        for line, name in imports(house / path)
        if not allowed(name)
    ]
    assert strangers == []


def test_a_name_taken_from_a_travelling_package_travels_too(house: Path, imports: Imports) -> None:
    """`from hosts import ssh` names a module that stays at home, out of a package that travels."""
    travelling = set(travelling_modules())
    at_home = {
        ".".join(path.relative_to(house).with_suffix("").parts).removesuffix(".__init__")
        for room in ROOMS
        for path in (house / room).rglob("*.py")
    } - travelling
    taken = [
        f"{path}:{line} imports {name}"
        for path in travelling_files()
        for line, name in imports(house / path)
        if name in at_home
    ]
    assert taken == []


def test_travelling_tests_import_nothing_that_their_python_lacks(house: Path, imports: Imports) -> None:
    present = {*sys.stdlib_module_names, "pytest", "hypothesis"}
    travelling = set(travelling_modules())

    def lacking(path: Path, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
        """What a file needs that is not there, the helpers among the tests that it imports included."""
        for line, name in imports(path):
            helper = next(
                (
                    house / f"{part.replace('.', '/')}.py"
                    for part in (name, name.rpartition(".")[0])
                    if (house / f"{part.replace('.', '/')}.py").is_file() and part.startswith("tests.")
                ),
                None,
            )
            if helper is not None:
                yield from () if helper in seen else lacking(helper, seen | {path})
            elif name.split(".")[0] not in present and not {name, name.rpartition(".")[0]} & travelling:
                yield f"{path.relative_to(house)}:{line} imports {name}"

    marked = [path for path in sorted((house / "tests").rglob("test_*.py")) if _marked(path, "travels")]
    assert [fault for path in marked for fault in lacking(path)] == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("connect(host, known_hosts=None)", [1]),
        ("options = {'known_hosts': None}", [1]),
        ("def connect(host, *, known_hosts=None): ...", [1]),
        ("options.known_hosts = None", [1]),
        ("known_hosts: str | None = None", [1]),
        ("class Profile:\n known_hosts: str | None = None", []),  # nothing said; what connects has to say it
        ("dict(a=1,\n known_hosts=None)", [2]),
        ("connect(host, known_hosts=path)", []),
        ("def connect(host, known_hosts, keys=None): ...", []),
    ],
)
def test_unchecked_host_keys_are_found(code: str, lines: list[int]) -> None:
    assert [line for line, _ in _unchecked_host_keys(ast.parse(code))] == lines


def test_host_keys_are_checked_everywhere(house: Path, house_files: tuple[Path, ...]) -> None:
    """Safety S1: asyncssh takes known_hosts=None for "accept any key"."""
    found = [
        f"{path.relative_to(house)}:{line} {what}"
        for path in house_files
        if path.suffix == ".py"
        for line, what in _unchecked_host_keys(ast.parse(path.read_bytes()))
    ]
    assert found == []


def test_what_is_marked_as_travelling_is_found_by_who_runs_it_elsewhere(house: Path) -> None:
    """Modules are chosen there by this pattern in their text; nothing may be marked in another way."""
    chosen = re.compile(r"^pytestmark = .*pytest\.mark\.travels\b", re.MULTILINE)
    assert chosen.pattern in (house / ".ci" / "run").read_text()
    tests = [path for path in sorted((house / "tests").rglob("test_*.py")) if path != Path(__file__)]
    named = [path for path in tests if "mark.travels" in path.read_text()]
    assert [path for path in named if not chosen.search(path.read_text())] == []


def _marked(path: Path, marker: str) -> bool:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return f"pytest.mark.{marker}" in ast.unparse(node.value)
    return False


def _unchecked_host_keys(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every place that gives the name `known_hosts` the value None, or does so by default."""
    fields = {line for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for line in node.body}

    def none(node: ast.AST | None) -> bool:
        return isinstance(node, ast.Constant) and node.value is None

    def named(node: ast.AST | None) -> bool:
        if isinstance(node, ast.Constant):
            return node.value == "known_hosts"
        return "known_hosts" in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None))

    def pairs(node: ast.AST) -> Iterator[tuple[ast.AST | None, ast.AST | None]]:
        if isinstance(node, ast.keyword):
            yield node, node.value
        elif isinstance(node, ast.Dict):
            yield from zip(node.keys, node.values, strict=True)
        elif isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node not in fields:
            yield node.target, node.value
        elif isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            defaults = node.defaults
            yield from zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
            yield from zip(node.kwonlyargs, node.kw_defaults, strict=True)

    for node in ast.walk(tree):
        for name, value in pairs(node):
            # A missing value is no None: an AnnAssign or a keyword-only argument without a default.
            if named(name) and value is not None and none(value):
                yield value.lineno if hasattr(value, "lineno") else 0, "known_hosts is None"
