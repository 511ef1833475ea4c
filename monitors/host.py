"""Folds what a host tells of itself: accelerators, load, disks, clock, and a short history of what changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from hosts.host import Accelerators, DiskSeen, GpuDevice, Load, Observation, Wants
from monitors.owners import KnownRun, Whose, owners
from monitors.snapshot import Now, Progress, Seen, Snapshot, State

HISTORY = 60
"""Looks that are kept for a sparkline."""

GHOST_MIB = 1024
"""Memory without an owner is called a ghost from here on; less may be the driver's own (it reserves 614 of an H200)."""

PATIENCE_S = 1.0
"""For which a driver and a disk may hold up what else is looked at."""

_AS_NEW_S = 15.0  # since a driver answered, as good as now: one that takes 10 s is asked at each look
_DRIFT = 1e-4  # seconds by which two clocks may part in a second
_UNSURE_S = 1.0  # a clock that is read without a helper is known to about this
_WORTH_S = 0.05  # a skew that rounds to nothing is no news for people; whoever merges logs uses it all the same
_MOST_CARDS = 64  # of one host; whoever tells of more makes them up
_NEARLY_FULL = 0.02  # of a disk that is left; one log of a server, or one checkpoint, takes as much
_Shares = Mapping[int, "tuple[float | None, ...]"]


def _empty() -> _Shares:
    return MappingProxyType({})


@dataclass(frozen=True)
class Skew:
    """How many seconds the host's clock is ahead of ours, how far off that may be, and when that was known (ours)."""

    seconds: float
    uncertainty: float
    at: float

    @property
    def told(self) -> bool:
        """Whether the clocks surely differ."""
        return abs(self.seconds) > self.uncertainty


@dataclass(frozen=True)
class HostBody:
    """What a host has, and how busy it is.

    Attributes:
        accelerators: At the last good look; None before there was one. Where a driver that had devices fails, they are
            those of before, and `source` is "unknown" with its words in `detail`.
        load: Likewise.
        memory: Share of memory used by GPU index, 0 to 1, oldest first; None where it was not known.
        busy: One-minute load average by core, oldest first.
        utilisation: Share of time that a GPU was busy by its index, as `memory`.
        disks: Those that were asked for, at the last look.
        skew: The host's clock against ours; None before the first look.
        boot_id: The last that was told, or "".
        rebooted: When it was started anew while we watched, by our clock, seconds since the epoch; else None.
        owners: The run and the stage of each process on an accelerator, by its pid, where they are known.
        ghosts: MiB in use that nobody owns, by GPU index, where two looks in a row found them.
        cards: The index of each GPU that was seen since the host was started, by its UUID.
        gone: When those that are not there any more were first missed, by UUID; our clock, seconds since the epoch.
        unread: When the devices were last told, where the last answer did not tell them: our clock, seconds since the
            epoch; else None.
    """

    accelerators: Accelerators | None = None
    load: Load | None = None
    memory: Mapping[int, tuple[float | None, ...]] = field(default_factory=_empty)
    busy: tuple[float | None, ...] = ()
    utilisation: Mapping[int, tuple[float | None, ...]] = field(default_factory=_empty)
    disks: tuple[DiskSeen, ...] = ()
    skew: Skew | None = None
    boot_id: str = ""
    rebooted: float | None = None
    owners: Mapping[int, Whose] = field(default_factory=lambda: MappingProxyType({}))
    ghosts: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    cards: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    gone: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    unread: float | None = None


class HostMonitor:
    """Watches a host itself.

    Args:
        name: What the host is called.
        disks: Paths whose file systems matter: where logs and caches lie.
        runs: The runs that are watched there, asked at every fold, in whatever thread that runs.
    """

    def __init__(
        self, name: str, disks: tuple[str, ...] = (), runs: Callable[[], Sequence[KnownRun]] = lambda: ()
    ) -> None:
        self._name = name
        self._disks = disks
        self._runs = runs

    def sniff(self, names: frozenset[str]) -> int:
        """A host is no folder."""
        return 0

    def wants(self, previous: Snapshot[HostBody] | None) -> Wants:
        """Accelerators, load and disks; whoever else is told by the same look does not wait for them."""
        return Wants(accelerators=True, load=True, disks=self._disks, patience=PATIENCE_S)

    def fold(self, previous: Snapshot[HostBody] | None, seen: Observation, now: Now) -> Snapshot[HostBody]:
        """The snapshot after one more look; a part that could not be read keeps its last value and is named."""
        before = previous.body if previous is not None else HostBody()
        errors = [seen.errors["python"]] if "python" in seen.errors else []  # says itself what it is about
        errors += [f"{part}: {seen.errors[part]}" for part in ("accelerators", "load") if part in seen.errors]
        boot_id = (seen.load.boot_id if seen.load is not None else None) or before.boot_id
        anew = before.boot_id not in ("", boot_id)
        of_boot = HostBody() if anew else before
        told = seen.accelerators
        again = _again(of_boot.accelerators, told)
        failed = told is None or _failed(told)
        devices = None if again or failed else told
        known = _kept(of_boot.accelerators, told) if devices is None else devices
        unread = None
        if told is not None and not failed:
            age = seen.at - told.at if told.at is not None else 0.0
            unread = seen.received - age if told.devices and age > _AS_NEW_S else None
        elif known is not None and known.devices and previous is not None:
            unread = before.unread or previous.seen.received
        cards, gone = _cards(of_boot, devices, seen.received)
        body = HostBody(
            accelerators=known,
            load=seen.load if seen.load is not None else before.load,
            memory=before.memory if again else _longer(before.memory, devices, _memory_share),
            busy=(*before.busy, _busy(seen.load))[-HISTORY:],
            utilisation=before.utilisation if again else _longer(before.utilisation, devices, _busy_share),
            disks=_of_wanted(self._disks, seen.disks) or before.disks,
            skew=_narrowed(before.skew, skew_of(seen)),
            boot_id=boot_id,
            rebooted=_started(seen) if anew else before.rebooted,
            owners=owners(known, self._runs()),
            ghosts=of_boot.ghosts if devices is None else _ghosts(before.accelerators, devices),
            cards=cards,
            gone=gone,
            unread=unread,
        )
        blind = told is None and seen.load is None
        last = previous.seen if blind and previous is not None else Seen(seen.at, seen.received)
        state = State.BLIND if blind else State.RUNNING
        error = "; ".join(errors) or ("nothing was seen of the host" if blind else None)
        return Snapshot(self._name, state, last, Progress(None, None), None, (), (), (), error, body)


def notes(body: HostBody, clock: Callable[[float], str]) -> tuple[str, ...]:
    """What of a host deserves a word, the most surprising first.

    Args:
        body: The host.
        clock: Writes a moment (seconds since the epoch) as people read it, such as "03:12".
    """
    found = []
    if body.rebooted is not None:
        found.append(f"rebooted {clock(body.rebooted)}")
    if body.skew is not None and body.skew.told and abs(body.skew.seconds) >= _WORTH_S:
        off = abs(body.skew.seconds)
        amount = f"{off:.0f}" if off >= 10 else f"{off:.1f}"
        found.append(f"clock {amount} s {'ahead' if body.skew.seconds > 0 else 'behind'}")
    known = body.accelerators
    if known is not None and (known.source == "unknown" or body.unread is not None):
        since = f" since {clock(body.unread)}" if body.unread is not None else ""
        why = f": {known.detail}" if known.source == "unknown" and known.detail else ""
        found.append(f"GPUs unknown{since}{why}")
    elif known is not None and known.detail:  # why there is none, or not all of them, or not all that they tell
        found.append(known.detail)
    found += _lacking(body, clock)
    found += [
        f"{disk.path} is {'full' if not disk.free else 'nearly full'}"
        for disk in body.disks
        if disk.free is not None and disk.total and disk.free < _NEARLY_FULL * disk.total
    ]
    found += [f"GPU {index}: {mib / 1024:.1f} GiB ghost memory, no owner" for index, mib in body.ghosts.items()]
    return tuple(found)


def _again(before: Accelerators | None, told: Accelerators | None) -> bool:
    """Whether a driver that is slow has said nothing since the last look; what that told then confirms nothing."""
    return told is not None and told.at is not None and before is not None and told.at == before.at


def _failed(told: Accelerators) -> bool:
    """Whether nothing is said of any device, nor that there is none."""
    return told.source == "unknown" and not told.devices


def _kept(before: Accelerators | None, told: Accelerators | None) -> Accelerators | None:
    """What is known of the accelerators where a look told of none, and `told` why, if that."""
    if told is None or before is None or not before.devices:
        return told or before
    return replace(before, source=told.source, detail=told.detail, at=told.at)


def _longer(before: _Shares, seen: Accelerators | None, share: Callable[[GpuDevice], float | None]) -> _Shares:
    shares = {device.index: share(device) for device in seen.devices} if seen is not None else dict.fromkeys(before)
    return MappingProxyType({index: (*before.get(index, ()), value)[-HISTORY:] for index, value in shares.items()})


def _memory_share(device: GpuDevice) -> float | None:
    if device.memory_used is None or not device.memory_total:
        return None
    return min(1.0, device.memory_used / device.memory_total)


def _busy_share(device: GpuDevice) -> float | None:
    return None if device.utilisation is None else device.utilisation / 100


def _busy(load: Load | None) -> float | None:
    if load is None or load.averages is None or not load.cores:
        return None
    return load.averages[0] / load.cores


def _of_wanted(wanted: tuple[str, ...], seen: tuple[DiskSeen, ...]) -> tuple[DiskSeen, ...]:
    """Our own disks; a look may have been at those of other monitors too."""
    return tuple(disk for disk in seen if disk.path in wanted)


def _started(seen: Observation) -> float:
    """When the host was started, by our clock; when we saw it, where it does not tell."""
    uptime = seen.load.uptime if seen.load is not None else None
    return seen.received - (uptime or 0.0)


def skew_of(seen: Observation) -> Skew:
    """What one look says of a host's clock: as if it was read halfway, and as sure as the way there is short."""
    unsure = seen.rtt / 2 + (_UNSURE_S if "python" in seen.errors else 0.0)
    return Skew(seen.at - (seen.received - seen.rtt / 2), unsure, seen.received)


def _narrowed(before: Skew | None, now: Skew) -> Skew:
    """What two looks say together.

    Where they contradict each other a clock was set, or our own machine slept during the call: the next look decides,
    and until then nothing is told.
    """
    if before is None:
        return now
    apart = before.uncertainty + _DRIFT * max(0.0, now.at - before.at)
    low = max(now.seconds - now.uncertainty, before.seconds - apart)
    high = min(now.seconds + now.uncertainty, before.seconds + apart)
    if low > high:
        return Skew(now.seconds, abs(now.seconds) + abs(now.seconds - before.seconds) + now.uncertainty + apart, now.at)
    return Skew((low + high) / 2, (high - low) / 2, now.at)


def _cards(before: HostBody, seen: Accelerators | None, at: float) -> tuple[Mapping[str, int], Mapping[str, float]]:
    """Which GPUs the host has had, and which of them are gone; one that does not tell its UUID is not."""
    if seen is None or seen.source == "unknown":
        return before.cards, before.gone
    there = {device.uuid: device.index for device in seen.devices if device.uuid}
    silent = {device.index for device in seen.devices if not device.uuid}
    cards = {**before.cards, **there}
    if len(cards) > _MOST_CARDS:
        cards = there
    missed = [uuid for uuid, index in cards.items() if uuid not in there and index not in silent]
    return MappingProxyType(cards), MappingProxyType({uuid: before.gone.get(uuid, at) for uuid in missed})


def _lacking(body: HostBody, clock: Callable[[float], str]) -> Iterator[str]:
    """A note for each moment at which GPUs went."""
    there = {device.index for device in body.accelerators.devices} if body.accelerators is not None else set()
    for moment in sorted(set(body.gone.values())):
        went = sorted(body.cards[uuid] for uuid, since in body.gone.items() if since == moment)
        names = ("GPUs " if len(went) > 1 else "GPU ") + ", ".join(map(str, went))
        if len(went) == len(body.cards) > 1:
            names = f"all {len(went)} GPUs"
        elif there.intersection(went):  # the others were counted anew
            names = f"what was {names}"
        yield f"{names} {'are' if len(went) > 1 else 'is'} gone since {clock(moment)}"


def _ghosts(before: Accelerators | None, seen: Accelerators) -> Mapping[int, int]:
    """Once is not enough: a process may end between the question for the memory and that for the processes."""
    earlier = {device.index: device.ghost or 0 for device in before.devices} if before is not None else {}
    found = {device.index: min(device.ghost or 0, earlier.get(device.index, 0)) for device in seen.devices}
    return MappingProxyType({index: mib for index, mib in found.items() if mib > GHOST_MIB})
