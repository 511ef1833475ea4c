"""The Hosts screen says that all hosts are well only where all of them can be seen."""

from __future__ import annotations

import pytest

from hosts.connection import Connection, Way
from tests.monitors.runs import AT
from tests.tui.screens.fleet import UP, body, fleet, look
from tui.screens.host_look import HostLook

WELL = look("well", body(()))
NEW = look("new", None, Connection(Way.CONNECTING, AT))
UNOPENED = look("unopened", None, None)
OLD = look("old", body(()), UP, ago=121)


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ((WELL,), " all hosts are well"),
        ((NEW,), " ◔ 1 not looked at yet"),
        ((WELL, NEW, UNOPENED), " ◔ 2 not looked at yet"),
        ((WELL, OLD), " ◌ 1 not seen for 2 min"),
        ((OLD, NEW), " ◔ 1 not looked at yet  ◌ 1 not seen for 2 min"),
    ],
)
async def test_what_cannot_be_seen_is_not_well(looks: tuple[HostLook, ...], told: str) -> None:
    async with fleet((120, 40), looks) as at:
        assert at.rows[1].rstrip() == told
