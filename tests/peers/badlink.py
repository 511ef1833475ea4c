"""Two network namespaces and a link between them that can be slow, lose packets, or be cut.

Nothing is named and nothing stays: the namespaces live as long as the process that carries the packets. What a thread
opens while it is `near` or `far` belongs to that side, and so does what it starts: all that still runs there in the
end is killed, since whoever waits at a link that was cut never hears that it is over.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fcntl import ioctl
from typing import Any

NEAR, FAR = "10.77.0.1", "10.77.0.2"
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFFLAGS, _SIOCSIFMTU = 0x8916, 0x891C, 0x8914, 0x8922
_IFF_UP = 0x1
_MTU = 1500
_PATIENCE_S = 10.0


def missing() -> str:
    """Why there can be no such link here, or ""."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    return ""


@dataclass
class BadLink:
    """The link, and the two ends of it."""

    _carrier: subprocess.Popen[bytes]
    _near: int
    _far: int

    def shape(self, *, delay: float = 0.0, loss: float = 0.0, up: bool = True) -> None:
        """How packets fare from now on: `delay` seconds each way, a share of them lost, or none carried at all."""
        self._ask({"delay": delay, "loss": loss, "up": up})

    @contextlib.contextmanager
    def near(self) -> Iterator[None]:
        """What this thread opens and starts is on the near side."""
        with _inside(self._near):
            yield

    @contextlib.contextmanager
    def far(self) -> Iterator[None]:
        """What this thread opens and starts is on the far side."""
        with _inside(self._far):
            yield

    def _ask(self, what: dict[str, Any]) -> None:
        assert self._carrier.stdin is not None
        assert self._carrier.stdout is not None
        self._carrier.stdin.write(json.dumps(what).encode() + b"\n")
        self._carrier.stdin.flush()
        if self._carrier.stdout.readline() != b"done\n":
            raise RuntimeError("the link broke")


@contextlib.contextmanager
def bad_link() -> Iterator[BadLink]:
    """Make the two namespaces and the link, and take them away again, with all that was started in them."""
    carrier = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert carrier.stdout is not None
    assert carrier.stdin is not None
    ends: list[int] = []
    try:
        numbers = json.loads(carrier.stdout.readline())
        ends += [os.open(f"/proc/{carrier.pid}/fd/{number}", os.O_RDONLY) for number in numbers]
        yield BadLink(carrier, *ends)
    finally:
        for end in ends:
            os.close(end)
        carrier.stdin.close()
        carrier.stdout.close()
        try:
            ended = carrier.wait(2 * _PATIENCE_S)
        finally:
            carrier.kill()
            carrier.wait()
    if ended:
        raise RuntimeError("the link did not end well")


@contextlib.contextmanager
def _inside(namespace: int) -> Iterator[None]:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _call("setns", namespace, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", before, _CLONE_NEWNET)
    finally:
        os.close(before)


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _end(address: str) -> tuple[int, int]:
    """A new namespace with one end of the link in it: descriptors of the namespace and of the end."""
    import socket

    _call("unshare", _CLONE_NEWNET)
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"link", _IFF_TUN | _IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def told(name: bytes, text: str) -> bytes:
            return struct.pack("16sHH4s16x", name, socket.AF_INET, 0, socket.inet_aton(text))

        ioctl(control, _SIOCSIFADDR, told(b"link", address))
        ioctl(control, _SIOCSIFNETMASK, told(b"link", "255.255.255.0"))
        ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", b"link", _MTU))
        for name in (b"link", b"lo"):
            ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, _IFF_UP))
    return namespace, tun


class _Carrier:
    """Takes packets from either end to the other."""

    def __init__(self, near: int, far: int) -> None:
        self._other = {near: far, far: near}
        self._delay, self._loss, self._up = 0.0, 0.0, True
        self._dice = random.Random(7)
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0

    def run(self) -> None:
        while True:
            wait = max(0.0, self._under_way[0][0] - time.monotonic()) if self._under_way else None
            ready, _, _ = select.select([0, *self._other], [], [], wait)
            if 0 in ready and not self._listen():
                return
            for end in self._other:
                if end in ready:
                    self._take(end)
            self._hand_over()

    def _listen(self) -> bool:
        line = os.read(0, 1 << 12)  # a whole one: whoever asks waits for the answer before the next
        if not line:
            return False
        said = json.loads(line)
        self._delay, self._loss, self._up = said["delay"], said["loss"], said["up"]
        os.write(1, b"done\n")
        return True

    def _take(self, end: int) -> None:
        due = time.monotonic() + self._delay
        for _ in range(64):
            try:
                packet = os.read(end, _MTU + 64)
            except BlockingIOError:
                return
            if self._up and self._dice.random() >= self._loss:
                self._count += 1
                heapq.heappush(self._under_way, (due, self._count, self._other[end], packet))

    def _hand_over(self) -> None:
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, end, packet = heapq.heappop(self._under_way)
            with contextlib.suppress(OSError):  # as a full queue drops it
                os.write(end, packet)


def _inhabitants(namespaces: list[tuple[int, int]]) -> list[int]:
    """The processes in them, but for this one and the one that asked for the link."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (os.getpid(), os.getppid()):
            with contextlib.suppress(OSError):  # it has ended
                at = os.stat(f"/proc/{name}/ns/net")
                if (at.st_dev, at.st_ino) in namespaces:
                    found.append(int(name))
    return found


def _empty(*ends: int) -> None:
    """Kill all that runs in these namespaces, also what is started meanwhile."""
    namespaces = [(at.st_dev, at.st_ino) for at in map(os.fstat, ends)]
    until = time.monotonic() + _PATIENCE_S
    while left := _inhabitants(namespaces):
        if time.monotonic() > until:
            raise RuntimeError(f"these do not end: {left}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _main() -> None:
    near, near_tun = _end(NEAR)
    far, far_tun = _end(FAR)
    os.write(1, json.dumps([near, far]).encode() + b"\n")
    try:
        _Carrier(near_tun, far_tun).run()
    finally:  # also where whoever asked for the link was killed
        _empty(near, far)


if __name__ == "__main__":
    _main()
