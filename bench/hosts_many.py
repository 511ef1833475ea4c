"""What watching hundreds of hosts over SSH takes: connecting, a first look at each, and polls over held channels.

    python bench/hosts_many.py [--hosts N,N] [--bad N] [--stages N] [--rounds N] [--ssh N] [--far N] [--json]

The hosts are servers on loopback ports that this starts, in processes of their own (tests/peers/many.py): what is
counted as ours is this process alone. Each has eight accelerators behind a stand-in for the driver, and a run
directory of five artifacts a stage, one of which is written anew before every poll. Of all hosts, `--bad` are not
there, say nothing, or have a helper that says nothing. The peer is one `ssh host nvidia-smi` for each host and poll,
beside which ours asks for the accelerators alone too.

The servers' work is done by the same machine, which no real fleet does: it is printed beside, and where the machine has
few cores, most of the wall time is theirs. A poll of one host after the other shows what one waits for one host.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hosts.bootstrap import RunnerImage
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import GatewatchError
from hosts.host import Wants
from hosts.local.procs import self_ref
from hosts.pipe import PipeReader
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshHost, SshSpec
from jobs.bundle import build_image
from jobs.connect import open_reader
from monitors.calibration import CalibrationMonitor
from monitors.host import HostMonitor
from monitors.poller import HostPoller
from monitors.snapshot import Monitor, Snapshot, State
from tests.monitors.runs import RunFolder
from tests.peers import badlink, sshd
from tests.peers.many import GPUS, Kind, Many, many
from tests.peers.nvml import smi_script
from tui.cli.garbage import throw_away_little_by_little

REPEATS = 5
_BAD: tuple[Kind, ...] = ("refuses", "silent", "mute")
_OPENING = 60.0


@dataclass
class Watched:
    """One host, the way to it, and what was last shown of it."""

    reader: PipeReader
    poller: HostPoller
    shown: dict[str, Snapshot[Any]]

    def whole(self, artifacts: int) -> bool:
        """Whether everything that was asked for is known of it, and good."""
        run, host = self.shown.get("run"), self.shown.get("host")
        if run is None or host is None or host.body is None or run.body is None:
            return False
        devices = host.body.accelerators.devices if host.body.accelerators is not None else ()
        return (
            State.BLIND not in (run.state, host.state)
            and run.body.runner == "alive"
            and (len(devices), run.progress.done) == (GPUS, artifacts)
        )


class Fleet:
    """All hosts, as a screen would watch them."""

    def __init__(self, hosts: Many) -> None:
        self.hosts = hosts
        self._connects = Connects()
        self.watched = [self._watch(number) for number in range(len(hosts.ports))]

    def _watch(self, number: int) -> Watched:
        way = Ssh(
            host="127.0.0.1",
            port=self.hosts.ports[number],
            user="root",
            identity_file=str(self.hosts.key),
            known_hosts=str(self.hosts.known_hosts),
        )
        reader = open_reader(HostProfile(name=f"host{number}", ssh=way, launcher="ssh"), self._connects)
        assert isinstance(reader, PipeReader)
        shown: dict[str, Snapshot[Any]] = {}
        monitors: dict[str, Monitor[Any]] = {
            "run": CalibrationMonitor(str(self.hosts.run_dir(number))),
            "host": HostMonitor(f"host{number}", ("/tmp",)),  # noqa: S108 - a path to look at
        }
        return Watched(reader, HostPoller(reader, monitors, shown.__setitem__), shown)

    def good(self) -> list[Watched]:
        """Those that are well."""
        return [self.watched[number] for number in self.hosts.good()]

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(*(one.reader.close() for one in self.watched))


class Cost:
    """What a stretch of work took: wall and processor time of this process, and of the servers, in seconds."""

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self._began = time.monotonic()
        self._own, self._theirs = time.process_time(), self._served()

    def figures(self) -> dict[str, float]:
        """So far."""
        return {
            "wall_s": time.monotonic() - self._began,
            "cpu_s": time.process_time() - self._own,
            "servers_cpu_s": self._served() - self._theirs,
        }

    def _served(self) -> float:
        return sum(_cpu_of(pid) for pid in self._servers)


def _cpu_of(pid: int) -> float:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory() -> dict[str, float]:
    """MB of this process: its own pages now, and the most that ever was resident."""
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in rollup if line.startswith(("Private_Clean:", "Private_Dirty:")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"uss_mb": own * 1024 / 1e6, "peak_rss_mb": peak * 1024 / 1e6}


def make_runs(hosts: Many, stages: int) -> None:
    """A run directory for each host that is well, the artifacts of all being links to those of the first."""
    names = tuple(f"stage{number}" for number in range(stages))
    first: Path | None = None
    for number in hosts.good():
        run = RunFolder(hosts.run_dir(number))
        if first is None:
            run.root.mkdir()
            run.plan(names, REPEATS)
            for name in names:
                for repeat in range(1, REPEATS + 1):
                    run.cell(name, repeat)
            run.lock(self_ref())
            first = run.root
        else:
            shutil.copytree(first, run.root, copy_function=os.link)


def change_runs(hosts: Many, value: int) -> None:
    """Write one artifact of each run anew."""
    for number in hosts.good():
        RunFolder(hosts.run_dir(number)).cell("stage0", 1, metrics={"accuracy": 0.5 + value / 1000})


async def _all_up(watched: Sequence[Watched]) -> None:
    # There is no event for all of them
    while any(one.reader.connection is None or one.reader.connection.way is not Way.UP for one in watched):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def _say_hello(watched: Watched) -> None:
    with contextlib.suppress(GatewatchError):
        await watched.reader.query("ping", None, _OPENING)


@contextlib.asynccontextmanager
async def _beside(work: Sequence[Any]) -> Any:
    """Have what may never end go on beside."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def watch(hosts: Many, args: argparse.Namespace, servers: Sequence[int]) -> dict[str, Any]:
    """Connect, look, and poll again and again; the hosts that are bad are tried all the while."""
    before = memory()
    fleet = Fleet(hosts)
    good = fleet.good()
    bad = [one for one in fleet.watched if one not in good]
    artifacts = args.stages * REPEATS
    figures: dict[str, Any] = {"hosts": len(fleet.watched), "bad": len(bad), "artifacts": artifacts, "before": before}
    try:
        async with _beside([one.poller.poll() for one in bad]):
            cost = Cost(servers)
            greeting = asyncio.gather(*(_say_hello(one) for one in good))
            await _all_up(good)
            figures["connected"] = cost.figures()
            await greeting
            figures["helpers_up"] = cost.figures()
            cost = Cost(servers)
            await asyncio.gather(*(one.poller.poll() for one in good))
            figures["first_look"] = cost.figures()
            polls = []
            for number in range(args.rounds):
                change_runs(hosts, number + 1)
                cost = Cost(servers)
                await asyncio.gather(*(one.poller.poll() for one in good))
                polls.append(cost.figures())
                assert all(one.whole(artifacts) for one in good), [
                    one.shown for one in good if not one.whole(artifacts)
                ]
            figures["poll"] = {name: statistics.median(one[name] for one in polls) for name in polls[0]}
            polls = []
            for _ in range(args.rounds):
                cost = Cost(servers)
                await asyncio.gather(*(one.reader.observe(Wants(accelerators=True), None, 30) for one in good))
                polls.append(cost.figures())
            figures["accelerators"] = {name: statistics.median(one[name] for one in polls) for name in polls[0]}
            alone = []
            for one in good[:50]:
                began = time.monotonic()
                await one.poller.poll()
                alone.append(1e3 * (time.monotonic() - began))
            figures["one_after_the_other_ms"] = statistics.median(alone)
            figures["memory"] = memory()
            cost = Cost(servers)
            await asyncio.sleep(args.rest)
            figures["rest"] = {name: value / args.rest for name, value in cost.figures().items()}
            figures["whole"] = sum(one.whole(artifacts) for one in fleet.watched)
            figures["blind"] = sum(all(each.body is None for each in one.shown.values()) for one in bad)
    finally:
        await fleet.close()
    return figures


async def _far_polls(spec: SshSpec, image: RunnerImage, run: RunFolder, stages: int, rounds: int) -> list[float]:
    ssh = SshHost(spec)
    reader = PipeReader("far", ssh.open, image, python=sys.executable, on_close=ssh.close)
    shown: dict[str, Snapshot[Any]] = {}
    monitors: dict[str, Monitor[Any]] = {"run": CalibrationMonitor(str(run.root)), "host": HostMonitor("far")}
    poller = HostPoller(reader, monitors, shown.__setitem__)
    took = []
    try:
        await poller.poll()
        for number in range(rounds):
            for stage in range(stages):  # one artifact of each stage
                run.cell(f"stage{stage}", 1, duration_s=float(number))
            began = time.monotonic()
            await poller.poll()
            took.append(time.monotonic() - began)
            assert shown["run"].state is not State.BLIND
        return took
    finally:
        await reader.close()


def far_polls(stages: int, rounds: int) -> dict[str, float]:
    """Seconds of a poll by a real helper behind a link with a round trip of 100 ms, after a change in every stage."""
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as name, badlink.bad_link() as link:
        folder = Path(name)
        run = RunFolder.make(folder)
        run.plan(tuple(f"stage{number}" for number in range(stages)), REPEATS)
        for number in range(stages * REPEATS):
            run.cell(f"stage{number // REPEATS}", number % REPEATS + 1)
        with contextlib.ExitStack() as stack:
            with link.far():
                peer = stack.enter_context(sshd.running(folder, f"ListenAddress {badlink.FAR}\n"))
            with peer.known_hosts.open("a") as known:
                known.write(f"[{badlink.FAR}]:{peer.port} {sshd.public(folder / 'host_key')}\n")
            stack.enter_context(link.near())
            key, known_hosts = str(peer.keys["plain"]), str(peer.known_hosts)
            spec = SshSpec(badlink.FAR, peer.port, identity_file=key, known_hosts=known_hosts, config_file=None)
            found = {}
            for trip in (0.0, 0.1):
                link.shape(delay=trip / 2)
                took = asyncio.run(_far_polls(spec, build_image(), run, stages, rounds))
                found[f"{trip:g}"] = statistics.median(took)
            return found


def ssh_polls(count: int) -> float:
    """Seconds of processor time of one `ssh host nvidia-smi` against a real sshd, without that of the server."""
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as name, sshd.running(Path(name)) as peer:
        script = smi_script(Path(name), "0, NVIDIA H100, 1000, 81559, 50\n" * GPUS)
        options = {
            "IdentityFile": str(peer.keys["plain"]),
            "UserKnownHostsFile": str(peer.known_hosts),
            "IdentitiesOnly": "yes",
            "Port": str(peer.port),
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        command = ["ssh", "-F", "none", *words, "127.0.0.1", str(script), "--query-gpu=index,name", "--format=csv"]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(count):
            done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
            assert done.stdout.count(b"\n") == GPUS
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) / count


@contextlib.contextmanager
def fleet_of(count: int, bad: int, stages: int) -> Iterator[Many]:
    """So many hosts, those that are bad among the others, with their run directories."""
    if bad >= count:
        sys.exit("there must be more hosts than bad ones")
    every = count // bad if bad else count + 1
    at = {number * every: _BAD[number % len(_BAD)] for number in range(bad)}
    kinds = [at.get(number, "good") for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as name, many(Path(name), kinds) as hosts:
        make_runs(hosts, stages)
        yield hosts


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    for run in figures["runs"]:
        print(f"{run['hosts']} hosts, {run['bad']} of them dead or hanging, {run['artifacts']} artifacts each")
        for name in ("connected", "helpers_up", "first_look", "poll", "accelerators", "rest"):
            found = run[name]
            what = f"{name.replace('_', ' ')}{' (each second)' if name == 'rest' else ''}"
            print(
                f"  {what:20} wall {found['wall_s']:6.2f} s  our CPU {found['cpu_s']:6.3f} s  "
                f"the servers' CPU {found['servers_cpu_s']:6.2f} s"
            )
        print(f"  one host after the other: {run['one_after_the_other_ms']:.1f} ms for a poll of one")
        found, before = run["memory"], run["before"]
        print(
            f"  memory: {found['uss_mb']:.0f} MB (before there were hosts {before['uss_mb']:.0f} MB), "
            f"at most {found['peak_rss_mb']:.0f} MB resident"
        )
    if "ssh_cpu_s" in figures:
        run, peer = figures["runs"][0], figures["ssh_cpu_s"]
        print(f"a poll of one host: `ssh host nvidia-smi` {1e3 * peer:.1f} ms of CPU")
        for name, what in (("accelerators", "the accelerators alone"), ("poll", "all of it")):
            ours = run[name]["cpu_s"] / (run["hosts"] - run["bad"])
            print(f"  ours, {what}: {1e3 * ours:.2f} ms, {peer / ours:.0f} times cheaper")
    if "far_s" in figures:
        near, far = figures["far_s"]["0"], figures["far_s"]["0.1"]
        print(f"a poll after a change in every stage: {1e3 * near:.0f} ms, with a round trip of 100 ms ", end="")
        print(f"{1e3 * far:.0f} ms: {(far - near) / 0.1:.2f} round trips")
    print(f"{os.cpu_count()} cores, load average at the start {figures['load']:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", default="200", help="how many; several with commas are taken each in a process")
    parser.add_argument("--bad", type=int, default=10, help="how many of them are dead or hanging")
    parser.add_argument("--stages", type=int, default=25, help="of each run, with five artifacts each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rest", type=float, default=3.0, help="seconds without a poll")
    parser.add_argument("--ssh", type=int, default=20, help="how many polls by `ssh`; 0 for none")
    parser.add_argument("--far", type=int, default=1, help="0: no poll over a link with a round trip of 100 ms")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    throw_away_little_by_little()  # as the command does
    counts = [int(word) for word in args.hosts.split(",")]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if soft < hard else (soft, hard))
    figures: dict[str, Any] = {"load": os.getloadavg()[0], "runs": []}
    for count in counts[1:]:  # a process that once held more hosts says nothing about memory
        words = [sys.executable, __file__, *sys.argv[1:], "--hosts", str(count), "--ssh", "0", "--far", "0", "--json"]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
        figures["runs"] += json.loads(done.stdout)["runs"]
    with fleet_of(counts[0], args.bad, args.stages) as hosts:
        figures["runs"].insert(0, asyncio.run(watch(hosts, args, hosts.pids)))
    if args.ssh and shutil.which("ssh") and sshd.SSHD:
        figures["ssh_cpu_s"] = ssh_polls(args.ssh)
    if args.far and sshd.SSHD and not badlink.missing():
        figures["far_s"] = far_polls(args.stages, args.rounds)
    print(json.dumps(figures, indent=1)) if args.json else show(figures)


if __name__ == "__main__":
    main()
