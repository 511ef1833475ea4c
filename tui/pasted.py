"""What a terminal sends, without what a pasted text could pretend to be typed.

A terminal that brackets what is pasted ought to take control characters out of it; tmux and others do not. The
framework takes an escape character within a paste for a key, and the letters behind it for keys too: a text from a web
page could quit, or open an editor.
"""

from __future__ import annotations

BEGIN = "\x1b[200~"
END = "\x1b[201~"

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}


class PasteFilter:
    """Takes control characters out of what is pasted, however the input is cut into reads; keys pass at once."""

    def __init__(self) -> None:
        self._pasting = False
        self._last = ""  # the end of what passed, which may be the beginning of BEGIN
        self._held = ""  # the end of what was pasted, which may be the beginning of END

    def take(self, data: str) -> str:
        """What to go on with; may be less than came, never more than came so far."""
        passed = []
        while data:
            if self._pasting:
                data = self._held + data
                self._held = ""
                text, end, rest = data.partition(END)
                if not end:
                    self._held = _begun(text, END)
                    text = text[: len(text) - len(self._held)]
                passed.append(text.translate(_CONTROLS) + end)
                self._pasting, data = not end, rest
            else:
                joined = self._last + data
                before, begin, rest = joined.partition(BEGIN)
                passed.append((before + begin)[len(self._last) :])
                self._last = "" if begin else _begun(joined, BEGIN)
                self._pasting, data = bool(begin), rest
        return "".join(passed)


def _begun(text: str, whole: str) -> str:
    """The end of `text` that `whole` may begin with."""
    for size in range(min(len(whole) - 1, len(text)), 0, -1):
        if text.endswith(whole[:size]):
            return whole[:size]
    return ""
