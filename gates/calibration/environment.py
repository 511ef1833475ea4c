"""Was it the machine that the thresholds are for? (spec/calibration.md, section 5, third gate)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gates.calibration.layout import FINGERPRINT
from gates.calibration.words import one_line
from gates.documents import Broken, Document, Json
from gates.verdict import Decision, Evidence, Verdict

GATE = "calibration.environment"
OK, DIFFERS, UNKNOWN = "ok", "DIFFERS", "unknown"

_FIELDS = ("hostname", "image", "gpu_model", "gpu_count", "driver", "cuda", "python")
_TABLES = ("pins", "cache_paths")
_MOST = 50


def judge_environment(fingerprint: Document | None, reference: Json | None) -> Verdict:
    """Hold a fingerprint against a host profile's reference.

    Args:
        fingerprint: {hostname, image, gpu_model, gpu_count, driver, cuda, python, pins, cache_paths}, or None.
        reference: {gpu_model, image, pins}, or None; what it does not name is not asked.

    Returns:
        ok, DIFFERS (naming each) or unknown (naming what is missing). One certain difference outweighs
        whatever is unknown beside it.
    """
    asked, broken = _asked(reference)
    absent: tuple[str, ...] = () if asked else broken or ("no reference",)
    if not isinstance(fingerprint, dict):
        why = fingerprint.reason if isinstance(fingerprint, Broken) else None
        absent += (f"{FINGERPRINT}: {one_line(why)}" if why else f"no {FINGERPRINT}",)
    if absent or not isinstance(fingerprint, dict):
        return _unknown(absent)
    evidence: list[Evidence] = []
    differing: list[str] = []
    missing: list[str] = list(broken)
    for name, wanted in asked:
        found = _found(fingerprint, name)
        same = None if found is None else _same(name, found, wanted)
        if same is None:
            missing.append(one_line(name))
        elif not same:
            differing.append(one_line(f"{name} {found}, expected {wanted}"))
        evidence.append(Evidence(one_line(name), FINGERPRINT, value=found, limit=wanted))
    if differing:
        return Verdict(
            GATE,
            Decision.FAIL,
            DIFFERS,
            "environment",
            "; ".join(differing[:5]),
            tuple(evidence[:_MOST]),
            tuple(missing[:_MOST]),
        )
    if missing:
        return _unknown(tuple(missing), tuple(evidence[:_MOST]))
    return Verdict(GATE, Decision.PASS, OK, detail="as the host profile's reference", evidence=tuple(evidence[:_MOST]))


def same_environment(a: Json, b: Json) -> list[str]:
    """How two fingerprints differ, one short sentence each; empty when they are the same.

    Everything that a fingerprint holds is compared, the host's name included. A value that is known on one side
    alone is a difference, since it cannot be shown to be the same.
    """
    if not isinstance(a, dict) or not isinstance(b, dict):
        return [] if a == b else ["one of the two fingerprints is missing"]
    differences: list[str] = []
    for name in _FIELDS:
        _compare(name, a.get(name), b.get(name), differences)
    for table in _TABLES:
        one, other = a.get(table), b.get(table)
        if isinstance(one, dict) and isinstance(other, dict):
            for key in sorted(one.keys() | other.keys()):
                _compare(f"{table}.{key}", one.get(key), other.get(key), differences)
        else:
            _compare(table, one, other, differences)
    return differences


def satisfies(found: str, wanted: str) -> bool | None:
    """Whether a version is the pinned one; None when the pin is not one version.

    As PEP 440: `2.5` is `2.5.0`, and a local version such as `2.5.1+cu130` is the pinned `2.5.1`; a pin that
    has a local part itself asks for exactly that.
    """
    pin = wanted.strip()
    if pin.startswith("=="):
        pin = pin.lstrip("=").strip()
    if not pin or re.match(r"[<>~!=]", pin) or any(char in pin for char in ",*; "):
        return None
    public, _, local = _version(pin)
    found_public, _, found_local = _version(found)
    return public == found_public and (not local or local == found_local)


def _version(text: str) -> tuple[str, str, str]:
    public, plus, local = text.strip().lower().removeprefix("v").partition("+")
    numbers = re.match(r"(?:\d+!)?\d+(?:\.\d+)*", public)
    if numbers is None:
        return public, plus, local
    release = re.sub(r"\b0+(?=\d)", "", numbers[0])
    while release.endswith(".0"):
        release = release[:-2]
    return (
        release + public[numbers.end() :].replace("-", "").replace("_", "").lstrip("."),
        plus,
        re.sub(r"[-_]", ".", local),
    )


def _asked(reference: Json | None) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """(name, wanted) of all that a reference asks, and what in it could not be read."""
    if reference is None:
        return [], ()
    if not isinstance(reference, dict):
        return [], ("a reference that is a mapping",)
    asked: list[tuple[str, str]] = []
    broken: list[str] = []
    for name in ("gpu_model", "image"):
        value = reference.get(name)
        if isinstance(value, str) and value.strip():
            asked.append((name, value))
        elif value not in (None, ""):
            broken.append(f"reference.{name} as text")
    pins = reference.get("pins")
    if isinstance(pins, dict):
        for name, value in sorted(pins.items()):
            if isinstance(value, str) and value.strip():
                asked.append((f"pins.{name}", value))
            elif value is not None:
                broken.append(f"reference.pins.{name} as text")
    elif pins is not None:
        broken.append("reference.pins as a mapping")
    return asked, tuple(broken)


def _found(fingerprint: Mapping[str, Json], name: str) -> str | None:
    table, _, pin = name.partition(".")
    value: Json = fingerprint.get(table)
    if pin:
        pins = {_canonical(key): item for key, item in value.items()} if isinstance(value, dict) else {}
        value = pins.get(_canonical(pin))
    return value if isinstance(value, str) and value.strip() else None


def _same(name: str, found: str, wanted: str) -> bool | None:
    if name.startswith("pins."):
        return satisfies(found, wanted)
    if name == "gpu_model":
        return _gpu(found) == _gpu(wanted)
    return found.strip() == wanted.strip()


def _gpu(model: str) -> str:
    # Profiles say "H20" where the driver says "NVIDIA H20".
    return " ".join(model.casefold().split()).removeprefix("nvidia ")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _compare(name: str, one: Json, other: Json, differences: list[str]) -> None:
    if one != other or isinstance(one, bool) is not isinstance(other, bool):
        differences.append(f"{name}: {_shown(one)} became {_shown(other)}")


def _shown(value: Json) -> str:
    return "unknown" if value is None else one_line(value, 120)


def _unknown(missing: tuple[str, ...], evidence: tuple[Evidence, ...] = ()) -> Verdict:
    return Verdict(
        GATE, Decision.UNKNOWN, UNKNOWN, detail="; ".join(missing[:5]), evidence=evidence, missing=missing[:_MOST]
    )
