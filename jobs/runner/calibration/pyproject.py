"""What a project requires, read from its pyproject.toml on the host, with or without a TOML reader there."""

from __future__ import annotations

import importlib
from pathlib import Path

from hosts.errors import InputError
from hosts.local.files import read_bytes_limited

_FILE_LIMIT = 4 << 20


def required(repo: Path) -> tuple[list[str], str]:
    """What the project's pyproject.toml requires, and why that cannot be read; both empty without one."""
    path = repo / "pyproject.toml"
    if not path.is_file():
        return [], ""
    try:
        return project_requirements(read_bytes_limited(path, _FILE_LIMIT).decode("utf-8")), ""
    except (InputError, ValueError) as error:
        return [], f"{path}: {error}"


def project_requirements(text: str) -> list[str]:
    """The `dependencies` of `[project]` in a pyproject.toml.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        reader = importlib.import_module("tomllib")  # from Python 3.11 on
    except ModuleNotFoundError:
        return _array_of_texts(text)
    project = reader.loads(text).get("project")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    return [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []


def _array_of_texts(text: str) -> list[str]:
    """The same without a TOML reader: the strings of that one array."""
    inside, table = False, ""
    found: list[str] = []
    rest = text
    while rest:
        line, _, rest = rest.partition("\n")
        word = line.strip()
        if not inside:
            if word.startswith("["):
                table = word.split("#", 1)[0].strip()
            key, equals, value = word.partition("=")
            inside = table == "[project]" and bool(equals) and key.strip() == "dependencies"
            word = value.strip() if inside else ""
        while inside and word:
            if word[0] == "]":
                return found
            if word[0] == "#":
                break
            if word[0] in "'\"":
                end = word.find(word[0], 1)
                if end < 0:
                    raise ValueError("a string of dependencies has no end")
                found.append(word[1:end])
                word = word[end:]
            word = word[1:].lstrip()
    if inside:
        raise ValueError("the list of dependencies has no end")
    return found
