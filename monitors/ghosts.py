"""Memory of a GPU that nobody owns, where a host is looked at only for a moment."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from hosts.errors import GatewatchError
from hosts.host import Accelerators, HostReader, Observation, Wants
from monitors.host import GHOST_MIB


async def surely_seen(reader: HostReader, deadline: float) -> Observation:
    """A look at a host's accelerators and load, and where memory has no owner, a second one at the accelerators.

    Args:
        reader: The way there.
        deadline: Seconds that each look may take.

    Raises:
        UnreachableError, InputError: As the first look does; of a second one that fails, nothing is taken.
    """
    seen = await reader.observe(Wants(accelerators=True, load=True), None, deadline)
    told = seen.accelerators
    if told is None or all((device.ghost or 0) <= GHOST_MIB for device in told.devices):
        return seen
    again = None
    with contextlib.suppress(GatewatchError):
        again = (await reader.observe(Wants(accelerators=True), None, deadline)).accelerators
    return replace(seen, accelerators=confirmed(told, again))


def confirmed(first: Accelerators, again: Accelerators | None) -> Accelerators:
    """The newer of two looks, with no more memory without an owner than both of them found.

    Once is not enough: a process may end between the question for the memory and that for the processes. Where the
    second look says nothing of a GPU, what it has without an owner is unknown.
    """
    newest = again if again is not None and again.devices else first
    second = {device.index: device.ghost for device in again.devices} if again is not None else {}
    before = {device.index: device.ghost for device in first.devices}
    devices = []
    for device in newest.devices:
        one, two = before.get(device.index), second.get(device.index)
        devices.append(replace(device, ghost=None if one is None or two is None else min(one, two)))
    return replace(newest, devices=tuple(devices))
