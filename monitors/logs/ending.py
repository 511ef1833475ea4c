"""The last lines of a log as they are written: nothing of it is counted or searched, and next to nothing is held."""

from __future__ import annotations

from collections.abc import Callable

from hosts.local import lines
from hosts.local.lines import SNIFF, UTF8, sniff
from monitors.logs.folding import Folding
from monitors.logs.index import Index
from monitors.logs.marks import Marks
from monitors.logs.pages import PageCache
from monitors.logs.scene import Known, Scene, Spot
from monitors.logs.strip import AllLines
from monitors.logs.types import BEFORE, Generation, LogLine, Place, Shape, Source
from monitors.logs.walk import Purse

_MEMORY = 3 << 20  # where a line without an end begins is looked for in 2 MiB, at every look
_LIMIT = 256 << 10
"""Bytes that are looked at for one answer: of very long lines there are fewer."""
_LATEST = 32 << 10
"""Bytes at the end of a long line that are looked at for its bar."""


class LogEnd:
    """The end of a log.

    Args:
        source: Where its bytes come from; it is started and closed here.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pages = PageCache(source.read, _MEMORY)
        self._known: dict[int, Known] = {}
        self._marks = Marks()
        self._folding = Folding(_LATEST)

    @property
    def shape(self) -> Shape:
        """What is known of the log's bytes."""
        return self._source.shape

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to look; as of `Source`."""
        await self._source.start(changed)

    async def close(self) -> None:
        """Let go of everything."""
        await self._source.close()

    async def lines(self, most: int) -> tuple[LogLine, ...]:
        """At most so many of the last lines, bars collapsed, each with the marks before it; no numbers.

        Of a line that is longer than a window carries, its bar stands alone, as it was written last.

        Raises:
            GoneError: They were thrown away meanwhile: the source's new shape says what is left.
            UnreachableError: Whoever has them does not answer.
        """
        shape = self._source.shape
        self._marks.update(shape, shape.since)
        kept = {generation.number for generation in shape.generations}
        for number in self._known.keys() - kept:
            del self._known[number]
        self._pages.forget(shape.generations)
        scene = Scene(shape.generations, self._pages, self._learn, Purse(_LIMIT))
        strip = await AllLines(scene).behind(scene.end, most + 1)  # one more tells which marks stand before the first
        found: list[LogLine] = []
        previous: Place | None = None
        for spot, text in zip(strip.spots, await scene.texts(strip.spots), strict=True):
            known = await self._learn(spot.generation)
            scene.purse.refill()  # a long bar costs no other line what it says
            said = strip.said.get(spot.at)
            shown = said if said is not None else (await self._folding.fold(scene, spot, text, known.encoding))[0]
            row = spot.row
            size = row.end - row.start - (known.encoding.unit if row.ended else 0)
            marks = self._marks.between(previous, spot.at) if previous is not None else ()
            before = await self._before(scene, spot, known)
            found.append(
                LogLine(
                    *(spot.at, row.end, shown, size, None, row.ended),
                    piece=1 if before else 0,
                    marks=marks,
                    encoding=known.encoding.name,
                    before=before,
                )
            )
            previous = spot.at
        return tuple(found[-most:])

    async def _before(self, scene: Scene, spot: Spot, known: Known) -> bytes:
        """What stands before a piece of a line in the same line; nothing for the beginning of one."""
        generation, start = spot.generation, spot.row.start
        if start % lines.BLOCK or start <= generation.first:
            return b""
        data = await scene.read(generation, max(generation.first, start - BEFORE), start)
        return b"" if data.endswith(known.encoding.newline) else data

    async def _learn(self, generation: Generation) -> Known:
        """How a generation is written; that of one which has just begun may turn out later."""
        known = self._known.setdefault(generation.number, Known(Index(generation.first)))
        if not known.settled:
            low = generation.first + generation.first % 2
            head = await self._pages.read(generation, low, min(SNIFF, generation.size - low))
            known.encoding = sniff(head)
            known.settled = len(head) == SNIFF or known.encoding is not UTF8 or not generation.live
        return known
