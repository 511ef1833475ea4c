"""A checkout whose runs take a blink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.quick import Quick, quick_checkout
from tests.tui.snapshots import FOLDER, Album


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Quick]:
    """A real repository of a small project, of which nothing lives on after the test."""
    with quick_checkout(tmp_path) as made:
        yield made


@pytest.fixture
def album(request: pytest.FixtureRequest, tmp_path: Path) -> Album:
    """The pictures of this test module."""
    folder = FOLDER / request.path.stem.removeprefix("test_")
    return Album(folder, bool(request.config.getoption("--update-snapshots")), tmp_path / "shown")


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal or its user asks for must not change a picture."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TMUX", "TEXTUAL_ANIMATIONS", "TEXTUAL_THEME", "CLIPBOARD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
