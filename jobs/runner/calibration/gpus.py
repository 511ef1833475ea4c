"""The GPU gate: which GPUs a launch gets, and when they count as clear (spec/calibration.md, section 4)."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hosts.errors import GatewatchError
from hosts.host import Accelerators, GpuDevice, Json
from hosts.local.leases import Lease, holder_of, is_held, lease_directory, lease_gpus, lease_name
from jobs.runner.calibration.job import GpuRules


class GpuWaitError(GatewatchError):
    """The GPUs did not become clear in time; `final` when waiting longer cannot help."""

    code = 1

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True)
class GpuGrant:
    """GPUs that a launch may use: their indices, the CPUs that go with them, and the leases to pass on."""

    indices: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()
    leases: tuple[Lease, ...] = field(default=(), repr=False)

    def close(self) -> None:
        """Drop our own handles on the leases."""
        for lease in self.leases:
            lease.close()


def busy_reason(device: GpuDevice, limit_mib: int) -> str | None:
    """Why this GPU is not clear, or None when it is: at most `limit_mib` used and no compute process."""
    if device.memory_used is None:
        return f"GPU {device.index}: memory in use is unknown"
    holders = device.processes or ()
    if holders:
        named = ", ".join(f"pid {item.pid} ({item.owner or 'unknown owner'})" for item in holders[:4])
        return f"GPU {device.index}: {device.memory_used} MiB, held by {named}"
    if device.memory_used > limit_mib:
        return f"GPU {device.index}: {device.memory_used} MiB used, at most {limit_mib} allowed, no owner visible"
    return None


def unclear(seen: Accelerators, indices: Sequence[int], limit_mib: int) -> list[str]:
    """Why those of these GPUs are not clear that are not; what cannot be seen may be used by anybody."""
    devices = {device.index: device for device in seen.devices}
    gone = seen.detail or "it is gone"
    reasons = (
        busy_reason(devices[index], limit_mib) if index in devices else f"GPU {index} cannot be seen: {gone}"
        for index in indices
    )
    return [reason for reason in reasons if reason is not None]


def usable(accelerators: Accelerators, rules: GpuRules) -> list[GpuDevice]:
    """The devices that configuration lets us use."""
    return [
        device
        for device in accelerators.devices
        if device.index not in rules.exclude and (rules.include is None or device.index in rules.include)
    ]


def choices(
    offered: Sequence[GpuDevice], clear: Sequence[GpuDevice], need: int, rules: GpuRules
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All (indices, CPUs) that would serve now.

    Where configuration has cpuset groups of the right size, only one of these as a whole: GPUs from two groups
    are another machine, so a group is waited for. Otherwise the first clear GPUs.

    Args:
        offered: The devices that configuration lets us use; a group with any other one does not count.
        clear: Those of them that nobody uses.
    """
    allowed = {device.index for device in offered}
    present = {device.index for device in clear}
    groups = [(parse_numbers(gpus), parse_numbers(cpus)) for gpus, cpus in (rules.cpusets or {}).items()]
    fitting = [(indices, cpus) for indices, cpus in groups if len(indices) == need and set(indices) <= allowed]
    if fitting:
        return [(indices, cpus) for indices, cpus in fitting if set(indices) <= present]
    first = tuple(sorted(present))[:need]
    return [(first, ())] if len(first) == need else []


def acquire_gpus(
    need: int,
    rules: GpuRules,
    read: Callable[[], Accelerators],
    holder: Mapping[str, Json],
    wait: Callable[[float, str], None],
    clock: Callable[[], float],
    poll_s: float = 2.0,
) -> GpuGrant:
    """Wait until `need` GPUs are clear and leased, look again after the settling time, and grant them.

    Args:
        read: The accelerators now.
        holder: What the lease file says of us.
        wait: Sleeps so many seconds and shows the reason; raises when the run is to end.
        clock: Monotonic seconds.

    Raises:
        GpuWaitError: There are not enough GPUs at all, or they did not become clear within `rules.wait_s`.
    """
    if need == 0:
        return GpuGrant()
    end = clock() + rules.wait_s
    while True:
        seen = read()
        grant = _try_grant(seen, need, rules, holder)
        if isinstance(grant, GpuGrant):
            try:
                wait(rules.settle_s, "")
                reasons = unclear(read(), grant.indices, rules.limit_mib)
            except BaseException:
                grant.close()
                raise
            if not reasons:
                return grant
            grant.close()
            grant = reasons[0]
        if clock() >= end:
            raise GpuWaitError(f"GPUs not clear after {rules.wait_s:.0f} s: {grant}")
        wait(poll_s, grant)


def _try_grant(seen: Accelerators, need: int, rules: GpuRules, holder: Mapping[str, Json]) -> GpuGrant | str:
    devices = usable(seen, rules)
    if len(devices) < need:
        if seen.source == "unknown":
            return f"the GPUs cannot be read: {seen.detail}"
        said = f"; {seen.detail}" if seen.detail else ""
        raise GpuWaitError(f"{need} GPUs needed, this host offers {len(devices)} ({seen.source}){said}", final=True)
    reasons = {device.index: busy_reason(device, rules.limit_mib) for device in devices}
    names = {device.index: device.uuid or str(device.index) for device in devices}
    directory = lease_directory(os.environ)
    for device in devices:
        lease = directory / lease_name(names[device.index])
        if reasons[device.index] is None and is_held(lease):
            reasons[device.index] = f"GPU {device.index} is leased by {holder_of(lease)}"
    clear = [device for device in devices if reasons[device.index] is None]
    refusal = "; ".join(reason for reason in reasons.values() if reason) or "no group of GPUs is clear as a whole"
    for indices, cpus in choices(devices, clear, need, rules):
        leases = lease_gpus(directory, [names[index] for index in indices], holder)
        if not isinstance(leases, str):
            return GpuGrant(indices, _allowed(cpus), tuple(leases))
        refusal = leases
    return refusal


def parse_numbers(text: str) -> tuple[int, ...]:
    """Read "0,1" or "0-15,64-79" as the kernel writes CPU lists.

    Raises:
        ValueError: It is something else.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        found.extend(range(int(first), int(last) + 1) if dash else [int(first)])
    return tuple(found)


def user_name() -> str:
    """Who we are, for lease files."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _allowed(cpus: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(set(cpus) & os.sched_getaffinity(0))) if cpus else ()
