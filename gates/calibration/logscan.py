"""What a pytest and server log says about how an attempt went, read while it grows.

One pass, bounded memory, the same facts wherever the log was cut into pieces. Words near "server" prove nothing
(spec/calibration.md, section 4): a crash counts before the server is ready.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gates.calibration.signatures import (
    COMPILE,
    CRASH,
    DEATH,
    DISK,
    LINE_CAP,
    OOM,
    READY,
    SPEECH,
    STARTUP,
    Signature,
    is_event,
    text_of,
)
from gates.calibration.words import one_line

_TEXT_CAP = 300
_FIRST = 10
_NEWLINE = 10
_ANYWHERE = frozenset({"oom", "death", "disk", "pytest"})
_LAST = 20


@dataclass(frozen=True)
class LogLine:
    """One line of a log: its number, counted from 1, its text made printable and cut, and the sign in it."""

    number: int
    text: str
    sign: str


@dataclass(frozen=True)
class LogFacts:
    """What a log says.

    Attributes:
        lines: How many lines it has.
        size: Bytes.
        ready: The first line that says a server is ready, None when none does.
        crashes: Signs of a server's crash before that line, the first ones.
        deaths: Signs of a process that died of a signal, its accelerator or its disk, wherever they stand, the first
            ones.
        oom: Lines that say memory ran out, wherever they stand, the first ones.
        summary: pytest's closing line, the last one, None when there is none (yet).
        summary_rc: pytest's exit status as that line gives it, None when there is none or it cannot be told.
        compiling: Lines of a kernel being compiled before the server was ready, the newest ones.
        startup: Lines that show how far a server's start has come, the newest ones before it was ready.
    """

    lines: int = 0
    size: int = 0
    ready: LogLine | None = None
    crashes: tuple[LogLine, ...] = ()
    deaths: tuple[LogLine, ...] = ()
    oom: tuple[LogLine, ...] = ()
    summary: LogLine | None = None
    summary_rc: int | None = None
    compiling: tuple[LogLine, ...] = ()
    startup: tuple[LogLine, ...] = ()


_NOT_READY = re.compile(
    r"\b(?:not|never|wait\w*|until|before|when|whether|if|time[ds]?[ -]?out|fail\w*|error)\b", re.IGNORECASE
)
_SUMMARY = re.compile(
    r"(?<!=)={2,} (?P<said>no tests ran|\d+ [a-z]+(?:, \d+ [a-z]+)*)"
    r" in [\d.]+s(?: \((?:\d+ days?, )?[\d:]+\))? ={2,}\s*$"
)
_BROKE_OFF = re.compile(r"(?<!!)!{2,} (?:[\w.]*Interrupted: |KeyboardInterrupt\b|_pytest\.outcomes\.Exit\b)")
# A carriage return ends what is looked at and not the line: progress bars overwrite themselves.
_CUT = re.compile(rb"[\n\r]")

_OF_PYTEST = "pytest"
_TABLES = {
    "oom": OOM,
    "death": DEATH,
    "disk": DISK,
    "crash": CRASH,
    "ready": READY,
    "compiling": COMPILE,
    "startup": STARTUP,
}


def _by_word() -> Mapping[bytes, tuple[tuple[str, Signature | None], ...]]:
    rows: dict[bytes, list[tuple[str, Signature | None]]] = {}
    for table, signatures in _TABLES.items():
        for row in signatures:
            for word in row.words:
                rows.setdefault(word.encode(), []).append((table, row))
    for word in (" ==", "!! ", "internalerror>", "test session starts"):
        rows.setdefault(word.encode(), []).append((_OF_PYTEST, None))
    return MappingProxyType({word: tuple(found) for word, found in rows.items()})


_ROWS = _by_word()
_NEEDLES = tuple(_ROWS)


@dataclass
class _State:
    """All that is remembered of a log; lists are cut, so it does not grow."""

    lines: int = 0
    ready: LogLine | None = None
    crashes: list[LogLine] = field(default_factory=list)
    deaths: list[LogLine] = field(default_factory=list)
    oom: list[LogLine] = field(default_factory=list)
    summary: LogLine | None = None
    summary_rc: int | None = None
    compiling: list[LogLine] = field(default_factory=list)
    startup: list[LogLine] = field(default_factory=list)
    broke_off: int | None = None

    def copy(self) -> _State:
        return _State(
            self.lines,
            self.ready,
            list(self.crashes),
            list(self.deaths),
            list(self.oom),
            self.summary,
            self.summary_rc,
            list(self.compiling),
            list(self.startup),
            self.broke_off,
        )


class LogScan:
    """Reads a log piece by piece; `facts` at any time is what the log so far says."""

    def __init__(self) -> None:
        self._state = _State()
        self._rest = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        self._size += len(data)
        first = _CUT.search(data)
        if first is None:
            self._keep(data)
            return
        self._keep(data[: first.start()])
        _take(self._state, bytes(self._rest), _NEEDLES)
        self._rest.clear()
        self._state.lines += data[first.start()] == _NEWLINE
        start, end = first.end(), max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        whole = data[start:end]
        # Most blocks hold few of the words, and what holds none is only counted.
        needles = _among(_NEEDLES, whole.lower())
        if needles:
            at = 0
            for cut in _CUT.finditer(whole):
                _take(self._state, whole[at : min(cut.start(), at + LINE_CAP)], needles)
                self._state.lines += whole[cut.start()] == _NEWLINE
                at = cut.end()
        else:
            self._state.lines += whole.count(b"\n")
        self._keep(data[end:])

    def _keep(self, piece: bytes) -> None:
        self._rest += piece[: LINE_CAP - len(self._rest)]

    @property
    def facts(self) -> LogFacts:
        """What the log says so far, its unfinished last line included."""
        state = self._state
        lines = state.lines
        if self._rest:
            state = state.copy()
            _take(state, bytes(self._rest), _NEEDLES)
            lines += 1
        return LogFacts(
            lines=lines,
            size=self._size,
            ready=state.ready,
            crashes=tuple(state.crashes),
            deaths=tuple(state.deaths),
            oom=tuple(state.oom),
            summary=state.summary,
            summary_rc=state.summary_rc,
            compiling=tuple(state.compiling),
            startup=tuple(state.startup),
        )


def scan_log(text: str | bytes) -> LogFacts:
    """Read a whole log at once."""
    scan = LogScan()
    scan.feed(text.encode("utf-8", "replace") if isinstance(text, str) else text)
    return scan.facts


def _among(needles: Sequence[bytes], text: bytes) -> list[bytes]:
    return [needle for needle in needles if needle in text]


def _take(state: _State, segment: bytes, needles: Sequence[bytes]) -> None:
    hits = _among(needles, segment.lower())
    if not hits:
        return
    rows = dict.fromkeys(candidate for hit in hits for candidate in _ROWS[hit])
    if state.ready is not None:
        rows = {candidate: None for candidate in rows if candidate[0] in _ANYWHERE}
    if not rows:
        return
    text = text_of(segment)
    number = state.lines + 1
    found: dict[str, LogLine] = {}
    for table, row in rows:
        if row is None:
            _take_pytest(state, text, number)
        elif table not in found and _matches(row, table, text):
            found[table] = LogLine(number, one_line(text.strip(), _TEXT_CAP), row.sign)
    if found:
        _take_signs(state, found)


def _matches(row: Signature, table: str, text: str) -> bool:
    if table == "ready":
        said = row.pattern.search(text) is not None
        return said and _NOT_READY.search(text) is None and SPEECH.search(text) is None
    if table in ("compiling", "startup"):
        return row.pattern.search(text) is not None
    return is_event(row, text)


def _take_signs(state: _State, found: Mapping[str, LogLine]) -> None:
    crash = found.get("oom") or found.get("death") or found.get("crash")
    before_ready = state.ready is None
    for sign, kept in (
        (found.get("oom"), state.oom),
        (found.get("death") or found.get("disk"), state.deaths),
        (crash if before_ready else None, state.crashes),
    ):
        if sign is not None and len(kept) < _FIRST:
            kept.append(sign)
    if not before_ready:
        return
    for table, newest in (("compiling", state.compiling), ("startup", state.startup)):
        if table in found:
            newest.append(found[table])
            del newest[:-_LAST]
    if crash is None:
        state.ready = found.get("ready")


def _take_pytest(state: _State, text: str, number: int) -> None:
    if "test session starts" in text:
        state.broke_off = None
    elif text.startswith("INTERNALERROR>"):
        state.broke_off = 3
    elif state.broke_off is None and _BROKE_OFF.search(text):
        state.broke_off = 2
    found = _SUMMARY.search(text)
    if found is not None:
        state.summary = LogLine(number, one_line(found[0].strip(), _TEXT_CAP), "pytest summary")
        state.summary_rc = state.broke_off if state.broke_off is not None else _summary_rc(found["said"])


def _summary_rc(said: str) -> int | None:
    """What pytest's closing line says of its exit status: 1 tests failed, 0 passed, 5 none were run."""
    if said == "no tests ran":
        return 5
    counts = {word: int(count) for count, _, word in (part.partition(" ") for part in said.split(", "))}
    if any(counts.get(word) for word in ("failed", "error", "errors")):
        return 1
    if any(counts.get(word) for word in ("passed", "skipped", "xfailed", "xpassed")):
        return 0
    return 5 if counts.keys() <= {"deselected", "warning", "warnings"} else None
