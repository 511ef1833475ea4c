"""What the tracked files hold, and what they must not."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Put together here, so that this file does not hold what it looks for.
PUBLIC_INDEX = ("pypi." + "org", "files." + "pythonhosted.org", "registry." + "npmjs.org")
SHARED_ROOTS = {"/", "/tmp", "/home", "/usr", "/usr/local", "/opt", "/root", "/srv", "/var"}


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _holding(house: Path, files: tuple[Path, ...], needles: set[str]) -> list[str]:
    return [
        f"{path.relative_to(house)} holds {needle}"
        for path in files
        for needle in sorted(needles)
        if needle in _text(path)
    ]


def _configured_hosts() -> set[str]:
    """Hosts that pip and apt are set up with on this machine."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    apt = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = settings + "".join(_text(path) for path in apt if path.is_file())
    hosts = set(re.findall(r"https?://(?:[^@/\s]*@)?([^/\s'\":]+)", text))
    # The distribution's own archive stands in documentation everywhere and tells nothing of this machine.
    return {host for host in hosts if not host.endswith(("debian.org", "ubuntu.com")) and "." in host}


def test_no_package_index_is_named(house: Path, house_files: tuple[Path, ...]) -> None:
    assert _holding(house, house_files, {*PUBLIC_INDEX, *_configured_hosts()}) == []


def test_no_path_of_this_machine_is_named(house: Path, house_files: tuple[Path, ...]) -> None:
    own = {str(house), str(house.parent), str(Path.home()), sys.base_prefix, sys.prefix}
    needles = {f"{path}/" for path in own if path not in SHARED_ROOTS and len(path) > len("/ab")}
    assert _holding(house, house_files, needles) == []


@pytest.mark.parametrize("name", ["requirements.lock", "tests/travels.lock"])
def test_locks_hold_hashes_and_no_address(name: str, house: Path) -> None:
    text = (house / name).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)


def test_every_dependency_is_pinned_and_has_a_reason(house: Path) -> None:
    project = tomllib.loads((house / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = [re.split(r"[<>=!~ ;\[]", requirement)[0] for requirement in asked]
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==", (house / "requirements.lock").read_text(), re.MULTILINE))
    reasons = (house / "docs" / "dependencies.md").read_text()
    assert [name for name in names if name.lower() not in pinned] == []
    assert [name for name in names if f"| {name} |" not in reasons] == []


def test_every_room_is_typed(house: Path) -> None:
    assert [
        room for room in ("gates", "hosts", "jobs", "monitors", "tui") if not (house / room / "py.typed").is_file()
    ] == []


def test_nothing_tracked_is_a_build_or_a_machine_lock(house: Path, house_files: tuple[Path, ...]) -> None:
    unwanted = re.compile(r"(^|/)(uv\.lock|pylock\.toml|__pycache__|\.coverage)(/|$)|\.py[co]$")
    names = [path.relative_to(house).as_posix() for path in house_files]
    assert [name for name in names if unwanted.search(name)] == []
