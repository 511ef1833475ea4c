"""Versions, specifiers and markers: as the packaging library judges them, which pytest brings along."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker, default_environment
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version as PackagingVersion

from gates.calibration.requirements import RequirementError, holds, parse_requirement
from gates.calibration.versions import VersionError, fulfils, parse_version

_NUMBER = st.integers(0, 3).map(str)
_RELEASE = st.lists(_NUMBER, min_size=1, max_size=4).map(".".join)
_PRE = st.sampled_from(["", "", "", "a1", "b2", "rc1", ".dev1", "a1.dev2", ".post1", ".post2.dev1", "rc1.post3"])
_LOCAL = st.sampled_from(["", "", "+cu130", "+cu130.1", "+1"])
_PUBLIC = st.builds("{}{}".format, _RELEASE, _PRE)
VERSIONS = st.builds("{}{}{}".format, st.sampled_from(["", "1!"]), _PUBLIC, _LOCAL)
SPECIFIERS = st.builds("{}{}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~="]), _PUBLIC) | st.builds(
    "{}{}.*".format, st.sampled_from(["==", "!="]), _RELEASE
)


def _disputed(version: str, specifier: str) -> bool:
    """What `<2.post1` says of 2a1, and `>2a1` of 2.post1, packaging itself has answered in two ways."""
    wanted = specifier.lstrip("<>=!~").removesuffix(".*")
    base = PackagingVersion(PackagingVersion(wanted).base_version)
    same = PackagingVersion(PackagingVersion(version).base_version) == base
    plain = PackagingVersion(wanted) == base
    return specifier[0] in "<>" and specifier[1] != "=" and same and not plain


@settings(max_examples=200, deadline=None)
@given(VERSIONS, VERSIONS)
def test_versions_sort_as_packaging_sorts_them(one: str, other: str) -> None:
    ours = parse_version(one).key < parse_version(other).key
    assert ours == (PackagingVersion(one) < PackagingVersion(other))
    assert (parse_version(one).key == parse_version(other).key) == (PackagingVersion(one) == PackagingVersion(other))


@settings(max_examples=500, deadline=None)
@given(VERSIONS, SPECIFIERS)
def test_specifiers_judge_as_packaging_does(version: str, specifier: str) -> None:
    assume(not _disputed(version, specifier))
    try:
        theirs = SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        with pytest.raises(VersionError):
            fulfils(version, specifier)
        return
    assert fulfils(version, specifier) is theirs


@pytest.mark.parametrize(
    ("found", "wanted", "answer"),
    [
        ("2.9.1+cu130", "2.9.1", True),
        ("2.9.1+cu130", "==2.9.1", True),
        ("2.9.1+cu128", "==2.9.1+cu130", False),
        ("2.9.1", "==2.9.1+cu130", False),
        ("2.9", "2.9.0", True),
        ("0.5.6.post1", "==0.5.6", False),
        ("0.5.6.post1", ">=0.5.6,<0.6", True),
        ("3.0.0a1", ">=2", True),
        ("2.9.1", "", True),
        ("1.0.0-rc.1", "===1.0.0-rc.1", True),
    ],
)
def test_an_installed_version(found: str, wanted: str, answer: bool) -> None:
    assert fulfils(found, wanted) is answer


@pytest.mark.parametrize(("found", "wanted"), [("2.9", "two"), ("", "2"), ("nan", "==1"), ("1", "~=1"), ("1", ">=1.*")])
def test_what_cannot_be_compared_is_an_error(found: str, wanted: str) -> None:
    with pytest.raises(VersionError):
        fulfils(found, wanted)


MARKERS = [
    "platform_machine != 'aarch64'",
    "sys_platform == 'linux' and python_version >= '3.10'",
    "sys_platform == 'win32' or (python_version < '3.10' and os_name == 'posix')",
    "python_full_version < '3.10.0rc1'",
    "'linux' in sys_platform",
    "platform_system not in 'Windows Darwin'",
    "extra == 'test'",
    'implementation_name == "cpython"',
    "os.name == 'posix'",
    "python_version == '3.*'",
    "python_version ~= '3.8'",
    "'3.9' <= python_version",
]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("python", ["3.9", "3.10", "3.12"])
def test_markers_hold_as_packaging_holds_them(marker: str, python: str) -> None:
    known = default_environment()
    environment = {name: str(value) for name, value in known.items()}
    environment |= {"python_version": python, "python_full_version": f"{python}.4"}
    theirs = Marker(marker).evaluate({**environment, "extra": ""})
    assert holds(marker, environment) is theirs


@pytest.mark.parametrize(
    "marker",
    [
        "sys_platform",
        "sys_platform ==",
        "(sys_platform == 'x'",
        "'a' == 'b'",
        "shell == 'x'",
        "os_name == 'x')",
        "os_name < 'x'",
    ],
)
def test_a_marker_that_cannot_be_read_is_an_error(marker: str) -> None:
    with pytest.raises(RequirementError):
        holds(marker, {"sys_platform": "linux", "os_name": "posix"})


def test_a_marker_nested_beyond_reason_is_an_error() -> None:
    with pytest.raises(RequirementError, match="deeply"):
        holds("(" * 100 + "os_name == 'x'" + ")" * 100, {"os_name": "posix"})


LINUX = "sys_platform == 'linux'"
WHEEL = "https://example.invalid/torch.whl"


@pytest.mark.parametrize(
    ("text", "name", "wanted", "url", "marker"),
    [
        ("torch==2.9.1", "torch", "==2.9.1", None, ""),
        (f"Flashinfer_Python [cu13] >=0.5,<0.6 ; {LINUX}", "flashinfer-python", ">=0.5,<0.6", None, LINUX),
        ("sglang (>=0.5)", "sglang", ">=0.5", None, ""),
        ("sglang", "sglang", "", None, ""),
        (f"torch @ {WHEEL} ; {LINUX}", "torch", "", WHEEL, LINUX),
    ],
)
def test_requirements(text: str, name: str, wanted: str, url: str | None, marker: str) -> None:
    found = parse_requirement(text)
    assert (found.name, found.wanted, found.url, found.marker) == (name, wanted, url, marker)


@pytest.mark.parametrize("text", ["", "-e .", "--index-url x", "torch 2.9", "==2", "a" * 5000])
def test_what_is_no_requirement_is_an_error(text: str) -> None:
    with pytest.raises(RequirementError):
        parse_requirement(text)
