"""What a manifest (`stages.yaml`) says: which stages there are and where their values come from.

The format is spec/calibration.md, section 1. Reading is generous with keys that are not known and exact with
those that are: a wrong type is an error that names its place, because a manifest decides what counts as complete.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, cast

from gates.calibration.keypath import Place, SchemaError
from gates.calibration.layout import name_problem, stage_problem
from gates.documents import Json

__all__ = [
    "Display",
    "Locator",
    "Manifest",
    "Metric",
    "SampleCounts",
    "SchemaError",
    "Stage",
    "needs_config",
    "parse_manifest",
    "same_measure",
    "unstrictable",
]

OK = "OK"
NEEDS_CONFIG = "NEEDS_CONFIG"


@dataclass(frozen=True)
class Locator:
    """Where one value is found.

    Attributes:
        json_file: Path of a result file, relative to pytest's basetemp.
        json_path: Dotted path in it; a last key `__len__` is a length.
    """

    json_file: str
    json_path: str


@dataclass(frozen=True)
class Display:
    """How a metric is shown: raw value times scale, with this many digits."""

    label: str
    scale: float
    digits: int


@dataclass(frozen=True)
class Metric:
    """One threshold of a stage.

    Attributes:
        key: Such as "rtf_mean".
        source: The constant it comes from, `NAME` or `NAME['key']`.
        locator: Where its value is found, None when that has to be configured first.
        worst: Which of several values is the worst one.
        display: How it is shown.
        status: OK or NEEDS_CONFIG.
    """

    key: str
    source: str
    locator: Locator | None
    worst: Literal["min", "max"]
    display: Display
    status: str


@dataclass(frozen=True)
class SampleCounts:
    """Where the number of samples that were run, and of those that succeeded, are found."""

    total: Locator
    ok: Locator


@dataclass(frozen=True)
class Stage:
    """One stage: a test file, a group of its metrics and what makes a repeat of it whole.

    Attributes:
        key: Name of the stage and of its folder in a run directory.
        test: Path of the test file, relative to the repository.
        extra_env: Environment of its pytest, sorted by name; with `test` it makes the unit.
        gpus: How many accelerators its pytest needs, None when the manifest does not say.
        expected_samples: How many samples a whole repeat has, None when that is not pinned.
        sample_counts: Where counts are found, None when it is not configured (or only half of it is).
        metrics: Empty for a docs stage.
    """

    key: str
    test: str
    title: str
    group: str
    extra_env: tuple[tuple[str, str], ...]
    context_vars: tuple[str, ...]
    variant: str | None
    calibration_preset: str | None
    gpus: int | None
    hf_model_ids: tuple[str, ...]
    test_file_sha256: str | None
    last_discovered_at: str | None
    expected_samples: int | None
    threshold_file: str | None
    threshold_file_sha256: str | None
    observation_validity: Locator | None
    allowed_pytest_failure: Locator | None
    sample_counts: SampleCounts | None
    metrics: tuple[Metric, ...]

    @property
    def is_docs(self) -> bool:
        """True when nothing is measured: passing is all that is asked."""
        return not self.metrics and self.sample_counts is None

    def locators(self) -> Iterator[Locator]:
        """Everything of this stage that is read from result files."""
        yield from (metric.locator for metric in self.metrics if metric.locator)
        if self.sample_counts is not None:
            yield self.sample_counts.total
            yield self.sample_counts.ok
        yield from (one for one in (self.observation_validity, self.allowed_pytest_failure) if one)


@dataclass(frozen=True)
class Manifest:
    """All stages, in the order of the file."""

    stages: tuple[Stage, ...]
    _by_key: Mapping[str, Stage] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", MappingProxyType({stage.key: stage for stage in self.stages}))

    @property
    def keys(self) -> tuple[str, ...]:
        """The stages' names, in the order of the file."""
        return tuple(self._by_key)

    def get(self, key: str) -> Stage | None:
        """The stage of this name, None when there is none."""
        return self._by_key.get(key)


def parse_manifest(document: Json, where: str = "stages.yaml") -> Manifest:
    """Read a manifest's data.

    Args:
        document: What the file holds.
        where: Its name, for errors.

    Raises:
        SchemaError: Something in it has a wrong type or an impossible value.
    """
    root = Place(document, where, ())
    stages = tuple(_stage(key, place) for key, place in root.items("stages"))
    if not stages:
        raise root.error("no stages in it")
    return Manifest(stages)


def needs_config(manifest: Manifest, keys: Collection[str]) -> list[tuple[str, str]]:
    """(stage, metric) of every metric of these stages whose value cannot be found yet; `run` refuses to start."""
    return [
        (stage.key, metric.key)
        for stage in manifest.stages
        if stage.key in keys
        for metric in stage.metrics
        if metric.status != OK or metric.locator is None
    ]


def unstrictable(stage: Stage) -> str | None:
    """Why no repeat of a stage could ever be strictly complete, None when one could."""
    if stage.metrics and stage.sample_counts is None:
        return f"{stage.key}: sample_counts has no path for total and ok, so no repeat can be strictly complete"
    return None


def same_measure(a: Manifest, b: Manifest, keys: Collection[str]) -> list[str]:
    """How two manifests differ in what they measure, one sentence each; empty when they measure the same.

    Where a value is found, how it is shown and how many samples are expected may change: what was observed
    stays what it was. A resume is refused on any of these differences.
    """
    differences: list[str] = []
    for key in sorted(set(keys)):
        one, other = a.get(key), b.get(key)
        if one is None or other is None:
            if one is not other:
                differences.append(f"{key}: only in the {'second' if one is None else 'first'} manifest")
            continue
        for name, before, after in (
            ("test", one.test, other.test),
            ("extra_env", dict(one.extra_env), dict(other.extra_env)),
            *_metric_pairs(one, other),
        ):
            if before != after:
                differences.append(f"{key}.{name}: {before} became {after}")
    return differences


def _metric_pairs(one: Stage, other: Stage) -> Iterator[tuple[str, object, object]]:
    before, after = {m.key: m for m in one.metrics}, {m.key: m for m in other.metrics}
    yield "metrics", sorted(before), sorted(after)
    for key in sorted(before.keys() & after.keys()):
        yield f"metrics.{key}.source", before[key].source, after[key].source
        yield f"metrics.{key}.worst", before[key].worst, after[key].worst


def _stage(key: str, place: Place) -> Stage:
    problem = stage_problem(key)
    if problem is not None:
        raise place.error(f"a stage's name {problem}")
    metrics_place = place.at("metrics")
    metrics = () if metrics_place.absent else tuple(_metric(name, at) for name, at in metrics_place.items("metrics"))
    counts = _sample_counts(place.at("sample_counts"))
    group = place.at("group")
    default_file = counts.total.json_file if counts else next((m.locator.json_file for m in metrics if m.locator), None)
    return Stage(
        key=key,
        test=place.at("test").relative_path(),
        title=place.at("title").text_or_none() or key,
        group="docs" if group.absent and not metrics else group.text(),
        extra_env=_environment(place.at("extra_env")),
        context_vars=place.at("context_vars").texts(),
        variant=place.at("variant").text_or_none(),
        calibration_preset=place.at("calibration_preset").text_or_none(),
        gpus=place.at("gpus").whole(0),
        hf_model_ids=place.at("hf_model_ids").texts(),
        test_file_sha256=_note(place.at("test_file_sha256")),
        last_discovered_at=_note(place.at("last_discovered_at")),
        expected_samples=place.at("expected_samples").whole(1),
        threshold_file=None if place.at("threshold_file").absent else place.at("threshold_file").relative_path(),
        threshold_file_sha256=_note(place.at("threshold_file_sha256")),
        observation_validity=_boolean_locator(place.at("observation_validity"), default_file),
        allowed_pytest_failure=_boolean_locator(place.at("allowed_pytest_failure"), default_file),
        sample_counts=counts,
        metrics=metrics,
    )


def _metric(key: str, place: Place) -> Metric:
    problem = name_problem(key)
    if problem is not None:
        raise place.error(f"a metric's name {problem}")
    locator = _locator(place)
    worst = place.at("worst")
    if worst.value not in ("min", "max"):
        raise worst.wrong("min or max")
    status = place.at("status")
    default = OK if locator else NEEDS_CONFIG
    if status.value not in (None, OK, NEEDS_CONFIG):
        raise status.wrong(f"{OK} or {NEEDS_CONFIG}")
    return Metric(
        key=key,
        source=place.at("source").text(),
        locator=locator,
        worst=cast('Literal["min", "max"]', worst.value),
        display=_display(key, place.at("display")),
        status=str(status.value or default),
    )


def _display(key: str, place: Place) -> Display:
    if place.absent:
        return Display(key, 1, 4)
    scale = place.at("scale")
    value = 1 if scale.absent else scale.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise scale.wrong("a number above 0")
    digits = place.at("digits")
    count = 4 if digits.absent else digits.whole(0)
    if count is None or count > 17:
        raise digits.wrong("a whole number from 0 to 17")
    return Display(place.at("label").text_or_none() or key, value, count)


def _locator(place: Place) -> Locator | None:
    file, path = place.at("json_file"), place.at("json_path")
    if file.absent or path.absent:
        return None
    return Locator(file.relative_path(), path.text())


def _sample_counts(place: Place) -> SampleCounts | None:
    if place.absent:
        return None
    places = [place.at("total"), place.at("ok")]
    total, ok = (None if one.absent else _locator(one) for one in places)
    return SampleCounts(total, ok) if total and ok else None


def _boolean_locator(place: Place, default_file: str | None) -> Locator | None:
    """`{json_file, json_path}`, or in one text as config.yaml writes it: "file::dotted.path" or "dotted.path"."""
    if place.absent:
        return None
    if not isinstance(place.value, str):
        locator = _locator(place)
        if locator is None:
            raise place.wrong("json_file and json_path")
        return locator
    file, separator, path = place.value.rpartition("::")
    if separator:
        return Locator(Place(file, place.where, place.path).relative_path(), path)
    if default_file is None:
        raise place.wrong("'file::dotted.path', since no other value of this stage names a file")
    return Locator(default_file, path)


def _environment(place: Place) -> tuple[tuple[str, str], ...]:
    if place.absent:
        return ()
    found: list[tuple[str, str]] = []
    for name, at in place.items("environment variables"):
        if not name or "=" in name or "\0" in name:
            raise at.error("not a name of an environment variable")
        if isinstance(at.value, bool) or not isinstance(at.value, (str, int)) or "\0" in str(at.value):
            raise at.wrong("text (quote it)")
        found.append((name, str(at.value)))
    return tuple(sorted(found))


def _note(place: Place) -> str | None:
    # Shown or compared, never computed with; some YAML readers make a date or a number of it.
    return None if place.absent else str(place.value)
