"""Kills what a calibration consists of, at any moment, and holds what is left against what must be."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hosts.errors import RefusedError
from hosts.host import ProcRef, ProcSeen
from hosts.local.procs import is_alive, send_signal
from tests.jobs.runner.fast import FOLDERS, PATIENCE_S, FastRun, until
from tests.jobs.runner.ledger import Ledger

VICTIMS: tuple[tuple[str, ...], ...] = (
    ("runner",),
    ("runner",),
    ("shim",),
    ("pytest",),
    ("shim", "pytest"),
    ("runner", "shim"),
    ("runner", "pytest"),
    ("runner", "shim", "pytest"),
)
STATES: tuple[str, ...] = (
    *("attempt", "started", "log", "rc", "cell", "first cell", "aside", "old log", "journal", "lock", "plan"),
    *("at work",) * 5,  # most of a calibration's time
)
_LOOK_S = 0.0002
_STATE_WAIT_S = 6.0


@dataclass
class Kill:
    """One kill: what it waited for, whom it was meant for, and whom it hit."""

    trigger: str
    victims: tuple[str, ...]
    at: float = 0.0
    hit: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.trigger:<14} {'+'.join(self.victims)} -> {', '.join(self.hit) or 'nobody'}"


@dataclass
class Chaos:
    """One run that is killed again and again, and resumed, until it ends.

    Attributes:
        run: Nothing of it was started yet.
        most: Kills; then it is left in peace.
        longest_s: The longest time between two kills that wait for no file.
        kills: Those that hit somebody.
    """

    run: FastRun
    seed: str
    most: int
    longest_s: float = 2.5
    kills: list[Kill] = field(default_factory=list)
    resumes: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self.ledger = Ledger(self.run)
        self._cells = [str(path) for _, _, path in self.run.cells()]

    def __str__(self) -> str:
        lines = [f"seed {self.seed!r}, {len(self.kills)} kills, {self.resumes} resumes", *map(str, self.kills)]
        return "\n".join([*lines, "", self.run.said()])

    def summary(self) -> str:
        """One line of figures."""
        hit = Counter("+".join(word.split()[0] for word in kill.hit) for kill in self.kills)
        seen = self.run.project.witnessed()
        adopted = Counter("alive" if data["alive"] else "ended" for data in self.run.events("attempt.adopted"))
        return (
            f"PROOF seed={self.seed} kills={len(self.kills)} resumes={self.resumes} launches={len(seen)} "
            f"cut={sum(one.end is None for one in seen)} adopted={dict(adopted)} hit={dict(hit)}"
        )

    def go(self) -> None:
        """Start, kill, resume, until the run has ended by itself."""
        self._ignite(resume=False)
        while not self._over():
            if len(self.kills) < self.most:
                self._strike()
            else:
                until(lambda: self.run.runner() is None, "the end of a run that is left in peace", 4 * PATIENCE_S)
            if self.run.runner() is None and not self._over():
                time.sleep(self._dice.choice((0.0, 0.0, 0.1, 0.5)))
                self.resumes += 1
                self._ignite(resume=True)
        # The last shim may still be on its way out.
        self.run.wait()

    def check(self, audit: list[str]) -> None:
        """Everything that must hold after the last kill; `audit` is that of an undisturbed run."""
        self.ledger.check(audit)

    def _ignite(self, resume: bool) -> None:
        """Start in a thread, since a kill may fall into the start, and go on when it has taken the lock or died."""
        refused: list[RefusedError] = []

        def start() -> None:
            try:
                self.run.start(resume)
            except RefusedError as error:
                refused.append(error)

        thread = threading.Thread(target=start, name="start")
        thread.start()
        if len(self.kills) < self.most and self._dice.random() < 0.25:
            self._strike(starting=thread)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        if refused and not any("runner" in kill.victims for kill in self.kills[-1:]):
            raise refused[0]

    def _over(self) -> bool:
        if self.run.runner() is not None or not self.run.places.journal.exists():
            return False
        return self.run.events("run.ended") != []

    def _strike(self, starting: threading.Thread | None = None) -> None:
        if starting is not None:
            kill = Kill("starting", ("runner",))
            until_at = time.monotonic() + self._dice.uniform(0.3, 1.2)
            self._rest(until_at)
        elif self._dice.random() < 0.4:
            kill = Kill("time", self._dice.choice(VICTIMS))
            self._rest(time.monotonic() + self._dice.uniform(0.0, self.longest_s))
        else:
            state = self._dice.choice(STATES)
            alone = state in ("first cell", "aside", "lock")
            kill = Kill(state, ("runner",) if alone else self._dice.choice(VICTIMS))
            self._await(state, self._dice.randint(1, 4) if state == "journal" else 1)
            if state == "at work":
                self._rest(time.monotonic() + self._dice.uniform(0.0, 0.3))
        self._kill(kill)

    def _rest(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0 and not self._over():
            time.sleep(min(left, 0.05))

    def _await(self, state: str, changes: int) -> None:
        """Return at once when a file of this kind has appeared or changed so often."""
        end = time.monotonic() + _STATE_WAIT_S
        before = self._state(state)
        look = 0
        while time.monotonic() < end:
            now = self._state(state)
            if now - before:
                before = now
                changes -= 1
                if not changes:
                    return
            look += 1
            if look % 100 == 0 and self.run.runner() is None:
                return
            time.sleep(_LOOK_S)

    def _state(self, state: str) -> frozenset[tuple[str, int, int]]:
        found: set[tuple[str, int, int]] = set()
        for path in self._watched(state):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                found.add((path, status.st_ino, status.st_size if state in ("journal", "at work") else 0))
        return frozenset(found)

    def _watched(self, state: str) -> Iterator[str]:
        root = str(self.run.root)
        if state in ("journal", "lock", "plan"):
            yield root + {"journal": "/events.jsonl", "lock": "/.gatewatch/lock", "plan": "/plan.json"}[state]
        elif state == "at work":
            yield str(self.run.project.side)
        elif state == "cell":
            yield from self._cells
        elif state == "first cell":
            yield from (path for path in self._cells if "/alpha_accuracy/" in path)
        elif state == "aside":
            with contextlib.suppress(FileNotFoundError):
                yield from (entry.path for entry in os.scandir(f"{root}/_discarded"))
        else:
            name = {
                "attempt": "run{}.attempt.json",
                "started": "run{}.started.json",
                "log": "run{}.log",
                "rc": "run{}.rc",
                "old log": "run{}.attempt1.log",
            }[state]
            for folder in FOLDERS:
                for repeat in range(1, self.run.repeats + 1):
                    yield f"{root}/_pytest/{folder}/{name.format(repeat)}"

    def _kill(self, kill: Kill) -> None:
        kill.at = time.monotonic()
        hit: list[str] = []
        if "runner" in kill.victims and (runner := self.run.runner()) is not None:
            hit += self._end("runner", runner)
        for process in self.run.processes():
            role = role_of(process)
            if role in kill.victims and f"{role} {process.ref.pid}" not in hit:
                hit += self._end(role, process.ref)
        if "runner" in kill.victims:
            until(lambda: self.run.runner() is None, "the death of a killed runner")
        self.ledger.remember()
        if hit:
            kill.hit = tuple(hit)
            self.kills.append(kill)

    def _end(self, role: str, ref: ProcRef) -> list[str]:
        at = time.monotonic()
        if not send_signal(ref, signal.SIGKILL):
            return []
        if role == "pytest":
            self.ledger.deaths[ref.pid] = at
        until(lambda: is_alive(ref) is False, f"the death of {role} {ref.pid}", pause_s=0.001)
        return [f"{role} {ref.pid}"]


def role_of(process: ProcSeen) -> str:
    """Which part of a calibration a process is: runner, shim, pytest, or other."""
    argv = process.argv
    if "pytest" in argv[:3]:
        return "pytest"
    if argv[-1:] == ("exec",):
        return "shim"
    return "runner" if "run" in argv[:4] else "other"
