r"""What a hostile log may hold: everything that a terminal obeys, answers, reorders or hides, and what breaks readers.

Each bomb is one line of a log, without its newline, and carries a word of its own, so that a test can tell that the
line was shown. Nothing here may come out of any view as it went in.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

FORBIDDEN = frozenset(
    chr(code)
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *(0xAD, 0x61C, 0x115F, 0x1160, 0x180E, 0x3164, 0xFEFF, 0xFFA0),
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xD800, 0xE000),
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    )
)
"""Characters that no shown text holds: controls, what reorders, and what is not to be seen."""


@dataclass(frozen=True)
class Bomb:
    """One line.

    Attributes:
        name: What it tries.
        data: Its bytes, without a newline.
        word: A word in it that every view shows.
        encoding: Of its bytes.
    """

    name: str
    data: bytes
    word: str
    encoding: str = "utf-8"


_CSI = {
    "clear the screen": "2J", "clear what was scrolled out": "3J", "cursor home": "H", "cursor far up": "999A",
    "erase the line": "2K", "scroll region": "1;1r", "scroll down": "99T", "insert lines": "99L", "delete lines": "99M",
    "another screen": "?1049h", "no cursor": "?25l", "mouse reports": "?1003h", "bracketed paste": "?2004h",
    "no wrapping": "?7l", "answer: place": "6n", "answer: identity": "c", "answer: secondary identity": ">c",
    "answer: title": "21t", "answer: mode": "?2026$p", "resize": "8;1;1t", "hide the window": "2t", "soft reset": "!p",
    "keyboard": ">1u", "modify keys": ">4;2m", "repeat": "1000000b", "columns": "?3h", "left margin": "?69h",
    "private colours": "?1m", "intermediate": "1 q", "endless parameters": "1;" * 2000 + "m", "huge": "9" * 3000 + "C",
}  # fmt: skip
_STRINGS = {
    "title": "]0;owned\x07", "title, other end": "]2;owned\x1b\\",
    "link": "]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "]52;c;cm0gLXJmIC8=\x07", "ask for the clipboard": "]52;c;?\x07",
    "notification": "]777;notify;a;b\x07",
    "download": "]1337;File=inline=1:AAAA\x07", "ask for a colour": "]11;?\x07", "palette": "]4;1;red\x1b\\",
    "working directory": "]7;file:///etc\x07", "shell mark": "]133;C\x07", "sixel": "Pq#0;2;0;0;0~-\x1b\\",
    "tmux": "Ptmux;\x1b\x1b]52;c;eA==\x07\x1b\\", "setting": "P$q\"p\x1b\\", "terminfo": "P+q544e\x1b\\",
    "picture": "_Gf=100,a=T;AAAA\x1b\\", "privacy message": "^x\x1b\\", "start of string": "Xx\x1b\\",
    "never ended": "]0;",
}  # fmt: skip
_SINGLE = {
    "full reset": "c", "test picture": "#8", "line drawing": "(0", "save the cursor": "7", "restore the cursor": "8",
    "reverse index": "M", "next line": "E", "keypad": "=", "locking shift": "n", "8-bit controls": " G", "nothing": "",
    "twice": "\x1b[2J",
}  # fmt: skip
_UNICODE = {
    "right to left override": "abc\u202egnp.exe", "isolates": "\u2066a\u2069\u2067b",
    "marks of direction": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufeff", "tags": "\U000e0041\U000e007f",
    "separators": "a\u2028b\u2029c",
    "fillers": "\u3164\u115f\uffa0", "soft hyphens": "a\u00adb", "annotation": "\ufff9a\ufffab\ufffb",
    "heap of marks": "e" + "\u0301" * 3000, "heap of mixed marks": "o" + "\u0301\u20dd\u0f71" * 1000,
    "wide": "世界" * 300, "emoji": "👩\u200d👩\u200d👧 ❤\ufe0f 🇩🇪 👍🏽", "ideographic blank": "a\u3000b",
    "C1 as UTF-8": "\u0085\u008d\u0090\u009b2J\u009c\u009d0;x\u0007",
}  # fmt: skip
_BYTES = {
    "every byte": bytes(byte for byte in range(256) if byte != 0x0A), "C1 bytes": b"\x9b2J\x9d0;x\x9c\x90q\x9c\x85",
    "NUL": b"a\0b\0" * 50, "overlong": b"\xc0\x9b[2J \xe0\x80\x9b", "surrogates": b"\xed\xa0\x80\xed\xbf\xbf",
    "beyond Unicode": b"\xf5\x80\x80\x80\xf8\x88\x80\x80\x80", "cut character": "世".encode()[:2], "alone": b"\x80\xbf",
    "backspaces": b"gone\b\b\b\bshow", "rubbed out": b"x" * 50 + b"\b" * 60, "deletes": b"\x7f\x7f",
    "bells": b"\x07" * 99,
    "returns": b"hidden text\rshown", "vertical tabs": b"a\x0bb\x0cc", "shift out": b"\x0eqqq\x0f",
    "end of text": b"\x04\x1a",
    "ask who": b"\x05", "tabs": b"\t" * 100, "group separators": b"\x1c\x1d\x1e\x1f",
}  # fmt: skip
_TEXTS = {
    "markup": "[red]x[/red] [/foo] [@click=app.quit]here[/] [link=file:///x]y[/link] \\[z]",
    "braces": "{0} %s $(id) `id`",
    "blanks": " " * 5000, "long": "x" * 20_000, "concealed": "\x1b[8mhidden\x1b[0m",
    "same colours": "\x1b[31;41mhidden\x1b[0m",
    "colour bomb": "\x1b[1m\x1b[0m" * 2000, "colours": "".join(f"\x1b[38;2;{n};0;{n}m{n}" for n in range(256)),
    "blinking": "\x1b[5;6mx",
    "bad colours": "\x1b[38;5;999m\x1b[38;2m\x1b[48;2;1;2m\x1b[38:2::300:0:0m\x1b[;;;m\x1b[38;5",
    "never ended colour": "\x1b[31", "secret": "token hf_" + "a1B2c3D4e5" * 3,
    "bar": "\r 10%|#  | 1/10 [00:01<00:09, 1it/s]\x1b[A\r 20%|## | 2/10 [00:02<00:08, 1it/s]RuntimeError: boom",
}  # fmt: skip


def bombs(seed: int = 0, mixed: int = 50) -> tuple[Bomb, ...]:
    """All of them, then some that are mixed from pieces of the others and noise, the same for the same seed."""
    return tuple(_bombs(seed, mixed))


def _bombs(seed: int, mixed: int) -> Iterator[Bomb]:
    every: list[tuple[str, bytes]] = [
        *((name, f"\x1b[{text}".encode()) for name, text in _CSI.items()),
        *((f"8-bit, {name}", b"\x9b" + text.encode()) for name, text in _CSI.items()),
        *((name, f"\x1b{text}".encode()) for name, text in (*_STRINGS.items(), *_SINGLE.items())),
        *((name, text.encode()) for name, text in (*_UNICODE.items(), *_TEXTS.items())),
        *_BYTES.items(),
    ]
    for number, (name, data) in enumerate(every):
        word = f"bomb{number:04}"
        yield Bomb(name, f"{word} ".encode() + data + b" end", word)
    draw = random.Random(seed)
    for number in range(mixed):
        word = f"mixed{number:04}"
        pieces = [draw.choice(every)[1][:200] for _ in range(draw.randint(1, 6))]
        pieces.insert(draw.randint(0, len(pieces)), bytes(draw.choices(range(256), k=draw.randint(0, 40))))
        data = b"".join(pieces).replace(b"\n", b"")
        cut = draw.randint(0, len(data))
        yield Bomb("mixed", f"{word} ".encode() + data[:cut] + data[cut + draw.randint(0, 3) :], word)
    for encoding in ("utf-16-le", "utf-16-be"):
        for name, text in (*_UNICODE.items(), *_TEXTS.items()):
            yield Bomb(f"{encoding}, {name}", f"wide {text}".encode(encoding, "surrogatepass"), "wide", encoding)


def unsafe(text: str, *allowed: str) -> set[str]:
    """What a shown text holds and may not."""
    return (set(text) & FORBIDDEN) - set(allowed)
