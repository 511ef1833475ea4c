"""One threshold of a plan: what was measured, and the literal in the source (spec/calibration.md, section 6).

A row whose literal cannot be told with certainty keeps its problem in words; its direction is then unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Union

from gates.calibration.schema import Metric, Stage
from gates.calibration.source import Key, Problem, SourceFacts, Table, literal, number_of
from gates.calibration.source import Number as Literal
from gates.calibration.values import (
    Direction,
    Number,
    Worst,
    direction,
    finite,
    is_count,
    literal_text,
    rounded,
    worst_of,
    write_value,
)
from gates.calibration.words import one_line

BARE, NESTED = "bare", "nested"

_SOURCE = re.compile(
    r"(?P<symbol>[A-Za-z_][A-Za-z0-9_]*)(?:\[(?P<quote>['\"])(?P<subkey>[^'\"]+)(?P=quote)\])?\Z", re.ASCII
)


@dataclass(frozen=True)
class PlanRow:
    """One threshold: what was measured, what stands there, what would be written.

    Attributes:
        stage_key: The stage.
        metric_key: Such as "rtf_mean".
        source: As the manifest says it, `NAME` or `NAME['key']`.
        source_kind: "bare" or "nested".
        symbol: The module-level name.
        subkey: The inner key of a nested one.
        outer: The key around it, None for a bare one and where it is not known.
        file: Where the constant lives, relative to the repository.
        group: The stage's group.
        worst_op: "min" for a lower bound, "max" for an upper one.
        runs: The strict repeats, ascending.
        per_run_raw: Their values, in the same order.
        worst_raw: The worst of them.
        worst_rounded: That at `digits`; only ever shown.
        write_value: The new reference.
        write_text: The same as a literal, in the style of the one that stands there.
        count: The metric counts something.
        current_raw: What stands there, None when that is not known.
        current_text: Its text.
        direction: What the change does to the gate; unknown is never written.
        problem: Why the row is unknown, None when it is not, or when there was no source to look at.
        span: First and last byte (exclusive) of the literal in the file.
        calibration_preset: The preset that the stage belongs to.
        samples: How many samples each of the repeats had, None where that is not known or not the same.
    """

    stage_key: str
    metric_key: str
    source: str
    source_kind: str
    symbol: str
    subkey: str | None
    outer: Key | None
    file: str
    group: str
    worst_op: Worst
    runs: tuple[int, ...]
    per_run_raw: tuple[Number, ...]
    worst_raw: Number
    worst_rounded: Number
    write_value: Number
    write_text: str
    digits: int
    scale: float
    label: str
    count: bool
    current_raw: Number | None = None
    current_text: str | None = None
    direction: Direction = "unknown"
    problem: str | None = None
    span: tuple[int, int] | None = None
    calibration_preset: str | None = None
    samples: int | None = None

    @property
    def answer_key(self) -> str:
        """What a file of answers calls it."""
        return f"{self.stage_key}/{self.source}"

    @property
    def resolved_source(self) -> str:
        """The source with its outer key, as tables show it: `_MMSU_P95[8]['throughput_qps']`."""
        if self.subkey is None:
            return self.source
        return f"{self.symbol}[{self.outer!r}][{self.subkey!r}]" if self.outer is not None else self.source

    @property
    def place(self) -> tuple[str, str, str | None, Key | None]:
        """What tells its literal from others."""
        return self.file, self.symbol, self.subkey, self.outer


def parse_source(source: str) -> tuple[str, str | None] | None:
    """(symbol, subkey) of `NAME` or `NAME['key']`; None when it is neither."""
    found = _SOURCE.match(source)
    return None if found is None else (found["symbol"], found["subkey"])


def measured_row(
    stage: Stage, metric: Metric, runs: tuple[int, ...], values: tuple[Number, ...], samples: int | None
) -> PlanRow:
    """The row of what was measured, before any source is looked at."""
    worst = worst_of(values, metric.worst)
    display = metric.display
    count = is_count(display.digits, display.scale)
    symbol, subkey = parse_source(metric.source) or (metric.source, None)
    new = write_value(stage.group, worst, metric.worst, display.digits, count)
    return PlanRow(
        stage_key=stage.key,
        metric_key=metric.key,
        source=metric.source,
        source_kind=BARE if subkey is None else NESTED,
        symbol=symbol,
        subkey=subkey,
        outer=None,
        file=stage.threshold_file or stage.test,
        group=stage.group,
        worst_op=metric.worst,
        runs=runs,
        per_run_raw=values,
        worst_raw=worst,
        worst_rounded=rounded(worst, display.digits),
        write_value=new,
        write_text=literal_text(new),
        digits=display.digits,
        scale=display.scale,
        label=display.label,
        count=count,
        calibration_preset=stage.calibration_preset,
        samples=samples,
    )


def located_row(
    row: PlanRow,
    stage: Stage,
    facts: Mapping[str, SourceFacts] | None,
    concurrency: Key | None,
    filters: Sequence[str] | None,
) -> PlanRow:
    """The row with what stands in the source, or with the reason why that is not known."""
    if parse_source(row.source) is None:
        return replace(row, problem=one_line(f"{row.source} is not NAME or NAME['key']"))
    foreign = _not_admitted(row, stage, filters or ())
    if foreign is not None:
        return replace(row, problem=foreign)
    if facts is None:
        return row
    source = facts.get(row.file)
    if source is None:
        return replace(row, problem=f"{row.file} was not looked at")
    wanted = concurrency if row.subkey is not None else None
    found = literal(source, row.symbol, row.subkey, wanted, _key_values(facts, source, row.symbol))
    outer = wanted if wanted is not None else _sole_key(facts, source, row)
    if isinstance(found, Problem):
        return replace(row, outer=wanted, problem=one_line(found.reason, 400))
    try:
        current = finite(found.value)
    except ValueError as error:
        return replace(row, outer=outer, problem=one_line(f"{row.resolved_source} in {row.file} is {error}"))
    return _against(replace(row, outer=outer), found, current)


def _against(row: PlanRow, found: Literal, current: Number) -> PlanRow:
    return replace(
        row,
        current_raw=current,
        current_text=found.text,
        write_text=literal_text(row.write_value, found.text),
        direction=direction(row.worst_op, current, row.write_value),
        span=(found.start, found.end),
    )


def _not_admitted(row: PlanRow, stage: Stage, filters: Sequence[str]) -> str | None:
    for pattern in filters:
        try:
            admitted = re.match(pattern, row.symbol.lstrip("_")) is not None
        except re.error as error:
            return one_line(f"constant_filter {pattern}: {error}")
        if not admitted:
            named = f"preset {stage.calibration_preset}" if stage.calibration_preset else f"stage {stage.key}"
            return one_line(f"the constant_filter {pattern} of {named} does not admit {row.symbol}")
    return None


def _key_values(facts: Mapping[str, SourceFacts], source: SourceFacts, symbol: str) -> dict[str, Union[int, float]]:
    """Values of the names that a nested constant has for keys, imports followed."""
    named = {
        entry.key_name
        for constant in source.named(symbol)
        if isinstance(constant.value, Table)
        for entry in constant.value.entries
        if entry.key_name is not None
    }
    values = {name: number_of(facts, source.path, name) for name in named}
    return {name: number.value for name, number in values.items() if number is not None}


def _sole_key(facts: Mapping[str, SourceFacts], source: SourceFacts, row: PlanRow) -> Key | None:
    """The only outer key of a nested constant, where nothing else says which one counts."""
    bound = source.named(row.symbol)
    if row.subkey is None or len(bound) != 1 or not isinstance(bound[0].value, Table):
        return None
    entries = bound[0].value.entries
    if len(entries) != 1 or not isinstance(entries[0].value, Table):
        return None
    if entries[0].key is not None or entries[0].key_name is None:
        return entries[0].key
    number = number_of(facts, source.path, entries[0].key_name)
    return None if number is None else number.value
