"""What a pytest and server log says about how an attempt went, read while it grows.

One pass, bounded memory, the same facts wherever the log was cut into pieces. The signatures are data. Words
near "server" prove nothing (spec/calibration.md, section 4): a crash counts before the server is ready, and what an
assertion or a warning says about memory is not an event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gates.calibration.words import one_line

_LINE_CAP = 8192
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


@dataclass(frozen=True)
class Signature:
    """One kind of line.

    Attributes:
        sign: What it is called in a reason.
        words: The lower-case line must hold one of them; cheap, so that most lines are never searched.
        pattern: Decides.
    """

    sign: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]


def _row(sign: str, words: str, pattern: str) -> Signature:
    return Signature(sign, tuple(words.split("|")), re.compile(pattern, re.IGNORECASE))


_PROCESS = r"\b(?:server|worker|router|scheduler|engine(?: core)?|detokenizer|(?:sub|child ?)?process)\b.{0,80}?"
_EXIT = r"(?:exited|terminated|exit)\b.{0,20}?(?:code|status|signal)[ :=]*"

READY = (
    _row("uvicorn", "application startup complete", r"application startup complete"),
    _row("uvicorn", "uvicorn running on", r"uvicorn running on"),
    _row("server", "fired up and ready", r"fired up and ready"),
    _row(
        "server",
        "ready|healthy|up and running",
        r"\b(?:server|router|service|all (?:\d+ )?workers)\b(?: (?:is|are|at \S+))?(?: now)?:?"
        r" (?:ready|healthy|up and running)\b",
    ),
)

OOM = (
    _row(
        "CUDA OOM",
        "out of memory",
        r"\b(?:cuda|hip|npu|gpu|device)\b.{0,40}out of memory|out of memory\. tried to allo",
    ),
    _row(
        "CUDA OOM",
        "outofmemoryerror",
        r"\b(?:torch|cuda)[\w.]{0,60}\.outofmemoryerror|RayTaskError\(OutOfMemoryError\)",
    ),
    _row("CUDA OOM", "cublas_status_alloc_failed", r"CUBLAS_STATUS_ALLOC_FAILED"),
    _row("CUDA OOM", "not enough memory", r"not enough memory\b.*(?:mem[-_]fraction|gpu)"),
    _row("host OOM", "out of memory: kill", r"out of memory: kill"),
    _row("host OOM", "oom-kill|oom_kill|oom killed", r"\boom[-_]kill(?:er)?\b|\boom killed\b"),
    _row("host OOM", "ray.exceptions.outofmemoryerror", r"ray\.exceptions\.OutOfMemoryError"),
    _row("host OOM", "low on memory", r"killed due to .{0,40}low on memory"),
    _row("host OOM", "cannot allocate memory", r"cannot allocate memory"),
)

DEATH = (
    _row("segmentation fault", "segmentation fault|sigsegv", r"\bsegmentation fault\b|\bSIGSEGV\b"),
    _row("core dumped", "core dumped", r"\bcore dumped\b"),
    _row("fatal Python error", "fatal python error", r"fatal python error:"),
    _row("CUDA error", "cuda error|acceleratorerror", r"\bCUDA error:|\bAcceleratorError:"),
    _row("child process died", "received sigquit from a child", r"received sigquit from a child process"),
    _row(
        "process died of a signal",
        "exit|terminated",
        _PROCESS + _EXIT + r"(?:-\d+|13[4-79]|SIG(?:KILL|SEGV|ABRT|BUS|ILL))\b",
    ),
)

# Never a crash: a server that cannot write its cache says so, and serves.
DISK = (
    _row("disk full", "no space left|quota exceeded", r"\bno space left on device\b|\bdisk quota exceeded\b"),
    _row("disk not writable", "read-only file system", r"\[Errno 30\] read-only file system"),
)

CRASH = (
    _row("port in use", "address already in use", r"address already in use"),
    _row("killed", "killed", r"^\s*killed\s*$|: line \d+: +\d+ killed\b"),
    _row("engine failed", "engine core initialization failed", r"engine core initialization failed"),
    _row(
        "process died",
        "died|crashed|is dead|exited|terminated",
        _PROCESS
        + r"(?:\bdied\b|\bcrashed\b|\bis dead\b|(?:exited|terminated) (?:unexpectedly|prematurely|before)|"
        + _EXIT
        + r"-?[1-9])",
    ),
)

COMPILE = (
    _row("gen_cutlass", "gen_cutlass", r"gen_cutlass"),
    _row("nvcc", "nvcc", r"\bnvcc\b"),
    _row("ninja", "ninja", r"\bninja\b"),
    _row("flashinfer jit", "flashinfer.jit", r"flashinfer\.jit"),
    _row("extension", "building extension module", r"building extension module"),
)

STARTUP = (
    _row("weights", "load weight|loading safetensors", r"load weight (?:begin|end)|loading safetensors"),
    _row("weights", "loading checkpoint", r"loading checkpoint"),
    _row("CUDA graph", "cuda graph", r"\bcaptur\w+ cuda graph|cuda graph captur"),
    _row("warm-up", "warmup|warm-up|warm up", r"\bwarm[- ]?up\b"),
    _row("launch", "launch|starting", r"\b(?:launching|launch|starting)\b.{0,40}\b(?:server|router|workers?)\b"),
    _row("tests", "test session starts", r"test session starts"),
)

# Lines that speak of a failure without being one: a test's assertion, and source that a traceback shows.
_SPEECH = re.compile(
    r"AssertionError|please ignore|^\s*(?:E\s+|>\s+)?assert\b"
    r"|^\s*(?:>\s+)?(?:#|raise |if |elif |return |print\(|log\w*\.)"
    r"|^\s*(?:>\s+)?(?:except\b|with pytest\.raises|import |from \S+ import )",
    re.IGNORECASE,
)
# What stands before a sign and takes its meaning away.
_HINT = re.compile(
    r"\b(?:(?:to avoid|prevent\w*|may|might|could|can|in case of|in the event of|risk of|potential\w*|if)"
    r"(?:\s+\w+){0,4}|no|not|without)\s*$",
    re.IGNORECASE,
)
_NOT_READY = re.compile(
    r"\b(?:not|never|wait\w*|until|before|when|whether|if|time[ds]?[ -]?out|fail\w*|error)\b", re.IGNORECASE
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
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
                _take(self._state, whole[at : min(cut.start(), at + _LINE_CAP)], needles)
                self._state.lines += whole[cut.start()] == _NEWLINE
                at = cut.end()
        else:
            self._state.lines += whole.count(b"\n")
        self._keep(data[end:])

    def _keep(self, piece: bytes) -> None:
        self._rest += piece[: _LINE_CAP - len(self._rest)]

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
    text = segment.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
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
    match = row.pattern.search(text)
    if match is None:
        return False
    if table == "ready":
        return _NOT_READY.search(text) is None and _SPEECH.search(text) is None
    if table in ("compiling", "startup"):
        return True
    before = text[max(0, match.start() - 80) : match.start()]
    return _HINT.search(before) is None and _SPEECH.search(text) is None


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
