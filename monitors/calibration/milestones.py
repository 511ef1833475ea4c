"""The milestones of a calibration: what run.log says, line by line, or the journal where there is no such file.

Both tools' run.log are read: ours, which stamps every line (`2026-05-25T02:43:02Z PASS test_a 2/5 159.3 s`), and the
old one's, which does not (`[test_a] run 2/5 (3 stage(s), needs 2 GPU) ok (159.3s)`). They come out in the same words.
Whatever else stands in the file (a server's lines, pytest's, values) is no milestone and is left out.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from gates.calibration.words import one_line

KEEP = 20_000
"""Milestones that are kept, the newest: two for each of 10,000 repeats."""

LINE = 16 << 10
"""Bytes of one line that are looked at; our own lines have at most 4,000 characters."""

_BUDGET = 4 << 20  # characters of all texts that are kept
_SPARE = 1024  # so many more may be kept, or dropping the oldest would cost at every line


class Kind(Enum):
    """What happened, by the word that run.log has for it."""

    RUN = "RUN"
    RESUME = "RESUME"
    ENVIRONMENT = "ENV"
    SECTION = "=="
    START = "START"
    ADOPT = "ADOPT"
    WAIT = "WAIT"
    SLOW_START = "SLOW START"
    PASS = "PASS"  # noqa: S105 - a word of the log
    FAIL = "FAIL"
    ABORT = "ABORT"
    WARNING = "WARN"
    DISCARD = "DISCARD"
    HALT = "HALT"
    END = "END"


CONCLUDING = frozenset({Kind.PASS, Kind.FAIL, Kind.ABORT, Kind.HALT})
"""What says how a repeat ended."""


@dataclass(frozen=True)
class Milestone:
    """One line for people. Its texts are one printable line each; they may hold secrets, as what they are made of.

    Attributes:
        at: Far clock, seconds since the epoch; None where the line does not say.
        stage: The unit whose pytest it is about, as run.log and `_pytest/` call it, or "".
        run: The repeat, from 1, or None.
        text: What else there is to say.
        place: Where it stands: the byte of run.log at which its line begins, or the index of the journal's event.
        of: How many repeats there are to be.
        took: Seconds that the attempt took.
        attempt: Which attempt of the repeat begins, from 1.
        gpus: Those it was given, as `0,1`, or "".
        log: pytest's log, relative to the run directory where it lies in there, or "".
    """

    kind: Kind
    at: float | None
    stage: str
    run: int | None
    text: str
    place: int
    of: int | None = None
    took: float | None = None
    attempt: int = 1
    gpus: str = ""
    log: str = ""

    @property
    def cell(self) -> str:
        """`test_a 2/5`, as far as that is known."""
        number = "" if self.run is None else f" {self.run}" if self.of is None else f" {self.run}/{self.of}"
        return f"{self.stage}{number}"

    @property
    def rest(self) -> str:
        """All that stands behind the word, the cell and the time it took."""
        again = f"(attempt {self.attempt})" if self.attempt > 1 else ""
        gpus = f"GPU {self.gpus}" if self.gpus else ""
        return " ".join(part for part in (gpus, again, self.log, self.text) if part)


class Milestones:
    """Reads run.log, however it comes in pieces; a last line without its newline waits for the rest of it.

    Args:
        place: The byte of the file at which the first piece begins. Not 0: the line there is one's rest, and left out.
        keep: How many milestones are kept.

    Attributes:
        items: The newest, oldest first.
        dropped: How many older ones are not kept any more.
    """

    def __init__(self, place: int = 0, keep: int = KEEP) -> None:
        self.items: list[Milestone] = []
        self.dropped = 0
        self._keep = keep
        self._line_at = place
        self._held = bytearray()
        self._length = 0
        self._amid = place > 0
        self._sizes: list[int] = []
        self._size = 0

    @property
    def end(self) -> int:
        """The byte behind what was read."""
        return self._line_at + self._length

    @property
    def held(self) -> int:
        """Bytes of an unfinished line that are held."""
        return len(self._held)

    def feed(self, data: bytes) -> int:
        """Take in what follows; returns how many milestones it brought. Nothing in it raises."""
        start = brought = 0
        while True:
            end = data.find(b"\n", start)
            piece = data[start : end if end >= 0 else len(data)]
            self._held += piece[: max(0, LINE - len(self._held))]
            self._length += len(piece)
            if end < 0:
                break
            brought += self._line()
            start = end + 1
        return brought

    def _line(self) -> bool:
        found = None if self._amid else read_line(bytes(self._held), self._line_at)
        self._amid = False
        self._line_at += self._length + 1
        self._held.clear()
        self._length = 0
        if found is None:
            return False
        self.items.append(found)
        self._sizes.append(len(found.text) + len(found.stage) + len(found.log))
        self._size += self._sizes[-1]
        if len(self.items) > self._keep + _SPARE or self._size > _BUDGET:
            self._drop()
        return True

    def _drop(self) -> None:
        """Drop the oldest, and a little more than must be: it costs as much as for one."""
        first = max(0, len(self.items) - self._keep)
        size = sum(self._sizes[first:])
        while size > _BUDGET // 2 and self._size > _BUDGET and first < len(self.items) - 1:
            size -= self._sizes[first]
            first += 1
        del self.items[:first], self._sizes[:first]
        self.dropped += first
        self._size = size


def key_line(items: Sequence[Milestone], names: Collection[str], run: int | None) -> int | None:
    """The line that says how a repeat ended, or else that it began: its index, None where none does.

    A newer beginning counts more than an older end. Without a run, the newest line about any.

    Args:
        names: Those of the unit and of its stage.
    """
    for index in range(len(items) - 1, -1, -1):
        found = items[index]
        if found.stage not in names or (run is not None and found.run != run):
            continue
        if run is None or found.kind in CONCLUDING or found.kind in (Kind.START, Kind.ADOPT, Kind.DISCARD):
            return index
    return None


# One line.

_STAMP = re.compile(
    r"\[?(?P<when>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?(?P<zone>Z|[+-]\d\d:?\d\d)?\]?(?:\s+|$)", re.ASCII
)
_WORD = re.compile(r"(START|PASS|FAIL|ABORT|END|HALT|WAIT|ADOPT|SLOW START|DISCARD|RUN|RESUME)(?: +|$)")
# Believed without a time.
_BARE = frozenset({Kind.START, Kind.PASS, Kind.FAIL, Kind.ABORT, Kind.END, Kind.HALT})
_CELL = re.compile(r"(?P<stage>[^:]{1,200}?) (?P<run>\d{1,9})/(?P<of>\d{1,9})(?:: *| +|$)", re.ASCII)
_DISCARDED = re.compile(r"(?P<stage>.{1,200}?) run (?P<run>\d{1,9})(?:: *| +|$)", re.ASCII)
_STARTED = re.compile(r"(?:\(attempt (?P<attempt>\d{1,9})\) ?)?(?:GPU (?P<gpus>[\d,]{1,200})(?: |$))?", re.ASCII)
_TOOK = re.compile(r"(?P<took>\d{1,9}(?:\.\d{1,3})?) s(?: +|$)", re.ASCII)
_NOTES = ("environment: ", "emptied before every launch: ", "removed what a killed writer left half-written: ")
# pytest's own rules fill a line; a short one between words is somebody's section.
_SECTION = re.compile(r"(?:={2,5}|#{1,5}|-{2,5}) (?P<title>\S.*?)(?: +[=#-]{2,5})?")
_PYTESTS = re.compile(
    r"(?:test session starts|FAILURES|ERRORS|PASSES|warnings summary.*|short test summary info"
    r"|.*\b\d+ (?:passed|failed|skipped|errors?|warnings?|deselected|xfailed|xpassed)\b.* in \d.*|no tests ran.*)"
)

_OLD = re.compile(
    r"\[(?P<stage>[^\]]{1,200})\] run (?P<run>\d{1,9})/(?P<of>\d{1,9})"
    r"(?: \(\d+ stage\(s\), needs \d+ GPU\))? (?P<rest>.*)",
    re.ASCII,
)
_OLD_GPUS = re.compile(r"using GPU\(s\) \[(?P<gpus>[\d, ]{0,200})\]", re.ASCII)
_OLD_OK = re.compile(r"ok \((?P<took>\d{1,9}(?:\.\d{1,3})?)s\)", re.ASCII)
_OLD_FAILED = re.compile(r"failed: (?P<why>.*?) \((?P<took>\d{1,9}(?:\.\d{1,3})?)s\)", re.ASCII)
_OLD_INFRA = ("OOM", "exit 137", "exit 139", "TimeoutExpired", "crashed", "GPU memory")
_OLD_HALT = re.compile(
    r"error: metric extraction HALT after \[(?P<stage>[^\]]{1,200})\] run (?P<run>\d{1,9})/(?P<of>\d{1,9})", re.ASCII
)
_OLD_ENVIRONMENT = ("venv_python: ", "git: ", "GPUs: ", "precheck OK", "env OK")
_OLD_LINES: tuple[tuple[str, Kind, bool], ...] = (
    ("run log: ", Kind.RUN, True),
    ("resume: ", Kind.RESUME, False),
    ("error: ", Kind.ABORT, False),
    ("precheck FAILED", Kind.ABORT, True),
    ("warning: ", Kind.WARNING, False),
    ("⚠ ", Kind.WARNING, False),
    ("completeness ", Kind.SECTION, True),
    ("report written to ", Kind.END, True),
)
"""Beginning, kind, and whether the beginning says something itself."""


def read_line(line: bytes, place: int) -> Milestone | None:
    """The milestone of one line of run.log, None where it is none; whatever the bytes are, it does not raise."""
    whole = line[:LINE].decode("utf-8", "replace").rstrip("\r")
    stamp = _STAMP.match(whole)
    text = one_line(whole[stamp.end() :] if stamp else whole, LINE).strip()
    at = _seconds(stamp["when"], stamp["zone"]) if stamp else None
    if not text:
        return None
    found = _ours(text, at, place, stamp is not None)
    return found if found is not None or stamp is not None else _old(text, place)


def _ours(text: str, at: float | None, place: int, stamped: bool) -> Milestone | None:
    section = _SECTION.fullmatch(text)
    if section is not None:
        title = section["title"]
        return None if _PYTESTS.fullmatch(title) else Milestone(Kind.SECTION, at, "", None, title, place)
    for note in _NOTES:
        if text.startswith(note) and (stamped or note is _NOTES[0]):
            return Milestone(Kind.ENVIRONMENT, at, "", None, text.removeprefix(_NOTES[0]), place)
    word = _WORD.match(text)
    if word is None:
        return None
    kind, rest = Kind(word[1]), text[word.end() :]
    if not stamped and kind not in _BARE:
        return None
    cell = (_DISCARDED if kind is Kind.DISCARD else _CELL).match(rest)
    if cell is None:
        return Milestone(kind, at, "", None, rest, place)
    parts = cell.groupdict()
    of = int(parts["of"]) if parts.get("of") else None
    return _told(kind, at, parts["stage"], int(parts["run"]), of, rest[cell.end() :], place)


def _told(kind: Kind, at: float | None, stage: str, run: int, of: int | None, rest: str, place: int) -> Milestone:
    if kind is Kind.START:
        began = _STARTED.match(rest)
        assert began is not None  # all of it may be missing
        attempt = int(began["attempt"] or 1)
        log = rest[began.end() :].strip()
        return Milestone(kind, at, stage, run, "", place, of, None, attempt, began["gpus"] or "", log)
    took = _TOOK.match(rest) if kind in CONCLUDING else None
    if took is None:
        return Milestone(kind, at, stage, run, rest, place, of)
    return Milestone(kind, at, stage, run, rest[took.end() :], place, of, float(took["took"]))


def _old(text: str, place: int) -> Milestone | None:
    about = _OLD.fullmatch(text)
    if about is not None:
        return _old_cell(about["stage"], int(about["run"]), int(about["of"]), about["rest"], place)
    halt = _OLD_HALT.match(text)
    if halt is not None:
        why = "pytest passed and a metric is missing"
        return Milestone(Kind.HALT, None, halt["stage"], int(halt["run"]), why, place, int(halt["of"]))
    for beginning in _OLD_ENVIRONMENT:
        if text.startswith(beginning):
            return Milestone(Kind.ENVIRONMENT, None, "", None, text, place)
    for beginning, kind, whole in _OLD_LINES:
        if text.startswith(beginning):
            return Milestone(kind, None, "", None, text if whole else text.removeprefix(beginning), place)
    if text.startswith("waiting: need ") and "(0s/" in text:  # it is said again every half minute
        return Milestone(Kind.WAIT, None, "", None, text.removeprefix("waiting: "), place)
    return None


def _old_cell(stage: str, run: int, of: int, rest: str, place: int) -> Milestone | None:
    gpus = _OLD_GPUS.match(rest)
    if gpus is not None:
        given = gpus["gpus"].replace(" ", "")
        return Milestone(Kind.START, None, stage, run, "", place, of, gpus=given, log=f"_pytest/{stage}/run{run}.log")
    done = _OLD_OK.fullmatch(rest)
    if done is not None:
        return Milestone(Kind.PASS, None, stage, run, "", place, of, float(done["took"]))
    failed = _OLD_FAILED.fullmatch(rest)
    if failed is not None:
        kind = Kind.ABORT if failed["why"].startswith(_OLD_INFRA) else Kind.FAIL
        return Milestone(kind, None, stage, run, failed["why"], place, of, float(failed["took"]))
    if rest.startswith("crash detected in log") or " — must clear GPU " in rest:
        return Milestone(Kind.ABORT, None, stage, run, rest, place, of)
    if rest.startswith("launch gate BLOCKED"):
        return Milestone(Kind.WAIT, None, stage, run, rest, place, of)
    return None


def _seconds(when: str, zone: str | None) -> float | None:
    """Seconds since the epoch; None without a zone, or for a day that there never was."""
    if zone is None:
        return None
    try:
        moment = calendar.timegm(time.strptime(when.replace(" ", "T"), "%Y-%m-%dT%H:%M:%S"))
    except (ValueError, OverflowError):
        return None
    if zone == "Z":
        return float(moment)
    ahead = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return float(moment + ahead if zone[0] == "-" else moment - ahead)
