"""Writes a log at a given rate, then a mark; says in one line of JSON how that went.

    python bench/logs_write.py FILE LINES_PER_SECOND SECONDS MARK

Lines of 100 bytes, each with a number of its own, in batches of 5 ms. A process of its own, so that neither the viewer
nor who measures it slows the writer down; a writer that cannot keep its rate says so in `took`.
"""

from __future__ import annotations

import json
import sys
import time

_DIGITS = 9
_EVERY_S = 0.005
_MOST = 1_000_000  # lines of a table of ready lines
_FORM = b"2026-05-25 02:43:02,170 INFO engine.loop: %09d Avg generation throughput: 812.4 tok/s, Run: 12\n"
WIDTH = len(_FORM % 0)


def main() -> int:
    """Write, then print lines, bytes, took (seconds of writing) and marked (the monotonic time of the mark)."""
    path, rate, seconds, mark = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    lines = round(rate * seconds)
    table = _Lines(min(lines, _MOST))
    with open(path, "ab", buffering=0) as file:
        began = time.monotonic()
        written = 0
        while written < lines:
            due = min(round((time.monotonic() - began) * rate), lines)
            while written < due:
                part = table.take(written, due)
                file.write(part)
                written += len(part) // WIDTH
            time.sleep(max(0.0, _EVERY_S - (time.monotonic() - began) % _EVERY_S))
        took = time.monotonic() - began
        file.write(b"END-OF-BURST %s\n" % mark.encode())
        marked = time.monotonic()
    print(json.dumps({"lines": lines + 1, "bytes": lines * WIDTH, "took": took, "marked": marked}))
    return 0


class _Lines:
    """Numbered lines, made ahead; used again with their higher digits changed in place, which is cheap."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._round = 0
        self._at = _FORM.index(b"%09d")
        self._table = bytearray(b"".join(_FORM % number for number in range(count)))

    def take(self, first: int, end: int) -> memoryview:
        """Lines from `first` on, up to `end` or fewer."""
        turn, first_row = divmod(first, self._count)
        if turn != self._round:
            self._round = turn
            for place, digit in enumerate(b"%09d" % (turn * self._count)):
                if 10 ** (_DIGITS - 1 - place) < self._count:  # digits below the size of the table stay
                    continue
                self._table[self._at + place :: WIDTH] = bytes([digit]) * self._count
        last_row = min(end - turn * self._count, self._count)
        return memoryview(self._table)[first_row * WIDTH : last_row * WIDTH]


if __name__ == "__main__":
    sys.exit(main())
