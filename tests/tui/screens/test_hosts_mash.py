"""Keys in any order, at any size, while hosts come, go and change: the hosts are shown, and nothing breaks."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from textual.events import Key
from textual.keys import key_to_character

from hosts.connection import Connection, Way
from tests.monitors.runs import AT
from tests.tui.screens.fleet import UP, every, fleet, many
from tui.cells import painted
from tui.keys import actions
from tui.screens.host_look import HostLook

_LEAVING = {"q", "ctrl+q", "ctrl+c", "ctrl+p", "colon"}  # the palette has them all
KEYS = sorted({key for one in actions("hosts", "host", "ask", "app") for key in one.keys} - _LEAVING) + list("ab/~0 ")
SIZES = [(80, 24), (1, 1), (120, 40), (3, 40), (200, 50), (200, 2), (80, 24)]


def changed(dice: random.Random) -> tuple[HostLook, ...]:
    """Some hosts, in some order, and some of them not as before."""
    looks = [*every(), *many(dice.choice((0, 3, 60)), dice.choice((1, 8, 30)))]
    dice.shuffle(looks)
    ways = [*Way]
    for place in range(0, len(looks), 3):
        connection = dice.choice((None, UP, Connection(dice.choice(ways), AT - 5, None, AT + 3, "a reason")))
        snapshot = dice.choice((None, looks[place].snapshot))
        looks[place] = replace(looks[place], connection=connection, snapshot=snapshot)
    return tuple(looks[: dice.randrange(len(looks) + 1)])


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_keys_in_any_order(seed: int) -> None:
    dice = random.Random(seed)
    async with fleet() as at:
        for number in range(30):
            at.app.hosts.show_hosts(changed(dice))
            if number % 3 == 0:
                await at.pilot.resize_terminal(*dice.choice(SIZES))
            for key in dice.choices(KEYS, k=8):
                at.app.post_message(Key(key, key if len(key) == 1 else key_to_character(key)))
            await at.pilot.pause()
            width, height = at.app.size
            if height > 1:  # the last row has the key that quits
                await at.pilot.click(offset=(dice.randrange(width), dice.randrange(height - 1)))
            assert at.app.is_running
            assert at.app.failure is None
            assert max(map(painted, at.rows)) <= width
            if at.app.hosts not in at.app.screen_stack:  # somebody left
                await at.app.again()
        while at.app.screen is not at.app.hosts:
            await at.app.pop_screen()
        await at.pilot.resize_terminal(80, 24)
        await at.show(every())
        await at.until(lambda: "12 hosts" in at.rows[0])
