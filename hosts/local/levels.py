"""How serious a line of a log says it is.

A line says so in its head, behind times, brackets, names and numbers: by a word in capitals, by a word in brackets or
before a colon, by the letter of glog and its kin, by a field of JSON or logfmt; or in the ways in which Python,
pytest, compilers and launchers put errors. Words in prose are none: "0 errors", "error_rate=0.1". A line that begins
with a time and names no level is one for information, so that it does not pass for a part of the error before it; so
is a progress bar, and at a line's beginning what a trainer measured. A line has parts, behind bars and where the cursor
was moved.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from hosts.local import jsonlevels

HEAD = 300
"""Bytes of a line that are looked at, colours left out; of an object of JSON more."""


class Level(Enum):
    """How serious a line says it is; ordered by `rank`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANKS[self.value]


LEVELS = tuple(Level)
"""By rank."""

_RANKS = {level.value: rank for rank, level in enumerate(LEVELS)}
_DEBUG, _INFO, _WARNING, _ERROR, _CRITICAL = range(5)

_WORDS = {
    word: rank
    for rank, words in (
        (_DEBUG, "TRACE DEBUG VERBOSE D V"),
        (_INFO, "INFO INFORMATION NOTICE SUCCESS I PASSED SKIPPED XFAIL XPASS RERUN"),
        (_WARNING, "WARN WARNING W"),
        (_ERROR, "ERR ERROR SEVERE E FAILED"),
        (_CRITICAL, "CRIT CRITICAL FATAL PANIC DPANIC EMERG EMERGENCY ALERT F C"),
    )
    for word in words.encode().split()
}

_CAPITALS = (
    rb"TRACE|DEBUG|VERBOSE|INFO|NOTICE|SUCCESS|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|PANIC|EMERG(?:ENCY)?"
    rb"|ALERT"
)
_ANY_CASE = rb"(?i:" + _CAPITALS + rb"|INFORMATION)"

# What may stand before the word. Each kind of token ends at a space, bracket or bar and none is the beginning of
# another, so that there is one way to read a head, and no time is lost on others.
_PROGRAM = rb"[A-Za-z_][\w./+@-]{0,60}"
_TOKENS = (
    rb"\[[^\[\]\n]{0,100}\](?:<std(?:out|err)>)?:?",  # [2025-01-01 12:00:00], [rank0]:, [1,0]<stderr>: of mpirun
    rb"\([^()\n]{0,100}\):?",  # (EngineCore pid=1)
    rb"[-|:*>]+(?=[\s\[(])|##(?=\[)",  # and ##[error] of GitHub
    rb"(?=[^\s\d\[(|]{0,60}\d)[^\s\[(|]{1,100}(?=[\s\[(|]|$)",  # a time, a number, host:123:456, file.c:3:5:
    rb"(?!(?:LOG|DETAIL|HINT|CONTEXT|STATEMENT):)[A-Za-z_][A-Za-z_./+-]{0,60}:(?=\s)|npm(?=\s)",  # srun:, no Postgres
    rb"[A-Za-z_][A-Za-z_./+@-]{0,60}\[\d{1,10}\]:(?=\s)",  # sshd[123]:, and with a digit it is two tokens
    # a.cu(12):, the same, and LINK :
    rb"[A-Za-z_.~/\\][^\s\d\[\]()|]{0,100}"
    rb"(?:\(\d{1,9}(?:,\d{1,9})?\)[ ]?:(?=\s)|[ ]:(?=[ ](?:fatal[ ])?(?:error|warning)[ ][A-Z]))",
    # syslog: the host's name is a word, but none that says a level itself
    rb"[A-Z][a-z]{2}[ ]+\d\d?[ ]\d\d:\d\d:\d\d[ ]"
    rb"(?!(?:" + _ANY_CASE + rb"|nvcc|nvlink|ptxas|[EWIFDC]\d{0,8})\s)[\w.-]{1,60}(?=\s)",
    rb"(?<=[\dZ][ ])[A-Za-z_][A-Za-z_.-]{0,60}[ ](?=" + _PROGRAM + rb"(?:\[\d{1,10}\])?:\s)",  # behind other times, too
    rb"(?<=\d[ ])[A-Z]{3,5}(?=[ ][\[(\d])",  # 12:00:00 UTC [12]
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?=\s)",
)
_TOKEN = rb"(?:" + rb"|".join(_TOKENS) + rb")[ \t]*"
# Only behind one of them: "relay" in "2025-01-01 12:00:00 relay ERROR"
_NAME = rb"(?:[A-Za-z_][A-Za-z_./+@-]{0,60}(?=[\s|\[(])[ \t]*(?:[-|:]+(?=[\s\[(])[ \t]*)?)"

# "error: 0.1, loss: 2" gives a value and "error: null" none, where "error: 3 files are gone" says something
_DECIMAL = rb"[-+]?\d{0,20}\.\d{0,20}(?:e[-+]?\d{1,3})?%?"
_NUMBER = rb"[-+]?\d{1,20}(?:e[-+]?\d{1,3})?%?"
_EMPTY = rb"(?i:none|null|nil|true|false|yes|no|on|off|nan|[-+]?inf)|''|\"\"|\[\]|\{\}"
_LONE = rb"(?:" + rb"|".join((_NUMBER, _DECIMAL, _EMPTY)) + rb")[ \t]{0,3}(?:$|[,;|)\]}])"
_FIRST = rb"(?:" + _NUMBER + rb"|(?i:nan|[-+]?inf))[ \t]{1,3}[A-Za-z_][\w./ -]{0,30}[:=][ \t]{0,3}[-+.]?\d"
_VALUE = rb"[ \t]{0,3}(?:" + rb"|".join((_LONE, _DECIMAL + rb"[ \t]", _FIRST)) + rb")"

_DATE = rb"\d{4}[-/]\d\d[-/]\d\d"
_CLOCK = rb"\d\d:\d\d:\d\d"
_ZONE = rb"(?:Z|[ ]?[+-]\d\d:?\d\d)"
_BEHIND_LETTER = (rb"(?:\d{3,4}|\d{8}) " + _CLOCK, rb" (?:\d{4}-\d\d-\d\d|\d{6}) " + _CLOCK, rb" [\w./]{1,80}:\d")
_LETTER = rb"(?<!\w)\[([EWIFDV])\]"
_COLON = "colon"  # the group of what also hangs on what follows its colon
# All take what they look at behind a word, so that the end of a match says how much that is
_SAYS = (
    rb"(?:[\[(][ ]{0,8})?(" + _CAPITALS + rb")(?:[\])|:!,\s]|$)",
    rb"[\[<][ ]{0,8}(?:[\w.]{1,40}:)?(" + _ANY_CASE + rb")[ ]{0,8}[\]>|]",  # [error], [core:error], [info     ]
    rb"::(error|warning|notice|debug)(?:::|[ ][A-Za-z]{1,20}=)",  # ::error file=a.py,line=3::
    # error: of compilers, error[E0308]:, error C2065:, warning #177-D:
    rb"(?<!Call )(?P<" + _COLON.encode() + rb">" + _ANY_CASE + rb")(?::(?!" + _VALUE + rb")|\[[A-Z]\d{1,6}\]:"
    rb"|[ ](?:[A-Z]{1,4}|#)\d{1,5}(?:-D)?:)",
    # E0101 12:00:00, E101 12:00:00, E20250101 12:00:00, [I 2025-01-01 12:00:00, [W socket.cpp:1], E xla/x.cc:1
    rb"\[?([EWIFDC])(?:" + rb"|".join(_BEHIND_LETTER) + rb")",
    _LETTER + rb"(?:\s|$)",  # TensorRT
    rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+ ([EWIFDC]) \d",  # [2025-01-01 12:00:00,123 E 1 2], Ray
    # [2025-01-01 12:00:00,123: ERROR/MainProcess], [2025-01-01T12:00:00Z ERROR relay]
    rb"\[(?:" + _DATE + rb"[T ])?" + _CLOCK + rb"(?:[.,]\d{1,9})?" + _ZONE + rb"?:?[ ](" + _CAPITALS + rb")[\s/\]|:]",
    rb"(?:nvcc|nvlink|ptxas)[ ](" + _ANY_CASE + rb")[ ]{0,4}:",
)
_NO_VALUE = rb"[ \t]{0,3}[^-+.\d'\"\[{nNtTfFiIyYoO \t]"  # nothing that _VALUE could begin with
_NAMES = rb"(?:(?<=[\d\])|,:\s-])" + _NAME + rb"{1,2}?)??"
# Rows that a browser's table gave begin with a blank that does not break
_HEAD = rb"[ \t]*(?:\xc2\xa0[ \t]*)?(?:" + _TOKEN + rb"){0,9}?" + _NAMES + rb"(?:" + rb"|".join(_SAYS) + rb")"

# Without one of these, a colon and a digit, or a letter in brackets, there is nothing in a head that _HEAD could find
_STEMS = tuple(b"err warn info debug trace fatal crit verbose notice success severe panic emerg alert".split())
_FIELD_STEMS = (b"level", b"lvl", b"severity")

_FIELD = rb"""(?i)(?:^|[\s{,])"?(?:level|levelname|log_?level|lvl|severity|severity_?text)"?\s?[=:]\s?"?([A-Za-z]+)"""
_WORKER = rb"(?:\[gw\d+\][ ]+\[[ ]*\d+%\][ ])?"
_TEST_BEGINS = _WORKER + rb"[^\s:]+(?:::|:?$)"
_TEST = (
    _WORKER + rb"(?:[^\s:]+::\S.*?[ ])?(?:SUB)?(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|RERUN)"
    # why, of which of the subtests, and how far it is, as "-o console_output_style" has it; [2] tests were skipped
    rb"(?=(?:\[.{0,100}\])?(?:[ ]?\(.{0,200}\))?(?:[ ]+\[[ ]*\d+(?:%|/\d+)?\]|[ ]*$)|[ ]\S+::)"
)
# Forms that are no words of a logger; what stands before them is the mark of a rank, the frame of an ExceptionGroup, a
# time, or what syslog, the journal and containers put there
_AFTER = rb"[\d.,+:Z-]{0,20}[ ]"  # the rest of a time
_SOURCE = rb"[^\s:\[\]]{1,60}(?:\[\d{1,10}\])?:[ ](?:\[[ ]{0,8}\d{1,10}\.\d{1,9}\][ ])?"
_STAMP = (
    rb"[A-Z][a-z]{2}[ ]{1,2}\d\d?[ ]" + _CLOCK + _AFTER + rb"(?:[\w.-]{1,60}[ ](?:" + _SOURCE + rb")?)?"
    rb"|" + _DATE + rb"[T ]" + _CLOCK + _AFTER + rb"(?:std(?:out|err)[ ][FP][ ]|[\w.-]{1,60}[ ]" + _SOURCE + rb")?"
)
# A logger's line that tells a number by such a name, or that something ended as it should
_MEASURE = rb"[\w.]*Error:[ ]{0,3}[-+]?\d{0,20}(?:\.\d|,)|FAILED:[ ]{0,3}\d|(?!System)[\w.]*Exit\b"
_FORMS = (
    (_CRITICAL, rb"Fatal Python error"),
    (
        _WARNING,
        rb"(?:\S+:\d+:[ ])?[\w.]*Warning:(?:\s|$)|={3,}[ ]warnings summary|CMake (?:Deprecation )?Warning\b"
        rb"|W: (?:GPG|Failed|Some|The |Target|Possible|An error|Download|Conflicting|Skipping|https?:)",  # apt
    ),
    (
        _ERROR,
        rb"Traceback \(most recent call last\)|Exception Group Traceback"
        rb"|(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|ExceptionGroup|Exit|Interrupt)"
        rb"(?:\([\w.]{1,80}\))?(?=:(?:\s|$)|\s*$|[ ]\()"
        rb"|Exception: |Exception in .{1,200}:[ ]*$|Segmentation fault|Bus error|Aborted(?:$|[ ]\()|Killed$"
        rb"|CUDA [Ee]rror:|Out of memory:|Memory cgroup out of memory:|NVRM: Xid \("
        # a shell's; UCX, PyTorch and SGLang, apt
        rb"|[\w./~][^\s:]{0,200}: line \d{1,7}:[ ]+\d{1,10}[ ]+(?:Killed|Segmentation fault|Aborted|Bus error"
        rb"|Illegal instruction)|Caught signal \d{1,3} \((?:Segm|Bus|Abort|Float|Illeg)"
        rb"|Watchdog (?:caught collective|timeout(?: \(|$))"
        rb"|E: (?:Unable|Failed|Package|Sub-process|Could|The |Some|Version|Invalid|Problem|Release|dpkg)"
        rb"|terminate called|\*\*\*[ ](?:SIG|Aborted|Check failure|Process received signal)|make(?:\[\d+\])?:[ ]\*\*\*"
        rb"|CMake Error(?=:|[ ](?:at|in|\())|FAILED:[ ]|\[[ ]+FAILED[ ]+\]|ninja: build stopped"
        rb"|={3,}[ ](?:FAILURES|ERRORS)[ ]="
        rb"|={3,}[ ].{0,200}?\b\d+[ ](?:failed|errors?)\b.{0,100} in \d|_{3,}[ ].*[ ]_{3,}$",
    ),
    (
        _INFO,
        rb"={5,}|-{5,}[ ]?(?:Captured|Live|generated)"
        # {'loss': 0.5, 'epoch': 0.1} of a trainer; whole numbers are in many an answer that tells of an error
        rb"|(?<![ \t|+-])\{'[\w./ -]{1,60}': '?(?:[-+]?\d{0,20}(?:\.\d|e[-+]?\d)|nan|[-+]?inf)",
    ),
)
_FORM = (
    rb"(?:(?:"
    + _STAMP
    + rb")(?!"
    + _MEASURE
    + rb"))?(?:\[[^\[\]\n]{1,60}\](?:<std(?:out|err)>)?:?[ ]?|\([^()\n]{1,80}\)[ ]?|\d{1,5}:[ ])?[ \t|+-]*?(?:"
    + rb"|".join(rb"(" + form + rb")" for _, form in _FORMS)
    + rb")|(E   [ ]*\S)"
)
_FORM_RANKS = (*(rank for rank, _ in _FORMS), _ERROR)
_TRACEBACK = b"Traceback (most recent call last):"  # behind a message on the same line
# tqdm's, and what vLLM makes of it; one that is not whole ends where it is one no more
_BAR = rb"0%(?:\||[ ]Completed[ ](?=\|))(?:[^|A-Za-z]*\|[ ]\S*[ ]\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*){0,9}\])?"
_TIME = (
    rb"\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ]|\d\d/\d\d/\d{2,4}[T -]\d\d:|\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d)"
)


class _Patterns(NamedTuple):
    head: re.Pattern[bytes]
    field: re.Pattern[bytes]
    test: re.Pattern[bytes]
    form: re.Pattern[bytes]
    time: re.Pattern[bytes]
    letter: re.Pattern[bytes]
    test_begins: re.Pattern[bytes]
    colon: re.Pattern[bytes]
    no_value: re.Pattern[bytes]
    bar: re.Pattern[bytes]


@lru_cache(maxsize=1)
def _patterns() -> _Patterns:
    """Compiled when the first line is looked at: that takes as long as a good part of a start."""
    texts = (_HEAD, _FIELD, _TEST, _FORM, _TIME, _LETTER, _TEST_BEGINS, _ANY_CASE + rb":", _NO_VALUE, _BAR)
    return _Patterns(*map(re.compile, texts))


COLOUR = r"\x1b\[[0-9;:]{0,64}m"
"""A sequence that sets a look and is not shown. What is longer is shown, as every other sequence is."""

_COLOUR = re.compile(COLOUR.encode())
# Sequences that move the cursor, and others: those erase, name a window, choose letters. Of the control characters the
# ones become carriage returns, the others NUL.
_MOVES = re.compile(rb"\x1b(?:\[[0-?]*[A-Ha-f`su]|[0-9DEM])")
_STAYS = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x00-\x08\x0a-\x1f]*(?=[\x00\x1b])|[ -/]+[0-~]|[0-~])?")
_MOVE, _STAY = b"\x08\x0b\x0c", bytes({*range(0x20), 0x7F} - {*b"\t\n\r\x1b\x08\x0b\x0c"})
_CONTROLS = bytes.maketrans(_MOVE + _STAY, len(_MOVE) * b"\r" + len(_STAY) * b"\0")
_ALIKE = _CONTROLS.translate(bytes.maketrans(b"123456789", b"000000000"))

NO_LEVEL = len(LEVELS)
"""Instead of a rank."""

_ORDER = (NO_LEVEL, *range(NO_LEVEL))
_DEEPER = NO_LEVEL + 1  # instead of a rank where the digits count, too
_ALL = 1 << 30  # instead of how many bytes of a line settle it
_KEY = 48  # bytes of a head that are looked up first
_WIDE = 1 << 10  # bytes of a line that is remembered whole, where more than its head settles it
_MOST = 1 << 12  # of heads that are remembered


def level_of(line: bytes) -> Level | None:
    """The level that a line itself names, or None; the highest of its parts."""
    rank = _said(line)
    return None if rank is None else LEVELS[rank]


def _highest(ranks: list[int | None]) -> int | None:
    return max((rank for rank in ranks if rank is not None), default=None)


def _rank(part: bytes) -> int | None:
    part = part[: jsonlevels.REACH]
    rank = _settled(alike(part))[0]
    return jsonlevels.rank_of(part, _WORDS, _said) if rank == _DEEPER else rank


def _said(text: bytes) -> int | None:
    return _highest([_rank(part) for part in _parts(without_colours(text))])


def _parts(shown: bytes) -> set[bytes]:
    """A line without colours, divided where the cursor is moved."""
    line = shown.translate(_CONTROLS)
    if b"\x1b" in line:
        line = _STAYS.sub(b"", _MOVES.sub(b"\r", line))
    return {*line.replace(b"\0", b"").split(b"\r")}


def _divided(text: bytes) -> set[int]:
    """The numbers of the rows that have parts, among rows that are plain."""
    rows: set[int] = set()
    for mark in (b"\r", b"\x1b", b"\0"):
        number = at = 0
        while (hit := text.find(mark, at)) >= 0:
            number += text.count(b"\n", at, hit)
            rows.add(number)
            if (at := text.find(b"\n", hit)) < 0:
                break
    return rows


def without_colours(data: bytes) -> bytes:
    """Text as it is shown."""
    return b"".join(_COLOUR.split(data)) if b"\x1b" in data else data  # quicker than to replace them


def alike(text: bytes) -> bytes:
    """Text with every digit a zero: that changes few levels, and many lines become one. Controls are as in `_parts`."""
    return text.translate(_ALIKE)


def plain(data: bytes) -> bytes:
    """Text without colours, and as `alike` has it."""
    return alike(without_colours(data))


def _settled(line: bytes) -> tuple[int | None, int]:
    """The rank of a plain line, and how many of its bytes settle it; of none but an object of JSON more than a head."""
    if line[:1] == b"{" and line[1:HEAD].lstrip()[:1] == b'"':
        found = jsonlevels.glance(line, _WORDS)
        return _DEEPER if found.deeper else found.rank, found.settled
    head = line[:HEAD]
    patterns = _patterns()
    if b"::" in head and (match := patterns.test.match(head)) is not None:
        return _WORDS[match[1]], HEAD
    lower = head.lower()
    # To count them takes a third of the time of "in"
    if b":0" in lower or any(map(lower.count, _STEMS)) or patterns.letter.search(head) is not None:
        if (match := patterns.head.match(head)) is not None:
            return _WORDS[match[match.lastindex or 0].upper()], _settles(head, match)
        if any(map(lower.__contains__, _FIELD_STEMS)):
            field = patterns.field.search(head)
            if field is not None and (rank := _WORDS.get(field[1].upper())) is not None:
                return rank, HEAD
    if b"0%" in head and patterns.bar.search(head) is not None:
        beside = [_settled(part)[0] for part in patterns.bar.split(line[: jsonlevels.REACH])]
        return _highest([_INFO, *(rank for rank in beside if rank != _DEEPER)]), _ALL
    if head.endswith(_TRACEBACK):
        return _ERROR, HEAD
    if (match := patterns.form.match(head)) is not None:
        return _FORM_RANKS[(match.lastindex or 0) - 1], HEAD
    if (match := patterns.test.match(head)) is not None:
        return _WORDS[match[1]], HEAD
    return (_INFO if patterns.time.match(head) else None), HEAD


def _settles(head: bytes, match: re.Match[bytes]) -> int:
    """How many bytes settle what was found: also what it was not, for what follows a colon in it, or behind it."""
    patterns = _patterns()
    if patterns.colon.search(head, 0, match.start(match.lastindex or 0)) is not None:
        return HEAD
    end = match.end() + 1
    if match.lastgroup == _COLON:
        said = patterns.no_value.match(head, match.end())
        end = HEAD if said is None else said.end()
    return HEAD if patterns.test_begins.match(head, 0, end) is not None else end


class Levels:
    """The levels of many lines; it learns the heads that a log's lines have."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._whole: dict[bytes, int] = {}

    def ranks(self, rows: bytes) -> bytes:
        """For each row the rank of its level, or NO_LEVEL; rows stand between newlines."""
        shown = without_colours(rows)
        if b"\r\n" in shown:
            shown = shown.replace(b"\r\n", b"\n")
        text = alike(shown)
        return self.ranks_of(text, text.split(b"\n"), shown)

    def ranks_of(self, text: bytes, lines: list[bytes], shown: bytes) -> bytes:
        """The same for rows that are plain, given whole, one by one, and with their digits.

        No carriage return stands before a newline.
        """
        divided = _divided(text)
        whole = [b"" if number in divided else line for number, line in enumerate(lines)] if divided else lines
        found = bytearray(self._ranks(whole))
        for number in divided:
            ranks = self._ranks([*_parts(lines[number])])
            found[number] = _DEEPER if _DEEPER in ranks else max(ranks, key=_ORDER.index)
        if _DEEPER in found:
            rows = shown.split(b"\n")
            number = -1
            while (number := found.find(_DEEPER, number + 1)) >= 0:
                found[number] = (self._highest if number in divided else self._of)(rows[number])
        return bytes(found)

    def _ranks(self, lines: list[bytes]) -> list[int]:
        keys = [line[:_KEY] for line in lines]
        found: list[int | None] = list(map(self._known.get, keys))
        at = -1
        for _ in range(found.count(None)):
            at = found.index(None, at + 1)
            value = self._known.get(keys[at])  # learned from a line above it?
            found[at] = self._learn(lines[at]) if value is None else value
        return found  # type: ignore[return-value]  # no None is left

    def _learn(self, line: bytes) -> int:
        head = line[:HEAD]
        value = self._whole.get(head)
        if value is None and HEAD < len(line) <= _WIDE:
            value = self._whole.get(line)
        if value is not None:
            return value
        rank, settled = _settled(line)
        value = NO_LEVEL if rank is None else rank
        by_key = settled <= _KEY or len(line) < _KEY
        if not by_key and settled > HEAD and len(line) >= HEAD:
            if not HEAD < len(line) <= _WIDE:
                return value
            head = line
        known = self._known if by_key else self._whole
        if len(known) >= _MOST:
            known.clear()
        known[head[:_KEY] if by_key else head] = value
        return value

    def _of(self, shown: bytes) -> int:
        """The rank of one row, given with its digits."""
        line = alike(shown[: jsonlevels.REACH])
        if (value := self._known.get(line[:_KEY])) is None:
            value = self._learn(line)
        if value != _DEEPER:
            return value
        rank = jsonlevels.rank_of(shown, _WORDS, self._said)
        return NO_LEVEL if rank is None else rank

    def _highest(self, shown: bytes) -> int:
        return max(map(self._of, _parts(shown)), key=_ORDER.index)

    def _said(self, text: bytes) -> int | None:
        rank = self._highest(without_colours(text))
        return None if rank == NO_LEVEL else rank
