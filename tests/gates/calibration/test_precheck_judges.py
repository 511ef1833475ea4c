"""What a precheck thinks of what it found, and what it says would mend it."""

from __future__ import annotations

import pytest

from gates.calibration.precheck import Asked, Item, PrecheckResult, UnitAsked, asked_json, parse_asked, parse_result
from gates.calibration.precheck_judges import (
    clone_source,
    judge_caches,
    judge_caps,
    judge_pins,
    judge_preload,
    judge_reference,
    repository_problem,
    wanted_of,
)
from gates.documents import Json

pytestmark = pytest.mark.travels

MARKERS = {"sys_platform": "linux", "python_version": "3.12"}
INSTALL = "uv pip install --python /v/bin/python"


def pins(asked: dict[str, str], project: list[str], installed: dict[str, str]) -> list[tuple[str, bool, str | None]]:
    found = judge_pins(asked, project, installed, MARKERS, INSTALL)
    return [(item.name, item.ok, item.mend) for item in found]


def test_no_pins_are_not_asked() -> None:
    assert pins({}, ["requests==2", "torchvision==0.2"], {"torch": "2.9.1"}) == []


@pytest.mark.parametrize("installed", ["2.9.1", "2.9.1+cu130"])
def test_a_local_version_is_the_pinned_one(installed: str) -> None:
    assert pins({"torch": "2.9.1"}, ["torch==2.9.1"], {"torch": installed}) == [("pin torch", True, None)]


def test_a_pin_that_drifted_is_mended_alone() -> None:
    found = pins({}, ["torch==2.9.1", "sglang>=0.5.6"], {"torch": "2.8.0", "sglang": "0.5.7"})
    assert found == [("pin torch", False, f"{INSTALL} torch==2.9.1"), ("pin sglang", True, None)]


def test_a_marker_decides_whether_a_pin_is_asked() -> None:
    project = ["torch==2.9.1; sys_platform == 'darwin'", "torch==2.8.0; sys_platform == 'linux'"]
    assert pins({}, project, {"torch": "2.8.0"}) == [("pin torch", True, None)]


def test_a_pin_that_is_not_installed() -> None:
    assert pins({"Flashinfer_Python": ">=0.5,<0.6"}, [], {}) == [
        ("pin flashinfer-python", False, f"{INSTALL} 'flashinfer-python>=0.5,<0.6'")
    ]


def test_both_the_configuration_and_the_project_must_be_met() -> None:
    found = judge_pins({"torch": "2.9.1"}, ["torch<2.9"], {"torch": "2.9.1"}, MARKERS, INSTALL)
    assert [(item.ok, item.mend) for item in found] == [(False, None)]
    assert "2.9.1 is pinned and <2.9 is required by pyproject.toml, which no version can be" in found[0].detail
    # What mends one of them must not break the other.
    found = judge_pins({"torch": "<2.9"}, ["torch>=2.7"], {"torch": "2.9.1"}, MARKERS, INSTALL)
    assert [(item.ok, item.mend) for item in found] == [(False, f"{INSTALL} 'torch<2.9,>=2.7'")]


def test_a_build_for_one_cuda_comes_from_its_own_index() -> None:
    found = pins({"torch": "2.9.1+cu130"}, [], {"torch": "2.8.0"})
    index = "--extra-index-url https://download.pytorch.org/whl/cu130"
    assert found == [("pin torch", False, f"{INSTALL} {index} torch==2.9.1+cu130")]


@pytest.mark.parametrize(
    ("pinned", "project", "wanted"),
    [
        ({}, [], "pytest"),
        ({"PyTest": "8.3.4"}, ["pytest>=7"], "pytest==8.3.4"),
        ({}, ["x ! y", "pytest>=7; os_name == 'nt'", "pytest>=8,<9"], "pytest>=8,<9"),
        ({}, ["pytest @ https://x.invalid/p.whl"], "pytest"),
    ],
)
def test_how_pytest_is_wanted(pinned: dict[str, str], project: list[str], wanted: str) -> None:
    assert wanted_of("pytest", pinned, project) == wanted


@pytest.mark.parametrize(
    ("url", "far", "near"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r.git", None),
        ("https://me:secret@h.invalid/o/r", "https://h.invalid/o/r", None),
        ("https://ghp_secret@h.invalid/o/r", "https://h.invalid/o/r", None),
        ("ssh://git:secret@h.invalid:22/o/r", "ssh://git@h.invalid:22/o/r", None),
        ("git@github.com:o/it's r.git".replace(" ", ""), "git@github.com:o/it'sr.git", None),
        ("/srv/r.git", None, "/srv/r.git"),
        ("file:///srv/r.git", None, "file:///srv/r.git"),
        ("../r.git", None, None),
        ("ext::sh -c id", None, None),
        ("ext::id", None, None),
        ("--upload-pack=id", None, None),
        ("ssh://-oProxyCommand=id/x", None, None),
        ("https://h.invalid/o/r\nx", None, None),
        ("", None, None),
    ],
)
def test_what_can_be_cloned_elsewhere(url: str, far: str | None, near: str | None) -> None:
    assert clone_source(url, same_machine=False) == far
    assert clone_source(url, same_machine=True) == (near or far)


def test_what_cannot_be_read_is_not_taken_for_fine() -> None:
    found = judge_pins({"torch": "the newest"}, ["sglang ! 2"], {"torch": "2.9.1"}, MARKERS, INSTALL)
    assert [item.ok for item in found] == [False, False]


def test_hostile_pins_stay_one_word() -> None:
    found = judge_pins({"torch; rm -rf /": "1 $(id)\n"}, [], {}, MARKERS, INSTALL)
    assert found[0].mend == f"{INSTALL} 'torch; rm -rf /==1 $(id)'"


def test_capabilities() -> None:
    wanted = [("tests/a.py", "SYS_PTRACE"), ("tests/b.py", "cap_sys_ptrace"), ("tests/b.py", "SYS_ADMIN")]
    ptrace = 1 << 19
    assert [(item.name, item.ok) for item in judge_caps(wanted, ptrace)] == [
        ("capability SYS_PTRACE", True),
        ("capability SYS_ADMIN", False),
    ]
    (missing,) = judge_caps(wanted[:1], 0)
    assert missing.mend is None  # a container that runs cannot be given it
    assert "a.py" in missing.detail
    assert "start the container with --cap-add=SYS_PTRACE" in missing.detail
    assert [item.ok for item in judge_caps(wanted[:1], None)] == [False]
    assert [item.ok for item in judge_caps([("t", "MAKE_COFFEE")], ~0)] == [False]
    assert judge_caps([], 0) == []


@pytest.mark.parametrize(
    ("cache", "ok"),
    [("/ci/.torchinductor", True), ("/.torchinductor", False), ("/ci-2/x", False), ("/ci/../x", False), ("", False)],
)
def test_caches_lie_below_home(cache: str, ok: bool) -> None:
    (item,) = judge_caches({"t": {"OMNI_CI_HOME": "/ci", "TORCHINDUCTOR_CACHE_DIR": cache}}, "config.yaml")
    assert item.ok is ok


def test_without_a_home_no_cache_is_asked() -> None:
    assert judge_caches({"t": {"TORCHINDUCTOR_CACHE_DIR": "/x"}}, "config.yaml") == []


@pytest.mark.parametrize(
    ("preloaded", "ok"),
    [
        ("", True),
        ("/usr/lib/libjemalloc.so", True),
        ("/usr/lib/libproxychains4.so", False),
        ("a.so:libtsocks.so", False),
    ],
)
def test_no_proxy_is_preloaded(preloaded: str, ok: bool) -> None:
    item = judge_preload(preloaded)
    assert item.ok is ok
    if not ok:
        rest = ":".join(name for name in preloaded.split(":") if "socks" not in name and "proxy" not in name)
        assert item.mend == (f"export LD_PRELOAD={rest}" if rest else "unset LD_PRELOAD")


def test_a_proxy_that_no_shell_can_unset() -> None:
    for item in (
        judge_preload("", "/usr/lib/libtsocks.so\n"),
        judge_preload("libtsocks.so", config="c.yaml"),
        judge_preload("libtsocks.so", shell=False),
    ):
        assert (item.ok, item.mend) == (False, None)


def test_the_reference() -> None:
    fingerprint: Json = {"gpu_model": "NVIDIA H20", "image": None, "pins": {"torch": "1"}}
    assert judge_reference(fingerprint, None) is None
    assert judge_reference(None, {"gpu_model": "H20"}) is None
    same = judge_reference(fingerprint, {"gpu_model": "H20", "pins": {"torch": "2"}})
    assert same is not None
    assert same.ok
    other = judge_reference(fingerprint, {"gpu_model": "H100"})
    assert other is not None
    assert not other.ok
    assert judge_reference(fingerprint, {"image": "x"}) is None  # nobody knows the image: nothing is said of it


@pytest.mark.parametrize("name", ["org/name", "gpt2", "Qwen/Qwen3-Omni-30B-A3B", "a/b.c_d"])
def test_names_of_repositories(name: str) -> None:
    assert repository_problem(name) is None


@pytest.mark.parametrize("name", ["", "-x", "a/b/c", "a b", "../x", "a/..", "a--b", "a/b;id", "$(id)", "a\nb"])
def test_other_names_are_refused(name: str) -> None:
    assert repository_problem(name) is not None


def test_what_is_asked_and_answered_travels() -> None:
    unit = UnitAsked("t.py", {"A": "1"}, 2, ("m",), ("d",), True, ("SYS_PTRACE",))
    asked = Asked(
        "/r", "/v/python", (unit,), {"B": "2"}, {"torch": "1"}, {"exclude": [1]}, ("x",), "/run", "c", ("h", "f", None)
    )
    assert parse_asked(asked_json(asked)) == asked
    assert parse_asked(asked_json(Asked("/r", None))) == Asked("/r", None)
    result = PrecheckResult((Item("a", True, "x"), Item("b", False, "y", "z")), "host", "sha", 2, "H20", {"k": 1})
    assert parse_result({**result.to_json(), "fingerprint": {"k": 1}}) == result
    assert (result.ok, result.faults) == (False, (Item("b", False, "y", "z"),))
    shapeless: list[Json] = [None, [], {}, {"repo": 1}]
    for body in shapeless:
        with pytest.raises(ValueError, match="precheck"):
            parse_asked(body)
        with pytest.raises(ValueError, match="precheck"):
            parse_result(body)
