from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from hosts.errors import RefusedError
from hosts.host import Json, ProcRef
from hosts.local import locks, strictjson
from hosts.local.files import WriteError
from hosts.local.locks import Holder, LockLostError, RunLock, acquire, parse_holder, read_holder
from hosts.local.procs import is_alive, proc_ref_json, ref_of, self_ref
from tests.peers.folders import open_up

pytestmark = pytest.mark.travels

SLOW = [HealthCheck.too_slow]  # a loaded machine is not a wrong answer

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

# Takes the lock whenever a line comes, says how that went, and keeps it until the next line.
TAKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hosts.errors import RefusedError
from hosts.local.locks import acquire
from tests.peers.folders import open_up
path = Path(sys.argv[2])
print("up", flush=True)
for line in sys.stdin:
    try:
        acquire(path, line.strip())
        print("won", flush=True)
    except RefusedError as error:
        print(f"refused: {error}", flush=True)
"""


def write_lock(path: Path, ref: ProcRef, nonce: str = "other", counter: int = 0) -> Holder:
    """Put a lock of `ref` at `path`, as its own process would have."""
    holder = Holder(ref, nonce, counter, "2026-05-25T02:43:02Z")
    body: dict[str, Json] = {"holder": proc_ref_json(ref), "nonce": nonce, "counter": counter, "at": holder.at}
    path.write_bytes(strictjson.dumps(body))
    return holder


def elsewhere(ref: ProcRef) -> ProcRef:
    return replace(ref, host="gpu-7", boot_id="another")


@dataclass
class Time:
    """A clock that only sleeping moves; `meanwhile` happens once, when it has reached its second."""

    now: float = 1000.0
    meanwhile: tuple[float, Callable[[], object]] | None = None
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.meanwhile is not None and self.now - 1000.0 >= self.meanwhile[0]:
            _, happen = self.meanwhile
            self.meanwhile = None
            happen()


@contextmanager
def takers(path: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(ROOT), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for process in started:
            assert heard(process) == "up"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_taking_renewing_and_giving_up(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".gatewatch" / "lock"
    lock = acquire(path, "mine")
    assert read_holder(path) == lock.holder == Holder(self_ref(), "mine", 0, lock.holder.at)
    lock.beat()
    lock.beat()
    held = read_holder(path)
    assert held is not None
    assert held.counter == 2
    assert str(held) == f"pid {os.getpid()} on {os.uname().nodename} since {held.at}"
    with pytest.raises(RefusedError, match=f"already running: pid {os.getpid()} on "):
        acquire(path, "second")
    lock.release()
    assert read_holder(path) is None
    lock.release()
    acquire(path, "third").release()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        b"{",
        b"[]",
        b'{"holder":{},"nonce":"a","counter":0,"at":"x"}',
        b'{"nonce":"a","counter":0,"at":"x"}',
        b"x" * (1 << 17),
    ],
)
def test_a_lock_that_cannot_be_read_is_nobodys_to_take(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    assert parse_holder(content) is None
    with pytest.raises(RefusedError, match="cannot be read") as caught:
        acquire(path, "mine", take_over=True)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_pipe_in_the_place_of_the_lock_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(RefusedError, match="cannot be read: not a regular file"):
        acquire(tmp_path / "lock", "mine")


def test_a_dead_holder_of_this_machine_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with takers(path, 1) as (taker,):
        say(taker, "first")
        assert heard(taker) == "won"
        with pytest.raises(RefusedError, match=f"already running: pid {taker.pid} on "):
            acquire(path, "second", take_over=True)
        taker.kill()
        taker.wait()
        assert acquire(path, "second").holder.nonce == "second"


def test_a_holder_of_before_the_reboot_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write_lock(path, replace(self_ref(), boot_id="before"))
    assert acquire(path, "mine").holder.counter == 0


def test_two_processes_race_for_a_dead_holders_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = ref_of(ended.pid)
    ended.communicate(b"\n")
    assert dead is not None
    assert is_alive(dead) is False
    wins = [0, 0]
    with takers(path, 2) as both:
        for number in range(50):
            write_lock(path, dead)
            for place, process in enumerate(both):
                say(process, f"nonce-{number}-{place}")
            said = [heard(process) for process in both]
            assert sorted(word.partition(":")[0] for word in said) == ["refused", "won"]
            winner = said.index("won")
            wins[winner] += 1
            holder = read_holder(path)
            assert holder is not None
            assert (holder.nonce, holder.ref.pid) == (f"nonce-{number}-{winner}", both[winner].pid)
            assert said[1 - winner].startswith(f"refused: already running: pid {both[winner].pid} on ")
    assert sum(wins) == 50


def test_a_foreign_holder_needs_consent_and_a_minute_of_standstill(tmp_path: Path) -> None:
    path, time = tmp_path / "lock", Time()
    foreign = write_lock(path, elsewhere(self_ref()), counter=17)
    with pytest.raises(RefusedError, match=r"held by pid \d+ on gpu-7 .*add --take-over \(waits 60 s"):
        acquire(path, "mine", sleep=time.sleep, clock=time.clock)
    assert time.slept == []
    assert read_holder(path) == foreign
    lock = acquire(path, "mine", take_over=True, sleep=time.sleep, clock=time.clock)
    assert sum(time.slept) >= 60.0
    assert max(time.slept) <= 1.0, "a counter that moves is seen soon"
    assert read_holder(path) == lock.holder


@pytest.mark.parametrize("second", [1.0, 30.0, 59.0, 60.0])
def test_a_foreign_holder_that_moves_keeps_its_lock(tmp_path: Path, second: float) -> None:
    path = tmp_path / "lock"
    ref = elsewhere(self_ref())
    write_lock(path, ref, counter=17)
    time = Time(meanwhile=(second, partial(write_lock, path, ref, counter=18)))
    with pytest.raises(RefusedError, match=r"not taken over: .* is at work"):
        acquire(path, "mine", take_over=True, sleep=time.sleep, clock=time.clock)
    held = read_holder(path)
    assert held is not None
    assert held.counter == 18
    assert sum(time.slept) == second


def test_a_foreign_lock_that_goes_away_meanwhile_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write_lock(path, elsewhere(self_ref()))
    time = Time(meanwhile=(5.0, path.unlink))
    assert acquire(path, "mine", take_over=True, sleep=time.sleep, clock=time.clock).holder.nonce == "mine"


def test_another_taker_of_the_same_foreign_lock_wins_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write_lock(path, elsewhere(self_ref()))
    time = Time(meanwhile=(60.0, partial(write_lock, path, elsewhere(self_ref()), "quicker")))
    with pytest.raises(RefusedError, match="not taken over"):
        acquire(path, "mine", take_over=True, sleep=time.sleep, clock=time.clock)
    held = read_holder(path)
    assert held is not None
    assert held.nonce == "quicker"


def test_a_holder_that_moves_at_the_very_last_moment_keeps_its_lock(tmp_path: Path) -> None:
    """Between the last look and the taking: what counts is what the lock says under the guard."""
    path, time = tmp_path / "lock", Time()
    ref = elsewhere(self_ref())
    write_lock(path, ref)

    def clock() -> float:
        if time.now >= 1060.0:
            write_lock(path, ref, counter=1)
        return time.now

    with pytest.raises(RefusedError, match=r"not taken over: .* is at work"):
        acquire(path, "mine", take_over=True, sleep=time.sleep, clock=clock)
    held = read_holder(path)
    assert held is not None
    assert held.ref == ref


@pytest.mark.parametrize("content", [None, b"garbage", "another"])
def test_a_lock_that_was_lost(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "lock"
    lock = acquire(path, "mine")
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_lock(path, self_ref(), content)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(LockLostError, match="was taken by "):
        lock.beat()
    lock.release()
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_without_permission_every_step_is_one_clear_line(tmp_path: Path) -> None:
    """The folder is taken away in mid-run; what stands in it stays whole, and with permission the lock goes on."""
    open_up(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said: list[str] = []
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            lock = acquire(folder / "lock", "mine")
            before = (folder / "lock").read_bytes()
            folder.chmod(0o500)
            for step in (lock.beat, lock.release, lambda: acquire(folder / "new" / "lock", "other")):
                try:
                    step()
                    said.append("no error")
                except WriteError as error:
                    said.append(str(error))
            said.append(str((folder / "lock").read_bytes() == before))
            folder.chmod(0o700)
            lock.beat()
            lock.release()
            said.append(str((folder / "lock").exists()))
        except BaseException as error:  # noqa: BLE001 - the parent hears of it
            said.append(repr(error))
        finally:
            os.write(writer, "\n".join(said).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        lines = pipe.read().splitlines()
    os.waitpid(child, 0)
    assert [line.rpartition(": ")[2] for line in lines] == [*["permission denied"] * 3, "True", "False"]
    assert all(line.startswith("cannot write ") for line in lines[:3])


def test_a_holder_that_is_killed_while_others_wait_for_the_guard(tmp_path: Path) -> None:
    """The guard is the kernel's: it falls with whoever held it, at any instant."""
    path = tmp_path / "lock"
    code = (
        "import fcntl, os, sys, time\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    guard = f"{path}.guard"
    holder = subprocess.Popen([sys.executable, "-c", code, guard], stdout=subprocess.PIPE, text=True)
    with takers(path, 1) as (taker,):
        assert heard(holder) == "up"
        say(taker, "mine")
        assert read_holder(path) is None
        holder.send_signal(signal.SIGKILL)
        assert heard(taker) == "won"
    holder.communicate()


@dataclass(eq=False)
class Actor:
    """Somebody who may hold the lock: a process of one of two machines, alive or dead."""

    ref: ProcRef
    alive: bool = True
    lock: RunLock | None = None
    nonce: str = ""


GARBAGE = b"not a lock"


class LockMachine(RuleBasedStateMachine):
    """Takers and holders of two machines, against a model that knows who holds what."""

    actors = Bundle("actors")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "lock"
        self.made: list[Actor] = []
        self.count = 0
        self.holder: Actor | None = None
        self.counter = 0
        self.garbage = False

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(target=actors, host=st.sampled_from(["here", "there"]))
    def an_actor(self, host: str) -> Actor:
        number = len(self.made) + 1
        actor = Actor(ProcRef(host, f"boot-{host}", number, number, number, 1))
        self.made.append(actor)
        return actor

    @rule(
        actor=actors,
        take_over=st.booleans(),
        meanwhile=st.sampled_from(["nothing", "beat", "release", "die", "corrupt"]),
        second=st.integers(1, 60),
    )
    def take(self, actor: Actor, take_over: bool, meanwhile: str, second: int) -> None:
        if not actor.alive:
            return
        self.count += 1
        nonce = f"nonce-{self.count}"
        holder = self.holder
        expected = self._expected(actor, take_over)
        happened: list[str] = []

        def happen() -> None:
            happened.append(meanwhile)
            if meanwhile == "corrupt":
                self.corrupt()
            elif holder is not None and holder.alive and meanwhile != "nothing":
                {"beat": self.beat, "release": self.release, "die": self.die}[meanwhile](holder)

        time = Time(meanwhile=(float(second), happen))

        def alive(ref: ProcRef) -> bool | None:
            return None if ref.host != actor.ref.host else self._actor(ref).alive

        with mock.patch.object(locks, "self_ref", return_value=actor.ref):
            try:
                lock = acquire(self.path, nonce, take_over=take_over, alive=alive, sleep=time.sleep, clock=time.clock)
            except RefusedError as error:
                lock, said = None, str(error)
        if expected == "waits":
            assert happened == [meanwhile], "a whole minute of standstill"
            moved = holder is not None and holder.alive and meanwhile == "beat"
            expected = "unreadable" if self.garbage else "moved" if moved else "taken"
        else:
            assert time.slept == []
        if expected == "taken":
            assert lock is not None
            actor.lock, actor.nonce = lock, nonce
            self.holder, self.counter = actor, 0
            return
        assert lock is None
        words = {
            "alive": "already running",
            "consent": "--take-over",
            "moved": "at work",
            "unreadable": "cannot be read",
        }
        assert words[expected] in said

    def _expected(self, actor: Actor, take_over: bool) -> str:
        if self.garbage:
            return "unreadable"
        if self.holder is None:
            return "taken"
        if self.holder.ref.host == actor.ref.host:
            return "alive" if self.holder.alive else "taken"
        return "waits" if take_over else "consent"

    def _actor(self, ref: ProcRef) -> Actor:
        return next(actor for actor in self.made if actor.ref == ref)

    @rule(actor=actors)
    def beat(self, actor: Actor) -> None:
        if not actor.alive or actor.lock is None:
            return
        if actor is self.holder and not self.garbage and actor.nonce == actor.lock.holder.nonce:
            actor.lock.beat()
            self.counter += 1
        else:
            with pytest.raises(LockLostError):
                actor.lock.beat()
            actor.lock = None

    @rule(actor=actors)
    def release(self, actor: Actor) -> None:
        if not actor.alive or actor.lock is None:
            return
        actor.lock.release()
        actor.lock = None
        if actor is self.holder and not self.garbage:
            self.holder = None

    @rule(actor=actors)
    def die(self, actor: Actor) -> None:
        actor.alive = False

    @rule()
    def corrupt(self) -> None:
        self.path.write_bytes(GARBAGE)
        self.garbage = True

    @precondition(lambda self: self.garbage)
    @rule()
    def remove_by_hand(self) -> None:
        self.path.unlink()
        self.garbage, self.holder = False, None

    @invariant()
    def the_file_says_what_is_true(self) -> None:
        if self.garbage:
            assert self.path.read_bytes() == GARBAGE
            return
        held = read_holder(self.path)
        if self.holder is None:
            assert held is None
        else:
            assert held is not None
            assert (held.ref, held.nonce, held.counter) == (self.holder.ref, self.holder.nonce, self.counter)

    @invariant()
    def nothing_half_written_is_left(self) -> None:
        assert {path.name for path in self.path.parent.iterdir()} <= {"lock", "lock.guard"}


LockMachine.TestCase.settings = settings(
    deadline=None, suppress_health_check=SLOW, max_examples=60, stateful_step_count=30
)
TestLockMachine = LockMachine.TestCase
