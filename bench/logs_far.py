"""What it takes to search a large log on another host: done there, beside its bytes brought here, and `ssh host grep`.

"there" is a search whose worker runs beside the log; "here" the same where nobody there can search: its bytes come
over. Processor time is that of this program and what it started, and that of the server and what it started.

    python bench/logs_far.py [--size MB] [--rounds N] [--json]

The server is a real sshd on loopback that this starts. Figures of one run on one machine can be compared with each
other; those of two machines cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hosts.local.levels import Level
from hosts.pipe import PipeReader
from hosts.session import BytePipe
from hosts.ssh import SshHost, SshSpec
from hosts.ssh_pipe import SshPipe
from hosts.stream_scan import Frame, Orders
from jobs.bundle import build_image
from monitors.logs.hits import Search
from monitors.logs.remote import RemoteSource
from monitors.logs.scanning import Scanner
from monitors.logs.types import Filter, Query
from tests.peers import sshd

MB = 1_000_000
WANTED: dict[str, tuple[Query | Filter, str]] = {
    "literal": (Query("step 2000 "), "-cF 'step 2000 '"),
    "regex": (Query(r"step 2\d00 loss", regex=True), "-cE 'step 2[0-9]00 loss'"),
    "errors": (Filter(level=Level.ERROR), "-c ERROR"),
}
_TICK = os.sysconf("SC_CLK_TCK")
_WAIT_S = 0.002


class Far(PipeReader):
    """A host that searches its files, or not, and the bytes that come from it."""

    def __init__(self, peer: sshd.SshPeer, searches: bool) -> None:
        known, key = str(peer.known_hosts), str(peer.keys["plain"])
        spec = SshSpec("127.0.0.1", peer.port, identity_file=key, known_hosts=known, config_file=None)
        self.received = 0
        self._searches = searches
        self._ssh = SshHost(spec)
        super().__init__("box", self._counted, build_image(), python=sys.executable, on_close=self._ssh.close)

    async def scan(self, orders: Orders) -> AsyncGenerator[Frame]:
        if self._searches:
            async for frame in super().scan(orders):
                yield frame

    async def _counted(self, argv: tuple[str, ...]) -> BytePipe:
        pipe = await self._ssh.open(argv)
        assert isinstance(pipe, SshPipe)
        received = pipe.data_received

        def counted(data: bytes, datatype: int | None) -> None:
            self.received += len(data)
            received(data, datatype)

        pipe.data_received = counted  # type: ignore[method-assign]  # which counts what comes
        return pipe


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=300, metavar="MB")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if sshd.SSHD is None:
        print("this needs OpenSSH's sshd, which is not here", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, sshd.running(Path(name)) as peer:
        log = Path(name) / "run.log"
        _write(log, options.size * MB)
        rounds = [asyncio.run(_round(peer, log, log.stat().st_size)) for _ in range(options.rounds)]
    found = {what: {way: _median([one[what][way] for one in rounds]) for way in rounds[0][what]} for what in rounds[0]}
    figures = {"size": options.size, "rounds": options.rounds, "load": os.getloadavg()[0], "searches": found}
    print(json.dumps(figures) if options.json else _table(figures))
    return 0


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for begin in range(0, 1 << 40, 10_000):
            if file.tell() >= size:
                return
            for step in range(begin, begin + 10_000):
                level = b"ERROR" if step % 5_000 == 7 else b"WARN" if step % 999 == 5 else b"INFO"
                when = b"2026-01-02 03:%02d:%02d" % (step // 60 % 60, step % 60)
                file.write(
                    b"%s %s worker %d: step %d loss %.4f lr 1e-4\n" % (when, level, step % 8, step, 3 / (step + 1))
                )


async def _round(peer: sshd.SshPeer, log: Path, size: int) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for what, (wanted, grep) in WANTED.items():
        found[what] = {
            "there": await _search(peer, log, size, wanted, searches=True),
            "here": await _search(peer, log, size, wanted, searches=False),
            "grep": await _grep(peer, log, size, grep),
        }
    return found


async def _search(
    peer: sshd.SshPeer, log: Path, size: int, wanted: Query | Filter, *, searches: bool
) -> dict[str, float]:
    """One search of a log that is open, by a scanner that is up."""
    host, scanner = Far(peer, searches), Scanner()
    source = RemoteSource(host, str(log))
    await source.start(lambda: None)
    await _until(lambda: [one.size for one in source.shape.generations] == [size])
    scanner.start()
    await asyncio.sleep(0.2)
    ours, theirs, received, began = _ours(scanner.pid), _theirs(peer), host.received, time.monotonic()
    search = Search(source, scanner, wanted)
    await _until(lambda: search.progress.done or bool(search.progress.problem))
    seconds = time.monotonic() - began
    figures = {
        "seconds": seconds,
        "mb_s": size / MB / seconds,
        "ours_s_gb": (_ours(scanner.pid) - ours) / size * 1e9,
        "theirs_s_gb": (_theirs(peer) - theirs) / size * 1e9,
        "received": float(host.received - received),
        "hits": float(search.progress.hits),
    }
    search.close()
    await scanner.close()
    await source.close()
    await host.close()
    return figures


async def _grep(peer: sshd.SshPeer, log: Path, size: int, words: str) -> dict[str, float]:
    """The same by one command over a connection that stands."""
    known, key = str(peer.known_hosts), str(peer.keys["plain"])
    ssh = SshHost(SshSpec("127.0.0.1", peer.port, identity_file=key, known_hosts=known, config_file=None))
    await (await ssh.open(("true",))).ended()
    began = time.monotonic()
    pipe = await ssh.open(("sh", "-c", f"LC_ALL=C grep {words} {log}"))
    said = b""
    while data := await pipe.read():
        said += data
    seconds = time.monotonic() - began
    await pipe.close(1.0)
    await ssh.close()
    return {"seconds": seconds, "mb_s": size / MB / seconds, "hits": float(said)}


async def _until(what: Callable[[], bool]) -> None:
    while not what():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(_WAIT_S)


def _ours(worker: int | None) -> float:
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) + (_used(worker) if worker is not None else 0.0)


def _theirs(peer: sshd.SshPeer) -> float:
    """Of the server and all that it started, what has ended included."""

    def below(pid: int) -> list[int]:
        return [pid, *(one for child in sshd.children(pid) for one in below(child))]

    assert peer.pid is not None
    return sum(map(_used, below(peer.pid)))


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICK


def _median(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in figures) for name in figures[0]}


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{figures['size']} MB, median of {figures['rounds']}, load {figures['load']:.1f}", ""]
    lines.append("| | | seconds | MB/s | CPU s/GB here | CPU s/GB there | MB over the way | hits |")
    lines.append("|---|---|---|---|---|---|---|---|")
    for what, ways in figures["searches"].items():
        for way, one in ways.items():
            cpu = [f"{one[name]:.2f}" if name in one else "–" for name in ("ours_s_gb", "theirs_s_gb")]
            came = f"{one['received'] / MB:.2f}" if "received" in one else "–"
            told = (what, way, f"{one['seconds']:.2f}", f"{one['mb_s']:.0f}", *cpu, came, f"{one['hits']:,.0f}")
            lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
