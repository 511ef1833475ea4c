"""From pytest's result files to a stage's values (spec/calibration.md, sections 1 and 4)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Union

from gates.calibration.records import Number
from gates.calibration.schema import Locator, Stage
from gates.documents import Broken, Document, Json

LENGTH = "__len__"


@dataclass(frozen=True)
class Missing:
    """A value that is not there, and why."""

    why: str


@dataclass(frozen=True)
class MissingValue:
    """One value of a stage that could not be read.

    Attributes:
        file: The result file it was looked for in, None when no file is configured.
        key: The metric's key, or "sample_counts.total" and the like.
        why: Such as "summary.accuracy is not there".
    """

    file: str | None
    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.key}: {self.file}: {self.why}" if self.file else f"{self.key}: {self.why}"


@dataclass(frozen=True)
class Extraction:
    """What one attempt gave for one stage.

    Attributes:
        metrics: Every metric of the stage; None where it could not be read.
        total: Samples that were run; None where unknown or not asked.
        ok: Samples that succeeded; None where unknown or not asked.
        observation_valid: What the test says of its own observation; None where it is not asked or not said.
        allowed_pytest_failure: Whether a failing pytest is an observation all the same; None as above.
        missing: What should be there and is not; empty for a stage that is fully read.
        counts_asked: False for a docs stage.
        allowed_asked: True when the stage names an allowed_pytest_failure.
    """

    metrics: Mapping[str, Number | None]
    total: int | None
    ok: int | None
    observation_valid: bool | None
    allowed_pytest_failure: bool | None
    missing: tuple[MissingValue, ...]
    counts_asked: bool = True
    allowed_asked: bool = False


Found = Union[Json, Missing]


def json_files(stages: Iterable[Stage]) -> tuple[str, ...]:
    """The result files that these stages' values come from, relative to basetemp, sorted."""
    return tuple(sorted({locator.json_file for stage in stages for locator in stage.locators()}))


def read_locator(documents: Mapping[str, Document], locator: Locator) -> Found:
    """Read one value.

    Args:
        documents: Parsed result files by path relative to basetemp; one that is not in it is not there.
        locator: Where to look. The parts of its dotted path are keys of mappings or indices of lists; a key
            that itself has dots in it is found too, when the plain reading finds nothing. A last part `__len__` is a
            length.

    Returns:
        The value, whatever it is, or why there is none.
    """
    if locator.json_file not in documents:
        return Missing("the file is not there")
    document = documents[locator.json_file]
    if isinstance(document, Broken):
        return Missing(document.reason)
    return _walk(document, tuple(locator.json_path.split(".")), locator.json_path)


def read_number(documents: Mapping[str, Document], locator: Locator) -> Number | Missing:
    """Read one finite number; a boolean is none, and neither is a text that looks like one."""
    found = read_locator(documents, locator)
    if isinstance(found, Missing):
        return found
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return Missing(f"{locator.json_path} is {_kind(found)}, not a number")
    try:
        finite = math.isfinite(float(found))
    except OverflowError:
        finite = False
    return found if finite else Missing(f"{locator.json_path} is not finite")


def read_count(documents: Mapping[str, Document], locator: Locator) -> int | Missing:
    """Read one whole number that is not negative; 50.0 is 50."""
    found = read_number(documents, locator)
    if isinstance(found, Missing):
        return found
    if found < 0 or found != int(found):
        return Missing(f"{locator.json_path} is {found}, not a whole number")
    return int(found)


def extract(stage: Stage, documents: Mapping[str, Document]) -> Extraction:
    """Read everything that a stage asks for."""
    missing: list[MissingValue] = []
    metrics: dict[str, Number | None] = {}
    for metric in stage.metrics:
        value = (
            read_number(documents, metric.locator)
            if metric.locator
            else Missing("no json_file and json_path are configured")
        )
        if isinstance(value, Missing):
            missing.append(MissingValue(metric.locator.json_file if metric.locator else None, metric.key, value.why))
            metrics[metric.key] = None
        else:
            metrics[metric.key] = value
    counts: dict[str, int | None] = {"total": None, "ok": None}
    for name in counts:
        if stage.is_docs:
            continue
        if stage.sample_counts is None:
            missing.append(MissingValue(None, f"sample_counts.{name}", "no json_file and json_path are configured"))
            continue
        locator = stage.sample_counts.total if name == "total" else stage.sample_counts.ok
        count = read_count(documents, locator)
        if isinstance(count, Missing):
            missing.append(MissingValue(locator.json_file, f"sample_counts.{name}", count.why))
        else:
            counts[name] = count
    valid: bool | None = None
    if stage.observation_validity is not None:
        answer = _read_boolean(documents, stage.observation_validity)
        if isinstance(answer, Missing):
            missing.append(MissingValue(stage.observation_validity.json_file, "observation_validity", answer.why))
        else:
            valid = answer
    allowed: bool | None = None
    if stage.allowed_pytest_failure is not None:
        # Only asked when pytest fails, so that its absence alone breaks nothing.
        answer = _read_boolean(documents, stage.allowed_pytest_failure)
        allowed = None if isinstance(answer, Missing) else answer
    return Extraction(
        metrics=metrics,
        total=counts["total"],
        ok=counts["ok"],
        observation_valid=valid,
        allowed_pytest_failure=allowed,
        missing=tuple(missing),
        counts_asked=not stage.is_docs,
        allowed_asked=stage.allowed_pytest_failure is not None,
    )


def _read_boolean(documents: Mapping[str, Document], locator: Locator) -> bool | Missing:
    found = read_locator(documents, locator)
    if isinstance(found, (bool, Missing)):
        return found
    return Missing(f"{locator.json_path} is {_kind(found)}, not true or false")


def _walk(value: Json, parts: tuple[str, ...], path: str) -> Found:
    plain = _step(value, parts)
    if not isinstance(plain, Missing):
        return plain
    found = _search(value, parts)
    return Missing(f"{path} is not there ({plain.why})") if isinstance(found, Missing) else found


def _step(value: Json, parts: tuple[str, ...]) -> Found:
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif last and part == LENGTH and isinstance(value, (dict, list)):
            return len(value)
        elif (
            isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(value)
        ):
            value = value[int(part)]
        else:
            return Missing(f"no {part!r}" if isinstance(value, (dict, list)) else f"{_kind(value)} before {part!r}")
    return value


def _search(value: Json, parts: tuple[str, ...]) -> Found:
    """As _step, with keys that have dots in them; the longest key is tried first.

    Every node of the tree is looked at once at most, since the way to it fixes which parts are left.
    """
    if not parts:
        return value
    if isinstance(value, dict):
        for size in range(len(parts), 0, -1):
            key = ".".join(parts[:size])
            if key in value:
                found = _search(value[key], parts[size:])
                if not isinstance(found, Missing):
                    return found
    one = _step(value, parts[:1]) if isinstance(value, list) else None
    if isinstance(value, list) and not isinstance(one, Missing) and parts[0] != LENGTH:
        return _search(one, parts[1:])
    if parts == (LENGTH,) and isinstance(value, (dict, list)):
        return len(value)
    return Missing("")


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "text" if isinstance(value, str) else "a number"
