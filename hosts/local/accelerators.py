"""What accelerators this machine has and how busy they are: NVML, else nvidia-smi, else none.

Each read opens the driver and closes it again. Holding it open would be cheaper, but scripts that free GPUs
kill whoever holds /dev/nvidia*, and a watcher must neither die of that nor look like a job.
"""

from __future__ import annotations

import os
import pwd
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from hosts.host import Accelerators, GpuDevice, GpuProcess
from hosts.local import nvidia_smi, nvml

_COMMAND = 200  # characters of a command line that travel
_INITIAL_PID_NS = 0xEFFFFFFC  # PROC_PID_INIT_INO: pids here are those that the driver reports
_SPARE = 0.5  # seconds for the worker to notice its own deadline and say so better than we can
_HOLDER = re.compile(r"/dev/nvidia(?:\d+|ctl|-uvm|-caps/.*|-modeset)\Z")
_DRIVER_SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidiactl")


class AcceleratorReader:
    """Reads the accelerators, again and again, and never waits for a driver that hangs.

    A driver that does not answer cannot be interrupted. The thread that waits for it is left behind, and no
    second one is started while it waits.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stuck: threading.Thread | None = None
        self._since = 0.0

    def read(self, timeout: float = 10.0) -> Accelerators:
        """All accelerators of this machine; source "unknown" with a detail where the driver fails or hangs.

        Args:
            timeout: Seconds after which the driver counts as hanging.
        """
        box: list[Accelerators] = []
        with self._lock:
            if self._stuck is not None and self._stuck.is_alive():
                waited = self._clock() - self._since
                return _unknown(f"the GPU driver has not answered for {waited:.0f} s")
            worker = threading.Thread(target=_work, args=(box, timeout), name="accelerators", daemon=True)
            self._stuck, self._since = worker, self._clock()
            worker.start()
        worker.join(timeout + _SPARE)
        return box[0] if box else _unknown(f"the GPU driver did not answer within {timeout:g} s")


def read_accelerators(timeout: float = 10.0) -> Accelerators:
    """One look at the accelerators of this machine; whoever looks often keeps an `AcceleratorReader` instead."""
    return AcceleratorReader().read(timeout)


def device_holders() -> list[int]:
    """The pids of all processes that have an NVIDIA device open, as far as we may look into them."""
    return [int(name) for name in sorted(_listed("/proc"), key=_as_number) if name.isdigit() and _holds(name)]


def _work(box: list[Accelerators], timeout: float) -> None:
    try:
        box.append(_read(timeout))
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it: the error comes back as an answer
        box.append(_unknown(f"the accelerators could not be read: {type(error).__name__}: {error}"))


def _read(timeout: float) -> Accelerators:
    found = nvml.read()
    why = ""
    if isinstance(found, str):
        why = found
        smi = nvidia_smi.read(timeout)
        if smi is None:
            if any(os.path.exists(sign) for sign in _DRIVER_SIGNS):
                return _unknown(f"an NVIDIA driver is loaded, but {why}, and there is no nvidia-smi")
            return Accelerators((), "none")
        found = smi
    return replace(found, devices=tuple(_with_owners(device) for device in found.devices))


def _unknown(detail: str) -> Accelerators:
    return Accelerators((), "unknown", detail=detail)


def _with_owners(device: GpuDevice) -> GpuDevice:
    if not device.processes:
        return device
    return replace(device, processes=tuple(_with_owner(process) for process in device.processes))


def _with_owner(process: GpuProcess) -> GpuProcess:
    """Add owner and command, unless the pid means another process here than it does to the driver."""
    name = str(process.pid)
    if not _counts_like_the_driver() and not _holds(name):
        return process
    return replace(process, owner=_owner(name), command=_command(name))


def _counts_like_the_driver() -> bool:
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NS
    except OSError:
        return False


def _owner(pid: str) -> str | None:
    # Not the owner of /proc/PID: that is root for a process that may not be dumped
    for line in _text(f"/proc/{pid}/status").splitlines():
        if line.startswith("Uid:"):
            uid = int(line.split()[1])
            try:
                return pwd.getpwuid(uid).pw_name
            except KeyError:
                return str(uid)
    return None


def _command(pid: str) -> str | None:
    words = _text(f"/proc/{pid}/cmdline").rstrip("\0").replace("\0", " ")
    return (words or _text(f"/proc/{pid}/comm").strip())[:_COMMAND] or None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(1 << 14)
    except OSError:
        return ""


def _holds(pid: str) -> bool:
    folder = f"/proc/{pid}/fd"
    for name in _listed(folder):
        try:
            if _HOLDER.match(os.readlink(f"{folder}/{name}")):
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # gone, or not ours to look into
        return []


def _as_number(name: str) -> int:
    return int(name) if name.isdigit() else -1
