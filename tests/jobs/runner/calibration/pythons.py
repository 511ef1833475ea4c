"""Other Pythons of this machine, for what is read or written on behalf of a project that runs on one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

OTHERS = ("3.8", "3.10", "3.12", "3.13")


def python_or_skip(version: str) -> str:
    """The path of a Python of this version; the test is skipped, and says so, where there is none."""
    found = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python"))
    python = str(found[-1]) if found else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"NO PYTHON {version} ON THIS MACHINE: reading its sources goes unproved")
    return python
