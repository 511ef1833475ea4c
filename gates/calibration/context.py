"""What a stage's numbers hang on, in one line: GPUs, samples, limits, runs (spec/calibration.md, section 7).

A variable is read from the stage's own test file, imports within the repository followed, or from its threshold
file. One that cannot be read is `?`: it is never guessed and never copied from another stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.markdown import code, inline
from gates.calibration.schema import Stage
from gates.calibration.source import Number, SourceFacts, Text, lookup, number_of
from gates.documents import Document, Json

UNREADABLE = "?"
_SAMPLES = re.compile(r"(?:\A|_)(?:MAX_|NUM_|N_)?SAMPLES\Z")


@dataclass(frozen=True)
class Gpus:
    """What a host has: how many GPUs of which model; None where nobody recorded it."""

    count: int | None
    model: str | None


@dataclass(frozen=True)
class Variable:
    """One of a stage's `context_vars`; value None where its literal could not be read."""

    name: str
    value: str | None


@dataclass(frozen=True)
class Context:
    """What stands behind a stage's title.

    Attributes:
        gpus: The host's.
        used: GPUs that each run had, None where that was not recorded or differs.
        samples: How many samples a run had, None where that is not certain.
        pinned: Does the manifest say how many a whole run has?
        variables: In the order of the manifest.
        runs: How many strict runs there are.
        docs: Nothing is measured.
    """

    gpus: Gpus
    used: int | None
    samples: int | None
    pinned: bool
    variables: tuple[Variable, ...]
    runs: int
    docs: bool

    def line(self) -> str:
        """The context line, inert in Markdown."""
        parts = [f"— {self._gpus()}"]
        if self.docs:
            parts.append("docs smoke")
        else:
            counted = [variable for variable in self.variables if _SAMPLES.search(variable.name)]
            parts.extend(f"{_shown(variable.value)} samples" for variable in counted)
            if not counted:
                parts.append(f"{UNREADABLE if self.samples is None else self.samples} samples")
            parts.extend(
                f"{inline(variable.name.strip('_').lower())}={_shown(variable.value)}"
                for variable in self.variables
                if variable not in counted
            )
        parts.append(f"{self.runs} run{'' if self.runs == 1 else 's'}")
        return ", ".join(parts) + ("" if self.pinned or self.docs else " (scope not pinned)")

    def unknown(self) -> tuple[str, ...]:
        """What each `?` of the line stands for, and why it is not known; inert in Markdown."""
        found = []
        if self.gpus.count != 0:
            names = [name for name, value in (("count", self.gpus.count), ("model", self.gpus.model)) if value is None]
            if names:
                found.append(f"the {' and '.join(names)} of the host's GPUs (no precheck and no fingerprint tells)")
        if self.docs:
            return tuple(found)
        if self.samples is None and not any(_SAMPLES.search(variable.name) for variable in self.variables):
            found.append("the number of samples (not recorded, or not the same in all runs)")
        found.extend(f"{code(one.name)} (no literal that can be read)" for one in self.variables if one.value is None)
        return tuple(found)

    def to_json(self) -> dict[str, Json]:
        """This context as JSON data."""
        return {
            "line": self.line(),
            "gpu_count": self.gpus.count,
            "gpu_model": self.gpus.model,
            "gpus_used": self.used,
            "samples": self.samples,
            "scope_pinned": self.pinned,
            "variables": {variable.name: variable.value for variable in self.variables},
            "runs": self.runs,
            "docs": self.docs,
        }

    def _gpus(self) -> str:
        if self.gpus.count == 0:
            return "no GPU"
        count = UNREADABLE if self.gpus.count is None else self.gpus.count
        part = f" ({self.used} used)" if self.used is not None and self.used != self.gpus.count else ""
        return f"{count}× {_shown(self.gpus.model)}{part}"


def gpus_of(precheck: Document | None, fingerprint: Document | None) -> Gpus:
    """The host's GPUs: as precheck.json has them, else as the fingerprint has."""
    found = [_gpus_in(document) for document in (precheck, fingerprint) if isinstance(document, dict)]
    count = next((gpus.count for gpus in found if gpus.count is not None), None)
    model = next((gpus.model for gpus in found if gpus.model is not None), None)
    return Gpus(count, model)


def variables_of(stage: Stage, facts: Mapping[str, SourceFacts]) -> tuple[Variable, ...]:
    """The stage's context variables with their literal values."""
    return tuple(Variable(name, _value(stage, facts, name)) for name in stage.context_vars)


def same(values: Sequence[int | None]) -> int | None:
    """The value that all of these are, None where they differ or one is missing."""
    first = values[0] if values else None
    return first if first is not None and all(value == first for value in values) else None


def _value(stage: Stage, facts: Mapping[str, SourceFacts], name: str) -> str | None:
    for path in dict.fromkeys((stage.test, stage.threshold_file)):
        if path is None:
            continue
        number = number_of(facts, path, name)
        if isinstance(number, Number):
            return str(number.value)
        constant = lookup(facts, path, name)
        if constant is not None:
            return constant.value.text if isinstance(constant.value, Text) else None
    return None


def _gpus_in(body: Mapping[str, Json]) -> Gpus:
    """Read generously: other tools wrote these two values in other shapes."""
    count, model, listed = body.get("gpu_count"), body.get("gpu_model"), body.get("gpus")
    if isinstance(listed, dict):
        count = listed.get("count") if count is None else count
        model = listed.get("model", listed.get("name")) if model is None else model
    elif isinstance(listed, list):
        count = len(listed) if count is None else count
        names = {str(item.get("name", item.get("model"))) for item in listed if isinstance(item, dict)}
        if model is None and len(names) == 1:
            model = names.pop()
    known = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    return Gpus(
        count if known and isinstance(count, int) else None, model if isinstance(model, str) and model else None
    )


def _shown(value: str | None) -> str:
    return UNREADABLE if value is None else inline(value)
