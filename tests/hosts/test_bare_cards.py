"""Accelerators of a host without Python, whose nvidia-smi is slow or whose way is lost meanwhile."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from hosts.bare_cards import BareCards
from hosts.child import open_subprocess
from hosts.errors import UnreachableError
from hosts.session import BytePipe
from tests.peers import bare

RECORDED = "tests/data/nvidia_smi/rtx2080super-465.27.txt"


class Way:
    """A way to a host that can be lost: of its files it is only asked how this one counts memory."""

    def __init__(self, folder: Path) -> None:
        self.tool = folder / "nvidia-smi"
        self.lost = False
        self.asked = 0

    async def do(self, _work: Any) -> bool:
        return True

    async def open(self, argv: tuple[str, ...]) -> BytePipe:
        self.asked += 1
        if self.lost:
            await asyncio.sleep(0.2)
            raise UnreachableError("box: connection lost")
        return await open_subprocess((str(self.tool), *argv[1:]))


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path)


def asking(way: Any) -> BareCards:
    return BareCards("box", way.open, way)


async def told(cards: BareCards, patience: float) -> Any:
    return (await cards.seen(time.monotonic() + 20, patience)).at(time.time())


async def test_one_answer_has_one_time_however_often_it_is_told(way: Way, house: Path) -> None:
    bare.put_smi(way.tool.parent, house / RECORDED)
    cards = asking(way)
    first = await told(cards, 20)
    assert first.at is not None
    bare.put_smi(way.tool.parent, house / RECORDED, seconds=60)
    assert [(await told(cards, 0.05)).at for _ in range(3)] == [first.at] * 3
    await cards.close()


async def test_what_an_earlier_look_could_not_learn_fails_no_later_one(way: Way, house: Path) -> None:
    bare.put_smi(way.tool.parent, house / RECORDED)
    cards = asking(way)
    way.lost = True
    assert (await cards.seen(time.monotonic() + 20, 0.01)).error.startswith("no answer yet")
    await asyncio.sleep(0.5)
    way.lost = False
    assert len((await told(cards, 20)).devices) == 1
    await cards.close()
