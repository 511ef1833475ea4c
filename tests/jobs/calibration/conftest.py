"""A checkout whose runs take a blink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.quick import Quick, quick_checkout


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Quick]:
    """A real repository of a small project, of which nothing lives on after the test."""
    with quick_checkout(tmp_path) as made:
        yield made
