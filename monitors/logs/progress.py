r"""Progress bars in a log: what a terminal would have painted over, and nothing else, is left out.

A bar writes its next state over the last one: by a carriage return, by backspaces, or by moving the cursor up. In a
file all states stand one behind the other. Here the older states of a bar are dropped. A text is dropped only if it
is an older state of the same bar (`monitors.logs.bars`), or a bar that the program itself erased: an error glued to
a bar, or painted over by one, stays (SAFETY T4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitors.logs.bars import CONTROL, Identities, Kind, Look, Tallied, bare, flatten, look, tallies
from monitors.logs.counts import Reached
from monitors.logs.spans import LOOKAHEAD

# What somebody's line may cost: with more pieces, bytes of different pieces, pieces beside bars, backspaces or moves
# than these, the rest of it stays as it is.
_PIECES = 1 << 16
_DIFFERENT = 1 << 16
_EXACT = 1 << 12
_RUBOUTS = 1 << 14
_STEPS = 1 << 12
_HEADS = 32

_RETURN = re.compile(rb"\x1b\[(?:[01]?G|\d{3,4}D)")  # to the first column
_OTHER_LINE = re.compile(rb"(\x1b\[\d{0,2}[EF])")  # to the first column of a line below or above
_UP = re.compile(rb"\x1b\[\d{0,2}[AF]")
_VERTICAL = re.compile(rb"\x1b\[\d{0,2}[ABEF]")
_STEP = re.compile(rb"\x1b\[(?:(\d{0,2})([ABEF])|([02]?)K|()0?J)")
_ERASES = (b"\x1b[K", b"\x1b[2K", b"\x1b[0K", b"\x1b[J", b"\x1b[0J")
_LEADING = re.compile(rb"(?:" + CONTROL.pattern + rb")*")
_PAINTS = re.compile(rb"\x1b\[(?:[0-2]?K|0?J|\?(?:25|2026)[hl]|\d{0,2}[ABEF])")  # at an edge: says nothing
_SILENT = re.compile(rb"(?:" + _PAINTS.pattern + rb"|\x1b\[[0-9;:]{0,40}m)*")  # shows nothing
_RUBOUT = re.compile(rb"\x08+")
_CONTINUATION = bytes(range(0x80, 0xC0))
_SAYS = re.compile(rb"[A-Za-z\x1b\xc3-\xdf\xe0\xe1\xe3-\xef]")  # letters, but for the scripts of bar glyphs
_NUMBERS = b"0%()/:., "
_DIGITS = b"0123456789."
_ALL = 1 << 30  # columns that erasing a line blanks


_Bar = tuple[bytes, bytes]


@dataclass(frozen=True)
class _Piece:
    """A piece of a line that is no older state of a later piece of it.

    Attributes:
        text: Without the sequences at its edges that only paint.
        row: Where it is painted, 0 for the row on which the line begins.
        bar: What its states have in common, None for other text.
        key: Its canonical text.
        says: Whether it may say something beside its bar.
    """

    text: bytes
    row: int
    bar: _Bar | None
    key: bytes
    says: bool = False


@dataclass(frozen=True)
class _Painting:
    """What a line does to the screen: its pieces, the bars by row, the rows that it erases, the cursor's last row."""

    pieces: tuple[_Piece, ...]
    bars: frozenset[tuple[int, _Bar]]
    erased: frozenset[int]
    row: int


def collapse(line: bytes, encoding: str = "utf-8", *, unfinished: bool = False) -> bytes:
    """One line as it is to be shown: older states of its bars dropped, what stays separated by carriage returns.

    What a terminal would show in the end stands first where one of its texts is a bar, then the others as they were
    written: so the newest state is there to be seen, however much else is.

    Carriage returns at its beginning and its end (a log with CRLF) go too, and sequences that erase the line or
    move the cursor, at the edge of a bar. A line that rewrites nothing comes back as it is. What was collapsed as
    unfinished may be collapsed again with what was written behind it since; only a bar that was erased in between
    then stays.

    Args:
        line: Its bytes without the newline, at most some blocks.
        encoding: utf-8, utf-16-le or utf-16-be.
        unfinished: More of it is yet to come: all as it was written.
    """
    if encoding.startswith("utf-16"):
        half = line[len(line) // 2 * 2 :]  # of a character
        narrow = _narrow(line, encoding)
        shown = collapse(narrow, unfinished=unfinished)
        return line if shown == narrow else _widen(shown, encoding) + half
    if line.endswith(b"\r"):
        line = line.rstrip(b"\r")
    if b"\r" not in line and b"\x08" not in line and (b"\x1b[" not in line or not _rewrites(line)):
        return line
    pieces = _paint(line).pieces
    return b"\r".join([piece.text for piece in (pieces if unfinished else _last_first(pieces))])


def moves_up(line: bytes) -> bool:
    """Whether a line moves the cursor up, and so may paint over the lines before it."""
    return b"\x1b[" in line and _UP.search(line) is not None


def superseded(line: bytes, following: Sequence[bytes], encoding: str = "utf-8") -> bool:
    """Whether all that a line shows is older states of bars that later lines painted over.

    Args:
        line: Its bytes as they are in the file, not collapsed.
        following: The lines behind it, likewise; no more than `LOOKAHEAD` of them are looked at.
        encoding: utf-8, utf-16-le or utf-16-be.
    """
    return settle((line, *following[:LOOKAHEAD]), encoding)[0] is None


def settle(lines: Sequence[bytes], encoding: str = "utf-8") -> tuple[bytes | None, ...]:
    """`collapse` for consecutive lines, where a later line may paint over bars of the `LOOKAHEAD` lines before it.

    Where all of a line is painted over, None stands in its place; a blank line is painted over if a later one climbs
    above it to paint a bar. So the last `LOOKAHEAD` lines may yet change when more is known to lie behind them.

    Args:
        lines: As they are in the file, without newlines.
        encoding: utf-8, utf-16-le or utf-16-be.
    """
    narrow = [_narrow(line, encoding) for line in lines] if encoding.startswith("utf-16") else lines
    climbs = [index for index, line in enumerate(narrow) if moves_up(line)]
    if not climbs:
        return tuple([collapse(line, encoding) for line in lines])
    first = max(0, climbs[0] - LOOKAHEAD)
    paintings = [_paint(line) for line in narrow[first : climbs[-1] + LOOKAHEAD + 1]]
    covered, buried = _cover(paintings)
    settled: list[bytes | None] = []
    for index, line in enumerate(lines):
        over = covered.get(index - first)
        if index - first in buried:
            settled.append(None)
        elif over:
            left = [piece for piece in paintings[index - first].pieces if (piece.row, piece.bar) not in over]
            data = b"\r".join([piece.text for piece in _last_first(left)])
            settled.append((data if narrow is lines else _widen(data, encoding)) if left else None)
        else:
            settled.append(collapse(line, encoding))
    return tuple(settled)


def overwritten(lines: Sequence[bytes], encoding: str = "utf-8") -> tuple[bool, ...]:
    """Whether all of a line is painted over, for each of some consecutive lines (`settle`)."""
    if not any(map(moves_up, lines)) and not encoding.startswith("utf-16"):
        return (False,) * len(lines)
    return tuple([shown is None for shown in settle(lines, encoding)])


def _cover(paintings: list[_Painting]) -> tuple[dict[int, set[tuple[int, _Bar | None]]], set[int]]:
    """By line, the bars that later lines painted over; and the blank lines that they climbed over."""
    covered: dict[int, set[tuple[int, _Bar | None]]] = {}
    buried: set[int] = set()
    blanks: list[tuple[int, int]] = []  # a row and the blank line on it
    screen: dict[int, dict[_Bar, tuple[int, _Piece]]] = {}  # by row: the line of each bar that is to be seen
    row = 0
    for index, painting in enumerate(paintings):
        struck = [(bar, screen[row + at].pop(bar)) for at, bar in painting.bars if bar in screen.get(row + at, {})]
        for at in painting.erased:
            there = screen.get(row + at, {})
            struck += [(bar, there.pop(bar)) for bar, (_, piece) in list(there.items()) if not piece.says]
        for bar, (line, piece) in struck:
            if index - line <= LOOKAHEAD:
                covered.setdefault(line, set()).add((piece.row, bar))
        for piece in painting.pieces:
            if piece.bar is not None:
                screen.setdefault(row + piece.row, {})[piece.bar] = (index, piece)
        top = min((row + at for at, _ in painting.bars), default=None)
        blanks = [(at, blank) for at, blank in blanks if index - blank <= LOOKAHEAD]
        buried.update(blank for at, blank in blanks if top is not None and top <= at)
        if not painting.pieces:
            blanks.append((row, index))
        row += painting.row + 1
    return covered, buried


def _last_first(pieces: Sequence[_Piece]) -> Sequence[_Piece]:
    """What was written last before the others: they may be more than can be seen."""
    if all(piece.bar is None for piece in pieces) or any(piece.row for piece in pieces):
        return pieces  # lines that are ended by carriage returns; rows of a screen
    return *pieces[-1:], *pieces[:-1]


def _rewrites(line: bytes) -> bool:
    return _RETURN.search(line) is not None or _OTHER_LINE.search(line) is not None


def _paint(line: bytes) -> _Painting:
    """Follow the cursor through a line and drop what is an older state of what comes later."""
    line, vertical = _returning(line)
    texts = line.split(b"\r")
    if len(texts) > _PIECES:
        return _Painting((_Piece(line, 0, None, b""),), frozenset(), frozenset(), 0)
    flats = flatten(line).split(b"\r")
    rows, erasures, row = _follow(texts, line, vertical)
    blanked: dict[int, int] = {}  # by row: columns that something later blanks
    looks: dict[bytes, Look] = {}
    reached = Reached(texts, rows, alone=not vertical)
    tallied: dict[bytes, Tallied] = {}
    different = exact = 0
    identities = Identities()
    seen: set[tuple[int, bytes, bytes]] = set()
    done: dict[bytes, tuple[bytes, ...]] = {}  # flat texts, and how those begin that are older states of what is kept
    painted: set[tuple[int, _Bar]] = set()
    kept: list[_Piece] = []
    for index in range(len(texts) - 1, -1, -1):
        flat = flats[index]
        text = texts[index]
        if flat in done and text.startswith(done[flat]) and (flat not in tallied or tallied[flat].holds(text)):
            reached.alike.append(index)
        elif (flat or not _SILENT.fullmatch(text)) and not reached.soon(
            index, flat, looks.get(flat), hurry=different > _DIFFERENT >> 1
        ):
            at = rows[index]
            seems = looks.get(flat)
            if seems is None:
                different += len(flat)
                seems = looks[flat] = look(flat, text) if different <= _DIFFERENT else Look(Kind.TEXT)
            bar = None
            if seems.kind is Kind.BLANK:
                blanked[at] = max(blanked.get(at, 0), len(text))
            else:
                if seems.kind is Kind.BAR:
                    exact += seems.exact or seems.tallied
                    if exact <= _EXACT and not (vertical and _VERTICAL.search(_trim(text))):
                        bar = identities.of(seems, text)
                sign = bar and (0 if seems.labelled else at, *bar)
                wrong = tallies(text) if seems.tallied else {}
                if sign not in seen or not reached.no_worse(sign, wrong):
                    piece = _Piece(_trim(text), at, bar, seems.key, seems.says or bool(wrong))
                    if not (kept and _is_older(piece, kept[-1], blanked)) and not (
                        bar is not None and not seems.says and reached.behind(index, silent=True)
                    ):
                        kept.append(piece)
                if bar is not None and sign is not None:
                    seen.add(sign)
                    painted.add((at, bar))
                    reached.note(sign, wrong)
                    if not vertical and not seems.exact and not (seems.named and seems.tallied):
                        if seems.tallied:
                            tallied[flat] = Tallied(text)
                        done[flat] = _all_like(done.get(flat, ()), identities.name if seems.named else None, text)
                reached.add(index)
        if index in erasures:
            blanked.update(erasures[index])
    return _Painting(tuple(reversed(kept)), frozenset(painted), frozenset(blanked), row)


def _returning(line: bytes) -> tuple[bytes, bool]:
    """A line with carriage returns for all that goes back to the first column, and whether it goes to other rows."""
    if b"\x08" in line:
        line = _rub_out(line)
    moves = {sequence[-1:] for sequence in CONTROL.findall(line)} if b"\x1b[" in line else set()
    if moves & {b"G", b"D", b"E", b"F"}:
        line = _OTHER_LINE.sub(rb"\1\r", _RETURN.sub(b"\r", line))
    return line, bool(moves & {b"A", b"B", b"E", b"F"})


def _all_like(heads: tuple[bytes, ...], name: bytes | None, text: bytes) -> tuple[bytes, ...]:
    """One more beginning that tells a bar: any if it has no name; none that a longer number may begin with."""
    if name is None:
        return (b"",)
    place = text.find(name)
    if not name or place < 0 or name[-1:] in _DIGITS or len(heads) >= _HEADS:
        return heads
    return (*heads, text[: place + len(name)])


def _is_older(piece: _Piece, later: _Piece, blanked: dict[int, int]) -> bool:
    """Whether a piece is what the next one of the line goes on from, or a bar that was erased before it."""
    if piece.row == later.row and later.text.startswith(piece.text):
        return True  # all of it is there to be seen
    if piece.bar is None or piece.says:
        return False
    if blanked.get(piece.row, 0) >= _columns(piece.text):
        return True
    if piece.row != later.row or piece.bar[1] != (later.bar or piece.bar)[1]:
        return False
    # From "… 50% (5/10)" to "… 100% (10/10), done", from "… [00:01<00:03]" to "… [00:02<00:02, loss=0.1]"
    if len(piece.key) > len("100%") and later.key.startswith(piece.key.removesuffix(b"]")):
        return True
    # From "Reading lists... 99%" to "Reading lists... Done"
    stem = piece.key.rstrip(_NUMBERS)
    return (
        later.bar is None
        and _SAYS.search(stem) is not None
        and later.key.startswith(stem)
        and len(later.key) - len(stem) <= len("already up to date.")
    )


def _follow(texts: list[bytes], line: bytes, vertical: bool) -> tuple[list[int], dict[int, dict[int, int]], int]:
    """The row of each text; the rows that are erased before the nth; and the row of the cursor at the end."""
    rows = [0] * len(texts)
    erased: dict[int, dict[int, int]] = {}
    if b"\x1b[" not in line:
        return rows, erased, 0
    if not vertical:
        whole = {0: _ALL}
        return rows, {index: whole for index, text in enumerate(texts) if text.startswith(_ERASES)}, 0
    row = steps = 0
    for index, text in enumerate(texts):
        rows[index] = row
        if b"\x1b[" not in text:
            continue
        leading = _LEADING.match(text)
        begins = leading.end() if leading else 0
        for step in _STEP.finditer(text):
            steps += 1
            if steps > _STEPS:
                break
            if step[2]:
                row += int(step[1] or 1) * (-1 if step[2] in b"AF" else 1)
            elif step.start() < begins:  # behind a text, only what is right of it is erased
                erased.setdefault(index, {})[row] = _ALL
            if step.start() < begins:
                rows[index] = row
    return rows, erased, row


def _trim(text: bytes) -> bytes:
    """Without the sequences at both edges that only paint, up to some."""
    if b"\x1b" not in text:
        return text
    begin, end = 0, len(text)
    for _ in range(8):
        head = _PAINTS.match(text, begin)
        begin = head.end() if head else begin
        tail = text.rfind(b"\x1b[", max(begin, end - 8), end)
        if tail >= 0 and _PAINTS.fullmatch(text, tail, end):
            end = tail
    return text[begin:end]


def _rub_out(line: bytes) -> bytes:
    """Make a carriage return of backspaces over a whole line; let the others take away what only counts or spins."""
    out = bytearray()
    begin = at = 0
    silent: dict[bytes, bool] = {}
    for number, run in enumerate(_RUBOUT.finditer(line)):
        chunk = line[at : run.start()]
        back = chunk.rfind(b"\r")
        if back >= 0:
            begin = len(out) + back + 1
        out += chunk
        at, count = run.end(), run.end() - run.start()
        if number >= _RUBOUTS:
            at = run.start()
            break
        if at == len(line):
            break
        if len(out) - begin <= 8 * count + 64 and count >= _columns(bytes(out[begin:])):
            out += b"\r"
            begin = len(out)
            continue
        first = _back(out, count, begin)
        over = bytes(out[first:])
        if over not in silent:
            silent[over] = not _SAYS.search(over) or look(flatten(over), over).key.strip(_NUMBERS) == b""
        if silent[over]:
            del out[first:]
        else:
            out += run[0]
    return bytes(out) + line[at:]


def _columns(text: bytes) -> int:
    return len(bare(text).translate(None, _CONTINUATION))


def _back(text: bytearray, count: int, begin: int) -> int:
    """The place of the last `count` characters."""
    place = len(text)
    while count and place > begin:
        place -= 1
        while place > begin and text[place] & 0xC0 == 0x80:
            place -= 1
        count -= 1
    return place


def _narrow(line: bytes, encoding: str) -> bytes:
    """UTF-16 as UTF-8, so that one set of rules serves both."""
    return line[: len(line) // 2 * 2].decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")


def _widen(line: bytes, encoding: str) -> bytes:
    return line.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass")
