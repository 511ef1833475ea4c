"""What following a file and polling over SSH take, in one run against `ssh host tail -F` and `ssh host true`.

"ours" is every byte of a file received; "ours indexed" a log as it is shown, from nothing until its end is here and
each of its lines is counted, which the far side does; "growing" the same while it grows as fast as it can be written.
"shown" is when whoever shows the log is told of a line.

    python bench/hosts.py [--size MB] [--rounds N] [--latency-rounds N] [--seconds S] [--polls N] [--awake] [--json]

"quiet" rounds are those in which the machine below this one took (as the kernel counts it) nearly nothing of its cores.
With --awake the cores do not halt while lines are timed (/dev/cpu_dma_latency, which takes root): where there is a
machine below, a core that halts between two lines takes longer to wake than all that is measured.
The server is a real sshd on loopback that this starts. Figures of one run on one machine can be compared with each
other; those of two machines cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.turns import LATENCY, cores_awake, in_turn, said
from hosts.host import Data, Position, Wants
from hosts.pipe import PipeReader
from hosts.ssh import SshHost, SshSpec
from jobs.bundle import build_image
from monitors.logs.model import LogModel
from monitors.logs.remote import RemoteSource
from tests.peers import sshd
from tui.cli.garbage import throw_away_little_by_little

MB = 1_000_000
_PATIENCE_S = 120.0
_FAST = "aes128-gcm@openssh.com"
_GROWER = """
import os, sys
path, size = sys.argv[1], int(sys.argv[2])
line = b"%08d a line of a log as long as they are in most logs, give or take a few words\\n"
block = b"".join(line % n for n in range(12_000))
file = os.open(path, os.O_WRONLY | os.O_APPEND)
while size > 0:
    size -= os.write(file, block[:size])
"""
_WRITER = """
import os, sys, time
path, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
file = os.open(path, os.O_WRONLY | os.O_APPEND)
time.sleep(0.2)
start = time.monotonic()
for number in range(int(rate * seconds)):
    wait = start + number / rate - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    os.write(file, b"%d a line of a log as long as they are in most logs, give or take\\n" % time.monotonic_ns())
time.sleep(0.2)
os.write(file, b"end\\n")
"""


class Bench:
    """The server, and both ways to it."""

    def __init__(self, peer: sshd.SshPeer, folder: Path) -> None:
        self.peer = peer
        self.folder = folder
        self._image = build_image()

    def ssh(self, *command: str, cipher: str | None = None) -> list[str]:
        """The argument vector of OpenSSH's client."""
        options = {
            "IdentityFile": str(self.peer.keys["plain"]),
            "UserKnownHostsFile": str(self.peer.known_hosts),
            "IdentitiesOnly": "yes",
            "Port": str(self.peer.port),
            **({"Ciphers": cipher} if cipher else {}),
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", *words, "127.0.0.1", *command]

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[PipeReader]:
        """This program's reader of the same host."""
        spec = SshSpec(
            "127.0.0.1",
            self.peer.port,
            identity_file=str(self.peer.keys["plain"]),
            known_hosts=str(self.peer.known_hosts),
            config_file=None,
        )
        ssh = SshHost(spec)
        host = PipeReader("box", ssh.open, self._image, python=sys.executable)
        try:
            yield host
        finally:
            await host.close()
            await ssh.close()

    # Throughput.

    def tail_throughput(self, path: Path, size: int, cipher: str | None) -> tuple[float, float]:
        """MB/s and seconds of our CPU per GB (the client's and those of who reads its output)."""
        command = self.ssh("tail", "-s", "0.2", "-n", "+1", "-F", str(path), cipher=cipher)
        with _tailing(command) as (process, read):
            left = size - len(read())  # the handshake is not what is measured
            began, before, own = time.monotonic(), _cpu_of(process.pid), time.process_time()
            while left > 0:
                left -= len(read())
            took = time.monotonic() - began
            cpu = _cpu_of(process.pid) - before + time.process_time() - own
        return size / MB / took, cpu / size * 1e9

    async def our_throughput(self, path: Path, size: int) -> tuple[float, float]:
        """MB/s and seconds of our CPU per GB."""
        async with self.reader() as host:
            await host.read(str(path), 0, 0)
            own, began, left = 0.0, 0.0, size
            async with contextlib.aclosing(host.follow(str(path), Position())) as items:
                async for item in items:
                    if not began:
                        own, began = time.process_time(), time.monotonic()
                    assert isinstance(item, Data)
                    left -= len(item.data)
                    if left <= 0:
                        break
                took, cpu = time.monotonic() - began, time.process_time() - own
        return size / MB / took, cpu / size * 1e9

    async def our_index(self, path: Path, size: int) -> tuple[float, float]:
        """MB/s and seconds of our CPU per GB until every line of a log that is followed is counted."""
        async with self.reader() as host:
            await host.read(str(path), 0, 0)
            children, own, began = _children(), time.process_time(), time.monotonic()
            model = LogModel(RemoteSource(host, str(path)))
            await model.start()
            await _until(model, size)
            took, cpu = time.monotonic() - began, time.process_time() - own
            await model.close()
            cpu += _children() - children
        return size / MB / took, cpu / size * 1e9

    # A log that grows as fast as it can be written.

    def tail_growth(self, path: Path, size: int) -> tuple[float, float]:
        """MB/s and seconds of our CPU per GB from the first byte that is written to the last that is received."""
        path.write_bytes(b"begin\n")
        with _tailing(self.ssh("tail", "-s", "0.2", "-n", "+1", "-F", str(path))) as (process, read):
            read()
            began, before, own = time.monotonic(), _cpu_of(process.pid), time.process_time()
            with _growing(path, size):
                left = size
                while left > 0:
                    left -= len(read())
            took = time.monotonic() - began
            cpu = _cpu_of(process.pid) - before + time.process_time() - own
        return size / MB / took, cpu / size * 1e9

    async def our_growth(self, path: Path, size: int) -> tuple[float, float]:
        """The same of a log as it is shown, until each of its lines is counted and its end is here."""
        await asyncio.to_thread(path.write_bytes, b"begin\n")
        async with self.reader() as host:
            model = LogModel(RemoteSource(host, str(path)))
            await model.start()
            await _until(model, 6)
            own, began = time.process_time(), time.monotonic()
            with _growing(path, size):
                await _until(model, size + 6)
                await model.window(model.end_place(), 50, 0)
                took, cpu = time.monotonic() - began, time.process_time() - own
            children = _children()
            await model.close()
            cpu += _children() - children
        return size / MB / took, cpu / size * 1e9

    # Latency.

    def tail_latency(self, path: Path, rate: float, seconds: float) -> list[float]:
        """Milliseconds from the writing of each line to its arrival, sorted."""
        with _tailing(self.ssh("tail", "-s", "0.2", "-n", "+1", "-F", str(path))) as (_, read):
            lines = _Lines()
            lines.take(read())
            with _writing(path, rate, seconds):
                while lines.take(read()):
                    pass
        return sorted(lines.late)

    def bare_latency(self, rate: float, seconds: float) -> list[float]:
        """Milliseconds that the same lines take through two processes that do nothing, as many as there are over SSH.

        What this machine needs to wake three processes one after the other, below which nobody gets.
        """
        lines = _Lines()
        with contextlib.ExitStack() as stack:
            writer = [sys.executable, "-c", _WRITER, "/dev/stdout", str(rate), str(seconds)]
            last = stack.enter_context(subprocess.Popen(writer, stdout=subprocess.PIPE))
            for _ in range(2):
                last = stack.enter_context(subprocess.Popen(["cat"], stdin=last.stdout, stdout=subprocess.PIPE))
            assert last.stdout is not None
            while lines.take(os.read(last.stdout.fileno(), 1 << 16)):
                pass
        return sorted(lines.late)

    async def our_latency(self, path: Path, rate: float, seconds: float) -> list[float]:
        """Milliseconds from the writing of each line to its arrival, sorted."""
        lines = _Lines()
        async with self.reader() as host, contextlib.aclosing(host.follow(str(path), Position())) as items:
            with contextlib.ExitStack() as stack:
                async for item in items:
                    assert isinstance(item, Data)
                    if item.data == b"begin\n":
                        stack.enter_context(_writing(path, rate, seconds))
                    elif not lines.take(item.data):
                        break
        return sorted(lines.late)

    async def our_showing(self, path: Path, rate: float, seconds: float) -> list[float]:
        """Milliseconds from the writing of each line to when whoever shows the log is told of it, sorted."""
        lines, seen = _Lines(), 12
        async with self.reader() as host:
            source = RemoteSource(host, str(path))
            model, told = LogModel(source), asyncio.Event()
            await model.start()
            await _until(model, seen // 2)
            with path.open("ab", buffering=0) as log:
                log.write(b"begin\n")
            await _until(model, seen)  # as they will be sent from now on
            model.listen(told.set)
            with _writing(path, rate, seconds):
                while True:
                    await told.wait()
                    told.clear()
                    size = model.state.bytes
                    data = await source.read(0, seen, size - seen)
                    seen = size
                    if not lines.take(data):
                        break
            await model.close()
        return sorted(lines.late)

    # Polls.

    def ssh_poll(self, polls: int) -> float:
        """Seconds of our CPU per poll by a process of its own."""
        before = _children()
        for _ in range(polls):
            subprocess.run(self.ssh("true"), check=True, stdin=subprocess.DEVNULL, capture_output=True)
        return (_children() - before) / polls

    async def our_poll(self, polls: int) -> float:
        """Seconds of our CPU per poll over the held channel."""
        async with self.reader() as host:
            seen = await host.observe(Wants(load=True), None, 20)
            own = time.process_time()
            for _ in range(polls):
                seen = await host.observe(Wants(load=True), seen.cursor, 20)
            return (time.process_time() - own) / polls


async def _until(model: LogModel, size: int) -> None:
    """Wait until a log is known to be so large, and every line of it is counted."""
    counted = asyncio.Event()

    def look() -> None:
        state = model.state
        if state.lines is not None and state.bytes == state.counted == size:
            counted.set()

    end = model.listen(look)
    look()
    async with asyncio.timeout(_PATIENCE_S):
        await counted.wait()
    end()


class _Lines:
    """Lines with the time of their writing in front, and how late each came."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._rest = b""

    def take(self, data: bytes) -> bool:
        """False once the last line is there."""
        now = time.monotonic_ns()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line == b"end":
                return False
            if line != b"begin":
                self.late.append((now - int(line.split(b" ", 1)[0])) / 1e6)
        return True


@contextlib.contextmanager
def _tailing(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], bytes]]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    descriptor = process.stdout.fileno()

    def read() -> bytes:
        data = os.read(descriptor, 1 << 16)
        if not data:
            raise RuntimeError("tail ended")
        return data

    try:
        yield process, read
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def _growing(path: Path, size: int) -> Iterator[None]:
    writer = subprocess.Popen([sys.executable, "-c", _GROWER, str(path), str(size)])
    try:
        yield
    finally:
        writer.wait()


@contextlib.contextmanager
def _writing(path: Path, rate: float, seconds: float) -> Iterator[None]:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(rate), str(seconds)])
    try:
        yield
    finally:
        writer.wait()


def _cpu_of(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _make_log(path: Path, size: int) -> None:
    block = b"".join(
        b"%08d a line of a log as long as they are in most logs, give or take a few words\n" % n for n in range(12_000)
    )
    with path.open("wb") as file:
        left = size
        while left > 0:
            left -= file.write(block[:left])


def measure(bench: Bench, args: argparse.Namespace) -> dict[str, Any]:
    """All figures, each way in turn in every round; medians over the rounds."""
    figures: dict[str, Any] = {"load": os.getloadavg()[0]}
    big = bench.folder / "big.log"
    size = args.size * MB
    _make_log(big, size)
    speeds: dict[str, list[tuple[float, float]]] = {
        "ssh": [],
        "ssh aes128-gcm": [],
        "ours": [],
        "ours indexed": [],
        "ssh growing": [],
        "ours growing": [],
    }
    for _ in range(args.rounds):
        speeds["ssh"].append(bench.tail_throughput(big, size, None))
        speeds["ssh aes128-gcm"].append(bench.tail_throughput(big, size, _FAST))
        speeds["ours"].append(asyncio.run(bench.our_throughput(big, size)))
        speeds["ours indexed"].append(asyncio.run(bench.our_index(big, size)))
        grown = bench.folder / "grown.log"
        speeds["ssh growing"].append(bench.tail_growth(grown, size))
        speeds["ours growing"].append(asyncio.run(bench.our_growth(grown, size)))
    figures["throughput"] = {
        who: {
            "mb_per_s": statistics.median(speed for speed, _ in found),
            "cpu_s_per_gb": statistics.median(cpu for _, cpu in found),
        }
        for who, found in speeds.items()
    }
    figures["latency_ms"] = {rate: _latencies(bench, rate, args) for rate in (20, 2000)}
    figures["poll_cpu_ms"] = {
        "ssh": 1e3 * bench.ssh_poll(args.polls),
        "ours": 1e3 * asyncio.run(bench.our_poll(args.polls * 10)),
    }
    return figures


def _latencies(bench: Bench, rate: float, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    log = bench.folder / "small.log"
    ways: dict[str, Callable[[], list[float]]] = {
        "bare": lambda: bench.bare_latency(rate, args.seconds),
        "ssh": lambda: bench.tail_latency(log, rate, args.seconds),
        "ours": lambda: asyncio.run(bench.our_latency(log, rate, args.seconds)),
        "shown": lambda: asyncio.run(bench.our_showing(log, rate, args.seconds)),
    }
    with cores_awake() if args.awake else contextlib.nullcontext():
        return in_turn(ways, args.latency_rounds, lambda: log.write_bytes(b"begin\n"))


def show(figures: dict[str, Any]) -> None:
    """The figures as a table, with what is ours as a ratio of OpenSSH's."""
    speeds = figures["throughput"]
    for who, found in speeds.items():
        print(f"{who:16} {found['mb_per_s']:7.0f} MB/s {found['cpu_s_per_gb']:6.2f} CPU s/GB")
    pairs = [(ours, other) for ours in ("ours", "ours indexed") for other in ("ssh", "ssh aes128-gcm")]
    for ours, other in (*pairs, ("ours growing", "ssh growing")):
        speed = speeds[ours]["mb_per_s"] / speeds[other]["mb_per_s"]
        cpu = speeds[ours]["cpu_s_per_gb"] / speeds[other]["cpu_s_per_gb"]
        print(f"  {ours} / {other}: {speed:.2f} of its throughput, {cpu:.2f} of its CPU per GB")
    for rate, ways in figures["latency_ms"].items():
        for who, late in ways.items():
            print(f"{rate:>5}/s {who:8} {said(late)}")
    polls = figures["poll_cpu_ms"]
    ratio = polls["ssh"] / polls["ours"]
    print(f"a poll: ssh {polls['ssh']:.2f} ms of CPU, ours {polls['ours']:.2f} ms: {ratio:.0f} times cheaper")
    print(f"load average at the start: {figures['load']:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=100, help="MB of the log that is received")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each rate of lines")
    parser.add_argument("--latency-rounds", type=int, default=5)
    parser.add_argument("--awake", action="store_true", help="keep the cores from sleeping while lines are timed")
    parser.add_argument("--polls", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    throw_away_little_by_little()  # as the command does
    if sshd.SSHD is None:
        sys.exit("this needs OpenSSH's sshd; it is not installed here")
    if args.awake and not os.access(LATENCY, os.W_OK):
        sys.exit(f"--awake needs {LATENCY}, which cannot be written here")
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as name, sshd.running(Path(name)) as peer:
        figures = measure(Bench(peer, Path(name)), args)
    if args.json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures)


if __name__ == "__main__":
    main()
