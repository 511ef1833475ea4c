"""What a project's config.yaml says about its tests, as plain values that discovery is made of.

The file itself is read and checked where YAML can be read; see spec/calibration.md, section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gates.calibration.patterns import BUILT_IN, Pattern

EVERY = "*"
"""The key of a number that stands for every group."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_NUMBERS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class CountPaths:
    """Where the counts are: dotted paths, or `file::dotted.path`."""

    total: str
    ok: str


@dataclass(frozen=True)
class Places:
    """Where values stand, for a whole test or for one variant of it.

    Attributes:
        json_file: The default result file, relative to pytest's basetemp.
        paths: Metric key to dotted path, or to `file::dotted.path`.
        by_group: Counts of single groups, before `counts`.
        expected: Samples of a complete run by group; `EVERY` stands for all others.
    """

    json_file: str | None = None
    paths: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    counts: CountPaths | None = None
    by_group: Mapping[str, CountPaths] = field(default_factory=lambda: MappingProxyType({}))
    expected: Mapping[str, int] = field(default_factory=lambda: _NO_NUMBERS)

    def counts_for(self, group: str) -> CountPaths | None:
        """The counts of one group, None where nobody said."""
        return self.by_group.get(group, self.counts)

    def expected_for(self, group: str) -> int | None:
        """Samples of a complete run of one group, None where nobody said."""
        return self.expected.get(group, self.expected.get(EVERY))


@dataclass(frozen=True)
class VariantRules:
    """A part of one test's constants that makes stages of its own; None where the file says nothing."""

    name: str
    constant_filter: str | None = None
    places: Places = field(default_factory=Places)
    context_vars: tuple[str, ...] | None = None
    base_override: str | None = None
    omit_suffix: bool = False
    extra_env: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True)
class PresetRules:
    """A way to run one test, and the constants that belong to it; None where the file says nothing."""

    name: str
    constant_filter: str | None = None
    extra_env: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    gpus: int | None = None
    hf_model_ids: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rules:
    """All that the configuration says about one test file; the default is a test it does not speak of."""

    places: Places = field(default_factory=Places)
    ignored: tuple[str, ...] = ()
    threshold_file: str | None = None
    observation_validity: str | None = None
    allowed_pytest_failure: str | None = None
    variants: tuple[VariantRules, ...] = ()
    presets: tuple[PresetRules, ...] = ()
    extra_env: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    @property
    def speaks_of_metrics(self) -> bool:
        """True when somebody expects thresholds in this test."""
        return bool(self.places.paths or self.threshold_file or self.variants or self.presets)


@dataclass(frozen=True)
class ProjectRules:
    """One model's configuration, as far as discovery needs it.

    Attributes:
        rows: The registry, the project's own rows first.
        tests: By the test's path in the repository.
    """

    strip_prefix: str = ""
    strip_suffix: str = ""
    rows: tuple[Pattern, ...] = BUILT_IN
    tests: Mapping[str, Rules] = field(default_factory=lambda: MappingProxyType({}))

    def base_of(self, test: str) -> str:
        """The stage base of a test file: its stem without the project's prefix and suffix."""
        stem = test.rpartition("/")[2].removesuffix(".py")
        return stem.removeprefix(self.strip_prefix).removesuffix(self.strip_suffix) or stem

    def of(self, test: str) -> Rules:
        """What is said about one test."""
        return self.tests.get(test, Rules())
