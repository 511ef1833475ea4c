"""A project's requirements, read as PEP 508 has them: name, versions, and the marker that says where they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gates.calibration.versions import VersionError, fulfils, parse_version

_HEAD = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?P<rest>.*)\Z", re.DOTALL | re.ASCII
)
_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])|(?P<text>'[^']*'|"[^"]*")|(?P<op>===|==|~=|!=|<=|>=|<|>|not\s+in\b|in\b)
    |(?P<word>[A-Za-z_][A-Za-z0-9_.]*))""",
    re.VERBOSE,
)
_VARIABLES = frozenset(
    (
        *("os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_release"),
        *("platform_system", "platform_version", "python_version", "python_full_version", "implementation_name"),
        *("implementation_version", "extra"),
    )
)
_OLD_NAMES = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.machine": "platform_machine",
    "platform.version": "platform_version",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}
_DEEPEST = 50
_LONGEST = 4096


class RequirementError(ValueError):
    """Text that is no requirement that can be judged here; the message says why."""


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    Attributes:
        name: Normalised, as `flashinfer-python`.
        wanted: Version specifiers with commas between; "" for any version.
        url: Where it comes from instead of an index, or None.
        marker: Where it holds; "" for everywhere.
    """

    name: str
    wanted: str
    url: str | None
    marker: str


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text: str) -> Requirement:
    """Read `name[extras] specifiers; marker` or `name @ url ; marker`.

    Raises:
        RequirementError: It is neither.
    """
    found = _HEAD.match(text) if len(text) <= _LONGEST else None
    if found is None:
        raise RequirementError(f"{text[:80]!r} is not a requirement")
    rest = found["rest"]
    url = None
    if rest.startswith("@"):
        url, _, marker = rest[1:].strip().partition(" ;")
        wanted = ""
    else:
        wanted, _, marker = rest.partition(";")
        wanted = wanted.strip()
        if wanted.startswith("(") and wanted.endswith(")"):
            wanted = wanted[1:-1].strip()
        if wanted and not re.match(r"[=~!<>]", wanted):
            raise RequirementError(f"{text[:80]!r} is not a requirement")
    return Requirement(canonical(found["name"]), wanted, url, marker.strip())


def holds(marker: str, environment: Mapping[str, str]) -> bool:
    """Whether a marker holds in an environment: the variables of the Python that the tests run on.

    Raises:
        RequirementError: It cannot be read.
    """
    if not marker.strip():
        return True
    if len(marker) > _LONGEST:
        raise RequirementError("the marker is too long")
    parser = _Parser(marker, environment)
    value = parser.either(0)
    parser.end()
    return value


class _Parser:
    """`or` of `and`s of comparisons; evaluated while it is read."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._environment = environment

    def either(self, depth: int) -> bool:
        value = self._both(depth)
        while self._word("or"):
            other = self._both(depth)
            value = value or other
        return value

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise self._wrong()

    def _both(self, depth: int) -> bool:
        value = self._one(depth)
        while self._word("and"):
            other = self._one(depth)
            value = value and other
        return value

    def _one(self, depth: int) -> bool:
        if depth > _DEEPEST:
            raise RequirementError("the marker is nested too deeply")
        if self._peek("paren") == "(":
            self._next()
            value = self.either(depth + 1)
            if self._peek("paren") != ")":
                raise self._wrong()
            self._next()
            return value
        left, left_name = self._operand()
        operator = self._peek("op")
        if operator is None:
            raise self._wrong()
        self._next()
        right, right_name = self._operand()
        if left_name is None and right_name is None:
            raise self._wrong()
        return _compared(left, re.sub(r"\s+", " ", operator), right)

    def _operand(self) -> tuple[str, str | None]:
        text, word = self._peek("text"), self._peek("word")
        self._next()
        if text is not None:
            return text[1:-1], None
        name = _OLD_NAMES.get(word or "", word)
        if name not in _VARIABLES or name is None:
            raise RequirementError(f"{word!r} is no variable of a marker")
        if name != "extra" and name not in self._environment:
            raise RequirementError(f"{name} of the tests' Python is not known")
        return self._environment.get(name, ""), name

    def _peek(self, kind: str) -> str | None:
        found = _TOKEN.match(self._text, self._at)
        return None if found is None else found[kind]

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self._wrong()
        self._at = found.end()

    def _word(self, word: str) -> bool:
        if self._peek("word") != word:
            return False
        self._next()
        return True

    def _wrong(self) -> RequirementError:
        return RequirementError(f"{self._text[:80]!r} is no marker, at column {self._at + 1}")


def _compared(left: str, operator: str, right: str) -> bool:
    if operator in ("in", "not in"):
        return (left in right) is (operator == "in")
    try:
        parse_version(right.removesuffix(".*"))
        return fulfils(left, f"{operator}{right}")
    except VersionError:
        pass
    if operator in ("==", "===", "!="):
        return (left == right) is (operator != "!=")
    # What "before" means between texts that are no versions has changed over the years: nothing to build on.
    raise RequirementError(f"{operator} does not compare {left!r} and {right!r}")
