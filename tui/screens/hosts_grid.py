"""The fleet as a grid: a block a host, a cell a GPU. One host a row where there is room, else as many as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from hosts.connection import without_wait
from monitors.host import notes
from tui.screens.host_cells import Measure, gib, gpu_cell
from tui.screens.host_facts import HostFacts, plain
from tui.screens.host_look import SINCE, TRYING, Clock, connection_words, way_look
from tui.screens.run_ink import Row, Span, cut, middle, width

WORD, LONG = 13, 23
"""Cells of `retry in 60 s` and of `unreachable since 14:02`."""

_LONG_FROM = 110  # columns of the screen from which on the long words are shown
_NAMES = (16, 12, 8)
_LEAST_NAME, _MOST_NAME = 4, 28
_MOST_CELLS = 16
_LEAST_WORDS, _WIDE_WORDS = 6, 12  # `no GPU`, and `GPUs unknown` where a host has a row
_GAP = 2
_BRIEF = {"unreachable": "down", "auth failed": "no login", "key changed": "new key"}


@dataclass(frozen=True)
class Place:
    """Where a block stands, or a part of one: of a host with many GPUs each part has a place of its own.

    Attributes:
        host: Index into what was laid out.
        first: Its first GPU, counted from 0.
    """

    host: int
    first: int = 0


@dataclass(frozen=True)
class Layout:
    """How blocks are laid out: row after row, `across` in each.

    Attributes:
        name: Cells of a host's name.
        word: Cells for how the way there stands; 0 where only its sign is shown.
        cells: GPUs of one block.
        each: Cells that a GPU takes: 1 alone, 2 with how busy it is beside how full, 3 with a blank as well.
        block: Cells of a block with the gap behind it.
        places: What stands where.
        wide: One host a row, with its sums and what is to be noted.
        words: Cells for what is said where there are no GPUs to show, at least.
    """

    name: int = 8
    word: int = 0
    cells: int = 1
    each: int = 1
    across: int = 1
    block: int = 12
    places: tuple[Place, ...] = ()
    wide: bool = False
    words: int = _LEAST_WORDS

    @property
    def area(self) -> int:
        """Cells of what is told of the GPUs."""
        return max(self.cells * self.each, self.words)

    @property
    def rows(self) -> int:
        """Rows of the whole grid."""
        return -(-len(self.places) // self.across)


def layout(hosts: Sequence[HostFacts], room: int, height: int) -> Layout:
    """The most telling layout that has all hosts on `height` rows of `room` cells; the densest where none has."""
    most = max((len(host.devices) for host in hosts), default=0)
    longest = max((width([(host.name, "")]) for host in hosts), default=1)
    if len(hosts) <= height:
        wide = _wide(hosts, room, most, min(longest, _MOST_NAME))
        if wide is not None and wide.rows <= height:
            return wide
    cells = max(1, min(most, _MOST_CELLS))
    places = _places(hosts, cells)
    made: list[Layout] = []
    for word, most_name in ((WORD, _NAMES[0]), *((0, name) for name in _NAMES)):
        name = max(_LEAST_NAME, min(longest, most_name))
        block = 3 + name + 1 + (word + 1 if word else 0) + max(_LEAST_WORDS, cells) + _GAP
        across = max(1, (room + _GAP - 1) // block)
        made.append(Layout(name, word, cells, 1, across, block, places))
    fits = next((one for one in made if one.rows <= height), made[-2])  # where one scrolls anyway, names are told
    return _spread(fits, room)


def _spread(laid: Layout, room: int) -> Layout:
    """The same with the cells that are left over, for the words of hosts that have no GPU to show."""
    more = max(0, min((room + _GAP - 1) // laid.across - laid.block, WORD - laid.area))
    return replace(laid, words=laid.area + more, block=laid.block + more)


def _wide(hosts: Sequence[HostFacts], room: int, most: int, longest: int) -> Layout | None:
    """One host a row."""
    word = LONG if room >= _LONG_FROM else WORD
    name = max(_LEAST_NAME, longest if room >= _LONG_FROM else min(longest, _NAMES[0]))
    left = room - (3 + name + _GAP + word + _GAP)
    for each in (3, 1):
        if most * each <= left:
            places = _places(hosts, max(1, most))
            return Layout(name, word, max(1, most), each, 1, room, places, wide=True, words=_WIDE_WORDS)
    cells = max(1, left)
    return Layout(name, word, cells, 1, 1, room, _places(hosts, cells), wide=True, words=_WIDE_WORDS)


def _places(hosts: Sequence[HostFacts], cells: int) -> tuple[Place, ...]:
    return tuple(
        Place(index, first) for index, host in enumerate(hosts) for first in range(0, max(1, len(host.devices)), cells)
    )


@dataclass(frozen=True)
class Brush:
    """How blocks are painted.

    Attributes:
        measure: What a cell shows where a GPU has one alone.
        now: Our clock, seconds since the epoch.
        clock: Writes a moment.
        chosen: The host that the cursor is on, and its GPU counted from 0.
    """

    measure: Measure
    now: float
    clock: Clock
    ascii_only: bool
    chosen: tuple[str, int] = ("", 0)

    @property
    def more(self) -> str:
        """Stands for what was cut off."""
        return "~" if self.ascii_only else "…"


def block(host: HostFacts, place: Place, laid: Layout, brush: Brush) -> Row:
    """One block of `laid.block` cells, or one row where each host has its own."""
    here = host.look.name == brush.chosen[0] and place.first <= brush.chosen[1] < place.first + laid.cells
    aged = host.aged(brush.now)
    mark = (">" if brush.ascii_only else "▌") if here else " "
    sign = host.sign
    name = middle(host.name, laid.name, brush.more)
    spans: list[Span] = [(mark, "accent"), (sign.sign(brush.ascii_only), sign.style), (" ", "")]
    spans.append((left(name if not place.first else "", laid.name), "strong" if here else "muted" if aged else ""))
    gap = " " * (_GAP if laid.wide else 1)
    if laid.word:
        words = "" if place.first else short(host, brush, laid.word)
        spans += [(gap, ""), (left(words, laid.word), _word_style(host))]
    spans.append((gap, ""))
    cells = _cells(host, place, laid, brush, host.gpus_aged(brush.now))
    if not cells:
        room = laid.area
        cells = ((left(cut(_nothing(host, brush, laid), room, brush.more), room), "muted"),)
    spans += cells
    used = (3 + laid.name + (len(gap) + laid.word if laid.word else 0) + len(gap)) + _width(host, place, laid)
    if not laid.wide:
        return (*spans, (" " * max(0, laid.block - used), ""))
    if not place.first:
        beyond = laid.area - _width(host, place, laid) + _GAP
        spans.append((" " * beyond, ""))
        spans += _beside(host, max(0, laid.block - used - beyond - 1), brush)
    return tuple(spans)


def _width(host: HostFacts, place: Place, laid: Layout) -> int:
    """Cells of what stands for the GPUs; every sign of one takes a single cell."""
    shown = min(laid.cells, len(host.devices) - place.first)
    return shown * laid.each if shown > 0 else laid.area


def _cells(host: HostFacts, place: Place, laid: Layout, brush: Brush, aged: bool) -> Row:
    """The GPUs of a block. Without the cursor they are as before until the host is looked at again."""
    if brush.chosen[0] == host.look.name:
        return tuple(_fresh_cells(host, place, laid, brush, aged))
    key = (place.first, laid.cells, laid.each, brush.measure, brush.ascii_only, aged)
    made = host.cells.get(key)
    if made is None:
        spans = groupby(_fresh_cells(host, place, laid, brush, aged), key=itemgetter(1))
        made = host.cells[key] = tuple(("".join(text for text, _ in some), style) for style, some in spans)
    return made


def _fresh_cells(host: HostFacts, place: Place, laid: Layout, brush: Brush, aged: bool) -> list[Span]:
    spans: list[Span] = []
    ghosts = host.body.ghosts
    measure = Measure.MEMORY if laid.each > 1 else brush.measure
    for number, device in enumerate(host.devices[place.first : place.first + laid.cells], place.first):
        pair = [gpu_cell(device, ghosts.get(device.index, 0), measure, brush.ascii_only)]
        if laid.each > 1:
            pair.append(gpu_cell(device, 0, Measure.BUSY, brush.ascii_only))
        on = CURSOR if brush.chosen == (host.look.name, number) else ""
        spans += [(text, on + ("muted" if aged else style)) for text, style in pair]
        if laid.each > 2:
            spans.append((("<" if brush.ascii_only else "‹") if on else " ", "accent" if on else ""))
    return spans


CURSOR = "@"
"""Before the name of a colour: the cursor is on it."""


def _word_style(host: HostFacts) -> str:
    style = host.sign.style
    return "muted" if style == "success" else style


def short(host: HostFacts, brush: Brush, room: int) -> str:
    """How the way to a host stands, in at most `room` cells."""
    connection = host.look.connection
    if connection is None and not host.look.local:
        words = "not seen yet" if host.look.snapshot is None else "no answer" if host.blind else "up"
    else:
        words = connection_words(connection, brush.now, brush.clock, host.received)
    for rest in (TRYING, SINCE):
        if len(words) > room:
            words = words.partition(rest)[0]
    if len(words) > room and connection is not None:  # no half of a number
        word = way_look(connection).word
        words = _BRIEF.get(word, word)
    return cut(words, room, brush.more)


def _nothing(host: HostFacts, brush: Brush, laid: Layout) -> str:
    """Why a host has no cells."""
    known = host.body.accelerators
    unknown = "GPUs unknown" if laid.area >= _WIDE_WORDS else "GPUs ?"
    if known is None:
        if not laid.word and host.look.connection is not None:
            return short(host, brush, laid.area)
        return "" if host.blind else unknown
    if known.source == "unknown":
        return unknown
    return "no GPU"


def _beside(host: HostFacts, room: int, brush: Brush) -> list[Span]:
    """What is free, how much is used, and what is to be noted, as much as fits."""
    parts: list[tuple[str, str]] = []
    aged, unread = host.gpus_aged(brush.now), "?" if host.body.unread is not None else ""
    if host.devices:
        free = f"{host.free}/{len(host.devices)} free{unread}"
        parts.append((free, "success" if host.free and not aged else "muted"))
    if host.used is not None:
        partly = "?" if host.partly else unread
        parts.append((f"{gib(host.used[0])}/{gib(host.used[1])}G{partly}", "muted" if aged else ""))
    # That they are unknown stands in the place of the GPUs.
    parts += [(text.removeprefix("GPUs unknown: "), "warning") for text in told_notes(host, brush.clock)]
    parts += [(plain(run.title, 60), "secondary") for run in host.look.runs]
    spans: list[Span] = []
    for text, style in parts:
        gap = "  " if spans else ""
        if room < len(gap) + 6:
            break
        shown = cut(text, room - len(gap), brush.more)
        spans += [(gap, ""), (shown, style)]
        room -= width(spans[-2:])
    return spans


def told_notes(host: HostFacts, clock: Callable[[float], str]) -> list[str]:
    """What of a host deserves a word, first what keeps us from it; safe to show."""
    connection = host.look.connection
    wrong = connection.reason if connection is not None else ""
    wrong = wrong or without_wait(host.error)  # whether and when it is tried again is told beside it
    found = [plain(wrong.removeprefix(f"{host.look.name}: "), 1000)] if wrong else []
    found += [plain(note, 200) for note in notes(host.body, clock)]
    found += [plain(f"{disk.path}: {disk.error}", 200) for disk in host.body.disks if disk.error]
    return found


def left(text: str, room: int) -> str:
    """The text and blanks up to `room` cells."""
    return text + " " * max(0, room - width([(text, "")]))
