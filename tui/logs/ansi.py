r"""Colours of a log: the SGR sequences (ECMA-48 8.3.117) are read here, and nothing else that begins with an escape.

Every other sequence stays in the text, to be made visible by `tui.sanitise`. What is read becomes values, so that no
byte of a log's own sequence reaches the terminal.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple, Union

Color = Union[int, tuple[int, int, int]]
"""An index into the terminal's 256 colours, the first 16 being its own; or red, green and blue, 0 to 255."""

_SEQUENCE = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_MOST = 32  # parameters of one sequence


class Sgr(NamedTuple):
    """How a piece of text is to look; None is the terminal's own colour."""

    fg: Color | None = None
    bg: Color | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False

    def emit(self) -> str:
        """The sequence, made by us, that sets this look after a reset."""
        codes = [str(code) for code, name in _FLAGS.items() if getattr(self, name)]
        codes += _color_codes(self.fg, 30) + _color_codes(self.bg, 40)
        return f"\x1b[{';'.join(codes)}m" if codes else ""


PLAIN = Sgr()
RESET = "\x1b[0m"

_FLAGS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
_SET: dict[int, dict[str, object]] = {code: {name: True} for code, name in _FLAGS.items()}
_SET |= {
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    39: {"fg": None},
    49: {"bg": None},
}
for _first, _base, _side in ((30, 0, "fg"), (40, 0, "bg"), (90, 8, "fg"), (100, 8, "bg")):
    _SET |= {_first + _number: {_side: _base + _number} for _number in range(8)}


def parse(text: str, look: Sgr = PLAIN) -> tuple[str, list[tuple[int, Sgr]]]:
    """Take the SGR sequences out of a text.

    Text that would be hidden stays to be seen: a colour on the same colour counts as none, concealment is ignored.

    Args:
        text: From outside.
        look: How it begins.

    Returns:
        The text without them, and from which character on it has which look; before the first it is plain.
    """
    looks = [(0, _seen(look))] if look != PLAIN else []
    if "\x1b[" not in text:
        return text, looks
    pieces: list[str] = []
    length = at = 0
    for match in _SEQUENCE.finditer(text):
        piece = text[at : match.start()]
        at = match.end()
        pieces.append(piece)
        length += len(piece)
        changed = _apply(look, match[1])
        if changed != look:
            look = changed
            if looks and looks[-1][0] == length:
                looks.pop()
            looks.append((length, _seen(look)))
    pieces.append(text[at:])
    return "".join(pieces), looks


def without(text: str) -> str:
    """A text without its SGR sequences."""
    return _SEQUENCE.sub("", text)


def _seen(look: Sgr) -> Sgr:
    return look._replace(fg=None, bg=None) if look.fg is not None and look.fg == look.bg else look


@functools.lru_cache(maxsize=1024)
def _apply(look: Sgr, parameters: str) -> Sgr:
    """The look after one sequence; what is not understood changes nothing."""
    state = look._asdict()
    groups = parameters.split(";")[:_MOST]
    index = 0
    while index < len(groups):
        group = groups[index]
        index += 1
        if ":" in group:
            _apply_group(state, group.split(":"))
            continue
        code = int(group or 0)
        if code == 0:
            state = PLAIN._asdict()
        elif code in (38, 48):
            taken, color = _color(groups[index : index + 4])
            index += taken
            if color is not None:
                state["fg" if code == 38 else "bg"] = color
        else:
            state |= _SET.get(code, {})
    return Sgr(**state)


def _apply_group(state: dict[str, object], parts: list[str]) -> None:
    """A parameter with parts of its own: 38:5:n, 38:2:r:g:b, 38:2:space:r:g:b, 4:3."""
    if parts[0] == "4":
        state["underline"] = parts[1] != "0"
    elif parts[0] in ("38", "48"):
        body = parts[1:2] + (parts[3:6] if parts[1:2] == ["2"] and len(parts) > 5 else parts[2:5])
        color = _color(body)[1]
        if color is not None:
            state["fg" if parts[0] == "38" else "bg"] = color


def _color(groups: list[str]) -> tuple[int, Color | None]:
    """A colour as `5;n` or `2;r;g;b`, and how many parameters it takes."""
    if groups[:1] not in (["5"], ["2"]):
        return 0, None
    wanted = 1 if groups[0] == "5" else 3
    values = [int(group) if group.isdigit() and len(group) < 4 else 0 if not group else 256 for group in groups[1:]]
    values = values[:wanted]
    if len(values) < wanted or max(values) > 255:
        return 1 + len(values), None
    return 1 + wanted, values[0] if wanted == 1 else (values[0], values[1], values[2])


def _color_codes(color: Color | None, base: int) -> list[str]:
    if color is None:
        return []
    if isinstance(color, tuple):
        return [f"{base + 8};2;{color[0]};{color[1]};{color[2]}"]
    if color < 16:
        return [str(base + color if color < 8 else base + 60 + color - 8)]
    return [f"{base + 8};5;{color}"]
