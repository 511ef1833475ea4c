from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gates.calibration.records import parse_plan
from gates.calibration.schema import parse_manifest
from hosts.errors import GatewatchError
from hosts.host import Json, ProcRef
from hosts.local.files import ReadError, WriteError
from hosts.local.locks import acquire, read_holder
from jobs.runner.calibration.context import (
    Control,
    Heartbeat,
    LastWords,
    RunContext,
    StoppedError,
    append_milestone,
)
from jobs.runner.calibration.job import Job, UnitJob
from jobs.runner.journal import JournalWriter, read_journal
from jobs.runner.places import RunPlaces

pytestmark = pytest.mark.travels

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 30.0

# What may lie in an inbox and is not for the runner that is called "mine".
REQUESTS = {
    "1.json": '{"nonce": "of an earlier one"}',
    "broken.json": '{"nonce": "mine"',
    "list.json": '["mine"]',
    "half-written.tmp": '{"nonce": "mine"}',
}

# Signals itself ten thousand times a second while it waits as the runner waits, and says when it has seen the end.
STORM = """
import signal, sys
sys.path.insert(0, sys.argv[1])
from jobs.runner.calibration.context import Control
control = Control()
signal.signal(signal.SIGALRM, lambda number, frame: control.ask("the storm"))
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
for _ in range(3000):
    control = Control()
    while not control.asked:
        control.rest(0.0)
signal.setitimer(signal.ITIMER_REAL, 0)
print(control.why)
"""

# A runner's Control with its handlers, waiting for a minute.
WAITER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from jobs.runner.calibration.context import Control
control = Control()
control.install()
print("up", flush=True)
began = time.monotonic()
control.rest(60)
print(control.asked, control.why, time.monotonic() - began < 20, flush=True)
"""

# Everything that is said goes to a file system without room: neither the beat nor the words may end the process.
MUTE = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from hosts.local.files import WriteError
from jobs.runner.calibration.context import Control, Heartbeat
from jobs.runner.voice import tell
class Lock:
    beats = 0
    def beat(self):
        self.beats += 1
        raise WriteError(Path("lock"), "no space left on device", 28)
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
os.dup2(full, 2)
tell("nobody hears this")
lock, control = Lock(), Control()
heartbeat = Heartbeat(lock, control, 0.01)
heartbeat.start()
end = time.monotonic() + 30
while lock.beats < 3 and time.monotonic() < end:
    time.sleep(0.01)
heartbeat.stop()
os._exit(0 if lock.beats >= 3 and not control.asked else 1)
"""


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.005)


@pytest.fixture
def places(tmp_path: Path) -> RunPlaces:
    places = RunPlaces(tmp_path / "run")
    places.inbox.mkdir(parents=True)
    return places


@pytest.fixture
def context(places: RunPlaces) -> Iterator[RunContext]:
    unit = UnitJob("t", "t.py", ("a",), (), {}, 0, 10.0, 10.0)
    journal = JournalWriter(places.journal, ProcRef("box", "boot", 7, 1, 7))
    stage: dict[str, Json] = {"test": "t.py", "title": "T", "group": "docs", "metrics": {}}
    yield RunContext(
        places=places,
        plan=parse_plan({"model": "m", "stages": ["a"], "repeats": 1}),
        manifest=parse_manifest({"a": stage}),
        job=Job("/repo", sys.executable, {}, (unit,)),
        journal=journal,
        control=Control(),
        run_id="id",
        git_sha="0" * 40,
        nonce="mine",
    )
    journal.close()


def test_the_first_reason_stands() -> None:
    control = Control()
    control.rest(0.0)
    assert (control.asked, control.why) == (False, "")
    control.ask("first")
    control.ask("second")
    assert (control.asked, control.why) == (True, "first")


def test_a_rest_ends_when_asked_from_another_thread() -> None:
    control = Control()
    timer = threading.Timer(0.05, control.ask, ["the lock was lost"])
    timer.start()
    began = time.monotonic()
    control.rest(PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2
    timer.join()


def test_a_storm_of_signals_does_not_hold_the_runner_up() -> None:
    """A handler that takes a lock may have interrupted the very code that holds it."""
    done = subprocess.run([sys.executable, "-c", STORM, str(ROOT)], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the storm\n", "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_asks(name: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITER, str(ROOT)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(getattr(__import__("signal"), name))
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert out == f"True the runner got {name} True\n"
    assert process.returncode == 0


def test_a_request_in_the_inbox_stops(context: RunContext, places: RunPlaces) -> None:
    context.check()
    context.pause(0.0)
    for name, content in REQUESTS.items():
        (places.inbox / name).write_text(content)
        context.check()
    (places.inbox / "2.json").write_text('{"nonce": "mine"}')
    with pytest.raises(StoppedError, match="stopped: a person asked for it"):
        context.pause(60.0)


def test_what_was_meant_for_an_earlier_runner_is_dropped(context: RunContext, places: RunPlaces) -> None:
    for name, content in REQUESTS.items():
        (places.inbox / name).write_text(content)
    (places.inbox / "2.json").write_text('{"nonce": "mine"}')
    context.clear_inbox()
    assert {path.name for path in places.inbox.iterdir()} == {"2.json", "half-written.tmp"}


def test_an_inbox_is_not_needed(context: RunContext, places: RunPlaces) -> None:
    places.inbox.rmdir()
    context.check()
    places.inbox.write_text("")
    with pytest.raises(ReadError, match=r"cannot read .*inbox: not a directory"):
        context.check()


def test_milestones_are_appended_and_cannot_forge_a_line(context: RunContext, places: RunPlaces) -> None:
    context.note("x", {"a": 1}, "first")
    context.say("se\ncond\x1b[2J\r\u202e")
    context.say("x" * 10_000)
    lines = places.milestones.read_text().splitlines()
    assert [line.partition(" ")[2][:20] for line in lines] == ["first", "se?cond?[2J??", "x" * 20]
    assert max(map(len, lines)) < 4100
    assert [event.kind for event in read_journal(places.journal).events] == ["x"]


def test_half_a_milestone_is_ended_before_the_next(places: RunPlaces) -> None:
    places.milestones.write_text("2026-05-25T02:43:02Z START t 1/")
    append_milestone(places, "RESUME")
    first, second = places.milestones.read_text().splitlines()
    assert first == "2026-05-25T02:43:02Z START t 1/"
    assert second.endswith("Z RESUME")


def test_a_milestone_that_finds_no_room_is_an_error(places: RunPlaces) -> None:
    places.milestones.symlink_to("/dev/full")
    with pytest.raises(WriteError, match=r"cannot write .*run\.log: no space left on device"):
        append_milestone(places, "START")


def test_the_heart_beats(places: RunPlaces) -> None:
    control = Control()
    lock = acquire(places.lock, "mine")
    heartbeat = Heartbeat(lock, control, 0.005)
    heartbeat.start()

    def counter() -> int:
        holder = read_holder(places.lock)
        return -1 if holder is None else holder.counter

    until(lambda: counter() >= 3, "the counter moves")
    heartbeat.stop()
    now = counter()
    assert counter() == now
    lock.release()
    assert control.asked is False


def test_a_lost_lock_asks_for_the_end(places: RunPlaces) -> None:
    control = Control()
    heartbeat = Heartbeat(acquire(places.lock, "mine"), control, 0.005)
    heartbeat.start()
    taken = acquire(places.lock, "another", alive=lambda _: False)
    until(lambda: control.asked, "the heartbeat sees it")
    assert control.lost is True
    assert "was taken by" in control.why
    heartbeat.stop()
    assert read_holder(places.lock) == taken.holder


def test_a_full_disk_stops_neither_the_beat_nor_the_words() -> None:
    done = subprocess.run([sys.executable, "-c", MUTE, str(ROOT)], timeout=50)
    assert done.returncode == 0


def test_last_words(tmp_path: Path) -> None:
    path = tmp_path / "last-words"
    words = LastWords(path)
    size = path.stat().st_blocks, path.stat().st_size
    assert path.read_text().strip() == ""
    words.say("cannot write events.jsonl: no space left on device")
    assert path.read_text().strip() == "cannot write events.jsonl: no space left on device"
    words.say("ü" * 10_000)
    assert path.read_bytes()[:100] == ("ü" * 50).encode()
    words.say("")
    assert path.read_text().strip() == ""
    assert (path.stat().st_blocks, path.stat().st_size) == size, "no new room is ever needed"
    LastWords(path)
    with pytest.raises(WriteError, match="cannot write"):
        LastWords(tmp_path / "no" / "last-words")


def test_errors_of_a_run_have_their_exit_code() -> None:
    assert issubclass(StoppedError, GatewatchError)
    assert StoppedError.code == 3
