from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.calibration.candidates import claim
from gates.calibration.discover import Discovery, DiscoveryError, discover, keep_times
from gates.calibration.patterns import BUILT_IN, parse_patterns
from gates.calibration.rules import EVERY, CountPaths, Places, PresetRules, ProjectRules, Rules, VariantRules
from gates.calibration.schema import Stage, needs_config, parse_manifest
from gates.calibration.source import SourceFacts, parse_facts
from gates.calibration.staleness import blanked_sha256, sources_of, stale, symbol_of
from gates.documents import Json
from jobs.runner.calibration.facts_script import facts as facts_of

pytestmark = pytest.mark.travels

NOW = "2026-05-22T16:52:36Z"
TEST = "tests/test_m_mmmu_ci.py"

MMMU = """\
import pytest
CONCURRENCY = 8
MAX_SAMPLES = 50
MMMU_MIN_ACCURACY = 0.58
_MMMU_P95 = {8: {"throughput_qps": 1.5, "latency_mean_s": 4.25}, 16: {"throughput_qps": 2.5, "latency_mean_s": 5}}
THRESHOLDS = apply_slack(_MMMU_P95)
def test_mmmu_accuracy_and_speed_of_all(tmp_path):
    run(tmp_path / "mmmu_audio" / "x.json", max_samples=MAX_SAMPLES, max_tokens=32, max_concurrency=CONCURRENCY)
"""


def project(**rules: Rules) -> ProjectRules:
    tests = {f"tests/test_m_{name}_ci.py": rule for name, rule in rules.items()}
    return ProjectRules(strip_prefix="test_m_", strip_suffix="_ci", tests=tests)


def found(texts: Mapping[str, str], of: ProjectRules | None = None, tests: Sequence[str] | None = None) -> Discovery:
    data = {path: text.encode() for path, text in texts.items()}
    facts = {path: parse_facts(facts_of(path, body)) for path, body in data.items()}
    chosen = tests or [path for path in sorted(texts) if "/test_" in path]
    return discover(of or project(), facts, chosen, NOW, data)


def found_in(text: str, rules: Rules | None = None, **others: str) -> Discovery:
    texts = {TEST: text, **{f"tests/{name}.py": other for name, other in others.items()}}
    return found(texts, project(mmmu=rules or Rules()), [TEST])


def stage(discovery: Discovery, key: str) -> Stage:
    chosen = parse_manifest(discovery.document).get(key)
    assert chosen is not None, list(discovery.document)
    return chosen


def sources(discovery: Discovery, key: str) -> list[str]:
    return [metric.source for metric in stage(discovery, key).metrics]


def test_a_test_below_tmp_path_needs_no_configuration() -> None:
    discovery = found({TEST: MMMU})
    assert list(discovery.document) == ["mmmu_accuracy", "mmmu_speed"]
    file = "test_mmmu_accuracy_and_speed_o0/mmmu_audio/mmmu_results.json"
    sha = hashlib.sha256(MMMU.encode()).hexdigest()
    blanked = MMMU.replace("0.58", "0").replace("1.5", "0").replace("4.25", "0").replace("2.5", "0")
    assert discovery.document["mmmu_speed"] == {
        "test": TEST,
        "title": "MMMU Speed",
        "group": "speed",
        "extra_env": {},
        "context_vars": ["MAX_SAMPLES", "CONCURRENCY"],
        "test_file_sha256": sha,
        "test_file_sha256_blanked": hashlib.sha256(blanked.replace(": 5}", ": 0}").encode()).hexdigest(),
        "last_discovered_at": NOW,
        "expected_samples": 50,
        "sample_counts": {
            "total": {"json_file": file, "json_path": "summary.total_samples"},
            "ok": {"json_file": file, "json_path": "speed.completed_requests"},
        },
        "metrics": {
            "throughput_qps": {
                "source": "_MMMU_P95['throughput_qps']",
                "json_file": file,
                "json_path": "speed.throughput_qps",
                "worst": "min",
                "display": {"label": "Throughput (req/s)", "scale": 1, "digits": 3},
                "status": "OK",
            },
            "latency_mean_s": {
                "source": "_MMMU_P95['latency_mean_s']",
                "json_file": file,
                "json_path": "speed.latency_mean_s",
                "worst": "max",
                "display": {"label": "Latency mean (s)", "scale": 1, "digits": 3},
                "status": "OK",
            },
        },
    }
    keys = list(stage_body(discovery, "mmmu_speed"))
    assert keys[-2:] == ["sample_counts", "metrics"]
    assert (discovery.unmatched, discovery.dropped, discovery.open_ends, discovery.notes) == ((), (), (), ())


def stage_body(discovery: Discovery, key: str) -> dict[str, Json]:
    body = discovery.document[key]
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    "line",
    [
        "from benchmarks.eval.benchmark_omni_mmsu import run",
        "from benchmarks.eval import benchmark_omni_mmsu",
        "import benchmarks.eval.benchmark_omni_mmsu as bench",
    ],
)
def test_the_mmsu_benchmark_lays_its_results_out_in_its_own_way(line: str) -> None:
    discovery = found({TEST: f"{line}\n{MMMU}MMMU_WER_MAX_CORPUS = 0.1\n"})
    accuracy, wer, speed = (stage(discovery, f"mmmu_{group}") for group in ("accuracy", "wer", "speed"))
    assert [str(m.locator and m.locator.json_path) for m in accuracy.metrics] == ["summary.overall_accuracy"]
    assert [str(m.locator and m.locator.json_path) for m in wer.metrics] == ["wer.summary.wer_corpus"]
    assert [str(m.locator and m.locator.json_path) for m in speed.metrics] == [
        "speed_metrics.throughput_qps",
        "speed_metrics.latency_mean_s",
    ]
    assert speed.sample_counts is not None
    assert speed.sample_counts.ok.json_path == "summary.successful_samples"


def test_configuration_wins_key_by_key() -> None:
    places = Places(json_file="a0/x.json", paths={"accuracy": "b0/y.json::acc", "throughput_qps": "s.q"})
    discovery = found_in(MMMU, Rules(places=places))
    located = {
        metric.key: (metric.locator.json_file, metric.locator.json_path)
        for key in discovery.document
        for metric in stage(discovery, key).metrics
        if metric.locator
    }
    assert located == {
        "accuracy": ("b0/y.json", "acc"),
        "throughput_qps": ("a0/x.json", "s.q"),
        "latency_mean_s": ("a0/x.json", "speed.latency_mean_s"),
    }


FACTORY = MMMU.replace("tmp_path", "tmp_path_factory")


def test_what_nobody_says_needs_config_and_a_suggestion() -> None:
    discovery = found_in(FACTORY)
    manifest = parse_manifest(discovery.document)
    assert needs_config(manifest, manifest.keys) == [
        ("mmmu_accuracy", "accuracy"),
        ("mmmu_speed", "throughput_qps"),
        ("mmmu_speed", "latency_mean_s"),
    ]
    assert [(one.stage, one.key) for one in discovery.open_ends] == [
        ("mmmu_accuracy", "accuracy"),
        ("mmmu_accuracy", "sample_counts"),
        ("mmmu_speed", "throughput_qps"),
        ("mmmu_speed", "latency_mean_s"),
        ("mmmu_speed", "sample_counts"),
    ]
    assert discovery.suggestion == {
        "metric_sources": {
            "test_m_mmmu_ci.py": {
                "json_file": "<folder>0/<name>_results.json",
                "paths": {
                    "accuracy": "summary.accuracy",
                    "throughput_qps": "speed.throughput_qps",
                    "latency_mean_s": "speed.latency_mean_s",
                },
                "sample_counts": {"total": "summary.total_samples", "ok": "speed.completed_requests"},
            }
        }
    }


def test_following_the_suggestion_closes_the_open_ends() -> None:
    places = Places(
        json_file="m0/m_results.json",
        paths={
            "accuracy": "summary.accuracy",
            "throughput_qps": "speed.throughput_qps",
            "latency_mean_s": "speed.latency_mean_s",
        },
        counts=CountPaths("summary.total_samples", "speed.completed_requests"),
    )
    discovery = found_in(FACTORY, Rules(places=places))
    assert (discovery.open_ends, discovery.suggestion) == ((), {})


def test_counts_of_a_group_go_before_those_of_the_test() -> None:
    places = Places(
        json_file="x0/x.json",
        counts=CountPaths("a.total", "a.ok"),
        by_group={"speed": CountPaths("y0/y.json::b.total", "b.ok")},
    )
    discovery = found_in(MMMU, Rules(places=places))
    speed, accuracy = stage(discovery, "mmmu_speed"), stage(discovery, "mmmu_accuracy")
    assert speed.sample_counts is not None
    assert accuracy.sample_counts is not None
    assert (speed.sample_counts.total.json_file, speed.sample_counts.ok.json_file) == ("y0/y.json", "x0/x.json")
    assert accuracy.sample_counts.total.json_path == "a.total"


@pytest.mark.parametrize(
    ("lines", "kept", "lost"),
    [
        ("A_LATENCY_P95 = 1.0\nA_LATENCY_P95_REF = 1.0\n", "A_LATENCY_P95_REF", "A_LATENCY_P95"),
        ("A_LATENCY_P95_REFERENCE = 1.0\nA_LATENCY_P95_REF = 1.0\n", "A_LATENCY_P95_REF", "A_LATENCY_P95_REFERENCE"),
        ("A_LATENCY_P95 = 1.0\nB_LATENCY_P95_REFERENCE = 1.0\n", "B_LATENCY_P95_REFERENCE", "A_LATENCY_P95"),
        ("B_LATENCY_P95 = 1.0\nA_LATENCY_P95 = 1.0\n", "B_LATENCY_P95", "A_LATENCY_P95"),
    ],
)
def test_one_constant_for_a_metric_and_the_others_are_told(lines: str, kept: str, lost: str) -> None:
    discovery = found_in(lines)
    assert sources(discovery, "mmmu_speed") == [kept]
    assert [(one.stage, one.metric, one.kept, one.dropped) for one in discovery.dropped] == [
        ("mmmu_speed", "latency_p95_s", kept, lost)
    ]


def test_what_looks_like_a_threshold_and_is_none_is_told() -> None:
    discovery = found_in(
        MMMU
        + "X_BLEU_FLOOR = 12.5\n_X_P95 = {8: {'rtf_mean': 1.0, 'ttft_ms': 90.0}}\nFLAT_P95 = {'rtf_mean': 1.0}\n"
        + "MAX_TOKENS = 256\nTIMEOUT_S = 1\nDERIVED_ACC_MIN = MMMU_MIN_ACCURACY * 0.9\n"
        + "OTHER_ACC_MIN = MMMU_MIN_ACCURACY\nSLACKED_ACC_MIN = apply_slack(X)\n"
        + "SCALED_ACC_MIN = X * THRESHOLD_SLACK_LOWER\nOFF_ACC_MIN = None\n"
    )
    assert [(one.source, one.line, one.why) for one in discovery.unmatched] == [
        ("X_BLEU_FLOOR", 9, "no row of the registry knows it"),
        ("_X_P95['ttft_ms']", 10, "no row of the registry knows this key"),
        ("FLAT_P95['rtf_mean']", 11, "in a plain dict; only dicts of dicts are read"),
        ("DERIVED_ACC_MIN", 14, "named like accuracy, but its value is computed"),
        ("OTHER_ACC_MIN", 15, "named like accuracy, but its value is that of MMMU_MIN_ACCURACY"),
        ("OFF_ACC_MIN", 18, "named like accuracy, but its value is None"),
    ]
    assert sources(discovery, "mmmu_accuracy") == ["MMMU_MIN_ACCURACY"]


def test_what_the_configuration_ignores_is_told() -> None:
    discovery = found_in(MMMU + "VC_ACC_MIN = 1.0\n", Rules(ignored=("MMMU_MIN_ACCURACY", "GONE_MIN")))
    assert sources(discovery, "mmmu_accuracy") == ["VC_ACC_MIN"]
    assert [one.source for one in discovery.ignored] == ["MMMU_MIN_ACCURACY"]
    assert discovery.notes == (f"ignored_constants of {TEST} names GONE_MIN, which is not in {TEST}",)


def test_rows_of_the_project_are_used() -> None:
    rows = parse_patterns([{"metric_key": "bleu", "group": "quality", "worst": "min", "ends": "_BLEU_MIN"}])
    text = MMMU + "X_BLEU_MIN = 30.5\n"
    facts = {TEST: parse_facts(facts_of(TEST, text.encode()))}
    discovery = discover(ProjectRules("test_m_", "_ci", (*rows, *BUILT_IN)), facts, [TEST], NOW)
    assert list(discovery.document) == ["mmmu_accuracy", "mmmu_speed", "mmmu_quality"]
    assert [(one.stage, one.key) for one in discovery.open_ends] == [("mmmu_quality", "bleu")]
    assert stage(discovery, "mmmu_quality").metrics[0].locator is None


VOICES = """\
A_VC_WER_MAX_CORPUS = 0.05
A_VC_SIMILARITY_MEAN_MIN = 0.7
_A_VC_STREAM_P95 = {16: {"rtf_mean": 0.5}}
B_VC_WER_MAX_CORPUS = 0.06
_B_VC_STREAM_P95 = {16: {"rtf_mean": 0.6}}
LONELY_ACC_MIN = 0.5
"""
SPEECH = Rules(
    places=Places(json_file="x0/x.json", paths={"rtf_mean": "r", "corpus_wer": "w", "similarity_mean": "s"}),
    threshold_file="tests/ci_config.py",
    extra_env={"BASE": "1", "VOICE": "none"},
    variants=(
        VariantRules("nonstream", "(A|B)_VC_(WER|SIM)", context_vars=("MAX_SAMPLES",)),
        VariantRules("stream", "(A|B)_VC_STREAM_", places=Places(json_file="y0/y.json"), extra_env={"MODE": "s"}),
    ),
    presets=(
        PresetRules("a", "A_", {"VOICE": "a"}, 2, ("org/a",)),
        PresetRules("b", "^B_VC_", {"VOICE": "b"}),
    ),
)


def test_presets_and_variants() -> None:
    discovery = found_in("C = 1\nPASS_ACC_MIN = 1.0\n", SPEECH, ci_config=VOICES)
    assert list(discovery.document) == [
        "mmmu_a_nonstream_wer",
        "mmmu_a_nonstream_similarity",
        "mmmu_a_stream_speed",
        "mmmu_b_nonstream_wer",
        "mmmu_b_stream_speed",
    ]
    one = stage(discovery, "mmmu_a_stream_speed")
    assert (one.title, one.variant, one.calibration_preset) == ("MMMU A STREAM Speed", "stream", "a")
    assert (one.gpus, one.hf_model_ids, one.threshold_file) == (2, ("org/a",), "tests/ci_config.py")
    assert dict(one.extra_env) == {"BASE": "1", "VOICE": "a", "MODE": "s"}
    assert one.metrics[0].locator is not None
    assert one.metrics[0].locator.json_file == "y0/y.json"
    other = stage_body(discovery, "mmmu_b_nonstream_wer")
    assert other["context_vars"] == ["MAX_SAMPLES"]
    assert other["threshold_file_sha256"] == hashlib.sha256(VOICES.encode()).hexdigest()
    assert not {"gpus", "hf_model_ids"} & other.keys()
    assert [(gap.variant, gap.group, gap.present, gap.missing) for gap in discovery.gaps] == [
        ("nonstream", "similarity", ("a",), ("b",))
    ]
    assert [(noted.path, noted.source, noted.why) for noted in discovery.unmatched] == [
        (TEST, "PASS_ACC_MIN", "stands in the test, and its threshold_file is tests/ci_config.py"),
        ("tests/ci_config.py", "LONELY_ACC_MIN", "no variant's constant_filter admits it"),
    ]


def test_the_name_of_a_variant_can_be_left_out_or_overridden() -> None:
    rules = Rules(
        places=SPEECH.places,
        variants=(
            VariantRules("whole", "A_VC_WER", omit_suffix=True),
            VariantRules("stream", "_*A_VC_STREAM", base_override="streaming"),
        ),
    )
    discovery = found_in(VOICES, rules)
    assert list(discovery.document) == ["mmmu_wer", "streaming_stream_speed"]
    assert stage(discovery, "mmmu_wer").title == "MMMU Wer"
    assert stage(discovery, "mmmu_wer").variant == "whole"


def test_a_preset_never_carries_the_symbol_of_another() -> None:
    text = "TTS_WER_MAX_CORPUS = 0.1\nTTS_V2_WER_MAX_CORPUS = 0.2\nSHARED_ACC_MIN = 0.5\n"
    rules = Rules(
        places=Places(json_file="x0/x.json", paths={"corpus_wer": "w", "accuracy": "a"}),
        presets=(PresetRules("one", "TTS_"), PresetRules("two", "TTS_V2_"), PresetRules("three")),
    )
    discovery = found_in(text, rules)
    assert {key: sources(discovery, key) for key in discovery.document} == {
        "mmmu_one_wer": ["TTS_WER_MAX_CORPUS"],
        "mmmu_two_wer": ["TTS_V2_WER_MAX_CORPUS"],
        "mmmu_three_accuracy": ["SHARED_ACC_MIN"],
    }
    assert [(gap.group, gap.missing) for gap in discovery.gaps] == [("wer", ("three",)), ("accuracy", ("one", "two"))]


@given(
    st.lists(st.sampled_from(["A_", "B_", "A_B_", "(A|B)_", ".*X", None]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["A", "B", "X", "_"]), min_size=1, max_size=5).map("_".join),
)
def test_a_claim_is_by_a_filter_that_matches_from_the_start(filters: list[str | None], name: str) -> None:
    owners = {str(at): text for at, text in enumerate(filters)}
    bare = name.lstrip("_")
    claimed = claim(name, owners)
    admitted = [owner for owner, text in owners.items() if text is not None and re.match(text, bare)]
    assert set(claimed) <= set(admitted or [owner for owner, text in owners.items() if text is None])
    assert bool(claimed) is bool(admitted or None in filters)


def test_a_constant_that_two_variants_admit_is_in_one() -> None:
    rules = Rules(
        places=SPEECH.places, variants=(VariantRules("x", "A_VC_WER"), VariantRules("y", "A_VC_(WER|SIMILARITY)"))
    )
    text = "A_VC_WER_MAX_CORPUS = 0.1\nA_VC_SIMILARITY_MEAN_MIN = 0.5\n"
    discovery = found_in(text, rules)
    assert list(discovery.document) == ["mmmu_x_wer", "mmmu_y_similarity"]
    assert discovery.notes == ("A_VC_WER_MAX_CORPUS is admitted by variants x, y alike; x has it",)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("MAX_SAMPLES = 50\nrun(max_samples=MAX_SAMPLES)", 50),
        ("run(max_samples=2_000)", 2000),
        ("A = 50\nB = A\nrun(max_samples=B)", 50),
        ("A = 50\nB = 50\nrun(max_samples=A)\nrun(max_samples=B)", 50),
        ("def f(max_samples):\n    run(max_samples=max_samples)\nf(max_samples=40)", 40),
        ("from tests.ci_config import SAMPLES\nrun(max_samples=SAMPLES)", 77),
        ("from .ci_config import SAMPLES as S\nrun(max_samples=S)", 77),
        # never a guess
        ("from elsewhere import SAMPLES\nrun(max_samples=SAMPLES)", None),
        ("A = 50\nB = 60\nrun(max_samples=A)\nrun(max_samples=B)", None),
        ("A = 50 * 2\nrun(max_samples=A)", None),
        ("A = None\nrun(max_samples=A)", None),
        ("A = 50.0\nrun(max_samples=A)", None),
        ("A = 0\nrun(max_samples=A)", None),
        ("A = 50\nrun(max_samples=n)", None),
        ("CONCURRENCY = 16\nrun(max_concurrency=CONCURRENCY)", None),
        ("CONCURRENCY = 16\nrun(max_samples=CONCURRENCY)", None),
        ("MAX_TOKENS = 32\nrun(max_tokens=MAX_TOKENS, max_new_tokens=MAX_TOKENS)", None),
        ("MAX_SAMPLES = 50", None),
    ],
)
def test_expected_samples(lines: str, expected: int | None) -> None:
    discovery = found_in(f"X_ACC_MIN = 0.5\n{lines}\n", ci_config="SAMPLES = 77\n")
    assert stage(discovery, "mmmu_accuracy").expected_samples == expected


def test_what_is_configured_goes_before_the_source() -> None:
    places = Places(expected={EVERY: 7, "speed": 8})
    variant = VariantRules("v", None, Places(expected={"accuracy": 9}))
    discovery = found_in(MMMU, Rules(places=places))
    assert [stage(discovery, key).expected_samples for key in discovery.document] == [7, 8]
    discovery = found_in(MMMU, Rules(places=places, variants=(variant,)))
    assert [stage(discovery, key).expected_samples for key in discovery.document] == [9, 8]


TTS = """\
X_VC_WER_MAX_CORPUS = 0.1
X_VC_STREAM_WER_MAX_CORPUS = 0.1
X_VC_SIMILARITY_MEAN_MIN = 0.7
X_VC_UTMOS_MEAN_REFERENCE = 4.0
X_VC_STREAM_RTF_MEAN_MAX = 1.0
X_VC_RTF_MEAN_MAX = 1.0
SEEDTTS_EN_FULLSET_SAMPLES = 1088
TTS_SIMILARITY_MAX_SAMPLES = 50
run(max_samples=SEEDTTS_EN_FULLSET_SAMPLES)
run(max_samples=STREAMING_BENCHMARK_MAX_SAMPLES)
"""
BOTH = Rules(variants=(VariantRules("nonstream", "X_VC_(?!STREAM)"), VariantRules("stream", "X_VC_STREAM")))


@pytest.mark.parametrize(
    ("line", "streamed"),
    [("STREAMING_BENCHMARK_MAX_SAMPLES = None", 1088), ("STREAMING_BENCHMARK_MAX_SAMPLES = 80", 80), ("", None)],
)
def test_speech_tests_name_their_scope_by_group(line: str, streamed: int | None) -> None:
    discovery = found_in(f"{TTS}{line}\n", BOTH)
    assert {key: stage(discovery, key).expected_samples for key in discovery.document} == {
        "mmmu_nonstream_wer": 1088,
        "mmmu_nonstream_similarity": 50,
        "mmmu_nonstream_utmos": 1088,
        "mmmu_nonstream_speed": 1088,
        "mmmu_stream_wer": streamed,
        "mmmu_stream_speed": streamed,
    }


def test_recognition_tests_have_a_scope_of_their_own() -> None:
    text = "SEEDTTS_ASR_CORPUS_WER_MAX = 0.1\nSEEDTTS_ASR_CORRECTNESS_SAMPLES = 500\nSEEDTTS_EN_FULLSET_SAMPLES = 9\n"
    discovery = found({"tests/test_m_qwen3_asr_ci.py": text})
    assert stage(discovery, "qwen3_asr_wer").expected_samples == 500


def test_validity_and_allowed_failure_are_located() -> None:
    rules = Rules(observation_validity="v0/v.json::ok", allowed_pytest_failure="summary.allowed")
    one = stage(found_in(MMMU, rules), "mmmu_speed")
    assert one.observation_validity is not None
    assert one.allowed_pytest_failure is not None
    assert (one.observation_validity.json_file, one.observation_validity.json_path) == ("v0/v.json", "ok")
    assert one.allowed_pytest_failure.json_file.startswith("test_mmmu")
    with pytest.raises(DiscoveryError, match="names no file"):
        found_in(FACTORY, rules)


def test_a_test_without_thresholds_is_a_docs_stage() -> None:
    discovery = found_in("def test_readme():\n    pass\n")
    assert list(discovery.document) == ["mmmu_docs"]
    assert stage(discovery, "mmmu_docs").is_docs
    assert stage(discovery, "mmmu_docs").title == "MMMU Docs"


def test_thresholds_that_should_be_there_and_are_not_make_no_docs_stage() -> None:
    texts = {TEST: "A = 1\n", "tests/test_m_b_ci.py": MMMU}
    discovery = found(texts, project(mmmu=Rules(places=Places(paths={"accuracy": "x.json::a"}))))
    assert list(discovery.document) == ["b_accuracy", "b_speed"]
    assert "holds no threshold" in discovery.notes[0]
    with pytest.raises(DiscoveryError, match="no thresholds"):
        found_in("A = 1\n", Rules(threshold_file=TEST))


def test_sources_that_cannot_be_read_stop_everything() -> None:
    with pytest.raises(DiscoveryError, match="ci_config"):
        found_in(MMMU, SPEECH)
    with pytest.raises(DiscoveryError, match="mmmu"):
        found_in("def broken(:\n")


def test_two_stages_of_one_key_stop_everything() -> None:
    with pytest.raises(DiscoveryError, match=r"two stages are called mmmu_accuracy: of a/.* and of b/"):
        found({"a/test_m_mmmu_ci.py": MMMU, "b/test_m_mmmu_ci.py": MMMU})


def test_an_ambiguous_folder_is_told() -> None:
    text = MMMU + "def test_more(tmp_path):\n    use(tmp_path / 'more', tmp_path / 'server.log')\n"
    (note,) = found_in(text).notes
    assert note.endswith("mmmu_audio/mmmu_results.json is taken, not test_more0/more/more_results.json")


def test_times_are_kept_while_a_stage_stays_the_same() -> None:
    old = found_in(MMMU).document
    later = {
        key: {**stage, "last_discovered_at": "2027-01-01T00:00:00Z"}
        for key, stage in old.items()
        if isinstance(stage, dict)
    }
    assert keep_times(later, dict(old)) == old
    changed = {**later, "mmmu_speed": {**later["mmmu_speed"], "expected_samples": 51}}
    kept = keep_times(changed, dict(old))
    assert kept["mmmu_accuracy"] == old["mmmu_accuracy"]
    assert kept["mmmu_speed"] == changed["mmmu_speed"]
    assert keep_times(later, None) == later
    assert stage_keys(keep_times(later, dict(old))) == stage_keys(old)


def stage_keys(document: Mapping[str, Json]) -> list[str]:
    body = document["mmmu_speed"]
    assert isinstance(body, dict)
    return list(body)


TEXTS = {TEST: MMMU, "tests/ci_config.py": VOICES, "tests/test_m_tts_ci.py": TTS}
DATA = {path: text.encode() for path, text in TEXTS.items()}
FACTS = {path: parse_facts(facts_of(path, body)) for path, body in DATA.items()}


@given(st.permutations(sorted(TEXTS)), st.permutations(sorted(TEXTS)))
@settings(max_examples=20)
def test_the_order_of_the_facts_does_not_matter(one: list[str], other: list[str]) -> None:
    of, tests = project(tts=SPEECH), [TEST, "tests/test_m_tts_ci.py"]
    before = discover(of, FACTS, tests, NOW, DATA)
    after = discover(of, {path: FACTS[path] for path in one}, tests, NOW, {path: DATA[path] for path in other})
    assert after == before
    assert list(after.document) == list(before.document)


def facts_and_data(text: str) -> tuple[dict[str, SourceFacts], dict[str, bytes]]:
    return {TEST: parse_facts(facts_of(TEST, text.encode()))}, {TEST: text.encode()}


NUMBERS = st.one_of(
    st.integers(0, 10**6).map(str), st.floats(0, 1e6, allow_nan=False).map(repr), st.sampled_from(["-1.5", "1_0.5e-3"])
)


@given(NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=40)
def test_new_thresholds_do_not_make_a_manifest_stale(accuracy: str, eight: str, sixteen: str) -> None:
    new = {"0.58": accuracy, "4.25": eight, "2.5": sixteen}
    text = re.sub(r"\b(?:0\.58|4\.25|2\.5)\b", lambda found: new[found[0]], MMMU)  # at once: one may hold another
    assert stale(found_in(MMMU).document, *facts_and_data(text)) == ()


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("MAX_SAMPLES = 50", "MAX_SAMPLES = 51", ()),
        ("MMMU_MIN_ACCURACY =", "MMMU_LEAST_ACCURACY =", ("MMMU_MIN_ACCURACY",)),
        ("0.58", "0.5 + 0.08", ("MMMU_MIN_ACCURACY",)),
        ('"latency_mean_s"', '"latency_s"', ("_MMMU_P95['latency_mean_s']",)),
        ("CONCURRENCY = 8\n", "MMMU_MIN_ACCURACY = 1\n", ("MMMU_MIN_ACCURACY",)),
    ],
)
def test_everything_else_does_and_what_moved_is_named(before: str, after: str, moved: tuple[str, ...]) -> None:
    document = found_in(MMMU).document
    (one,) = stale(document, *facts_and_data(MMMU.replace(before, after)))
    assert (one.path, one.constants) == (TEST, moved)
    assert "changed since stages.yaml was made" in str(one)


def test_a_source_that_is_gone_or_broken_moves_all_of_it() -> None:
    document = found_in(MMMU).document
    everything = ("MMMU_MIN_ACCURACY", "_MMMU_P95['throughput_qps']", "_MMMU_P95['latency_mean_s']")
    (gone,) = stale(document, {}, {})
    assert (gone.constants, str(gone)) == (everything, f"{TEST}: is not there any more")
    (broken,) = stale(document, *facts_and_data("def (\n"))
    assert broken.constants == everything


def test_an_old_manifest_has_the_plain_hash_alone() -> None:
    document = found_in(MMMU).document
    old = {
        key: {name: value for name, value in stage.items() if not name.endswith("_blanked")}
        for key, stage in document.items()
        if isinstance(stage, dict)
    }
    assert stale(dict(old), *facts_and_data(MMMU)) == ()
    (one,) = stale(dict(old), *facts_and_data(MMMU.replace("0.58", "0.59")))
    assert one.constants == ()
    assert sources_of(document) == sources_of(dict(old))


def test_a_hash_is_of_the_bytes_that_the_facts_are_about() -> None:
    facts, data = facts_and_data(MMMU)
    assert blanked_sha256(data[TEST] + b"\n", facts[TEST], [symbol_of("MMMU_MIN_ACCURACY")]) is None
    assert blanked_sha256(data[TEST], facts[TEST], []) == facts[TEST].sha256
    assert symbol_of("_X_P95['rtf_mean']") == ("_X_P95", "rtf_mean")
    assert symbol_of("X_ACC_MIN") == ("X_ACC_MIN", None)
