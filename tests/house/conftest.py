"""Looking at the house as a whole: its files, what they import, and fresh interpreters."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def house_files(house: Path) -> tuple[Path, ...]:
    """Every file that git tracks, or would with the next `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=house,
        capture_output=True,
        check=True,
    )
    names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    return tuple(house / name for name in sorted(set(names)) if (house / name).is_file())


@pytest.fixture
def python(house: Path, tmp_path: Path) -> Python:
    """Runs code in a fresh interpreter that finds our rooms last on its path, as an installed gatewatch is found."""

    def run(code: str, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        found = f"import sys; sys.path.append({str(house)!r})\n"
        return subprocess.run(
            [sys.executable, *options, "-c", found + code],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=50,
        )

    return run


@pytest.fixture(scope="session")
def imports() -> Callable[[Path], Iterator[tuple[int, str]]]:
    """Yields (line, dotted name) for every import statement of a file, also those within functions."""

    def names(path: Path) -> Iterator[tuple[int, str]]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                # "from hosts import local" names a module or something in one; both spellings are given.
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)

    return names
