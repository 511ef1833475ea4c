"""The far end of one command: it is started here, what it writes goes out, and it ends when nobody is there any more.

The command is an argument vector and never meets a shell. It runs in a session of its own; a channel that ends, a
silence, the deadline or a signal to us ends everything in that session, and nothing else: SIGTERM, some seconds, then
SIGKILL. What has made itself a session of its own is its own master and stays. A command that ends by itself is waited
for until its output ends, as ssh does, and what it left running without output is left alone. Where we are killed
ourselves, hosts/local/guarding.py does the same.

What comes in is framed (hosts/local/frames.py): {"command": [...], "deadline": s, "stdin": bool}, then {"data": base64}
and {"eof": true} for its input, and {"taken": n} for output that was taken. What goes out is a hello, framed, and then
parts (hosts/local/streamwire.py). One thread does all of it, and never waits for the sink: a link that stalls must not
keep us from noticing that it is gone.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import select
import signal
import subprocess
import sys
import time

from hosts.errors import GatewatchError
from hosts.host import Json
from hosts.local.frames import FrameError, FrameReader, encode_frame
from hosts.local.guarding import LAST, Guard, signal_groups
from hosts.local.procs import session_groups
from hosts.local.reasons import why
from hosts.local.streamwire import data_header, event

OUT, ERR = 1, 2
"""Numbers of the streams."""
ROOM = 1 << 20
"""Bytes of output that may be under way or unread at the near end, and likewise of input at this one."""
BLOCK = 1 << 16
SILENCE = 60.0
GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_TICK = 1.0
_ENDING_TICK = 0.05


def main(nonce: str) -> None:
    """Serve one command on standard input and output, then end the process."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)  # nobody's print may come between two parts
    Commanding(source, sink, nonce).run()
    os._exit(0)


class Commanding:
    """One command.

    Args:
        source: Descriptor that requests come from.
        sink: Descriptor that parts go to.
        nonce: What marks the frames of this session.
        silence: Seconds without a byte after which the other end counts as gone; it pings more often than that.
        grace: Seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, source: int, sink: int, nonce: str, silence: float = SILENCE, grace: float = GRACE) -> None:
        self._source = source
        self._sink = sink
        self._reader = FrameReader(nonce)
        self._nonce = nonce
        self._silence = silence
        self._grace = grace
        self._pending = bytearray()
        self._child: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self._streams: dict[int, int] = {}  # descriptor of an open stream of the command to its number
        self._room = ROOM
        self._input = bytearray()
        self._input_ends = False
        self._heard = time.monotonic()
        self._until = float("inf")
        self._gone = False
        self._ending = ""
        self._kill_at = float("inf")
        self._killed = False
        self._done = False

    def run(self) -> None:
        """Until the command has ended and that was told, or nobody is there to tell."""
        woken, bell = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(bell, False)
        os.set_blocking(self._sink, False)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._end("signal"))
        self._pending += encode_frame(self._nonce, {"hello": {"python": sys.version.split()[0], "pid": os.getpid()}})
        while not self._done:
            self._turn(woken)
        if self._guard is not None:
            self._guard.dismiss()
        self._last_words()

    def _turn(self, woken: int) -> None:
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        if not self._gone:
            poll.register(self._source, select.POLLIN)
            if self._pending:
                poll.register(self._sink, select.POLLOUT)
        if self._gone or (self._room > 0 and len(self._pending) < ROOM):
            for descriptor in self._streams:
                poll.register(descriptor, select.POLLIN)
        stdin = self._child.stdin if self._child is not None else None
        if stdin is not None and self._input:
            poll.register(stdin, select.POLLOUT)
        now = time.monotonic()
        tick = _ENDING_TICK if self._ending else _TICK
        ready = dict(poll.poll(max(0.0, min(tick, self._until - now)) * 1000))
        if ready.get(woken):
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
        if ready.get(self._source) and not self._gone:
            self._listen()
        for descriptor in [one for one in self._streams if ready.get(one)]:
            self._take_output(descriptor)
        if stdin is not None and (ready.get(stdin.fileno()) or self._input_ends):
            self._feed()
        if ready.get(self._sink):
            self._write()
        self._judge()

    def _listen(self) -> None:
        data = os.read(self._source, BLOCK)
        if not data:
            return self._lose()
        self._heard = time.monotonic()
        try:
            for request in self._reader.feed(data):
                if isinstance(request, dict):
                    self._request(request)
        except GatewatchError:
            self._lose()

    def _request(self, request: dict[str, Json]) -> None:
        taken, data = request.get("taken"), request.get("data")
        if "verb" in request:
            self._tell({"alive": True})
        elif "command" in request and self._child is None:
            self._start(request)
        elif isinstance(taken, int):
            self._room = min(ROOM, self._room + max(0, taken))
        elif isinstance(data, str):
            if self._child is None or self._child.stdin is None:
                return  # it wants no more
            try:
                self._input += base64.b64decode(data, validate=True)
            except binascii.Error:
                raise FrameError("input that is no base64") from None
            if len(self._input) > ROOM:
                raise FrameError("more input than there is room for")
        elif request.get("eof") is True:
            self._input_ends = True

    def _start(self, request: dict[str, Json]) -> None:
        argv, deadline = request.get("command"), request.get("deadline")
        if not isinstance(argv, list) or not argv or not isinstance(deadline, (int, float)):
            raise FrameError("a command needs words and a deadline")
        words = [os.fsencode(str(word)) for word in argv]
        pipe = subprocess.PIPE
        try:
            self._guard = Guard(self._grace)
            self._child = subprocess.Popen(
                words,
                stdin=pipe if request.get("stdin") is True else subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                bufsize=0,
                start_new_session=True,
                preexec_fn=self._guard.take,  # noqa: PLW1509 - there is one thread
            )
        except (OSError, ValueError) as error:
            self._tell({"cannot": why(error)})
            self._done = True
            return
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._streams = {self._child.stdout.fileno(): OUT, self._child.stderr.fileno(): ERR}
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
        if self._child.stdin is not None:
            os.set_blocking(self._child.stdin.fileno(), False)
        self._until = time.monotonic() + deadline
        self._tell({"started": self._child.pid})

    def _take_output(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, BLOCK if self._gone else max(1, min(BLOCK, self._room)))
        except BlockingIOError:
            return
        if not data:
            del self._streams[descriptor]
        elif not self._gone:
            self._room -= len(data)
            self._pending += data_header(self._streams[descriptor], 0, len(data)) + data

    def _feed(self) -> None:
        assert self._child is not None
        if self._child.stdin is None:
            return
        try:
            if self._input:
                written = os.write(self._child.stdin.fileno(), self._input[:BLOCK])
                del self._input[:written]
                self._tell({"took": written})
            if self._input or not self._input_ends:
                return
        except BlockingIOError:
            return
        except OSError:
            self._tell({"closed": True})  # it wants no more
            self._input.clear()
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        self._child.stdin = None

    def _judge(self) -> None:
        """What follows from the time that passed, and from what has ended."""
        now = time.monotonic()
        if not self._gone and now - self._heard > self._silence:
            self._lose()
        if self._child is None:
            self._done = self._done or self._gone or bool(self._ending)
            return
        if not self._ending and now >= self._until:
            self._end("deadline")
        if not self._ending:
            if not self._streams and self._has_exited():
                self._finish()
            return
        if not self._living():
            return self._finish()
        if now >= self._kill_at + LAST:
            return self._finish()  # stuck in the kernel
        if now >= self._kill_at and not self._killed:
            self._killed = True
            self._signal(signal.SIGKILL)

    def _has_exited(self) -> bool:
        """Whether the command itself has; it stays unreaped, so that its number means nothing else meanwhile."""
        assert self._child is not None
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _end(self, reason: str) -> None:
        if self._ending:
            return
        self._ending = reason
        self._until = float("inf")
        self._kill_at = time.monotonic() + self._grace
        if self._child is not None:
            self._signal(signal.SIGTERM)

    def _living(self) -> list[int]:
        """The process groups that are to be ended: all of its session, and its own as long as it has not exited."""
        assert self._child is not None
        found = session_groups(self._child.pid)
        return found if self._child.pid in found or self._has_exited() else [self._child.pid, *found]

    def _signal(self, number: int) -> None:
        signal_groups(self._living(), number)

    def _lose(self) -> None:
        """Nobody is at the other end any more."""
        self._gone = True
        self._pending.clear()
        self._end("gone")

    def _finish(self) -> None:
        assert self._child is not None
        for descriptor in list(self._streams):  # what is left in the pipes, as far as there is room for it
            while descriptor in self._streams and self._room > 0 and not self._gone:
                before = self._room
                self._take_output(descriptor)
                if self._room == before:
                    break
        left = len(self._living()) if self._ending else 0
        status = self._child.wait() if self._has_exited() else None
        self._tell({"exit": status, "why": self._ending, "left": left})
        self._done = True

    def _tell(self, body: dict[str, Json]) -> None:
        if not self._gone:
            self._pending += event(0, body)

    def _write(self) -> None:
        try:
            del self._pending[: os.write(self._sink, self._pending[: ROOM // 4])]
        except BlockingIOError:
            return
        except OSError:
            self._lose()

    def _last_words(self) -> None:
        """Tell the end, and wait until the other end has closed: it may still be writing to us."""
        until = time.monotonic() + LAST if self._ending == "signal" else float("inf")
        while not self._gone and time.monotonic() < min(until, self._heard + self._silence):
            poll = select.poll()
            poll.register(self._source, select.POLLIN)
            if self._pending:
                poll.register(self._sink, select.POLLOUT)
            ready = dict(poll.poll(_TICK * 1000))
            if ready.get(self._sink):
                self._write()
            if ready.get(self._source):
                data = os.read(self._source, BLOCK)
                self._heard = time.monotonic()
                self._gone = not data
