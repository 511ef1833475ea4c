"""What is written of the rows of a log: those that pass, all of them or the last so many, and rows of ours between."""

from __future__ import annotations

from collections.abc import Callable

from monitors.logs.types import Filter
from tui.logs.plainkept import Kept
from tui.logs.plaintext import BEHIND, PlainText, continued, settled
from tui.logs.sieve import Sieve, sieve_of

LONGEST = 2 << 20
"""Bytes of a line that are waited for before it is printed in pieces."""

_REDRAWS = frozenset(b"\r\x08\x1b")


class Printer:
    """Writes rows, each once its line has ended.

    Args:
        wanted: Which lines, None for all.
        lines: Write the last so many of those that pass, once all that is there was taken; None: all as they come.
            Whoever wants the last of all lines begins there.
        text: How lines become text.
        write: Takes the text; may wait for whoever reads it.

    Raises:
        InputError: An expression is none.
    """

    def __init__(
        self, wanted: Filter | None, lines: int | None, text: PlainText, write: Callable[[bytes], None]
    ) -> None:
        self._sieve: Sieve = sieve_of(wanted)
        self._text = text
        self._write = write
        self._rest = b""  # of a line that has not ended
        self._open = False  # whether the last line that was written has not ended
        self._behind = b""  # the end of what was written of that line
        self._last = None if lines is None or not self._sieve.active else Kept(lines)

    @property
    def owes(self) -> bool:
        """Whether what comes next is written whatever it says: it stands behind what passes."""
        return self._sieve.owes

    @property
    def lacks(self) -> bool:
        """Whether fewer lines than the last so many were found so far."""
        return self._last is not None and self._last.lacks

    @property
    def is_asking(self) -> bool:
        """Whether a line has not ended that may be a question; what redraws itself is shown once it has ended."""
        if not self._rest or self._sieve.active or _REDRAWS.intersection(self._rest):
            return False
        return settled(self._rest, self._behind) > 0

    def take(self, data: bytes) -> None:
        """Write the lines that are ended by these bytes."""
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._rest += data
            if len(self._rest) > LONGEST:
                self.show_rest()  # a line without end is let through in pieces
            return
        rows = b"".join((self._rest, memoryview(data)[:cut]))
        self._rest = data[cut:]
        self._print(rows)

    def leap(self, *, passing: bool) -> None:
        """Rows are left out, none of which is wanted, and what was begun of one; see `Sieve.leap`."""
        self._rest = b""
        self.end_line()
        self._sieve.leap(passing=passing)

    def turn(self) -> None:
        """Another file begins."""
        self.end_line()
        self._sieve.turn()

    def show_rest(self) -> None:
        """Write a line as far as it goes; what may be half a letter or half a secret waits for its other half."""
        cut = settled(self._rest, self._behind)
        rest, self._rest = self._rest[:cut], self._rest[cut:]
        if rest:
            self._print(rest)

    def end_line(self) -> None:
        """No more of this line will come."""
        rest, self._rest = self._rest, b""
        if rest:
            self._print(rest + b"\n")
        elif self._open:
            self._put(b"\n")
            self._open = False
        self._behind = b""
        self._sieve.end_line()

    def begin_again(self) -> None:
        """What has not ended is read anew, because it was read wrongly."""
        self._rest = b""
        self.end_line()

    def say(self, line: bytes, *, within: bool = False) -> None:
        """Write a row of ours; `within` a line that goes on, of which nothing need have been written: before it."""
        if not within:
            self.end_line()
        elif self._open:
            self._put(b"\n")
            self._open = False
        row = self._text.render(line)
        if self._last is None:
            self._write(row)
        else:
            self._last.say(row)

    def go_on(self) -> None:
        """All that was there is taken: write the last of it; from here on all that passes is written as it comes."""
        if self._last is None:
            return
        rows, self._last = self._last.text, None
        if rows:
            self._write(rows)
            self._open = not rows.endswith(b"\n")

    def finish(self) -> None:
        """Nothing more will come."""
        self.end_line()
        self.go_on()

    def _print(self, rows: bytes) -> None:
        apart = self._sieve.active  # as on the screen: a hit that another one painted over is looked for all the same
        for some in self._sieve.sift(rows):
            self._put(self._text.render(continued(some, self._behind) if self._behind else some, apart=apart))
            self._open = not some.endswith(b"\n")
            self._behind = (self._behind + some[-BEHIND:])[-BEHIND:].rpartition(b"\n")[2]

    def _put(self, text: bytes) -> None:
        if self._last is None:
            self._write(text)
        else:
            self._last.add(text)
