"""What the lines of a log that matter look like, as data: a server that is ready, memory that ran out, a death.

Words near "server" prove nothing (spec/calibration.md, section 4), and what an assertion or a warning says about
memory is not an event: a line of speech is none of these, whatever it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_CAP = 8192
"""Bytes of a line that are looked at."""

HINT_REACH = 80
"""Characters before a sign in which a hint takes its meaning away."""


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
    _row("CUDA OOM", "not enough memory", r"not enough memory\b.{0,400}(?:mem[-_]fraction|gpu)"),
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

FAILURES = (*OOM, *DEATH, *DISK, *CRASH)
"""What tells of a failure wherever it stands in a log; whoever looks for these in another way heeds SPEECH and HINT."""

# Lines that speak of a failure without being one: a test's assertion, and source that a traceback shows.
SPEECH = re.compile(
    r"AssertionError|please ignore|^\s*(?:E\s+|>\s+)?assert\b"
    r"|^\s*(?:>\s+)?(?:#|raise |if |elif |return |print\(|log\w*\.)"
    r"|^\s*(?:>\s+)?(?:except\b|with pytest\.raises|import |from \S+ import )",
    re.IGNORECASE,
)
# What stands before a sign and takes its meaning away.
HINT = re.compile(
    r"\b(?:(?:to avoid|prevent\w*|may|might|could|can|in case of|in the event of|risk of|potential\w*|if)"
    r"(?:\s+\w+){0,4}|no|not|without)\s*$",
    re.IGNORECASE,
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PARTS = re.compile(rb"[\n\r]")


def text_of(part: bytes) -> str:
    """What a part of a line says, without colours."""
    text = part[:LINE_CAP].decode("utf-8", "replace")
    return _ANSI.sub("", text) if "\x1b" in text else text


def is_event(row: Signature, text: str) -> bool:
    """Whether a text says that this happened, and not that it may, or might have."""
    match = row.pattern.search(text)
    if match is None:
        return False
    before = text[max(0, match.start() - HINT_REACH) : match.start()]
    return HINT.search(before) is None and SPEECH.search(text) is None


def failure_of(line: bytes) -> str:
    """The sign of the failure that a line tells of, "" where it tells of none; its parts end at carriage returns."""
    for part in _PARTS.split(line):
        lower = part[:LINE_CAP].lower()
        rows = [row for row in FAILURES if any(word.encode() in lower for word in row.words)]
        if rows:
            text = text_of(part)
            sign = next((row.sign for row in rows if is_event(row, text)), "")
            if sign:
                return sign
    return ""
