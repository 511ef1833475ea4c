from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import IO

import pytest
from textual import constants
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key

from tui import shims


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [({}, 0.025), ({"SSH_CONNECTION": "a 1 b 22"}, 0.05), ({"ESCDELAY": "300"}, 0.1), ({"ESCDELAY": ""}, 0.025)],
)
def test_how_long_a_bare_escape_is_waited_for(
    environ: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.1)
    shims.answer_escape_soon(environ)
    assert seconds == constants.ESCAPE_DELAY


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[bytes]]:
    """Who writes to it types."""
    near, far = os.pipe()
    with open(near, encoding="utf-8") as typed, open(far, "wb", buffering=0) as keys:
        monkeypatch.setattr(sys, "__stdin__", typed)
        yield keys


def parser(monkeypatch: pytest.MonkeyPatch) -> XTermParser:
    """What the driver makes to read keys with."""
    monkeypatch.setitem(vars(linux_driver), "XTermParser", XTermParser)
    shims.read_keys_our_way()
    made: XTermParser = vars(linux_driver)["XTermParser"]()
    return made


def test_a_bare_escape_is_known_without_being_asked_for_again(
    keyboard: IO[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.01)
    told = parser(monkeypatch).feed("\x1b")
    assert [event.key for event in told if isinstance(event, Key)] == ["escape"]


def test_what_follows_an_escape_in_time_belongs_to_it(keyboard: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 10.0)
    reading = parser(monkeypatch)
    keyboard.write(b"[A")
    assert list(reading.feed("\x1b")) == []
    assert [event.key for event in reading.feed("[A") if isinstance(event, Key)] == ["up"]


def test_the_input_may_end_behind_an_escape(keyboard: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 10.0)
    reading = parser(monkeypatch)
    keyboard.close()
    assert list(reading.feed("\x1b")) == []
    assert [event.key for event in reading.feed("") if isinstance(event, Key)] == ["escape"]
