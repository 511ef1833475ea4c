"""The two records that decide results: `plan.json` and `<stage>/run{k}.json` (spec/calibration.md, section 3).

What decides (stages, repeats, commit, status, metrics, counts) is read exactly, and a wrong type is an error.
What is only shown is read generously: older tools wrote it in other shapes, and a repeat is not lost for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar, Union

from gates.calibration.layout import stage_problem
from gates.documents import Json

Number = Union[int, float]

MAX_REPEATS = 1_000
MAX_CELLS = 200_000

_T = TypeVar("_T")
_EMPTY: Mapping[str, Json] = MappingProxyType({})


class RecordError(ValueError):
    """A record that cannot be used; the message names the key and what would be right."""


@dataclass(frozen=True)
class Plan:
    """What a run set out to do.

    Attributes:
        model: Name of the model's folder below models/.
        stages: Keys of the stages, each once.
        repeats: N of worst-of-N.
        calibration_git_sha: The commit that is calibrated; every artifact has to carry it.
        stages_yaml: Where the manifest lay, relative to the root.
        stages_yaml_sha256: sha256 (hex) of the frozen `stages.yaml`'s bytes; None in old runs.
        reference: The host profile's reference {gpu_model, image, pins} at the start; None in old runs.
        units: The units as they were planned, raw; None in old runs.
        raw: The whole document.
    """

    model: str
    stages: tuple[str, ...]
    repeats: int
    timestamp: str | None = None
    calibration_started_at: str | None = None
    calibration_git_sha: str | None = None
    git_sha: str | None = None
    git_branch: str | None = None
    dirty: bool | None = None
    venv_python: str | None = None
    venv_source: str | None = None
    tune_version: str | None = None
    stages_yaml: str | None = None
    stages_yaml_sha256: str | None = None
    reference: Json = None
    units: Json = None
    raw: Mapping[str, Json] = field(default_factory=lambda: _EMPTY, repr=False)


@dataclass(frozen=True, slots=True)  # there are thousands
class RunRecord:
    """What one repeat of one stage gave.

    Attributes:
        status: "ok" or "failed".
        reason: Why, such as "threshold_assertion (exit 1)"; "" when there is nothing to say.
        metrics: Raw values; None where one could not be read.
        total: Samples that were run, None where unknown.
        ok: Samples that succeeded, None where unknown.
        duration_s: Seconds.
        attempts: How many attempts it took.
        attempt_history: Earlier attempts, raw.
        git_sha: The commit it was observed on.
        destructive: True when the artifact itself says that it must not be used.
        attempt_token: The token of the attempt it was read from; None in old runs.
        odd: Names of shown-only fields that had a shape nobody knows and were left out.
        raw: The whole document.
    """

    status: str
    reason: str = ""
    metrics: Mapping[str, Number | None] = field(default_factory=lambda: MappingProxyType({}))
    total: int | None = None
    ok: int | None = None
    duration_s: float | None = None
    attempts: int | None = None
    attempt_history: tuple[Json, ...] = ()
    gpu_indices: tuple[int, ...] = ()
    git_sha: str | None = None
    recorded_at: str | None = None
    pytest_log: str | None = None
    basetemp: str | None = None
    pytest_rc: int | None = None
    observation_valid: bool | None = None
    allowed_pytest_failure: bool | None = None
    destructive: bool = False
    destructive_evidence: tuple[str, ...] = ()
    block_discarded: bool | None = None
    attempt_token: str | None = None
    odd: tuple[str, ...] = ()
    raw: Mapping[str, Json] = field(default_factory=lambda: _EMPTY, repr=False)


def parse_plan(document: Json) -> Plan:
    """Read plan.json's data.

    Raises:
        RecordError: model, stages or repeats is missing, or something has a wrong type.
    """
    body = _mapping(document)
    model = _need(body, "model", _text, "text")
    if not model:
        raise RecordError("model: expected text, got ''")
    listed = body.get("stages")
    if not isinstance(listed, list) or not listed:
        raise RecordError("stages: expected a list of stage names")
    stages: dict[str, None] = {}
    for number, item in enumerate(listed):
        if not isinstance(item, str):
            raise RecordError(f"stages[{number}]: expected text, got {_shown(item)}")
        problem = stage_problem(item)
        if problem is not None:
            raise RecordError(f"stages[{number}]: a stage's name {problem}")
        stages[item] = None
    repeats = _need(body, "repeats", _whole, "a whole number")
    if not 1 <= repeats <= MAX_REPEATS:
        raise RecordError(f"repeats: expected 1 to {MAX_REPEATS}, got {repeats}")
    if repeats * len(stages) > MAX_CELLS:
        raise RecordError(f"stages x repeats: more than {MAX_CELLS} cells")
    texts = {
        key: _optional(body, key, _text, "text")
        for key in (
            *("timestamp", "calibration_started_at", "calibration_git_sha", "git_sha", "git_branch", "venv_python"),
            *("venv_source", "tune_version", "stages_yaml", "stages_yaml_sha256"),
        )
    }
    return Plan(
        model=model,
        stages=tuple(stages),
        repeats=repeats,
        dirty=_optional(body, "dirty", _boolean, "true or false"),
        reference=body.get("reference"),
        units=body.get("units"),
        raw=body,
        **texts,
    )


def parse_record(document: Json) -> RunRecord:
    """Read one run{k}.json's data.

    Raises:
        RecordError: status, metrics, counts or commit has a wrong type, or a number is not finite.
    """
    body = _mapping(document)
    counts = body.get("sample_counts")
    if counts is None:
        counts = {}
    if not isinstance(counts, dict):
        raise RecordError(f"sample_counts: expected a mapping, got {_shown(counts)}")
    odd: list[str] = []

    def shown(key: str, read: Callable[[Json], _T | None]) -> _T | None:
        value = body.get(key)
        if value is None:
            return None
        found = read(value)
        if found is None:
            odd.append(key)
        return found

    return RunRecord(
        status=_need(body, "status", _text, "text"),
        reason=shown("reason", _text) or "",
        metrics=_metrics(body.get("metrics")),
        total=_count(counts.get("total"), "sample_counts.total"),
        ok=_count(counts.get("ok"), "sample_counts.ok"),
        duration_s=shown("duration_s", _number),
        attempts=shown("attempts", _whole),
        attempt_history=shown("attempt_history", _list) or (),
        gpu_indices=shown("gpu_indices", _whole_numbers) or (),
        git_sha=_optional(body, "git_sha", _text, "text"),
        recorded_at=shown("recorded_at", _text),
        pytest_log=shown("pytest_log", _text),
        basetemp=shown("basetemp", _text),
        pytest_rc=shown("pytest_rc", _whole),
        observation_valid=_optional(body, "observation_valid", _boolean, "true or false"),
        allowed_pytest_failure=_optional(body, "allowed_pytest_failure", _boolean, "true or false"),
        destructive=bool(_optional(body, "destructive", _boolean, "true or false")),
        destructive_evidence=shown("destructive_evidence", _texts) or (),
        block_discarded=shown("block_discarded", _boolean),
        attempt_token=shown("attempt_token", _text),
        odd=tuple(odd),
        raw=body,
    )


def _mapping(document: Json) -> dict[str, Json]:
    if not isinstance(document, dict):
        raise RecordError(f"expected a JSON object, got {_shown(document)}")
    return document


def _metrics(value: Json) -> Mapping[str, Number | None]:
    if not isinstance(value, dict):
        raise RecordError(f"metrics: expected a mapping, got {_shown(value)}")
    found: dict[str, Number | None] = {}
    for key, item in value.items():
        if type(item) is float and math.isfinite(item):
            found[key] = item
            continue
        if item is not None and _number(item) is None:
            raise RecordError(f"metrics.{key[:80]}: expected a finite number or null, got {_shown(item)}")
        found[key] = item if isinstance(item, (int, float)) else None
    return MappingProxyType(found)


def _count(value: Json, key: str) -> int | None:
    if value is None:
        return None
    number = _number(value)
    if number is None or number < 0 or number != int(number):
        raise RecordError(f"{key}: expected a whole number or null, got {_shown(value)}")
    return int(value) if isinstance(value, (int, float)) else None


def _need(body: Mapping[str, Json], key: str, read: Callable[[Json], _T | None], expected: str) -> _T:
    found = read(body.get(key))
    if found is None:
        raise RecordError(f"{key}: expected {expected}, got {_shown(body.get(key))}")
    return found


def _optional(body: Mapping[str, Json], key: str, read: Callable[[Json], _T | None], expected: str) -> _T | None:
    return None if body.get(key) is None else _need(body, key, read, expected)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _boolean(value: Json) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _list(value: Json) -> tuple[Json, ...] | None:
    return tuple(value) if isinstance(value, list) else None


def _texts(value: Json) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _whole_numbers(value: Json) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    found = [item for item in value if isinstance(item, int) and not isinstance(item, bool)]
    return tuple(found) if len(found) == len(value) else None


def _shown(value: Json) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    try:
        shown = repr(value)
    except ValueError:  # an int of more digits than Python prints
        return "a number out of range"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
