"""The request that a runner works on: `.gatewatch/job.json`, written once by the start verb.

It holds what plan.json has no place for: how each unit is launched and within which limits. It is ours alone,
so it is read strictly and without forgiveness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson

DEFAULT_MAX_PASSES = 10
MAX_ATTEMPTS = 4
GPU_LIMIT_MIB = 2048
GPU_WAIT_S = 600.0
GPU_SETTLE_S = 3.0


@dataclass(frozen=True)
class UnitJob:
    """One pytest invocation that feeds `stages`.

    Attributes:
        key: Folder name below `_pytest/`.
        test: Test file relative to the repository.
        args: Further arguments for pytest.
        env: The test's, preset's and variant's environment.
        gpus: How many GPUs it needs; 0 is allowed.
        timeout_s: Longest that one pytest may take.
        stall_s: Longest silence of its log.
    """

    key: str
    test: str
    stages: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, str]
    gpus: int
    timeout_s: float
    stall_s: float


@dataclass(frozen=True)
class GpuRules:
    """Which GPUs may be used and when one counts as clear (spec/calibration.md, section 4)."""

    include: tuple[int, ...] | None = None
    exclude: tuple[int, ...] = ()
    cpusets: Mapping[str, str] | None = None
    limit_mib: int = GPU_LIMIT_MIB
    wait_s: float = GPU_WAIT_S
    settle_s: float = GPU_SETTLE_S


@dataclass(frozen=True)
class Job:
    """Everything a runner needs beside plan.json and the frozen stages.yaml.

    Attributes:
        repo: Absolute path of the repository: pytest's working directory.
        venv_python: The interpreter that runs pytest.
        overlay: Environment over the shell's, for every unit.
        units: In the order in which they run.
        cold_paths: Folders that are emptied before every launch, below OMNI_CI_HOME only; None for the default.
        startup_warn_s: Seconds after which a start-up counts as slow.
        settings: Folders of the checkout (relative to the repository) that hold our own configuration;
            a change there does not change what is measured.
        take_over: Consent to take a lock that cannot be judged from here.
        head: The commit that was found to be the calibration's, or its equal, at this start; "" where nobody looked.
    """

    repo: str
    venv_python: str
    overlay: Mapping[str, str]
    units: tuple[UnitJob, ...]
    max_passes: int = DEFAULT_MAX_PASSES
    max_attempts: int = MAX_ATTEMPTS
    gpu: GpuRules = GpuRules()
    cold_paths: tuple[str, ...] | None = None
    startup_warn_s: float = 60.0
    settings: tuple[str, ...] = ()
    take_over: bool = False
    head: str = ""

    def to_json(self) -> Json:
        """This job as JSON data; `parse_job` reads it back."""
        return strictjson.loads(strictjson.dumps(asdict(self)), "job")  # tuples become lists, mappings plain


def read_job(path: Path) -> Job:
    """Read `.gatewatch/job.json`.

    Raises:
        InputError: It is missing, or not a job of this version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; this run cannot be resumed by gatewatch") from error
    return parse_job(strictjson.loads(data, str(path)))


def parse_job(body: Json) -> Job:
    """Read a job from JSON data.

    Raises:
        InputError: A key is missing or has the wrong type; the message names it.
    """
    if not isinstance(body, dict):
        raise InputError("job: expected an object")
    units = body.get("units")
    if not isinstance(units, list) or not units:
        raise InputError("job.units: expected a list with at least one unit")
    return Job(
        repo=_text(body, "repo"),
        venv_python=_text(body, "venv_python"),
        overlay=_texts(body, "overlay"),
        units=tuple(_unit(item, f"units[{index}]") for index, item in enumerate(units)),
        max_passes=int(_number(body, "max_passes", DEFAULT_MAX_PASSES)),
        max_attempts=int(_number(body, "max_attempts", MAX_ATTEMPTS)),
        gpu=parse_gpu(body.get("gpu", {})),
        cold_paths=None if body.get("cold_paths") is None else _list(body, "cold_paths"),
        startup_warn_s=_number(body, "startup_warn_s", 60.0),
        settings=_list(body, "settings"),
        take_over=body.get("take_over") is True,
        head=_text(body, "head") if body.get("head") else "",
    )


def _unit(body: Json, where: str) -> UnitJob:
    if not isinstance(body, dict):
        raise InputError(f"job.{where}: expected an object")
    return UnitJob(
        key=_text(body, "key"),
        test=_text(body, "test"),
        stages=_list(body, "stages"),
        args=_list(body, "args"),
        env=_texts(body, "env"),
        gpus=int(_number(body, "gpus", 0)),
        timeout_s=_number(body, "timeout_s", 7200.0),
        stall_s=_number(body, "stall_s", 1800.0),
    )


def parse_gpu(body: Json) -> GpuRules:
    """Read the rules for GPUs from JSON data.

    Raises:
        InputError: A key has the wrong type.
    """
    if not isinstance(body, dict):
        raise InputError("job.gpu: expected an object")
    return GpuRules(
        include=None if body.get("include") is None else _numbers(body, "include"),
        exclude=_numbers(body, "exclude"),
        cpusets=None if body.get("cpusets") is None else _texts(body, "cpusets"),
        limit_mib=int(_number(body, "limit_mib", GPU_LIMIT_MIB)),
        wait_s=_number(body, "wait_s", GPU_WAIT_S),
        settle_s=_number(body, "settle_s", GPU_SETTLE_S),
    )


def _numbers(body: Mapping[str, Json], key: str) -> tuple[int, ...]:
    items = _items(body, key)
    if not all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        raise InputError(f"job.{key}: expected a list of whole numbers")
    return tuple(int(item) for item in items if isinstance(item, int))


def _text(body: Mapping[str, Json], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"job.{key}: expected text")
    return value


def _texts(body: Mapping[str, Json], key: str) -> dict[str, str]:
    value = body.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InputError(f"job.{key}: expected names with text values")
    return {name: str(item) for name, item in value.items()}


def _items(body: Mapping[str, Json], key: str) -> list[Json]:
    value = body.get(key, [])
    if not isinstance(value, list):
        raise InputError(f"job.{key}: expected a list")
    return value


def _list(body: Mapping[str, Json], key: str) -> tuple[str, ...]:
    items = _items(body, key)
    if not all(isinstance(item, str) for item in items):
        raise InputError(f"job.{key}: expected a list of text")
    return tuple(str(item) for item in items)


def _number(body: Mapping[str, Json], key: str, default: float) -> float:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise InputError(f"job.{key}: expected a number that is not negative")
    return float(value)
