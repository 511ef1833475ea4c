"""What gets imported, seen from fresh interpreters: a room without a screen, and commands that stay cheap."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Python = Callable[..., "subprocess.CompletedProcess[str]"]

HEADLESS = ("gates", "hosts", "jobs", "monitors")


def _modules(house: Path, room: str) -> list[str]:
    paths = sorted((house / room).rglob("*.py"))
    names = [".".join(path.relative_to(house).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.endswith(".__main__")]


def _imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Top-level names in the report of `-X importtime`."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def test_the_headless_rooms_know_no_screen(house: Path, python: Python) -> None:
    modules = [name for room in HEADLESS for name in _modules(house, room)]
    assert "gates.verdict" in modules
    done = python(
        f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(sorted({'textual', 'rich'} & sys.modules.keys()))"
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[]\n")


def test_the_report_of_imports_is_read(python: Python) -> None:
    done = python("import asyncssh, textwrap", "-X", "importtime")
    assert {"asyncssh", "textwrap"} <= _imported(done)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["calibrate", "audit", "--help"]], ids=" ".join)
def test_cheap_commands_import_nothing_heavy(words: list[str], python: Python) -> None:
    done = python(
        f"sys.argv = ['gatewatch', *{words!r}]\nimport gatewatch\nsys.exit(gatewatch.main())", "-X", "importtime"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout
    heavy = {"asyncssh", "cryptography", "pydantic", "pytest", "rich", "textual", "watchfiles"}
    assert heavy & _imported(done) == set()
