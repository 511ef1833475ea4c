"""A checkout whose runs take a blink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session", autouse=True)
def _styles_read_once() -> Iterator[None]:
    """The same styles and the same variables give the same rules: they are parsed once, not by each of a thousand apps.

    Made for Textual 8, whose `Stylesheet` does this for itself alone; rules are only read once they are parsed.
    """
    from textual.css.stylesheet import Stylesheet

    parse, known = Stylesheet._parse_rules, dict[tuple[Any, ...], Any]()

    def parse_once(sheet: Stylesheet, css: str, *args: Any, **named: Any) -> Any:
        key = (css, args, tuple(named.items()), tuple(sheet._variables.items()))
        if key not in known:
            known[key] = parse(sheet, css, *args, **named)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield
