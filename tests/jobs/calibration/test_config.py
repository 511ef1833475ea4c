from __future__ import annotations

from pathlib import Path

import pytest

from hosts.errors import InputError
from jobs.calibration.config import ModelConfig, parse_config, read_config


def config(text: str) -> ModelConfig:
    loaded = parse_config(text.encode())
    assert loaded.warnings == ()
    return loaded.value


FULL = """
name: m-v1
description: "A model"
hf_model_id: org/model
hf_model_ids_by_test: {test_a.py: [org/model, org/asr]}
hf_datasets: [org/data]
hf_datasets_by_test: {test_b.py: [org/other]}
requires_speaker_sim: false
requires_speaker_sim_by_test: {test_a.py: true}
omni_ci_home: /ci
default_venv_python: [/a/bin/python, /b/bin/python]
auto_env: {HOME: /github/home, ON: "1"}
gpus_per_test: {test_a.py: 4, tests/test_docs.py: 0}
test_globs: ["tests/test_*.py"]
extra_env: {test_a.py: {ALLOC: "expandable_segments:True"}}
pytest_extra_args: {test_a.py: [-k, fast]}
stage_base_strip_prefix: test_
stage_base_strip_suffix: _ci
metric_sources:
  test_a.py:
    json_file: out0/r.json
    paths: {accuracy: summary.accuracy, wer: "w.json::s.wer"}
    sample_counts: {total: s.total, ok: s.ok}
    sample_counts_by_group: {wer: {total: "w.json::t", ok: "w.json::o"}}
    expected_samples: {wer: 50, speed: 20}
    ignored_constants: [OLD_MIN]
    threshold_file: tests/thresholds.py
    observation_validity: v.ok
    allowed_pytest_failure: v.allowed
    variants: {nonstream: {constant_filter: "VC_", omit_variant_suffix: true, expected_samples: 7}}
    calibration_presets: {h20: {extra_env: {P: 1}, gpus: 2, constant_filter: "H20_.*", hf_model_ids: [org/fp8]}}
startup_warn_s: 90
test_timeout_s: 3600
stall_s: {test_a.py: 60.5}
cold_paths: [/ci/.cache/flashinfer]
patterns: [{has: TTFX, metric: ttfx}]
slack: {higher: 1.05}
evidence: {graphs: {regex: "captured \\\\d+ graphs", stages: [a_speed]}}
requires_caps_by_test: {test_a.py: [SYS_PTRACE]}
pins: {torch: 2.10}
"""


def test_every_key_of_the_format_is_known() -> None:
    read = config(FULL)
    assert read.models_for("tests/test_a.py") == ("org/model", "org/asr")
    assert read.models_for("tests/test_b.py") == ("org/model",)
    assert (read.datasets_for("test_b.py"), read.datasets_for("test_a.py")) == (("org/other",), ("org/data",))
    assert (read.needs_speaker_sim("test_a.py"), read.needs_speaker_sim("test_b.py")) == (True, False)
    assert read.args_for("tests/deep/test_a.py") == ("-k", "fast")
    assert read.caps_for("test_a.py") == ("SYS_PTRACE",)
    source = read.source_for("tests/test_a.py")
    assert [source.expected_for(group) for group in ("wer", "speed", "utmos")] == [50, 20, None]
    assert source.variants["nonstream"].expected_samples == {"*": 7}
    assert source.calibration_presets["h20"].extra_env == {"P": "1"}
    assert read.pins == {"torch": "2.10"}
    limits = read.limits_for("tests/test_a.py")
    assert (limits.timeout_s, limits.stall_s) == (3600, 60.5)
    assert read.limits_for("test_b.py").stall_s == 1800
    assert read.startup_warn_s == 90
    assert read.tests() == ("test_a.py", "test_docs.py")


def test_what_is_not_said_has_a_default() -> None:
    read = config("name: m\nextra_env:\ngpus_per_test: {test_a.py: 0}\n")
    assert (read.gpus_for("test_a.py"), read.gpus_for("tests/test_b.py")) == (0, 2)
    assert read.extra_env_for("test_a.py") == {}
    assert read.limits_for("test_a.py").timeout_s == 7200
    assert read.startup_warn_s == 60
    assert read.source_for("test_a.py").paths == {}


@pytest.mark.parametrize("typed", ["1.10", "no", "1", "010", "1e3", "2026-05-22", "true", "0x10", "1_000", "12:30:00"])
def test_a_variable_is_what_was_typed(typed: str) -> None:
    read = config(f"auto_env: {{A: {typed}}}\nextra_env:\n  test_a.py:\n    B: {typed}\n")
    assert read.auto_env == {"A": typed}
    assert read.extra_env_for("tests/test_a.py") == {"B": typed}


def test_a_variable_without_a_value_is_empty_and_null_is_refused() -> None:
    assert config("auto_env:\n  A:\n").auto_env == {"A": ""}
    with pytest.raises(InputError, match=r"config\.yaml:2: auto_env\.A: expected a text, found nothing"):
        parse_config(b"auto_env:\n  A: ~\n")


@pytest.mark.parametrize(
    ("keys", "test", "expected"),
    [
        ("{test_a.py: 1}", "tests/test_a.py", 1),
        ("{tests/test_a.py: 1}", "test_a.py", 1),
        ("{tests/test_a.py: 1, test_a.py: 3}", "tests/test_a.py", 1),
        ("{tests/x/test_a.py: 1}", "tests/y/test_a.py", 2),
    ],
)
def test_a_test_is_named_by_file_or_by_path(keys: str, test: str, expected: int) -> None:
    assert config(f"gpus_per_test: {keys}").gpus_for(test) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gpus_per_test:\n  test_a.py: two\n",
            r":2: gpus_per_test\[\"test_a\.py\"\]: expected a whole number, found 'two'",
        ),
        ("gpus_per_test: {t.py: true}\n", "expected a whole number, found true"),
        ("gpus_per_test: {t.py: -1}\n", "greater than or equal to 0, found -1"),
        ("gpus_per_test: [1]\n", r":1: gpus_per_test: expected a mapping, found a list"),
        ("test_globs: tests/*.py\n", r":1: test_globs: expected a list, found 'tests/\*\.py'"),
        ("test_globs:\n  - a\n  - {b: c}\n", r":3: test_globs\[1\]: expected a text, found a mapping"),
        ("requires_speaker_sim: 'yes'\n", "requires_speaker_sim: expected true or false, found 'yes'"),
        ("auto_env: {A: [1]}\n", r"auto_env\.A: expected a text, found a list"),
        ("auto_env: {'A=B': '1'}\n", "no name for an environment variable"),
        ("stall_s: soon\n", ":1: stall_s: expected a number, found 'soon'"),
        ("stall_s: {test_a.py: 0}\n", "greater than 0"),
        ("startup_warn_s: .inf\n", "is not a finite number"),
        ("metric_sources: {t.py: {sample_counts: {total: a.b}}}\n", r"sample_counts\.ok: this key is missing"),
        ("metric_sources: {t.py: {expected_samples: 0}}\n", "expected_samples: .*greater than or equal to 1"),
        ("metric_sources: {t.py: {variants: {v: {constant_filter: '('}}}}\n", "is not a regular expression"),
        ("pytest_extra_args: {t.py: [-v, -x]}\n", r"-x would end the session at the first failure"),
        ("pytest_extra_args: {t.py: [--maxfail=2]}\n", "--maxfail=2 would end"),
        ("pytest_extra_args: {t.py: [--exitfirst]}\n", "--exitfirst would end"),
        ("gpus_per_test: {t.py: a}\ntest_globs: 1\n", r"\(and 1 more\)"),
        ("- a\n", ":1: expected a mapping of keys, found a list"),
        ("", "expected a mapping of keys, found nothing"),
    ],
)
def test_a_wrong_type_is_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_config(text.encode())
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("config.yaml")


def test_an_unknown_key_is_a_warning_that_names_its_place() -> None:
    text = (
        "name: m\ngpus_per_tests: {}\n"
        "metric_sources:\n  t.py:\n    variants:\n      v:\n        constant_filtr: A\nzzz: 1\n"
    )
    loaded = parse_config(text.encode(), "models/m/config.yaml")
    assert set(loaded.warnings) == {
        "models/m/config.yaml:2: unknown key gpus_per_tests (did you mean gpus_per_test?) is ignored",
        "models/m/config.yaml:8: unknown key zzz is ignored",
        'models/m/config.yaml:7: unknown key metric_sources["t.py"].variants.v.constant_filtr'
        " (did you mean constant_filter?) is ignored",
    }


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*config\.yaml: no such file"):
        read_config(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("a: [\n")
    with pytest.raises(InputError, match=r"config\.yaml"):
        read_config(tmp_path / "config.yaml")
