"""What the Hosts screen knows of each host beyond its look: sums, and where it stands in an order or a filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from hosts.connection import Way
from hosts.host import DiskSeen, GpuDevice
from monitors.host import HostBody, notes
from monitors.snapshot import Now, State
from tui.marks import Look
from tui.sanitise import clean_inline, redact
from tui.screens.host_look import HostLook, way_look
from tui.screens.run_header import STALE_AFTER_S
from tui.screens.strip import FREE_MIB

NOTED = Look("▲", "^", "up, with something to note", "warning")
NEVER = Look("◔", "w", "not looked at yet", "muted")

_NAME = 200
_DARK = (Way.STALE, Way.WAITING, Way.REFUSED, Way.KEY_CHANGED)
_DIGITS = re.compile(r"(\d+)")


def plain(text: object, limit: int = 400) -> str:
    """Text from outside in one line, without secrets."""
    return clean_inline(redact(str(text)), limit=limit)


def is_free(device: GpuDevice) -> bool:
    """Only what is known to be free is."""
    if device.memory_used is None or device.memory_used > FREE_MIB:
        return False
    return not device.processes and not device.utilisation


@dataclass(frozen=True)
class HostFacts:
    """One host; what takes a while is worked out when it is asked for, and then kept with the look.

    Attributes:
        name: Safe to show.
        told: What a table's columns say of it, by their name and whether they are wide: filled by who paints them.
        cells: Its GPUs as a grid shows them, by how it does: likewise.
    """

    look: HostLook
    name: str
    told: dict[tuple[str, bool], tuple[str, str]] = field(default_factory=dict, repr=False, compare=False)
    cells: dict[tuple[object, ...], tuple[tuple[str, str], ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, look: HostLook) -> HostFacts:
        """The facts of a look."""
        return cls(look, plain(look.name, _NAME) or "?")

    @property
    def body(self) -> HostBody:
        """What was seen; an empty one before that."""
        snapshot = self.look.snapshot
        body: HostBody | None = snapshot.body if snapshot is not None else None
        return body if body is not None else _NOTHING

    @property
    def devices(self) -> tuple[GpuDevice, ...]:
        """Its accelerators, as far as they are known."""
        known = self.body.accelerators
        return known.devices if known is not None else ()

    @property
    def blind(self) -> bool:
        """The last look failed, or there was none."""
        return self.look.snapshot is None or self.look.snapshot.state is State.BLIND

    @property
    def recovered(self) -> bool:
        """The last look failed, and the way there has come up since: what it failed by is over."""
        return self.blind and self.look.recovered

    @property
    def error(self) -> str:
        """What is wrong with the last look, as it came; "" where nothing is, or that is over."""
        snapshot = self.look.snapshot
        return snapshot.error or "" if snapshot is not None and not self.recovered else ""

    @property
    def received(self) -> float | None:
        """When the last answer came, our clock, seconds since the epoch."""
        return self.look.snapshot.seen.received if self.look.snapshot is not None else None

    def age(self, now: float) -> float | None:
        """Seconds since the last answer; None where there never was one."""
        return self.look.snapshot.seen.age(Now(now)) if self.look.snapshot is not None else None

    def aged(self, now: float) -> bool:
        """Whether what is known of it is of some time ago."""
        connection = self.look.connection
        age = self.age(now)
        dark = connection is not None and connection.way in _DARK
        return self.blind or dark or age is None or age >= STALE_AFTER_S

    @property
    def unread(self) -> bool:
        """The last look told nothing of its accelerators: what is shown is of before, and none is surely free."""
        return self.blind or self.body.unread is not None

    def gpus_aged(self, now: float) -> bool:
        """Whether what is known of its accelerators is of some time ago."""
        return self.unread or self.aged(now)

    @cached_property
    def free(self) -> int:
        """Accelerators that are known to be free."""
        return sum(map(is_free, self.devices))

    @cached_property
    def unknown(self) -> int:
        """Accelerators of which nobody knows how full they are."""
        return sum(device.memory_used is None for device in self.devices)

    @cached_property
    def used(self) -> tuple[int, int] | None:
        """MiB of the accelerators that tell, in use and there, together; None where none does."""
        told = [(one.memory_used, one.memory_total) for one in self.devices]
        known = [(used, total) for used, total in told if used is not None and total is not None]
        return (sum(used for used, _ in known), sum(total for _, total in known)) if known else None

    @cached_property
    def partly(self) -> bool:
        """Whether some of the accelerators are missing from `used`."""
        return any(one.memory_used is None or one.memory_total is None for one in self.devices)

    @cached_property
    def busy(self) -> tuple[float, int] | None:
        """Mean and highest utilisation in percent, of those that tell."""
        told = [device.utilisation for device in self.devices if device.utilisation is not None]
        return (sum(told) / len(told), max(told)) if told else None

    @cached_property
    def load(self) -> float | None:
        """One-minute load average by core."""
        load = self.body.load
        return load.averages[0] / load.cores if load is not None and load.averages and load.cores else None

    @cached_property
    def memory(self) -> tuple[int, int] | None:
        """MiB of the host's memory, in use and there."""
        load = self.body.load
        if load is None or load.memory_total is None or load.memory_available is None:
            return None
        return load.memory_total - load.memory_available, load.memory_total

    @cached_property
    def disk(self) -> DiskSeen | None:
        """The file system with the least that may still be written."""
        told = [disk for disk in self.body.disks if disk.free is not None]
        return min(told, key=lambda disk: disk.free or 0, default=None)

    @cached_property
    def noted(self) -> bool:
        """Whether something of it deserves a word although it answers."""
        return bool(self.error) or bool(notes(self.body, str)) or any(disk.error for disk in self.body.disks)

    @cached_property
    def trouble(self) -> int:
        """How much it wants somebody: the least number first."""
        way = self.look.connection.way if self.look.connection is not None else Way.UP
        ranks = {Way.KEY_CHANGED: 0, Way.REFUSED: 1, Way.WAITING: 2, Way.STALE: 3}
        if way in ranks:
            return ranks[way]
        if self.look.snapshot is None:
            return 6
        if self.blind and not self.recovered:
            return 4 if way is Way.UP else 2  # what is tried again and again is not better while it is tried
        if self.noted:
            return 5
        known = self.body.accelerators
        return 6 if self.recovered or known is None or known.source == "unknown" else 7

    @property
    def sign(self) -> Look:
        """How it is marked."""
        look = way_look(self.look.connection)
        if self.trouble in (4, 5):
            return NOTED
        # A way that is up tells nothing of a host whose helper has said nothing yet
        unseen = self.look.snapshot is None and (self.look.connection is None or self.look.connection.way is Way.UP)
        return NEVER if unseen else look

    @cached_property
    def natural(self) -> tuple[tuple[bool, int, str], ...]:
        """What its name is sorted by: node2 before node10."""
        return _natural(self.name)

    @cached_property
    def haystack(self) -> str:
        """What a filter looks into."""
        body, told = self.body, [self.name, way_look(self.look.connection).word]
        for run in self.look.runs:
            told += [run.title, run.stage, run.state.value]
        for device in self.devices:
            told.append(device.name or "")
            for process in device.processes or ():
                told += [process.owner or "", process.command or ""]
        told += [disk.file_system or "" for disk in body.disks]
        told += notes(body, lambda _when: "")
        told += [self.look.connection.reason] if self.look.connection is not None else []
        told.append(self.error)
        return plain("\n".join(filter(None, told)), 20_000).lower()


_NOTHING = HostBody()


@lru_cache(maxsize=4096)
def _natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    return tuple(
        (not part.isdecimal(), int(part) if part.isdecimal() and part.isascii() else 0, part)
        for part in _DIGITS.split(name.lower())
        if part
    )


def kept(before: Mapping[str, HostFacts], looks: Iterable[HostLook]) -> dict[str, HostFacts]:
    """The facts of these looks by the hosts' names; those of before where a look is the same."""
    made: dict[str, HostFacts] = {}
    for look in looks:
        old = before.get(look.name)
        if old is None:
            made[look.name] = HostFacts.of(look)
        else:
            made[look.name] = old if _same(old.look, look) else HostFacts(look, old.name)
    return made


def _same(one: HostLook, other: HostLook) -> bool:
    """Whether two looks say the same, without a glance into what they hold."""
    return (
        one.snapshot is other.snapshot
        and one.connection is other.connection
        and one.runs == other.runs
        and (one.local, one.without_events, one.recovered) == (other.local, other.without_events, other.recovered)
    )


@dataclass(frozen=True)
class Order:
    """A way to sort hosts.

    Attributes:
        name: As it is called, and as the table's column is.
        key: Least first; None is unknown, and always last.
        says: What comes first, in words.
    """

    name: str
    key: Callable[[HostFacts], float | None]
    says: str


def _share(pair: tuple[int, int] | None) -> float | None:
    return -pair[0] / pair[1] if pair is not None and pair[1] else None


ORDERS: tuple[Order, ...] = (
    Order("host", lambda host: 0, "by name"),
    Order("state", lambda host: host.trouble, "trouble first"),
    Order("free", lambda host: -host.free if host.devices and not host.unread else None, "most free GPUs first"),
    Order("busy", lambda host: -host.busy[0] if host.busy is not None else None, "busiest GPUs first"),
    Order("vram", lambda host: _share(host.used), "fullest GPUs first"),
    Order("load", lambda host: -host.load if host.load is not None else None, "highest load first"),
    Order("mem", lambda host: _share(host.memory), "fullest memory first"),
    Order("disk", lambda host: host.disk.free if host.disk is not None else None, "least disk free first"),
    Order("runs", lambda host: -len(host.look.runs), "most runs first"),
    Order("seen", lambda host: host.received, "longest unseen first"),
)


def ordered(hosts: Iterable[HostFacts], order: Order, reverse: bool = False) -> list[HostFacts]:
    """Sorted; of those that are alike the names decide, and what is not known comes last either way."""
    named = sorted(hosts, key=lambda host: host.natural, reverse=reverse and order is ORDERS[0])
    keyed = [(order.key(host), host) for host in named]
    known = [(key, host) for key, host in keyed if key is not None]
    known.sort(key=lambda pair: pair[0], reverse=reverse)
    return [*(host for _, host in known), *(host for key, host in keyed if key is None)]


def passing(hosts: Iterable[HostFacts], wanted: str) -> list[HostFacts]:
    """Those that hold every word; capitals do not matter."""
    words = wanted.lower().split()
    return [host for host in hosts if all(word in host.haystack for word in words)]


@dataclass(frozen=True)
class Sums:
    """All hosts in numbers.

    Attributes:
        gpus, free, unknown: Accelerators.
        words: How many hosts are in each state that wants somebody, worst first.
    """

    hosts: int
    gpus: int
    free: int
    unknown: int
    words: tuple[tuple[Look, int], ...]


def sums(hosts: Sequence[HostFacts]) -> Sums:
    """Count them."""
    found: dict[Look, int] = {}
    for host in sorted(hosts, key=lambda one: one.trouble):
        if host.trouble < 6:
            found[host.sign] = found.get(host.sign, 0) + 1
    return Sums(
        len(hosts),
        sum(len(host.devices) for host in hosts),
        sum(host.free for host in hosts if not host.unread),
        sum(len(host.devices) if host.unread else host.unknown for host in hosts),
        tuple(found.items()),
    )
