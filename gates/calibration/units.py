"""Units: what one pytest run feeds (spec/calibration.md, section 4)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gates.calibration.schema import Manifest, SchemaError, Stage


@dataclass(frozen=True)
class Unit:
    """One (test file, extra_env): one pytest per repeat feeds all of its stages.

    Attributes:
        key: Name of its folder below `_pytest/`.
        test: Path of the test file, relative to the repository.
        extra_env: Sorted by name.
        gpus_hint: The most that one of its stages asks for, None when none says.
        stages: Those of its stages that were asked for, in the order of the manifest.
    """

    key: str
    test: str
    extra_env: tuple[tuple[str, str], ...]
    gpus_hint: int | None
    stages: tuple[str, ...]


def units_of(manifest: Manifest, stage_keys: Sequence[str]) -> tuple[Unit, ...]:
    """The units of these stages, in the order of each unit's first stage in the manifest.

    A unit's name does not depend on which stages were asked for: it is made from the whole manifest, so that
    two runs of one manifest call a unit the same.

    Raises:
        SchemaError: A stage is not in the manifest.
    """
    unknown = [key for key in stage_keys if manifest.get(key) is None]
    if unknown:
        raise SchemaError(f"not in the manifest: {', '.join(unknown[:5])}")
    members: dict[tuple[str, tuple[tuple[str, str], ...]], list[Stage]] = {}
    for stage in manifest.stages:
        members.setdefault((stage.test, stage.extra_env), []).append(stage)
    names = {identity: _name(identity[0], stages) for identity, stages in members.items()}
    taken = Counter(names.values())
    asked = set(stage_keys)
    units: list[Unit] = []
    for (test, extra_env), stages in members.items():
        chosen = tuple(stage.key for stage in stages if stage.key in asked)
        if not chosen:
            continue
        key = names[test, extra_env]
        if taken[key] > 1:
            key = f"{key}__{_digest(test, extra_env)}"
        gpus = max((stage.gpus for stage in stages if stage.gpus is not None), default=None)
        units.append(Unit(key, test, extra_env, gpus, chosen))
    return tuple(units)


def _name(test: str, stages: Sequence[Stage]) -> str:
    stem = PurePosixPath(test).stem
    presets = {stage.calibration_preset for stage in stages}
    preset = presets.pop() if len(presets) == 1 else None
    return f"{stem}__{_folder(preset)}" if preset else stem


def _folder(preset: str) -> str:
    return "".join(char if char.isalnum() or char in "._-+" else "_" for char in preset)[:80]


def _digest(test: str, extra_env: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(json.dumps([test, extra_env]).encode()).hexdigest()[:8]
