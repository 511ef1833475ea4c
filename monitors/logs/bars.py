r"""What a progress bar is, told from its bytes: which texts are states of one bar, and which are something else.

Two texts are states of the same bar if they are equal once numbers, units, times, bar glyphs, spinners and colours
are taken out, the numbers in its name (`file-2:`, `Epoch 3:`) left in. Where a text also holds words that may be an
alarm, or words glued to the end of a bar, only texts that say the same beside the bar are equal.

A text that counts is also an older state of one that counts on, under other words (`monitors.logs.counts`).

Every expression is bounded, since the text is anybody's: none takes more than linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

LONGEST = 512
"""Bytes of the longest flat text that can be a bar."""

CONTROL = re.compile(rb"\x1b\[[0-9;:?]{0,40}[A-HJKSTfhlm]")  # colours, moves, erasing, showing the cursor
# U+2580-25FF blocks and shapes, heavy and light dashes, half dashes, braille, moons, clocks
GLYPHS = re.compile(
    rb"(?:\xe2(?:[\x96\x97][\x80-\xbf]|\x94[\x80\x81]|\x95[\xb8-\xbf]|[\xa0-\xa3][\x80-\xbf])"
    rb"|\xf0\x9f(?:\x8c[\x91-\x98]|\x95[\x90-\x9b]))+"
)
_ZEROS = bytes.maketrans(b"123456789?\t", b"0000000000 ")
# For lines whose only other characters than ASCII are glyphs: one pass, some ten times as fast as the expression
_ZEROS_AND_GLYPHS = bytes.maketrans(b"123456789?\t\xe2", b"0000000000 \x01")
_CONTINUATION = bytes(range(0x80, 0xC0))
_NO_GLYPH = bytes({*range(0x100)} - {*range(0xC0, 0x100)} | {0xE2})
_LEADS = (b"\xe2\x96", b"\xe2\x94\x81", b"\xe2\x97", b"\xe2\xa0", b"\xe2\x95\xb8", b"\xe2\x95\xba")
_RUNS = tuple((run * length, run) for run, length in ((b" ", 8), (b" ", 3), (b" ", 2), (b"0", 4), (b"0", 2), (b"0", 2)))
_GLYPH_RUNS = tuple((b"\x01" * length, b"\x01") for length in (8, 3, 2))

_TIME = rb"(?:s|secs?|seconds?|ms|us|min|h|hour)"
# How a flat text becomes the same for all states of a bar
_CANON: tuple[tuple[re.Pattern[bytes], bytes], ...] = (
    (re.compile(rb" +"), b" "),
    (re.compile(rb"0+(?:\.0+)?"), b"0"),
    (re.compile(rb"0e[-+]?0\b"), b"0"),
    (re.compile(rb"0(?:,0)+"), b"0"),
    (re.compile(rb"(?<=[=:,(\s])-(?=0)"), b""),
    (re.compile(rb"\b0 ?[A-Za-z]{0,16} ?/ ?" + _TIME + rb"\b|\b0 ?" + _TIME + rb" ?/ ?[A-Za-z]{1,16}\b"), b"0"),
    (re.compile(rb"\b0 ?(?:[kKMGTPm]i?)?(?:B|b|bytes|bit)\b|\b0[kKMGT]\b"), b"0"),
    (re.compile(rb"[-0]{1,3}(?::[-0]{1,3}){1,3}"), b"0"),
    (re.compile(rb"\b0 ?(?:d|m|" + _TIME + rb")\b"), b"0"),
    (re.compile(rb"\b0(?: 0){1,40}(?=[\s\]<,)]|$)"), b"0"),
    (re.compile(rb"[|\[][\s#=>~*.\-0\x01]*(?=[|\]])"), b"["),
    (re.compile(rb"#{2,}|(?<=\|)#(?=\s|$)|^\s?#(?=\s0%)"), b""),
    (re.compile(rb"^\s*[|/\\-](?=\s|$)|(?<=\s)[|/\\-]\s*$"), b""),
    (re.compile(rb"[\s\x01]+"), b""),
)
_COUNTED = rb"\d[\d.]{0,15}[kKMGT]?\s?[A-Za-z]{0,16} \[\d{1,3}:\d"  # 3it [00:12, 4it/s]
_SPINS = rb"^\s*[|/\\-](?=\s|$)|\s[|/\\-]\s*$"
# Where the bar begins: after its name
_BEGINS = re.compile(
    rb"\d[\d.]{0,15}\s?%|\d[\d.]{0,15}\s?[A-Za-z]{0,6}\s?/\s?[\d?]|\d{1,15} of \d"
    rb"|[|\[][\s#=>~*.\-]{3,}[|\]\d\xe2\x01]|#{3}"
    rb"|\d[\d.]{0,15}\s?[A-Za-z]{0,16}\s?/\s?s\b|\d[\d.]{0,15}\s?s/\s?[A-Za-z]|"
    + _COUNTED + rb"|\x01|" + _SPINS + rb"|" + GLYPHS.pattern
)  # fmt: skip
_BEGINS_HERE = re.compile(rb"\s*(?:" + _BEGINS.pattern + rb")")
_LETTER = re.compile(rb"[A-Za-z\x80-\xff]")
STAMPED = re.compile(rb"^[\s\[(]*(?:\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d\b)")
# Of lower case, as what they are searched in is made: that is several times as fast as to leave the case aside
_ALARM = re.compile(
    rb"error|exception|traceback|fail|fatal|critical|warn|panic|abort|kill|\boom\b|out ?of ?mem|denied|refused"
    rb"|timed? ?out|\blost\b|crash|segfault|segmentation|assert|invalid|corrupt|cannot|could ?n|unable|unexpected"
    rb"|missing|retr(?:y|ies)"
)
# What counts how often something went wrong: errors: 0, failed=3, retries: 1/5; and a loss that is none
_TALLY = re.compile(
    rb"\b(errors?|err|failed|failures?|fails?|warnings?|warns?|retry|retries|retried|timeouts?|exceptions?|aborted"
    rb"|killed|lost|crashed|crashes|missing|invalid|denied|refused|corrupt(?:ed)?|unexpected|oom)\s?[:=]\s?"
    rb"(\d{1,15}(?:\.\d{1,15}(?:e[-+]?\d{1,4})?)?)(?![\w.]*[a-z])|(?<![\w.,-])(\d{1,15}) "
    rb"(errors|failed|failures|warnings|retries|timeouts|exceptions|missing|invalid)\b|\b(nan|[+-]?inf)\b"
)
_FILE = re.compile(
    rb"(?<![\w./+-])[\w./+-]{1,200}\.(?:o|a|so|cc?|cpp|cxx|cu|hp?p?|cuh|rs|go|pyi?|[jt]sx?|java|md|txt|log|csv|tsv|html?|xml"
    rb"|jsonl?|ya?ml|toml|bin|pth?|safetensors|parquet|npy|png|jpe?g|gif|wav|mp\d|flac|gz|zst|tar|zip|whl)(?![\w./])"
)
_DRAWN = re.compile(rb"\x01|%\||[|\[][\s#=>~*.\-0]{3,}[|\]]|#{3}|\d:\d\d?<")  # more than a count or a percentage
_GLUED = re.compile(rb"\[[^\]\[]{0,300}(?:<|/s|s/)[^\]\[]{0,300}\]\s*[^\s\x00-\x1f]")
# What goes out of a text that may say something beside the bar: the bar
_CORE = re.compile(
    rb"\d{1,9}(?:\.\d{1,9})?%\|[^|]{0,999}\|\s*[\d.?,]{1,20}\w{0,9}/[\d.?,]{1,20}\w{0,9}\s*\[[^\]]{0,300}\]"
    rb"|\d{1,9}(?:\.\d{1,9})?\s?%|[|\[][\s#=>.\-]*[|\]]|\d[\d.]{0,15}[kKMGT]?i?B?/\d[\d.]{0,15}[kKMGT]?i?B?"
    rb"|\d[\d.]{0,15}\s?[A-Za-z]{0,16}/s\b|\b\d[\d.]{0,15}s/\w{1,20}|\b\d{1,4}(?::\d\d){1,3}"
)
# Numbers in a name that count or measure: 12:30, 0.25, loss=3, 1,000,000, 12 MB, step 7
VALUE = re.compile(
    rb"\d{1,9}(?::\d{1,9}){1,3}|=\s*-?\d{1,20}(?:\.\d{1,20})?(?:e[-+]?\d{1,4})?|\d{1,20}\.\d{1,20}(?:e[-+]?\d{1,4})?"
    rb"|\b\d{1,3}(?:,\d{1,3}){1,5}\b|\b\d{1,20} ?(?:(?:[kKMGTP]i?)?B|bytes|s|sec)\b"
    rb"|(?i:\b(?:steps?|it|iters?|iterations?|batch(?:es)?|samples?|examples?|items?|loss|acc|lr|tokens?|bytes)"
    rb"[ :=#]{1,3})\d{1,20}(?:\.\d{1,20})?"
)
DIGITS = re.compile(rb"\d+")


class Kind(Enum):
    """What a piece of a rewritten line is."""

    BLANK = "blank"  # nothing to see: the line was erased
    TEXT = "text"
    BAR = "bar"


@dataclass(frozen=True)
class Look:
    """What a flat text is; one for all the texts that flatten to the same.

    Attributes:
        kind: What it is.
        key: Equal for the states of one bar.
        named: Its name holds digits: its identity needs the text itself.
        says: It may say something beside the bar, and is not to be dropped because the bar was erased.
        exact: What it says has numbers in it: all but the bar is compared.
        labelled: Words stand before the bar, so that it is told from others wherever it is painted.
        tallied: It counts what went wrong: the numbers tell whether it says something (`tallies`).
    """

    kind: Kind
    key: bytes = b""
    named: bool = False
    says: bool = False
    exact: bool = False
    labelled: bool = False
    tallied: bool = False


class Tallied:
    """Tells quickly whether a text that flattens to the same counts no more that went wrong."""

    def __init__(self, text: bytes) -> None:
        self._marks: list[bytes] = []
        self._most: list[int] = []
        self._whole: list[bytes] = []
        self.varies = False
        for found in _TALLY.finditer(text.lower()):
            if found[3]:
                self.varies = True
            elif found[1] and b"." not in found[2]:
                mark = text[found.start() : found.start(2)]
                self.varies |= text.count(mark) > 1
                self._marks.append(mark)
                self._most.append(int(found[2]))
                self._whole.append(text[found.start() : found.end(2) + 1])

    def holds(self, text: bytes) -> bool:
        """Whether no count is higher."""
        for whole in self._whole:
            if whole not in text:
                return not self.varies and self._compare(text)
        return not self.varies

    def _compare(self, text: bytes) -> bool:
        for mark, most in zip(self._marks, self._most, strict=True):
            found = DIGITS.match(text, text.find(mark) + len(mark))
            if found is None or int(found[0]) > most:
                return False
        return True


def flatten(line: bytes) -> bytes:
    """Take colours and moves out, mark glyphs, make every number a 0; carriage returns stay where they are."""
    if b"\x1b" in line:
        for common in set(CONTROL.findall(line[:LONGEST])):
            line = line.replace(common, b"")
        line = CONTROL.sub(b"", line)
    if line.isascii():
        line = line.translate(_ZEROS)
    elif _glyphs_only(line):
        line = line.translate(_ZEROS_AND_GLYPHS, _CONTINUATION)
    else:
        line = GLYPHS.sub(b"\x01", line).translate(_ZEROS)
    for run, one in (*_RUNS, *_GLYPH_RUNS) if b"\x01" in line else _RUNS:
        line = line.replace(run, one)
    return line


def _glyphs_only(line: bytes) -> bool:
    """Whether every character that is not ASCII is a bar glyph."""
    if line.translate(None, _NO_GLYPH):
        return False
    left = line.count(b"\xe2")
    for lead in _LEADS:
        left -= line.count(lead) if left else 0
    return not left


def look(flat: bytes, text: bytes) -> Look:
    """Tell what a flat text is.

    Args:
        flat: What `flatten` made of it.
        text: The text itself, for what flattening takes away.
    """
    if not flat.strip():
        return Look(Kind.BLANK if flat else Kind.TEXT)
    if len(flat) > LONGEST:
        return Look(Kind.TEXT)
    key = flat
    for pattern, by in _CANON:
        key = pattern.sub(by, key)
    letters = _LETTER.search(key) is not None
    begins = _BEGINS.search(flat)
    if begins is None:
        return Look(Kind.TEXT if letters or b"0" not in flat else Kind.BAR, key)
    if letters and STAMPED.match(bare(text)):
        return Look(Kind.TEXT, key)
    named = b"0" in VALUE.sub(b"", flat[: begins.start()])
    alarm = tallied = _ALARM.search(key.lower()) is not None
    if alarm:
        alarm = _alarms(flat.lower())
        tallied = not alarm
    if alarm and not _DRAWN.search(flat):
        return Look(Kind.TEXT, key)
    says = alarm or _GLUED.search(flat) is not None
    exact = says and b"0" in _CORE.sub(b"", flat)
    labelled = _LETTER.search(flat, 0, begins.start()) is not None
    return Look(Kind.BAR, key, named, says, exact, labelled, tallied and not exact)


def _alarms(text: bytes) -> bool:
    """Whether words, of lower case, may be an alarm, and are no file's name and no count of what went wrong."""
    return _ALARM.search(_FILE.sub(b"", _TALLY.sub(b"", text))) is not None


def said(text: bytes, *, silent: bool = False) -> dict[bytes, int] | None:
    """What went wrong as a text tells it (`tallies`); None where it may say more: `Look.says` for a single text.

    Args:
        text: It.
        silent: It is known to say nothing else.
    """
    lower = bare(text).lower()
    alarm = _ALARM.search(lower) is not None
    if not silent:
        if alarm and _alarms(lower):
            return None
        bracketed = lower.endswith((b"]", b"] ")) and lower.count(b"]") == 1
        if not bracketed and b"]" in lower and _GLUED.search(lower) is not None:
            return None
    return _tallies(lower) if alarm or b"nan" in lower or b"inf" in lower else {}


def tallies(text: bytes) -> dict[bytes, int]:
    """How often a text says that something went wrong, by the word for it; that a loss is no number counts as one."""
    return said(text, silent=True) or {}


def _tallies(lower: bytes) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for word, count, other, noun, unreal in _TALLY.findall(lower):
        if unreal:
            found[b"nan"] = 1
        elif b"." not in count and int(count or other):
            found[word or noun] = max(int(count or other), found.get(word or noun, 0))
    return found


class Identities:
    """What the states of one bar have in common and no other text has.

    Attributes:
        name: The beginning of the last text that had a name, up to its bar.
    """

    def __init__(self) -> None:
        self.name = b""
        self._digits = b""

    def of(self, seen: Look, text: bytes) -> tuple[bytes, bytes]:
        """The identity of a text that is a bar."""
        if not (seen.named or seen.exact):
            return seen.key, b""
        text = bare(text)
        if seen.exact:
            return seen.key, b" ".join(_CORE.sub(b" ", text).split())
        if not (self.name and text.startswith(self.name) and _BEGINS_HERE.match(text, len(self.name))):
            begins = _BEGINS.search(text)
            self.name = text[: begins.start()].rstrip() if begins else b""
            self._digits = b" ".join(DIGITS.findall(VALUE.sub(b" ", self.name)))
        return seen.key, self._digits


def bare(text: bytes) -> bytes:
    """Without colours and moves."""
    return CONTROL.sub(b"", text) if b"\x1b" in text else text
