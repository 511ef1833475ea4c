"""What accelerators this machine has and how busy they are: NVML, else nvidia-smi, else none.

Each read opens the driver and closes it again. Holding it open would be cheaper, but scripts that free GPUs
kill whoever holds /dev/nvidia*, and a watcher must neither die of that nor look like a job.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from hosts.host import Accelerators
from hosts.local import nvml
from hosts.local.gpu_owners import counts_like_the_driver, with_owners
from hosts.local.nvidia_smi import NvidiaSmi

_SPARE = 0.5  # seconds for the worker to notice its own deadline and say so better than we can
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
        self._smi = NvidiaSmi()

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
            worker = threading.Thread(target=_work, args=(box, self._smi, timeout), name="accelerators", daemon=True)
            self._stuck, self._since = worker, self._clock()
            worker.start()
        worker.join(timeout + _SPARE)
        return box[0] if box else _unknown(f"the GPU driver did not answer within {timeout:g} s")


def read_accelerators(timeout: float = 10.0) -> Accelerators:
    """One look at the accelerators of this machine; whoever looks often keeps an `AcceleratorReader` instead."""
    return AcceleratorReader().read(timeout)


def _work(box: list[Accelerators], tool: NvidiaSmi, timeout: float) -> None:
    try:
        box.append(_read(tool, timeout))
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it: the error comes back as an answer
        box.append(_unknown(f"the accelerators could not be read: {type(error).__name__}: {error}"))


def _read(tool: NvidiaSmi, timeout: float) -> Accelerators:
    found = nvml.read()
    why = ""
    if isinstance(found, str):
        why = found
        smi = tool.read(timeout, further=counts_like_the_driver())
        if smi is None:
            if any(os.path.exists(sign) for sign in _DRIVER_SIGNS):
                return _unknown(f"an NVIDIA driver is loaded, but {why}, and there is no nvidia-smi")
            return Accelerators((), "none")
        found = smi
    return replace(found, devices=with_owners(found.devices))


def _unknown(detail: str) -> Accelerators:
    return Accelerators((), "unknown", detail=detail)
