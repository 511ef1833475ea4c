"""The far end of a command, without any of the code that is used at the near one."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hosts.local.commanding import ROOM
from hosts.local.frames import FrameReader, encode_frame
from hosts.local.procs import marked, session_groups
from hosts.local.streamwire import PartReader, Piece

pytestmark = pytest.mark.travels

ROOT = Path(__file__).resolve().parents[2]
NONCE = "0123456789abcdef"
PATIENCE = 20.0
PIPE = 1 << 16
START = (
    "import sys; from hosts.local.commanding import Commanding\n"
    "Commanding(0, 1, sys.argv[1], *map(float, sys.argv[2:])).run()"
)


class Near:
    """What is at the near end, by hand."""

    def __init__(self, silence: float = 3600, grace: float = 0.2, environ: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-c", START, NONCE, str(silence), str(grace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=ROOT,
            env=os.environ | dict(mark.split("=") for mark in environ),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.source = self.process.stdout.fileno()
        self.got = {1: b"", 2: b""}
        self.told: dict[str, Any] = {}
        self._frames = FrameReader(NONCE)
        self._parts: PartReader | None = None

    def say(self, **body: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode_frame(NONCE, body))

    def begin(self, *words: str, deadline: float = 3600, stdin: bool = False) -> None:
        self.say(command=list(words), deadline=deadline, stdin=stdin)

    def python(self, code: str, *words: str, **options: Any) -> None:
        self.begin(sys.executable, "-c", code, *words, **options)

    def more(self) -> bool:
        """Take what arrives next; False at the end."""
        assert select.select([self.source], [], [], PATIENCE)[0]
        data = os.read(self.source, 1 << 16)
        if self._parts is None:
            first = self._frames.first(data)
            if first is None:
                return bool(data)
            self._parts = PartReader()
            data = first[1]
            for part in self._parts.parts(data):
                self._take(part)
            return True
        for part in self._parts.parts(data):
            self._take(part)
        return bool(data)

    def _take(self, part: Any) -> None:
        if isinstance(part, Piece):
            self.got[part.stream] += part.data
        else:
            self.told.update(part.body)

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self.more()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture
def near() -> Iterator[Near]:
    made = Near()
    yield made
    made.close()


def waiting(descriptor: int) -> int:
    """Bytes that can be read now."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0])


def gone(pid: int) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False


def test_what_it_writes_and_how_it_ends(near: Near) -> None:
    near.begin("sh", "-c", "echo out; echo err >&2; exit 7")
    near.until(lambda: "exit" in near.told)
    assert near.got == {1: b"out\n", 2: b"err\n"}
    assert (near.told["exit"], near.told["why"], near.told["left"]) == (7, "", 0)
    near.hang_up()
    assert near.process.wait(PATIENCE) == 0


def test_words_arrive_as_they_are(near: Near) -> None:
    words = ["", "-n", "a\nb", "'\"$(id)`id`", "\udcff\udc80", "*", "\\", "!!"]
    near.python("import os, sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))", *words)
    near.until(lambda: "exit" in near.told)
    assert near.got[1] == b"\0".join(map(os.fsencode, words))


@pytest.mark.parametrize(("word", "why"), [("./none", "not there"), ("/", "Permission denied")])
def test_what_cannot_be_run(near: Near, word: str, why: str) -> None:
    near.begin(word)
    near.until(lambda: bool(near.told.get("cannot")))
    assert near.told["cannot"] == why


def test_its_input(near: Near) -> None:
    near.begin("cat", stdin=True)
    for _ in range(3):
        near.say(data=base64.b64encode(b"x" * 100).decode())
    near.say(eof=True)
    near.until(lambda: "exit" in near.told)
    assert near.got[1] == b"x" * 300


def test_one_that_wants_no_input_ends_all_the_same(near: Near) -> None:
    near.begin("true", stdin=True)
    near.say(data=base64.b64encode(b"x" * 100).decode())
    near.until(lambda: "exit" in near.told)
    assert near.told["exit"] == 0


def test_no_more_is_under_way_than_there_is_room_for(near: Near) -> None:
    near.begin("head", "-c", str(3 * ROOM), "/dev/zero")
    near.until(lambda: len(near.got[1]) == ROOM)
    assert not select.select([near.source], [], [], 0.3)[0]  # a wait for nothing: too short can only hide a fault
    for whole in (2 * ROOM, 3 * ROOM):
        near.say(taken=ROOM)
        near.until(lambda whole=whole: len(near.got[1]) == whole)  # type: ignore[misc]  # a default binds the turn
    near.say(taken=ROOM)
    near.until(lambda: "exit" in near.told)
    assert len(near.got[1]) == 3 * ROOM


STAYS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
other = subprocess.Popen(["sleep", "1000"], process_group=0) if sys.version_info >= (3, 11) else child
print(os.getpid(), child.pid, other.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["hang up", "deadline", "signal", "nonsense"])
def test_all_of_its_session_is_ended(near: Near, how: str) -> None:
    near.python(STAYS, deadline=0.5 if how == "deadline" else 3600)
    near.until(lambda: near.got[1].endswith(b"\n"))
    pids = [int(word) for word in near.got[1].split()]
    if how == "hang up":
        near.hang_up()
    elif how == "signal":
        near.process.send_signal(signal.SIGTERM)
    elif how == "nonsense":
        assert near.process.stdin is not None
        near.process.stdin.write(b"GW1 what is this\n")
    assert all(gone(pid) for pid in pids)
    if how in ("deadline", "signal"):
        near.until(lambda: "exit" in near.told)
        assert (near.told["exit"], near.told["why"], near.told["left"]) == (-signal.SIGKILL, how, 0)
        near.hang_up()
    assert near.process.wait(PATIENCE) == 0


def test_silence_counts_as_gone() -> None:
    near = Near(silence=0.5)
    near.python(STAYS)
    near.until(lambda: near.got[1].endswith(b"\n"))
    assert all(gone(int(word)) for word in near.got[1].split())
    assert near.process.wait(PATIENCE) == 0
    near.close()


def test_what_made_itself_independent_stays(near: Near) -> None:
    near.python(
        "import subprocess; print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid, flush=True)\n"
        "import time; time.sleep(1000)"
    )
    near.until(lambda: near.got[1].endswith(b"\n"))
    pid = int(near.got[1])
    near.hang_up()
    assert near.process.wait(PATIENCE) == 0
    assert session_groups(pid) == [pid]
    os.kill(pid, signal.SIGKILL)


def test_a_sink_that_nobody_reads_does_not_hide_that_we_are_gone(near: Near) -> None:
    near.python(f"import os; print(os.getpid(), flush=True); os.write(1, b'x' * {ROOM}); import time; time.sleep(1000)")
    near.until(lambda: b"\n" in near.got[1])
    end = time.monotonic() + PATIENCE
    while waiting(near.source) < PIPE:
        assert time.monotonic() < end
        time.sleep(0.01)
    near.hang_up()
    assert gone(int(near.got[1].partition(b"\n")[0]))


@pytest.mark.parametrize("group", [False, True])
def test_a_helper_that_is_killed_takes_all_of_its_session_along(near: Near, group: bool) -> None:
    near.python(STAYS)
    near.until(lambda: near.got[1].endswith(b"\n"))
    pids = [int(word) for word in near.got[1].split()]
    if group:
        os.killpg(near.process.pid, signal.SIGKILL)
    else:
        near.process.kill()
    assert near.process.wait(PATIENCE) == -signal.SIGKILL
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("after", range(0, 30, 3))
def test_one_that_is_killed_at_any_moment_leaves_nothing(after: int) -> None:
    mark = f"GATEWATCH_TEST={os.getpid()}.{after}"
    near = Near(environ=[mark])
    near.begin("sleep", "1000")
    assert select.select([near.source], [], [], PATIENCE)[0]  # the helper is there
    time.sleep(after / 1000)  # a moment, whichever it is
    near.process.kill()
    near.process.wait()
    end = time.monotonic() + PATIENCE
    while marked([mark]):
        assert time.monotonic() < end
        time.sleep(0.01)
    near.close()


def test_what_a_command_leaves_behind_when_it_ends_stays(near: Near) -> None:
    near.begin("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!; read line", stdin=True)
    near.until(lambda: near.got[1].endswith(b"\n"))
    near.say(eof=True)
    near.until(lambda: "exit" in near.told)
    near.hang_up()
    assert near.process.wait(PATIENCE) == 0
    assert session_groups(int(near.told["started"])) != []
    os.kill(int(near.got[1]), signal.SIGKILL)
