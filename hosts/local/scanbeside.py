"""A scan worker beside a stream: a log is searched where it lies, and nothing but what is found travels.

The worker is a process of its own, so that a search that hangs in an expression or on a dead mount, or that is taken
back, can be ended without anybody else's stream. It is started when somebody asks for it, out of the zip that the
stream's own process runs from, and ends with the socket between the two: when nobody wants to know any more, when the
stream ends, and when that is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

from hosts.host import Json
from hosts.local import inmemory, scanwire
from hosts.local.streamwire import data_header, event

MOST = 16
"""Workers that one stream has at most."""

_READ = 1 << 16  # what is followed comes in between two of these
_CODE = """
import os, sys
data = b"".join(iter(lambda: os.read(0, 1 << 20), b""))
if data:
    import io, zipfile
    space = {"__name__": "gatewatch_scan"}
    exec(zipfile.ZipFile(io.BytesIO(data)).read("hosts/local/inmemory.py"), space)
    space["install"](data)
else:
    sys.path.insert(0, sys.argv[2])
from hosts.local.scanfar import main
main(int(sys.argv[1]))
"""
# See monitors/logs/scan_process.py
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(3 << 19), "MALLOC_TRIM_THRESHOLD_": str(8 << 20)}

Write = Callable[[Sequence[bytes]], None]


class Beside:
    """One worker, and what goes between it and whoever reads the stream.

    Args:
        write: Writes parts to the stream.
        number: What they are marked with.
    """

    def __init__(self, write: Write, number: int) -> None:
        self._write = write
        self._number = number
        self._line, self._far = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._sent = 0

    def order(self, order: Json) -> None:
        """Hand an order on. One that does not listen is stopped: whoever calls this must not wait."""
        data = scanwire.news(*order) if isinstance(order, list) else b""
        try:
            if self._line.send(data, socket.MSG_DONTWAIT) != len(data):
                self.stop()
        except OSError:
            self.stop()

    def stop(self) -> None:
        """End the worker now."""
        self._stopped = True
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def run(self) -> None:
        """Start the worker, and pass on what it says until it ends."""
        try:
            self._start()
            while not self._stopped and (data := self._line.recv(_READ)):
                self._write([data_header(self._number, self._sent, len(data)), data])
                self._sent += len(data)
        except OSError:
            pass  # it cannot be started, or is gone: told below
        finally:
            self.stop()
            if self._process is not None:
                self._process.wait()
            self._far.close()
            self._line.close()
            self._write([event(self._number, {"ended": True})])

    def _start(self) -> None:
        far = self._far.fileno()
        house = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", _CODE, str(far), house],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(far,),
            env=os.environ | _MEMORY,
            start_new_session=True,  # so that what it starts dies with it
        )
        self._far.close()
        if self._stopped:
            self.stop()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as image:
            image.write(inmemory.image_bytes() or b"")
