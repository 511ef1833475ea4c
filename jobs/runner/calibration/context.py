"""What every step of a running calibration has at hand: the places, the request, and one voice."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gates.calibration.records import Plan
from gates.calibration.schema import Manifest
from hosts.errors import GatewatchError
from hosts.host import Json
from hosts.local.files import utc_now
from hosts.local.locks import LockLostError, RunLock
from jobs.runner.calibration import inbox
from jobs.runner.calibration.job import Job, UnitJob
from jobs.runner.calibration.places import RepeatPlaces
from jobs.runner.journal import JournalWriter, failed
from jobs.runner.places import RunPlaces
from jobs.runner.voice import tell

BEAT_S = 5.0
_STEP_S = 0.1
_MILESTONES_LIMIT = 4000


class StoppedError(GatewatchError):
    """A person, or the system, asked for an end; everything is left so that --resume continues."""

    code = 3


class HaltError(GatewatchError):
    """The configuration is wrong (spec/calibration.md, section 4, HALT); only a person can mend it."""

    code = 1


class ExhaustedError(GatewatchError):
    """All passes over a unit are spent and it is still incomplete."""

    code = 1


@dataclass
class Control:
    """Asked from outside to end? Set by signals and by the heartbeat, read by every wait.

    A plain attribute and no threading.Event: a signal handler that sets one waits for ever when it has
    interrupted the very thread that holds the event's lock.
    """

    asked: bool = False
    why: str = ""
    lost: bool = False
    children: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def ask(self, why: str) -> None:
        """Ask the loop to end at its next check; the first reason stands."""
        if not self.asked:
            self.why = why
            self.asked = True

    def rest(self, seconds: float) -> None:
        """Wait so long, or until asked to end."""
        until = monotonic() + seconds
        while not self.asked and (left := until - monotonic()) > 0:
            time.sleep(min(_STEP_S, left))

    def install(self) -> None:
        """Let SIGTERM, SIGINT and SIGHUP ask."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda got, _frame: self.ask(f"the runner got {signal.Signals(got).name}"))


@dataclass(frozen=True)
class RunContext:
    """One run, as its runner holds it."""

    places: RunPlaces
    plan: Plan
    manifest: Manifest
    job: Job
    journal: JournalWriter
    control: Control
    run_id: str
    git_sha: str
    nonce: str

    def repeat(self, unit: UnitJob, repeat: int) -> RepeatPlaces:
        """The files of one repeat of one unit."""
        return RepeatPlaces(self.places.root / "_pytest" / unit.key, repeat)

    def check(self) -> None:
        """Take in what waits in the inbox, and raise StoppedError when the run is to end. Every wait calls this.

        Raises:
            StoppedError: By a signal, by a stop file in the inbox, or because the lock was lost.
        """
        if not self.control.asked:
            self.take_in()
            if any(self._is_for_us(request) for _path, request in inbox.waiting(self.places)):
                self.control.ask("a person asked for it")
        if self.control.asked:
            raise StoppedError(f"stopped: {self.control.why}")

    def take_in(self) -> None:
        """Journal the discards that persons have left in the inbox."""
        inbox.take_in(self.places, self.note)

    def clear_inbox(self) -> None:
        """Take in what holds for every runner, and drop what was meant for an earlier one."""
        self.take_in()
        for path, request in inbox.waiting(self.places):
            if not self._is_for_us(request):  # else it came between the lock, which names us, and this look
                inbox.drop(path)

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is to end."""
        self.check()
        self.control.rest(seconds)
        self.check()

    def note(self, kind: str, data: Mapping[str, object], milestone: str = "") -> None:
        """Journal an event; with `milestone`, a line in run.log too."""
        self.journal.append(kind, data)
        if milestone:
            self.say(milestone)

    def say(self, line: str) -> None:
        """Append one milestone to run.log."""
        append_milestone(self.places, line)

    def _is_for_us(self, request: Mapping[str, Json]) -> bool:
        """A request names the holding of the lock that it is for: one that came too late must stop nobody else."""
        return request.get("kind") in (inbox.STOP, None) and request.get("nonce") == self.nonce


def append_milestone(places: RunPlaces, line: str) -> None:
    """Add one line to run.log, which is appended to and never truncated; control characters become "?".

    Raises:
        WriteError: It could not be written.
    """
    text = "".join(char if char.isprintable() else "?" for char in line)[:_MILESTONES_LIMIT]
    try:
        fd = os.open(places.milestones, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"  # a full disk left half a line
            data = b"\n" * torn + f"{utc_now()} {text}\n".encode()
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(fd)
    except OSError as error:
        raise failed(places.milestones, error) from error


class Heartbeat:
    """Moves the lock's counter in a thread of its own, and asks the loop to end when the lock is lost."""

    def __init__(self, lock: RunLock, control: Control, every_s: float = BEAT_S) -> None:
        self._lock = lock
        self._control = control
        self._every_s = every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until no beat is under way."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            try:
                self._lock.beat()
            except LockLostError as error:
                self._control.lost = True
                self._control.ask(str(error))
                return
            except GatewatchError as error:
                # The disk may be full for a moment; the lock is still ours, and a foreign taker waits a minute.
                tell(f"{utc_now()} heartbeat: {error}")


class LastWords:
    """Room kept on the disk for the reason of an end that the disk itself has caused.

    Overwriting these bytes needs no new blocks, so that "no space left" can be said on a full disk.
    """

    _SIZE = 4096

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._fd, b" " * self._SIZE, 0)
            os.fsync(self._fd)
        except OSError as error:
            raise failed(path, error) from error

    def say(self, text: str) -> None:
        """Leave `text` as the reason of the end."""
        body = text.encode("utf-8", "replace")[: self._SIZE - 1] + b"\n"
        try:
            os.pwrite(self._fd, body.ljust(self._SIZE), 0)
            os.fsync(self._fd)
        except OSError as error:
            tell(f"{utc_now()} could not leave last words: {error}")


def monotonic() -> float:
    """Seconds, for durations on this host."""
    return time.monotonic()
