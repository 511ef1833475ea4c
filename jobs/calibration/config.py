"""models/<M>/config.yaml: what a project says about one model's threshold tests (spec/calibration.md, section 1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from hosts.yamlmodel import EVERY, ByName, FileModel, Items, Loaded, Table, parse_model, read_model
from jobs.runner.calibration.environ import early_stops

V = TypeVar("V")

DEFAULT_GPUS = 2
DEFAULT_TEST_TIMEOUT_S = 7200.0
DEFAULT_STALL_S = 1800.0


def _environment(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} is no name for an environment variable")
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a NUL character")
    return values


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error
    return text


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _runs_on(args: tuple[str, ...]) -> tuple[str, ...]:
    stops = early_stops(args)
    if stops:
        raise ValueError(
            f"{stops[0]} would end the session at the first failure and lose every other metric; take it out"
        )
    return args


Text = Annotated[str, StringConstraints(min_length=1)]
Environment = Annotated[Table[str], AfterValidator(_environment)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Gpus = Annotated[int, Field(ge=0)]
PytestArgs = Annotated[Items[str], AfterValidator(_runs_on)]


class Counts(FileModel):
    """Where a test's result says how many samples it was asked for, and how many it has."""

    total: Text
    """Dotted path, or `file::dotted.path`."""
    ok: Text
    """Dotted path, or `file::dotted.path`."""


class Variant(FileModel):
    """A part of one test's constants that makes stages of its own."""

    constant_filter: Pattern | None = None
    """Regular expression that claims constants, matched from the start of the name without leading underscores."""
    json_file: Text | None = None
    paths: Table[Text] = {}
    sample_counts: Counts | None = None
    sample_counts_by_group: Table[Counts] = {}
    expected_samples: ByName[Count] = {}
    context_vars: Items[Text] | None = None
    extra_env: Environment = {}
    stage_base_override: Text | None = None
    omit_variant_suffix: bool = False


class Preset(FileModel):
    """A way to run one test: its environment, its GPUs, and the constants that belong to it."""

    extra_env: Environment = {}
    gpus: Gpus | None = None
    constant_filter: Pattern | None = None
    hf_model_ids: Items[Text] | None = None


class MetricSource(FileModel):
    """Where one test's metrics stand in the files that it writes below pytest's basetemp."""

    json_file: Text | None = None
    paths: Table[Text] = {}
    """Metric key to dotted path, or to `file::dotted.path`."""
    sample_counts: Counts | None = None
    sample_counts_by_group: Table[Counts] = {}
    expected_samples: ByName[Count] = {}
    """How many samples a complete run has; one number, or a number by group."""
    ignored_constants: Items[Text] = ()
    threshold_file: Text | None = None
    """The file that holds the constants, when it is not the test itself; relative to the repository."""
    observation_validity: Text | None = None
    allowed_pytest_failure: Text | None = None
    variants: Table[Variant] = {}
    calibration_presets: Table[Preset] = {}

    def expected_for(self, group: str) -> int | None:
        """Samples of a complete run of one metric group, or None where nobody said."""
        return self.expected_samples.get(group, self.expected_samples.get(EVERY))


class Evidence(FileModel):
    """A line that an optimisation leaves in the log when it is really at work."""

    regex: Pattern
    stages: Items[Text] = ()


@dataclass(frozen=True)
class Limits:
    """How long one test may take, and how long it may say nothing, in seconds."""

    timeout_s: float
    stall_s: float


class ModelConfig(FileModel):
    """One model's configuration. Tests are named by file name or by path in the repository."""

    name: str = ""
    description: str = ""
    hf_model_id: Text | None = None
    hf_model_ids_by_test: Table[Items[Text]] = {}
    hf_datasets: Items[Text] = ()
    hf_datasets_by_test: Table[Items[Text]] = {}
    requires_speaker_sim: bool = False
    requires_speaker_sim_by_test: Table[bool] = {}
    omni_ci_home: Text | None = None
    default_venv_python: Annotated[Items[Text], BeforeValidator(_one_or_more)] = ()
    """Candidates; the first that exists is used, else the last."""
    auto_env: Environment = {}
    """Forced into the environment of every job."""
    gpus_per_test: Table[Gpus] = {}
    test_globs: Items[Text] = ()
    """Relative to the repository."""
    extra_env: Table[Environment] = {}
    pytest_extra_args: Table[PytestArgs] = {}
    stage_base_strip_prefix: str = ""
    stage_base_strip_suffix: str = ""
    metric_sources: Table[MetricSource] = {}

    startup_warn_s: Seconds = 60.0
    """A server that takes longer than this to start is shown as a slow start."""
    test_timeout_s: ByName[Seconds] = {}
    """One number, or a number by test; the default is two hours."""
    stall_s: ByName[Seconds] = {}
    """Silence after which a test counts as stalled; one number, or a number by test."""
    cold_paths: Items[Text] | None = None
    """Emptied before every launch, as CI does; None means the default below OMNI_CI_HOME."""
    patterns: Items[dict[str, Any]] = ()
    """More rows for the registry of metrics, before the built-in ones."""
    slack: Table[float] = {}
    evidence: Table[Evidence] = {}
    requires_caps_by_test: Table[Items[Text]] = {}
    pins: Table[str] = {}
    """Package to the version that this model is calibrated with."""

    def gpus_for(self, test: str) -> int:
        """GPUs that one test needs; 0 is a number too."""
        return for_test(self.gpus_per_test, test, DEFAULT_GPUS)

    def extra_env_for(self, test: str) -> Mapping[str, str]:
        """Variables that one test gets on top of `auto_env`."""
        return for_test(self.extra_env, test, {})

    def args_for(self, test: str) -> Sequence[str]:
        """Arguments that one test's pytest gets at the end."""
        return for_test(self.pytest_extra_args, test, ())

    def limits_for(self, test: str) -> Limits:
        """How long one test may take, and how long it may be silent."""
        return Limits(
            timeout_s=for_test(self.test_timeout_s, test, DEFAULT_TEST_TIMEOUT_S),
            stall_s=for_test(self.stall_s, test, DEFAULT_STALL_S),
        )

    def source_for(self, test: str) -> MetricSource:
        """Where one test's metrics are; an empty one where nobody said."""
        return for_test(self.metric_sources, test, MetricSource())

    def models_for(self, test: str) -> Sequence[str]:
        """Model checkpoints that one test loads."""
        return for_test(self.hf_model_ids_by_test, test, (self.hf_model_id,) if self.hf_model_id else ())

    def datasets_for(self, test: str) -> Sequence[str]:
        """Datasets that one test reads."""
        return for_test(self.hf_datasets_by_test, test, self.hf_datasets)

    def needs_speaker_sim(self, test: str) -> bool:
        """Whether one test needs the speaker similarity model."""
        return for_test(self.requires_speaker_sim_by_test, test, self.requires_speaker_sim)

    def caps_for(self, test: str) -> Sequence[str]:
        """Linux capabilities that one test needs, such as SYS_PTRACE."""
        return for_test(self.requires_caps_by_test, test, ())

    def tests(self) -> tuple[str, ...]:
        """Every test that some key speaks of, once, in the order of the file."""
        tables: Iterable[Mapping[str, object]] = (self.gpus_per_test, self.metric_sources, self.extra_env)
        return tuple(dict.fromkeys(test.rsplit("/", 1)[-1] for table in tables for test in table))


def for_test(table: Mapping[str, V], test: str, default: V) -> V:
    """The entry for a test that may be written as a path or as a file name, on either side.

    The exact spelling wins, then the same file name, then the one value that is there for every test.
    """
    if test in table:
        return table[test]
    stem = test.rsplit("/", 1)[-1]
    for key, value in table.items():
        # Two different paths with one file name are two tests: at least one side has to be a bare name.
        if key.rsplit("/", 1)[-1] == stem and "/" not in (key if "/" in test else test):
            return value
    return table.get(EVERY, default)


def read_config(path: Path) -> Loaded[ModelConfig]:
    """Read one model's config.yaml.

    Raises:
        InputError: One line with file, line and key.
    """
    return read_model(ModelConfig, path)


def parse_config(data: bytes, where: str = "config.yaml") -> Loaded[ModelConfig]:
    """Read a config.yaml that is already in memory; raises as `read_config` does."""
    return parse_model(ModelConfig, data, where)
