"""A real terminal with `gatewatch tail` in it, and what may be written to it."""

from __future__ import annotations

import os
import re
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

from tests.peers.quick import until
from tests.peers.terminal import Terminal
from tests.tui.logs.corpus import unsafe

# All that may stand between the texts: colours, places, clearing, the modes that are set at the start and taken back,
# the questions that are asked of a terminal, and the clipboard, which holds base64.
OURS = re.compile(
    r"\x1b\[[0-9;]*m"
    r"|\x1b\[\d+;\d+H"
    r"|\x1b\[[0-2]?[JK]"
    r"|\x1b\[\?(?:25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2031|2048|7)[hl]"
    r"|\x1b\[\?(?:2026|2048|1016)\$p"
    r"|\x1b\[>\d*u|\x1b\[<u|\x1b\[=\d+;\d+u|\x1b\[\?u|\x1b\[\?4m|\x1b\[c|\x1b\[6n"
    r"|\x1b\]22;[a-z-]*\x07"
    r"|\x1b\]52;c;[A-Za-z0-9+/=]*(?:\x07|\x1b\\)"
)
MODES = re.compile(rb"\x1b\[\?(\d+)([hl])")
RESTING = {"25": "h", "7": "h"}  # all others are off in a terminal that nothing runs in


class Screen(Terminal):
    """`gatewatch tail` in a terminal."""

    def __init__(
        self, argv: list[str], cwd: Path, size: tuple[int, int] = (24, 100), env: Mapping[str, str] | None = None
    ) -> None:
        kept = ("PATH", "LC_ALL", "LANG", "PYTHONPYCACHEPREFIX", *(name for name in os.environ if "XDG" in name))
        given = {name: os.environ[name] for name in kept if name in os.environ}
        super().__init__(argv, cwd, {"LC_ALL": "C.UTF-8", **given, **(env or {})}, size)
        self.before = self.settings

    @property
    def settings(self) -> list[object]:
        """What the terminal does with what is typed."""
        return termios.tcgetattr(self._master)

    def modes(self) -> dict[str, str]:
        """Every mode that was ever set, and how it was left."""
        return {number.decode(): state.decode() for number, state in MODES.findall(self.output)}

    def press_and_see(self, keys: bytes, words: str) -> None:
        """Press keys, and wait until these words are painted after them."""
        seen = len(self.text)
        self.press(keys)
        try:
            until(lambda: words in self.text[seen:], repr(words))
        except AssertionError as error:
            raise AssertionError(f"{error}; there came {self.text[seen:]!r}") from None


def tail(house: Path, *words: str) -> list[str]:
    """The command."""
    return [sys.executable, str(house / "gatewatch.py"), "tail", *words]


def strangers(output: bytes) -> list[str]:
    """What was written and is neither text nor ours."""
    left = OURS.sub("", output.decode("utf-8"))
    return [left[max(0, left.index(letter) - 20) :][:40] for letter in unsafe(left, "\r", "\n")]


def clean_afterwards(screen: Screen) -> None:
    """The terminal is as a shell left it."""
    assert {number: state for number, state in screen.modes().items() if state != RESTING.get(number, "l")} == {}
    assert screen.modes()["1049"] == "l"
    assert screen.settings == screen.before
    pushed = screen.output.count(b"\x1b[>1u") - screen.output.count(b"\x1b[<u")
    assert pushed <= 0


def started(
    house: Path, log: Path, *words: str, size: tuple[int, int] = (24, 100), env: Mapping[str, str] | None = None
) -> Screen:
    """`gatewatch tail LOG`, begun."""
    return Screen(tail(house, log.name, *words), log.parent, size, env)
