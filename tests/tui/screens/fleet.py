"""Hosts of every kind, as a dashboard hands them to the Hosts screen, in an app without a terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from types import MappingProxyType
from typing import Any

from textual.screen import Screen

from hosts.connection import Connection, Way
from hosts.host import Accelerators, DiskSeen, GpuDevice, GpuProcess, Load, MigDevice
from monitors.host import HostBody, Skew
from monitors.owners import Whose
from monitors.snapshot import Progress, Seen, Snapshot, State
from tests.monitors.runs import AT
from tests.tui.desks import Desk
from tui.app import GatewatchApp
from tui.screens.host_look import HostLook, HostRun
from tui.screens.host_tails import OpenLog
from tui.screens.hosts import HostsScreen
from tui.screens.hosts_view import HostsView

TOTAL = 97_871
UP = Connection(Way.UP, AT - 900, 0.034)
TTS = HostRun("h20-a:/data/runs/tts", "tts r3", State.RUNNING, "tts_wer 2/5", "/data/runs/tts/_pytest/tts/run2.log")
OLD = HostRun("h20-a:/data/runs/old", "mmmu r5", State.ENDED, "")


def held(index: int, used: int, busy: int, *who: GpuProcess, **more: Any) -> GpuDevice:
    """A GPU that somebody uses; memory in MiB, `busy` in percent."""
    told = {"temperature": 38 + busy // 3, "power": 90.0 + 3 * busy, "power_limit": 400.0, "processes": who, **more}
    return GpuDevice(index, "NVIDIA H20-3e", f"GPU-{index}", used, TOTAL, busy, **told)


def idle(index: int) -> GpuDevice:
    """A GPU that nobody uses."""
    return held(index, 4, 0)


def eight() -> tuple[GpuDevice, ...]:
    """Two of a run, one of somebody, one with a ghost, one that does not tell, and three that are free."""
    ours = GpuProcess(4711, 71_000, "anna", "python -m sglang.launch_server --model qwen3-omni", AT - 3_700)
    theirs = GpuProcess(991, 23_500, "bob", "python train.py --lr 3e-4", AT - 90_000)
    return (
        held(0, 72_700, 98, ours),
        held(1, 71_900, 64, replace(ours, pid=4712, memory=70_100)),
        held(2, 24_100, 7, theirs),
        held(3, 31_400, 0, ghost=30_800),
        GpuDevice(4, "NVIDIA H20-3e", "GPU-4", None, None, None),
        idle(5),
        idle(6),
        held(
            7,
            9_800,
            0,
            mig=(MigDevice(0, "MIG-0", "1g.10gb", 9_400, 9_856), MigDevice(1, "MIG-1", "2g.20gb", 12, 19_968)),
        ),
    )


def body(devices: tuple[GpuDevice, ...] | None = (), *, load: float = 12.4, **more: Any) -> HostBody:
    """What is seen of a host; None says that nobody could tell its accelerators."""
    known = Accelerators(devices or (), "nvml" if devices else "none", "580.95", "13.0")
    waves = [0.1, 0.2, 0.4, 0.7, 0.9, 1.0, 0.8, 0.9, 0.5, 0.6, 0.9, 1.0]

    def grown(share: float | None) -> tuple[float | None, ...]:
        return tuple(None if share is None else share * wave for wave in waves)

    told: dict[str, Any] = {
        "accelerators": Accelerators((), "unknown", detail="nvidia-smi: not found") if devices is None else known,
        "load": Load((load, 11.0, 9.0), 64, 515_000, 401_000, "b", 1_130_000.0, "h20-a", "5.15.0-171-generic"),
        "memory": {one.index: grown(one.memory_used and one.memory_used / TOTAL) for one in devices or ()},
        "utilisation": {one.index: grown(one.utilisation and one.utilisation / 100) for one in devices or ()},
        "busy": grown(load / 64),
        "disks": (DiskSeen("/", 310_000_000_000, 940_000_000_000, "ext4"),),
        "skew": Skew(0.01, 0.02, AT),
        "boot_id": "b",
        **more,
    }
    return HostBody(**told)


def seen_host(name: str, seen: HostBody, *, ago: float = 2.0, error: str | None = None) -> Snapshot[HostBody]:
    """A look at a host; one that failed has an error."""
    state = State.BLIND if error is not None else State.RUNNING
    return Snapshot(name, state, Seen(AT - ago, AT - ago), Progress(None, None), None, (), (), (), error, seen)


def look(name: str, seen: HostBody | None = None, connection: Connection | None = UP, **more: Any) -> HostLook:
    """One host; without a body it has never been seen."""
    about = {one: more.pop(one) for one in ("ago", "error") if one in more}
    snapshot = seen_host(name, seen, **about) if seen is not None else None
    return HostLook(name, more.pop("local", False), snapshot, connection, **more)


def busiest() -> HostBody:
    """A host with something of everything."""
    disks = (
        DiskSeen("/data/runs", 42_000_000_000, 3_800_000_000_000, "nfs4", network=True),
        DiskSeen("/root/.cache", 510_000_000_000, 940_000_000_000, "ext4"),
    )
    owners = {4711: Whose(TTS.watch, "tts_wer"), 4712: Whose(TTS.watch, "tts_wer")}
    return body(
        eight(),
        disks=disks,
        skew=Skew(-2.1, 0.02, AT),
        rebooted=AT - 7_200,
        owners=MappingProxyType(owners),
        ghosts=MappingProxyType({3: 30_800}),
    )


def failing(seen: HostBody) -> HostBody:
    """A host whose GPU driver told of its devices 40 s before, and fails since."""
    assert seen.accelerators is not None
    known = replace(seen.accelerators, source="unknown", detail="nvml: initialisation failed")
    return replace(seen, accelerators=known, unread=AT - 40)


def changed_key() -> Connection:
    """The host has another key."""
    why = "its host key has changed, so nothing was sent: known_hosts line 12 has SHA256:aaaa, it offers SHA256:bbbb"
    return Connection(Way.KEY_CHANGED, AT - 300, None, None, why)


def every() -> tuple[HostLook, ...]:
    """A host in every state."""
    down = Connection(Way.WAITING, AT - 8, None, AT + 8, "connection refused")
    gone = Connection(Way.WAITING, AT - 3, None, AT - 1, "no route to host")
    denied = Connection(Way.REFUSED, AT - 60, None, None, "login refused for anna: no key was taken")
    stale = Connection(Way.STALE, AT - 12, 0.2, None, "nothing heard for 4 s")
    some = tuple(held(index, 50_000 + 4_000 * index, 80) if index < 3 else idle(index) for index in range(4))
    return (
        look("h20-a", busiest(), runs=(TTS, OLD)),
        look("here", body((), load=0.4), None, local=True),
        look("h20-b", body(eight()), down, ago=840, error="h20-b: no answer"),
        look("h100-1", body(some, load=41.0), runs=(replace(OLD, watch="h100-1:/r", title="voices r3"),)),
        look("h100-2", body(some), stale, ago=20),
        look("h100-10", body(tuple(idle(index) for index in range(8)), load=0.2)),
        look("lab-gpu", None, denied),
        look("lab-old", body(some), changed_key(), ago=86_400, error="lab-old: its host key has changed"),
        look("lab-far", None, gone),
        look("lab-new", None, Connection(Way.CONNECTING, AT - 1)),
        look("cpu-1", body((), load=70.0)),
        look("odd-1", body(None)),
    )


def many(hosts: int, gpus: int = 8) -> tuple[HostLook, ...]:
    """So many hosts that are well, each with so many GPUs in use by turns."""

    def devices(number: int) -> tuple[GpuDevice, ...]:
        used = [(number * 7 + index * 13) % 11 for index in range(gpus)]
        return tuple(
            held(index, 9_000 * level, 10 * level) if level else idle(index) for index, level in enumerate(used)
        )

    return tuple(look(f"node{number:03}", body(devices(number), load=number % 64)) for number in range(hosts))


class FleetApp(GatewatchApp):
    """The hosts over a bare screen, with a clock that stands still."""

    def __init__(self, open_log: OpenLog | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.at = AT
        self.open_log = open_log
        self.now = lambda: self.at
        self.zone = UTC
        self.asked: list[tuple[str, str]] = []
        self.hosts = self._made()

    def _made(self) -> HostsScreen:
        return HostsScreen(lambda what, name: self.asked.append((what, name)), self.open_log)

    async def on_mount(self) -> None:
        """Go in at once."""
        await self.push_screen(self.hosts)

    async def again(self) -> None:
        """Go in again, after somebody left."""
        self.hosts = self._made()
        await self.push_screen(self.hosts)


class FleetDesk(Desk[FleetApp]):
    """The hosts, and whoever watches them."""

    @property
    def view(self) -> HostsView:
        return self.app.hosts.query_one(HostsView)

    @property
    def screen(self) -> Screen[Any]:
        return self.app.screen

    async def show(self, looks: Sequence[HostLook]) -> None:
        """Feed it, and wait until that is what the view shows."""
        self.app.hosts.show_hosts(tuple(looks))
        names = {one.name for one in looks}
        await self.until(lambda: {one.look.name for one in self.view.hosts} <= names and self.app.hosts.settled)
        await self.pilot.pause()


@asynccontextmanager
async def fleet(
    size: tuple[int, int] = (80, 24), looks: Sequence[HostLook] | None = None, **options: Any
) -> AsyncIterator[FleetDesk]:
    """The hosts, fed with these."""
    app = FleetApp(**options)
    async with app.run_test(size=size, notifications=True) as pilot:
        at = FleetDesk(app, pilot)
        await at.until(lambda: app.screen is app.hosts and app.hosts.is_mounted)
        await at.show(every() if looks is None else looks)
        yield at
