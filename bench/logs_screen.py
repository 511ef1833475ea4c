"""What a terminal would show: as much of an xterm as log viewers use, so that a measurement can read the screen.

Colours are dropped. What is not understood is skipped, never shown as text.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f]+)"
    r"|\x1b\[(?P<given>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # titles, clipboards and other strings
    r"|\x1b[ #%()*+./-].|\x1b(?P<escape>[0-OQ-WYZ`-~\\])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])",
    re.DOTALL,
)
_LONG = 1 << 13  # characters; shorter ones are not worth a look ahead
_LONGEST = 1 << 16  # characters of a sequence that never ends


class Screen:
    """The cells of a terminal.

    Attributes:
        answers: What a terminal would have sent back since this was last emptied.
        row: The cursor's, from 0.
        column: The cursor's, from 0.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.answers = bytearray()
        self.row = self.column = 0
        self._cells = [self._blank() for _ in range(rows)]
        self._top, self._bottom = 0, rows
        self._saved = (0, 0)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._last = " "

    def lines(self) -> list[str]:
        """The rows as text, blanks at their ends included."""
        return ["".join(cells) for cells in self._cells]

    def line(self, row: int) -> str:
        """One row, -1 for the last."""
        return "".join(self._cells[row])

    def holds(self, words: str) -> bool:
        """Whether these words stand on one of the rows."""
        return any(words in line for line in self.lines())

    def feed(self, data: bytes) -> None:
        """Do what a terminal does with these bytes; sequences and characters may be cut anywhere."""
        text = self._rest + self._decode(data)
        self._rest = ""
        place = 0
        while place < len(text):
            if text[place] == "\n":
                place = self._scrolled_past(text, place)
            token = _TOKEN.match(text, place)
            if token is None:
                if len(text) - place < _LONGEST:
                    self._rest = text[place:]
                    return
                place += 1
                continue
            self._do(token)
            place = token.end()

    def _scrolled_past(self, text: str, place: int) -> int:
        """Where to go on: lines that are gone from the screen before anybody sees it are not written to it."""
        end = text.find("\x1b", place)
        end = len(text) if end < 0 else end
        if end - place < _LONG or (self._top, self._bottom) != (0, self.rows):
            return place
        if text.count("\n", place, end) <= 3 * self.rows:
            return place
        self._cells = [self._blank() for _ in range(self.rows)]
        self.row = self.rows - 1
        for _ in range(self.rows + 1):
            end = text.rindex("\n", place, end)
        self.column = 0
        return end

    def _do(self, token: re.Match[str]) -> None:
        if token["text"] is not None:
            self._write(token["text"])
        elif token["final"] is not None:
            self._csi(token["given"], token["between"], token["final"])
        elif token["escape"] is not None:
            self._escape(token["escape"])
        elif token["control"] is not None:
            self._control(token["control"])

    def _blank(self) -> list[str]:
        return [" "] * self.columns

    def _write(self, text: str) -> None:
        self._last = text[-1]
        if text.isascii():
            while text:
                if self.column >= self.columns:
                    self._wrap()
                part, text = text[: self.columns - self.column], text[self.columns - self.column :]
                self._cells[self.row][self.column : self.column + len(part)] = part
                self.column += len(part)
            return
        for letter in text:
            wide = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
            if unicodedata.combining(letter):
                continue
            if self.column + wide > self.columns:
                self._wrap()
            self._cells[self.row][self.column : self.column + wide] = [letter, ""][:wide]
            self.column += wide

    def _wrap(self) -> None:
        self.column = 0
        self._down()

    def _down(self) -> None:
        if self.row == self._bottom - 1:
            self._scroll(1)
        else:
            self.row = min(self.row + 1, self.rows - 1)

    def _scroll(self, count: int, top: int | None = None) -> None:
        """Move the lines between `top` and the region's end up, or down where `count` is negative."""
        top, bottom = self._top if top is None else top, self._bottom
        most = min(abs(count), bottom - top)
        if count > 0:
            self._cells[top:bottom] = self._cells[top + most : bottom] + [self._blank() for _ in range(most)]
        elif count < 0:
            self._cells[top:bottom] = [self._blank() for _ in range(most)] + self._cells[top : bottom - most]

    def _control(self, letter: str) -> None:
        if letter == "\n":
            self._down()
        elif letter == "\r":
            self.column = 0
        elif letter == "\b":
            self.column = max(self.column - 1, 0)
        elif letter == "\t":
            self.column = min(self.column // 8 * 8 + 8, self.columns - 1)

    def _escape(self, final: str) -> None:
        if final == "M":
            if self.row == self._top:
                self._scroll(-1)
            else:
                self.row = max(self.row - 1, 0)
        elif final in "DE":
            self.column = 0 if final == "E" else self.column
            self._down()
        elif final == "7":
            self._saved = (self.row, self.column)
        elif final == "8":
            self.row, self.column = self._saved
        elif final == "c":
            self._clear()

    def _clear(self) -> None:
        self._cells = [self._blank() for _ in range(self.rows)]
        self._top, self._bottom = 0, self.rows
        self.row = self.column = 0

    def _csi(self, given: str, between: str, final: str) -> None:
        if given[:1] in ("?", ">", "<", "="):
            self._private(given, between, final)
            return
        numbers = [int(part) if part.isdigit() else 0 for part in given.split(";")]
        act = _CSI.get(final) if not between else None
        if act is not None:
            act(self, numbers)
        self.row = max(0, min(self.row, self.rows - 1))
        self.column = max(0, min(self.column, self.columns))

    def _private(self, given: str, between: str, final: str) -> None:
        modes = given[1:].split(";")
        if final in "hl" and given[0] == "?" and {"47", "1047", "1049"} & set(modes):
            self._clear()
        elif between == "$" and final == "p" and modes[0] == "2026":
            self.answers += b"\x1b[?2026;2$y"  # understood, and off

    def _position(self, numbers: list[int]) -> None:
        row, column = (*numbers, 0, 0)[:2]
        self.row, self.column = max(row, 1) - 1, max(column, 1) - 1

    def _erase_line(self, numbers: list[int]) -> None:
        at = min(self.column, self.columns - 1)
        first, end = {0: (at, self.columns), 1: (0, at + 1)}.get(numbers[0], (0, self.columns))
        self._cells[self.row][first:end] = [" "] * (end - first)

    def _erase_screen(self, numbers: list[int]) -> None:
        first, end = {0: (self.row + 1, self.rows), 1: (0, self.row)}.get(numbers[0], (0, self.rows))
        if numbers[0] in (0, 1):
            self._erase_line(numbers)
        self._cells[first:end] = [self._blank() for _ in range(end - first)]

    def _move_cells(self, count: int) -> None:
        """Delete `count` cells at the cursor, or insert so many blanks where it is negative."""
        cells, at = self._cells[self.row], min(self.column, self.columns)
        if count > 0:
            cells[at:] = (cells[at + count :] + self._blank())[: self.columns - at]
        else:
            cells[at:] = ([" "] * -count + cells[at:])[: self.columns - at]

    def _region(self, numbers: list[int]) -> None:
        top, bottom = (*numbers, 0, 0)[:2]
        self._top, self._bottom = max(top, 1) - 1, min(bottom or self.rows, self.rows)
        self.row = self.column = 0

    def _step(self, rows: int, columns: int) -> None:
        self.row += rows
        self.column = min(self.column, self.columns - 1) + columns

    def _lines(self, count: int) -> None:
        if self._top <= self.row < self._bottom:
            self._scroll(count, self.row)

    def _report(self, numbers: list[int]) -> None:
        if numbers[0] == 6:
            self.answers += b"\x1b[%d;%dR" % (self.row + 1, self.column + 1)
        elif numbers[0] == 5:
            self.answers += b"\x1b[0n"


def _n(numbers: list[int]) -> int:
    return max(numbers[0], 1)


def _set(screen: Screen, row: int | None, column: int | None) -> None:
    screen.row = screen.row if row is None else row
    screen.column = screen.column if column is None else column


def _blanks(screen: Screen, count: int) -> None:
    end = min(screen.column + count, screen.columns)
    screen._cells[screen.row][screen.column : end] = [" "] * (end - screen.column)


_CSI: dict[str, Callable[[Screen, list[int]], None]] = {
    "A": lambda screen, numbers: screen._step(-_n(numbers), 0),
    "B": lambda screen, numbers: screen._step(_n(numbers), 0),
    "C": lambda screen, numbers: screen._step(0, _n(numbers)),
    "D": lambda screen, numbers: screen._step(0, -_n(numbers)),
    "E": lambda screen, numbers: _set(screen, screen.row + _n(numbers), 0),
    "F": lambda screen, numbers: _set(screen, screen.row - _n(numbers), 0),
    "G": lambda screen, numbers: _set(screen, None, _n(numbers) - 1),
    "`": lambda screen, numbers: _set(screen, None, _n(numbers) - 1),
    "d": lambda screen, numbers: _set(screen, _n(numbers) - 1, None),
    "H": lambda screen, numbers: screen._position(numbers),
    "f": lambda screen, numbers: screen._position(numbers),
    "J": lambda screen, numbers: screen._erase_screen(numbers),
    "K": lambda screen, numbers: screen._erase_line(numbers),
    "L": lambda screen, numbers: screen._lines(-_n(numbers)),
    "M": lambda screen, numbers: screen._lines(_n(numbers)),
    "P": lambda screen, numbers: screen._move_cells(_n(numbers)),
    "@": lambda screen, numbers: screen._move_cells(-_n(numbers)),
    "S": lambda screen, numbers: screen._scroll(_n(numbers)),
    "T": lambda screen, numbers: screen._scroll(-_n(numbers)),
    "X": lambda screen, numbers: _blanks(screen, _n(numbers)),
    "Z": lambda screen, numbers: _set(screen, None, max(0, (screen.column - 1) // 8 * 8)),
    "b": lambda screen, numbers: screen._write(screen._last * _n(numbers)),
    "r": lambda screen, numbers: screen._region(numbers),
    "s": lambda screen, numbers: screen._escape("7"),
    "u": lambda screen, numbers: screen._escape("8"),
    "n": lambda screen, numbers: screen._report(numbers),
    "c": lambda screen, numbers: screen.answers.extend(b"\x1b[?62c"),
}
