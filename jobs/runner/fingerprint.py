"""What a calibration ran on: asked of the interpreter that runs pytest, without importing what it has installed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence

from hosts.errors import InputError
from hosts.host import Accelerators, Json
from hosts.local import strictjson

PINS: tuple[str, ...] = ("torch", "sglang", "flashinfer-python")
IMAGE_VARIABLE = "GATEWATCH_IMAGE"
CACHE_VARIABLES: tuple[str, ...] = ("HOME", "HF_HOME", "OMNI_CI_HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR")
_TIMEOUT_S = 60.0
# Python 3.8 reads this; the versions come from metadata, since importing torch takes seconds and may fail. Importing
# all of pytest takes a third of a second of a core at every start; its version lies in a module of its own, and what it
# cannot do without is in its metadata. One that has none is imported.
_PROBE = """
import json, os, platform, re, sys
try:
    from importlib import metadata
except ImportError:
    metadata = None
def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None
def there(name):
    try:
        import importlib.util
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False
def lacks(requirement):
    text, _, marker = requirement.partition(";")
    older = re.match(r"python_version *< *.([0-9]+)[.]([0-9]+).$", marker.strip())
    if marker.strip() and not (older and sys.version_info[:2] < tuple(map(int, older.groups()))):
        return False
    name = re.match("[A-Za-z0-9._-]*", text.strip()).group()
    return not there(re.sub("[-.]", "_", name.lower())) and version(name) is None
def runs():
    try:
        needed = metadata.requires("pytest")
    except Exception:
        needed = None
    if needed is not None:
        return not any(map(lacks, needed))
    try:
        import pytest
    except (Exception, SystemExit):
        return False
    return True
try:
    from _pytest import __version__ as has
except Exception:
    has = None
if not (there("pytest") and there("pluggy") and runs()):
    has = None
v = sys.implementation.version
full = "%d.%d.%d" % v[:3] + ("" if v[3] == "final" else v[3][0] + str(v[4]))
print("\\n" + json.dumps({"python": platform.python_version(), "pytest": has, "pip": there("pip"),
    "pins": {name: version(name) for name in sys.argv[1:]},
    "markers": {"os_name": os.name, "sys_platform": sys.platform, "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(), "platform_release": platform.release(),
        "platform_system": platform.system(), "platform_version": platform.version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "python_full_version": platform.python_version(), "implementation_name": sys.implementation.name,
        "implementation_version": full}}))
"""


def fingerprint(
    venv_python: str, environment: Mapping[str, str], accelerators: Accelerators, pins: Sequence[str] = ()
) -> dict[str, Json]:
    """The environment of a run (spec/calibration.md, section 5, third gate).

    Args:
        venv_python: The interpreter that runs pytest.
        environment: The environment that it gets.
        pins: Further distributions whose versions matter.

    Raises:
        InputError: The interpreter is not there, does not run, or has no pytest.
    """
    said = probe(venv_python, environment, fingerprinted(pins))
    if said.get("pytest") is None:
        raise InputError(f"venv python {venv_python} has no pytest; install it there")
    return fingerprint_of(said, environment, accelerators, pins)


def fingerprinted(pins: Sequence[str]) -> tuple[str, ...]:
    """The distributions whose versions a fingerprint holds."""
    return tuple(dict.fromkeys((*PINS, *pins)))


def fingerprint_of(
    said: Mapping[str, Json], environment: Mapping[str, str], accelerators: Accelerators, pins: Sequence[str] = ()
) -> dict[str, Json]:
    """The fingerprint of an interpreter that was asked (`probe`) for `fingerprinted(pins)` at least."""
    found = said.get("pins")
    names = {device.name for device in accelerators.devices}
    known = accelerators.source in ("nvml", "nvidia-smi", "none")
    return {
        "hostname": platform.node(),
        "image": os.environ.get(IMAGE_VARIABLE),
        "gpu_model": next(iter(names))
        if len(names) == 1
        else None
        if not names
        else ", ".join(sorted(map(str, names))),
        "gpu_count": len(accelerators.devices) if known else None,
        "driver": accelerators.driver,
        "cuda": accelerators.cuda,
        "python": said.get("python"),
        "pins": {name: found.get(name) for name in fingerprinted(pins)} if isinstance(found, dict) else found,
        "cache_paths": {name: environment.get(name) for name in CACHE_VARIABLES},
    }


def probe(venv_python: str, environment: Mapping[str, str], pins: Sequence[str]) -> dict[str, Json]:
    """Ask an interpreter for its version, its pytest and some distributions' versions.

    Returns:
        {python, pytest (None without one), pip: whether it has pip, pins: {name: version or None}, markers: the
        variables that PEP 508 markers are evaluated with}.

    Raises:
        InputError: It is not there, or does not run.
    """
    if not os.path.isfile(venv_python) or not os.access(venv_python, os.X_OK):
        raise InputError(f"venv python {venv_python} does not exist or cannot be executed; pass --venv-python")
    try:
        answer = subprocess.run(
            [venv_python, "-c", _PROBE, *pins],
            env=dict(environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"venv python {venv_python} does not run: {error}") from error
    lines = answer.stdout.decode("utf-8", "replace").strip().splitlines()
    if answer.returncode != 0 or not lines:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(f"venv python {venv_python} does not run: {said[-1] if said else f'exit {answer.returncode}'}")
    try:
        body = strictjson.loads(lines[-1], "its answer")
    except InputError as error:
        raise InputError(f"venv python {venv_python} does not answer as a Python does: {error}") from error
    return body if isinstance(body, dict) else {}
