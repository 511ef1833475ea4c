"""What a line says once its progress bars are collapsed, however long it is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from hosts.local.lines import Encoding, content, find_newline, rfind_newline
from monitors.logs.scene import Scene, Spot
from monitors.logs.types import KEEP, Place

_STEP = 256 << 10
_MANY = 64  # carriage returns; more take longer than the loop may be held
_REMEMBERED = 64


class Folding:
    """Collapses lines; of long ones it remembers how far it got, so that what is added to them is all it looks at.

    Args:
        latest: Bytes at the end of a long line that are looked at: the last state of its bar. None for all of it.
    """

    def __init__(self, latest: int | None = None) -> None:
        self._latest = latest
        self._states: OrderedDict[Place, tuple[int, bytes]] = OrderedDict()

    async def fold(self, scene: Scene, spot: Spot, text: bytes, encoding: Encoding) -> tuple[bytes, bool]:
        """What a row shows, at most KEEP bytes of it.

        Args:
            text: The row, or its beginning if it is longer than a line may be.

        Returns:
            It, and whether nothing was left out for want of time: asked again later, there is more.
        """
        whole = len(text) == spot.row.end - spot.row.start
        text = content(text, encoding) if whole else text
        if b"\r" not in text and b"\x08" not in text and b"\x1b" not in text:
            return text[:KEEP], True
        from monitors.logs.progress import collapse  # most logs have no bars

        if not whole and b"\r" in text:
            return await self._long(scene, spot, encoding)
        if text.count(b"\r") + text.count(b"\x08") > _MANY:
            return (await asyncio.to_thread(collapse, text, encoding.name))[:KEEP], True
        return collapse(text, encoding.name)[:KEEP], True

    async def _long(self, scene: Scene, spot: Spot, encoding: Encoding) -> tuple[bytes, bool]:
        from monitors.logs.progress import collapse

        generation, row = spot
        end = row.end - (encoding.unit if row.ended else 0)
        back = encoding._replace(newline=encoding.carriage_return)
        upto, shown = await self._begin(scene, spot, end, back)
        rest = b""
        while upto + len(rest) < end and len(shown) <= KEEP and not scene.purse.empty:
            begin = upto + len(rest)
            rest += await scene.read(generation, begin, min(end, begin + _STEP))
            scene.purse.spent += len(rest)
            at = rfind_newline(rest, back, upto)
            if at >= 0:  # what stands behind the last carriage return may be half a bar
                joined = back.newline.join((shown, rest[:at])) if upto > row.start else rest[:at]
                shown = await asyncio.to_thread(collapse, joined, encoding.name, unfinished=True)
                upto, rest = upto + at + encoding.unit, rest[at + encoding.unit :]
                self._states[spot.at] = (upto, shown[: KEEP + 1])
                self._states.move_to_end(spot.at)
                if len(self._states) > _REMEMBERED:
                    self._states.popitem(last=False)
        finished = upto + len(rest) >= end or len(shown) > KEEP
        if rest:
            shown = back.newline.join((shown, rest)) if upto > row.start else rest
        return (await asyncio.to_thread(collapse, shown, encoding.name))[:KEEP], finished

    async def _begin(self, scene: Scene, spot: Spot, end: int, back: Encoding) -> tuple[int, bytes]:
        """Where to go on, and what is shown of all before that."""
        known = self._states.get(spot.at, (spot.row.start, b""))
        if self._latest is None or end - known[0] <= self._latest:
            return known
        begin = (end - self._latest) // back.unit * back.unit
        data = await scene.read(spot.generation, begin, end)
        at = find_newline(data, back, begin)
        if at < 0 or not data[at:].strip(b"\r\0"):
            return known
        return begin + at + back.unit, b""
