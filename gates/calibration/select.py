"""Which stages a person means (spec/calibration.md, section 2, aliases)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from gates.calibration.schema import Manifest, Stage

ALL = "ALL"
_MOST_NAMED = 12


class SelectionError(ValueError):
    """A name that no stage answers to; the message names the near ones."""


@dataclass(frozen=True)
class Base:
    """What one base stands for, as the question for stages lists it.

    Attributes:
        name: Such as "mmmu_talker".
        tests: Its test files, in the order of the manifest; nearly always one.
        groups: Such as ("accuracy", "speed"), in the order of the manifest.
        stages: The keys of its stages.
    """

    name: str
    tests: tuple[str, ...]
    groups: tuple[str, ...]
    stages: tuple[str, ...]


def base_of(stage: Stage) -> str:
    """A stage's key without its group, variant and preset: key = `base[_preset][_variant]_group`."""
    base = stage.key
    for part in (stage.group, stage.variant, stage.calibration_preset):
        if part and base.endswith(f"_{part}") and len(base) > len(part) + 1:
            base = base[: -len(part) - 1]
    return base


def bases(manifest: Manifest) -> tuple[Base, ...]:
    """Every base, in the order of its first stage."""
    members: dict[str, list[Stage]] = {}
    for stage in manifest.stages:
        members.setdefault(base_of(stage), []).append(stage)
    return tuple(
        Base(
            name,
            tuple(dict.fromkeys(stage.test for stage in stages)),
            tuple(dict.fromkeys(stage.group for stage in stages)),
            tuple(stage.key for stage in stages),
        )
        for name, stages in members.items()
    )


def aliases(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Every name that stages answer to, with their keys in the order of the manifest.

    Where two meanings meet in one name, the exact key wins over the base, and that over base with preset or
    variant, as the page lists them.
    """
    exact = {stage.key: (stage.key,) for stage in manifest.stages}
    by_base: dict[str, list[str]] = {}
    by_parts: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for stage in manifest.stages:
        base = base_of(stage)
        by_base.setdefault(base, []).append(stage.key)
        groups.setdefault(f"@{stage.group}", []).append(stage.key)
        preset, variant = stage.calibration_preset, stage.variant
        for parts in {(preset,), (variant,), (preset, variant)}:
            given = [part for part in parts if part]
            if given and len(given) == len(parts):
                by_parts.setdefault("_".join((base, *given)), []).append(stage.key)
    merged: dict[str, tuple[str, ...]] = {ALL: manifest.keys}
    for source in (groups, by_parts, by_base):
        merged.update({name: tuple(keys) for name, keys in source.items()})
    return {**merged, **exact}


def select_stages(manifest: Manifest, asked: Sequence[str]) -> tuple[str, ...]:
    """The stages that these names mean, in the order of the manifest, each once.

    Args:
        asked: Names, each of them possibly several with commas between: an exact key, a base, a base with preset
            and/or variant, "@group" or "ALL".

    Raises:
        SelectionError: A name means nothing, or nothing was asked.
    """
    known = aliases(manifest)
    names = [name for item in asked for name in (part.strip() for part in item.split(",")) if name]
    if not names:
        raise SelectionError(
            f"no stage was named; known are {_listed([base.name for base in bases(manifest)])} and {ALL}"
        )
    chosen: set[str] = set()
    for name in names:
        keys = known.get(name)
        if keys is None:
            raise SelectionError(_unknown(name, known, manifest))
        chosen.update(keys)
    return tuple(key for key in manifest.keys if key in chosen)


def _unknown(name: str, known: dict[str, tuple[str, ...]], manifest: Manifest) -> str:
    shown = repr(name if len(name) <= 80 else f"{name[:77]}...")
    near = difflib.get_close_matches(name[:80], list(known), n=4, cutoff=0.6)
    if near:
        return f"no stage is called {shown}; near: {', '.join(near)}"
    return f"no stage is called {shown}; known are {_listed([base.name for base in bases(manifest)])} and {ALL}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
