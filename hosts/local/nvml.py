"""NVML through the `pynvml` module, where it can be imported; "not supported" is a value, not an error."""

from __future__ import annotations

import contextlib
import importlib
import re
import warnings
from collections.abc import Callable
from typing import Any, Union

from hosts.host import Accelerators, GpuDevice, GpuProcess, MigDevice
from hosts.local import bounds

# Error numbers of nvml.h
_NOT_SUPPORTED = 3
_NO_PERMISSION = 4
_NOT_FOUND = 6
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
_VERSION_MISMATCH = 25
_DEPRECATED = 26
_NOT_TOLD = frozenset({_NOT_SUPPORTED, _NO_PERMISSION, _NOT_FOUND, _FUNCTION_NOT_FOUND, _VERSION_MISMATCH, _DEPRECATED})

_TEMPERATURE_GPU = 0
_MIB = 1 << 20
_MOST_DEVICES = 256
_MOST_PROCESSES = 4096
_MOST_MIG = 64
# Every process that can hold memory is in one of these lists; the third is that of MPS clients. A driver that is too
# old for the form of a list that pynvml asks for may have the one before.
_OLDER = "_v2"
_LISTS = (
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetGraphicsRunningProcesses",
    "nvmlDeviceGetMPSComputeRunningProcesses",
)
_PROFILE = re.compile(r" MIG (\S+)\Z")


def read() -> Union[Accelerators, str]:
    """Open NVML, read every device, close it.

    Returns:
        The accelerators, with source "unknown" where the driver fails; or, as text, why NVML cannot be asked
        at all, and another way has to be tried.
    """
    module = _import()
    if isinstance(module, str):
        return module
    try:
        module.nvmlInit()
    except module.NVMLError as error:
        if _number(error) == _LIBRARY_NOT_FOUND:
            return "the NVML library is missing"
        return Accelerators((), "unknown", detail=f"NVML: {_say(error)}")
    try:
        return _Reader(module).read()
    finally:
        with contextlib.suppress(module.NVMLError):  # a driver that is gone has nothing to close; what was read stands
            module.nvmlShutdown()


def _import() -> Any:
    """The module, or in words why there is none.

    By name, because it is no dependency of a module that travels; and in silence, because the old package of
    that name warns when it is imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module("pynvml")
    except ImportError:
        return "pynvml is not installed"
    except Exception as error:  # noqa: BLE001 - a broken installation raises anything, and nvidia-smi may still work
        return f"pynvml cannot be imported ({type(error).__name__}: {error})"
    if not all(hasattr(module, name) for name in ("NVMLError", "nvmlInit", "nvmlShutdown")):
        return "the module called pynvml is not NVIDIA's"
    return module


class _Reader:
    """One read of an opened NVML; collects what went wrong on the way."""

    def __init__(self, module: Any) -> None:
        self._nvml = module
        # No NVMLError: what some functions of newer versions raise instead of "function not found".
        self._mismatch: type[Exception] = getattr(module, "NVMLLibraryMismatchError", module.NVMLError)
        self._faults: dict[str, None] = {}

    def read(self) -> Accelerators:
        driver = _string(self._ask("driver", "nvmlSystemGetDriverVersion"))
        cuda = self._ask("driver", "nvmlSystemGetCudaDriverVersion_v2")
        count = self._ask("driver", "nvmlDeviceGetCount")
        devices = tuple(self._device(index) for index in range(min(count or 0, _MOST_DEVICES)))
        source = "unknown" if count is None else "nvml" if devices else "none"
        if source == "none":
            self._faults["the driver is loaded and sees no GPU"] = None
        elif source == "unknown" and not self._faults:
            self._faults["NVML does not tell how many GPUs there are"] = None
        return Accelerators(devices, source, driver, _cuda(cuda), "; ".join(self._faults))

    def _device(self, index: int) -> GpuDevice:
        who = f"GPU {index}"
        handle = self._ask(who, "nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            return GpuDevice(index, None, None, None, None, None)
        used, total = self._memory(who, handle)
        rates = self._ask(who, "nvmlDeviceGetUtilizationRates", handle)
        processes, whole = self._processes(who, handle)
        return GpuDevice(
            index,
            _string(self._ask(who, "nvmlDeviceGetName", handle)),
            _string(self._ask(who, "nvmlDeviceGetUUID", handle)),
            used,
            total,
            None if rates is None else bounds.percent(rates.gpu),
            bounds.celsius(self._ask(who, "nvmlDeviceGetTemperature", handle, _TEMPERATURE_GPU)),
            self._watts(who, "nvmlDeviceGetPowerUsage", handle),
            processes,
            self._watts(who, "nvmlDeviceGetEnforcedPowerLimit", handle),
            self._mig(who, handle),
            bounds.unowned(used, processes) if whole else None,
        )

    def _watts(self, who: str, name: str, handle: Any) -> float | None:
        milliwatts = self._ask(who, name, handle)
        return None if milliwatts is None else bounds.watts(milliwatts / 1000)

    def _mig(self, who: str, handle: Any) -> tuple[MigDevice, ...]:
        mode = self._ask(who, "nvmlDeviceGetMigMode", handle)
        if not mode or not mode[0]:
            return ()
        most = self._ask(who, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0
        found = []
        for index in range(min(most, _MOST_MIG)):  # places of which some are empty
            part = self._ask(who, "nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
            if part is None:
                continue
            name = _string(self._ask(who, "nvmlDeviceGetName", part))
            profile = _PROFILE.search(name or "")
            used, total = self._memory(who, part)
            uuid = _string(self._ask(who, "nvmlDeviceGetUUID", part))
            found.append(MigDevice(index, uuid, profile[1] if profile else name, used, total))
        return tuple(found)

    def _memory(self, who: str, handle: Any) -> tuple[int | None, int | None]:
        """Used and total MiB. Version 2 first: like nvidia-smi, it leaves the driver's own reserve out of `used`."""
        version = getattr(self._nvml, "nvmlMemory_v2", None)
        info = self._ask(who, "nvmlDeviceGetMemoryInfo", handle, version) if version is not None else None
        if info is None:
            info = self._ask(who, "nvmlDeviceGetMemoryInfo", handle)
        if info is None:
            return None, None
        used, total = bounds.mebibytes(info.used // _MIB), bounds.mebibytes(info.total // _MIB)
        return (None, None) if used is None or total is None or used > total else (used, total)

    def _processes(self, who: str, handle: Any) -> tuple[tuple[GpuProcess, ...] | None, bool]:
        """The processes, None where NVML does not tell; and whether these are all, and all they use."""
        lists = [self._list(who, name, handle) for name in _LISTS]
        if lists[0] is None:
            return None, False
        memory: dict[int, int | None] = {}
        for listed in lists:  # one that computes and draws is in two of them, with the same figure
            for pid, mib in _summed(listed or ()).items():
                memory[pid] = mib if pid not in memory else _larger(memory[pid], mib)
        whole = all(
            listed is not None
            and len(listed) <= _MOST_PROCESSES
            and all(bounds.pid(entry.pid) is not None for entry in listed)
            for listed in lists
        )
        return tuple(GpuProcess(pid, mib) for pid, mib in sorted(memory.items())), whole

    def _list(self, who: str, name: str, handle: Any) -> Any:
        listed = self._ask(who, name, handle)
        return self._ask(who, name + _OLDER, handle) if listed is None else listed

    def _ask(self, who: str, name: str, *args: Any) -> Any:
        """Call one NVML function; None where it is not supported, and None with a fault noted where it fails."""
        function: Callable[..., Any] | None = getattr(self._nvml, name, None)
        if function is None:
            return None
        try:
            return function(*args)
        except self._nvml.NVMLError as error:
            if _number(error) not in _NOT_TOLD:
                self._faults[f"{who}: {_say(error)}"] = None
        except (TypeError, self._mismatch):  # an older pynvml, without this parameter; an older driver
            pass
        return None


def _summed(listed: Any) -> dict[int, int | None]:
    memory: dict[int, int | None] = {}
    for entry in listed[:_MOST_PROCESSES]:  # a process stands once for each MIG slice that it uses
        pid = bounds.pid(entry.pid)
        if pid is None:
            continue
        used = getattr(entry, "usedGpuMemory", None)
        mib = None if used is None else bounds.mebibytes(used // _MIB)
        before = memory.get(pid, 0)
        memory[pid] = None if mib is None or before is None else before + mib
    return memory


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _number(error: Any) -> int | None:
    value = getattr(error, "value", None)
    return value if isinstance(value, int) else None


def _say(error: Any) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _string(value: Any) -> str | None:
    if isinstance(value, bytes):  # pynvml before 11.5
        value = value.decode("utf-8", "replace")
    return value[: bounds.NAME_LIMIT] if isinstance(value, str) and value else None


def _cuda(value: Any) -> str | None:
    return f"{value // 1000}.{value % 1000 // 10}" if isinstance(value, int) and 1000 <= value < 1_000_000 else None
