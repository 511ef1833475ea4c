"""Many hosts on loopback, a few hundred to a process: asyncssh's server on a port each, and the real helper behind it.

A host that is watched runs a Python of its own for that. Here the helpers of many hosts share one process, each in
threads of its own, because hundreds of Pythons on one machine would measure that machine. What travels between, and
all that the watching side does, is the same.

    python many.py FOLDER

reads one JSON line, {"hosts": [kind, …]}, tells the ports in another, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import asyncssh

from hosts.host import Cursor, Observation, Wants
from hosts.local.observe import Observer
from hosts.local.serve import serve
from jobs.runner.verbs import VERBS
from tests.peers.nvml import COMPILER, FakeNvml, build, gpu, smi_script
from tests.peers.sshd import make_key, public

GPUS = 8
_PER_PROCESS = 100
_BLOCK = 1 << 16

Kind = Literal["good", "refuses", "silent", "mute"]
"""What a host does: all is well; nothing listens; it takes connections and says nothing; its helper says nothing."""


@dataclass(frozen=True)
class Many:
    """The hosts, as they are reached; `pids` are the processes that serve them, each so many in their order."""

    folder: Path
    kinds: tuple[Kind, ...]
    ports: tuple[int, ...]
    key: Path
    known_hosts: Path
    pids: tuple[int, ...]

    def good(self) -> list[int]:
        """The numbers of those that are well."""
        return [number for number, kind in enumerate(self.kinds) if kind == "good"]

    def run_dir(self, number: int) -> Path:
        """The run directory of a host."""
        return self.folder / f"host{number}" / "run"


@contextlib.contextmanager
def many(folder: Path, kinds: Sequence[Kind], per_process: int = _PER_PROCESS) -> Iterator[Many]:
    """Have hosts of these kinds, each with accelerators and a folder of its own for a run directory."""
    host_key, key = make_key(folder / "host_key"), make_key(folder / "key")
    shutil.copyfile(f"{key}.pub", folder / "allowed")
    environment = _driver(folder)
    served = [number for number, kind in enumerate(kinds) if kind in ("good", "mute")]
    with contextlib.ExitStack() as stack:
        ports: dict[int, int] = {}
        pids = []
        for start in range(0, len(served), per_process):
            numbers = served[start : start + per_process]
            pid, listening = stack.enter_context(_process(folder, [kinds[number] for number in numbers], environment))
            pids.append(pid)
            ports.update(zip(numbers, listening, strict=True))
        for number, kind in enumerate(kinds):
            (folder / f"host{number}").mkdir()
            if number not in ports:
                holder = stack.enter_context(socket.socket())
                holder.bind(("127.0.0.1", 0))
                if kind == "silent":
                    holder.listen(64)
                ports[number] = holder.getsockname()[1]
        known = folder / "known_hosts"
        lines = [f"[127.0.0.1]:{port} {public(host_key)}\n" for port in ports.values()]
        known.write_text("".join(lines))
        yield Many(folder, tuple(kinds), tuple(ports[number] for number in range(len(kinds))), key, known, tuple(pids))


def _driver(folder: Path) -> dict[str, str]:
    """The variables by which a process finds a stand-in for the GPU driver."""
    place = folder / "driver"
    place.mkdir()
    if COMPILER is None:
        row = "{0}, NVIDIA H100, GPU-{0}, 1000, 81559, 50, 41, 123.45, Disabled\n"
        smi_script(place, "".join(row.format(index) for index in range(GPUS)))
        return {"PATH": f"{place}:{os.environ['PATH']}"}
    driver = FakeNvml(build(place), place / "state")
    driver.says(f"driver count {GPUS}", *(line for index in range(GPUS) for line in gpu(index)))
    return driver.environment


@contextlib.contextmanager
def _process(folder: Path, kinds: Sequence[Kind], environment: Mapping[str, str]) -> Iterator[tuple[int, list[int]]]:
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"hosts": list(kinds)}).encode() + b"\n")
        process.stdin.flush()
        ports: list[int] = json.loads(process.stdout.readline())
        yield process.pid, ports
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


class _Preamble:
    """Takes what hosts/bootstrap.py sends before the first frame."""

    def __init__(self) -> None:
        self._line = b""
        self._left = -1
        self.words: list[str] = []

    def take(self, data: bytes) -> bytes | None:
        """What comes behind it; None while it is not all there."""
        if self._left < 0:
            line, newline, data = (self._line + data).partition(b"\n")
            self._line = line
            if not newline:
                return None
            self.words = line.decode("ascii").split()
            self._left = int(self.words[2])
        rest = data[self._left :]
        self._left -= min(len(data), self._left)
        return None if self._left else rest


class _Helper(asyncssh.SSHServerSession[bytes]):
    """One channel: the helper of ours that was asked for, or what `nvidia-smi` would have printed."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._prints = False
        self._preamble: _Preamble | None = _Preamble()
        self._channel: Any = None
        self._end: socket.socket | None = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def shell_requested(self) -> bool:
        return False

    def exec_requested(self, command: str) -> bool:
        self._prints = command.startswith("nvidia-smi")
        return True

    def session_started(self) -> None:
        if self._prints:
            self._channel.write(b"NVIDIA H100 80GB HBM3, 1000, 81559, 50\n" * GPUS)
            self._channel.exit(0)

    def data_received(self, data: bytes, datatype: Any) -> None:
        del datatype
        if self._kind == "mute":
            return
        rest: bytes | None = data
        if self._preamble is not None:
            rest = self._preamble.take(data)
            if rest is None:
                return
            self._begin(self._preamble.words[1])
            self._preamble = None
        if self._end is not None and rest:
            self._end.sendall(rest)

    def eof_received(self) -> bool:
        if not self._prints:
            self._finish()
        return self._prints

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._finish()

    def _begin(self, nonce: str) -> None:
        ours, its = socket.socketpair()
        self._end = ours
        threading.Thread(target=self._serve, args=(its, nonce), daemon=True).start()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._answers, ours)

    @staticmethod
    def _serve(its: socket.socket, nonce: str) -> None:
        with its, its.makefile("rwb", buffering=0) as both:
            serve(both, both, nonce, VERBS, actor=False)  # type: ignore[arg-type]  # only its descriptor is used

    def _answers(self, ours: socket.socket) -> None:
        data = ours.recv(_BLOCK)
        if data:
            self._channel.write(data)
        else:
            self._finish()

    def _finish(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            asyncio.get_running_loop().remove_reader(end.fileno())
            end.close()
        with contextlib.suppress(OSError, asyncssh.Error):
            self._channel.close()


class _Server(asyncssh.SSHServer):
    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def session_requested(self) -> _Helper:
        return _Helper(self._kind)


async def _listen(folder: Path, kinds: Sequence[Kind]) -> list[int]:
    keys = asyncssh.read_authorized_keys(str(folder / "allowed"))
    host_key = asyncssh.read_private_key(str(folder / "host_key"))
    ports = []
    for kind in kinds:
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=keys,
            server_factory=lambda kind=kind: _Server(kind),
            encoding=None,
            backlog=64,
        )
        _LISTENING.append(server)
        ports.append(server.get_port())
    return ports


_LISTENING: list[asyncssh.SSHAcceptor] = []


def _one_at_a_time() -> None:
    """Have hosts of one process look one after the other, as if each had an interpreter and a driver of its own.

    A look opens the driver and closes it again, so two at a time would close it under each other; and their threads
    would spend more time waiting for the interpreter than looking.
    """
    free, observe = threading.Lock(), Observer.observe

    def alone(self: Observer, want: Wants, since: Cursor | None, host: str, deadline: float = 20.0) -> Observation:
        with free:
            return observe(self, want, since, host, deadline)

    Observer.observe = alone  # type: ignore[method-assign]


async def _main(folder: Path) -> None:
    _one_at_a_time()
    said = json.loads(sys.stdin.buffer.readline())
    ports = await _listen(folder, said["hosts"])
    print(json.dumps(ports), flush=True)  # noqa: T201 - how the ports are told
    await asyncio.to_thread(sys.stdin.buffer.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
