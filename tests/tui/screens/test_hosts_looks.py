"""Pictures of the hosts: the grid, many or few of them, the table, one host, and one that is not let in."""

from __future__ import annotations

import pytest

from tests.tui.screens.fleet import every, fleet, many
from tests.tui.snapshots import SIZES, Album

_KEYS = {
    "grid": ("o", *["down"] * 5, "right"),
    "many": ("down", "right", "right"),
    "table": ("t", "o", *["down"] * 5),
    "host": ("down", "enter", "down"),
    "dark": ("o", "enter"),
    "typing": ("slash", *"h100"),
    "few": ("down", "right"),
    "none": (),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", _KEYS)
async def test_looks(state: str, size: tuple[int, int], album: Album) -> None:
    looks = {"many": many(125), "few": every()[3:6], "none": ()}.get(state, every())
    async with fleet(size, looks) as at:
        for key in _KEYS[state]:
            await at.press(key)
        await at.pilot.pause()
        album.check(at.app, state)


@pytest.mark.parametrize("state", ["grid", "host"])
async def test_looks_without_colours_and_glyphs(state: str, album: Album) -> None:
    async with fleet((80, 24), ascii_only=True, theme="gatewatch-mono") as at:
        for key in _KEYS[state]:
            await at.press(key)
        await at.pilot.pause()
        album.check(at.app, f"{state}-plain")
