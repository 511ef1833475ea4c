"""What the fast project measures with, and the witness of what was really run.

Whoever calibrates this project names a side log in FAST_SIDE. Every pytest appends there when it starts and when it
ends, with monotonic times, and holds a lock beside it for as long as it lives; so two at a time, or one too many,
can be proven whatever the calibration itself believes. FAST_SCRIPT may name a JSON file that says how each launch
of a repeat behaves: {"<test stem>[:<voice>]:<repeat>": ["partial", "ok"]}, the last word standing for all later ones.
A launch that is told "held" goes on when <side log>.hold is gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Not where it is said: the traceback of a failed test shows the source around it, and that is no sign of anything.
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB"

Measure = Callable[[str, Path, int], dict[str, Any]]


class Witness:
    """One pytest of this project: which repeat it is, and how it was told to behave."""

    def __init__(self, config: pytest.Config) -> None:
        self._side = Path(os.environ["FAST_SIDE"])
        voice = os.environ.get("FAST_VOICE", "")
        repeat = str(config.option.basetemp).rpartition("_run")[2]
        self.name = ":".join(part for part in (Path(config.args[0]).stem, voice, repeat) if part)
        self.token = os.environ.get("GATEWATCH_ATTEMPT", "none")
        # Left open on purpose: the kernel drops the lock when this process is gone, however it went.
        self._alone = os.open(f"{self._side}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.note("overlap")
        self.hold = Path(f"{self._side}.hold")
        self.how = self._told()
        self.note("start")

    def note(self, word: str) -> None:
        """Append one line to the side log."""
        line = f"{word} {self.name} {self.token} {time.monotonic():.6f} {os.getpid()}\n"
        side = os.open(self._side, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(side, line.encode())
        os.close(side)

    def _told(self) -> str:
        script = os.environ.get("FAST_SCRIPT")
        words = json.loads(Path(script).read_bytes()).get(self.name, ["ok"]) if script else ["ok"]
        before = self._side.read_text().splitlines() if self._side.is_file() else []
        launches = sum(line.startswith(f"start {self.name} ") for line in before)
        return str(words[min(launches, len(words) - 1)])


_WITNESS = pytest.StashKey[Witness]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_WITNESS] = Witness(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_WITNESS].note("end")


@pytest.fixture
def told(pytestconfig: pytest.Config) -> str:
    """How this launch is to behave."""
    return pytestconfig.stash[_WITNESS].how


@pytest.fixture
def measure(pytestconfig: pytest.Config) -> Measure:
    """Returns what measures something: it works for a moment and writes `<sub>/<sub>_results.json`."""
    witness = pytestconfig.stash[_WITNESS]

    def run(sub: str, folder: Path, samples: int) -> dict[str, Any]:
        began = time.monotonic()
        for batch in range(4):
            say(f"{witness.name} {sub} batch {batch + 1}/4")
            time.sleep(float(os.environ.get("FAST_BATCH_S", "0.01")))
        _misbehave(witness)
        spent = time.monotonic() - began
        # The same for one repeat of one unit whenever it is run; only what is a time differs.
        share = int(hashlib.sha256(f"{witness.name}/{sub}".encode()).hexdigest()[:6], 16) / 0xFFFFFF
        done = samples - 1 if witness.how == "partial" else samples
        result: dict[str, Any] = {
            "summary": {"total_samples": samples + (witness.how == "total"), "accuracy": 0.8 + share / 10},
            "speed": {"completed_requests": done, "throughput_qps": samples / spent, "latency_mean_s": spent / samples},
        }
        if witness.how == "total":
            result["speed"]["completed_requests"] = samples + 1
        if witness.how in ("missing", "oom", "failed-missing"):
            del result["summary"]["accuracy"]
        if witness.how == "oom":
            say(OOM)
        place = folder / sub
        place.mkdir()
        (place / f"{sub}_results.json").write_text(json.dumps(result))
        assert witness.how not in ("oom", "failed-missing")
        return result

    return run


def say(line: str) -> None:
    """One line of the log, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _misbehave(witness: Witness) -> None:
    if witness.how in ("killed", "exit137"):
        sys.stdout.flush()
        witness.note("end")
        if witness.how == "exit137":
            os._exit(137)
        os.kill(os.getpid(), signal.SIGKILL)
    if witness.how == "silent":
        time.sleep(3600)
    while witness.how == "held" and witness.hold.exists():
        time.sleep(0.02)
    while witness.how == "endless":
        say("still at it")
        time.sleep(0.05)
