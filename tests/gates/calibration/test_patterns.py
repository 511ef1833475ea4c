from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.calibration.layout import stage_problem
from gates.calibration.patterns import (
    BUILT_IN,
    GROUPS,
    Pattern,
    SchemaError,
    is_constant,
    looks_like_threshold,
    match_key,
    match_name,
    metric_order,
    parse_patterns,
    skipped_name,
    skipped_value,
)
from gates.documents import Json

pytestmark = pytest.mark.travels

WORDS = st.sampled_from(
    [*{word: None for row in BUILT_IN for word in "_".join((row.ends, *row.has)).split("_") if word}, "TTS", "HIGGS"]
)
NAMES = st.tuples(st.sampled_from(["X_", "_X_"]), st.lists(WORDS, min_size=1, max_size=8)).map(
    lambda made: made[0] + "_".join(made[1])
)


@pytest.mark.parametrize(
    ("key", "worst", "label", "scale", "digits"),
    [
        ("throughput_qps", "min", "Throughput (req/s)", 1, 3),
        ("output_tok_per_req_s", "min", "Output tok/req-s", 1, 1),
        ("latency_mean_s", "max", "Latency mean (s)", 1, 3),
        ("latency_p95_s", "max", "Latency p95 (s)", 1, 3),
        ("rtf_mean", "max", "RTF mean", 1, 4),
        ("rtf_p95", "max", "RTF p95", 1, 4),
    ],
)
def test_nested_keys(key: str, worst: str, label: str, scale: int, digits: int) -> None:
    row = match_key(key)
    assert row is not None
    assert (row.metric_key, row.group, row.worst, row.label, row.scale, row.digits) == (
        key,
        "speed",
        worst,
        label,
        scale,
        digits,
    )
    assert match_key(key.upper()) is None
    assert match_name(key) is None


@pytest.mark.parametrize(
    ("name", "key", "group", "worst", "scale", "digits"),
    [
        ("MMMU_ACC_MIN", "accuracy", "accuracy", "min", 100, 2),
        ("MMMU_ACCURACY_MIN", "accuracy", "accuracy", "min", 100, 2),
        ("_MMMU_MIN_ACCURACY", "accuracy", "accuracy", "min", 100, 2),
        ("VC_WER_BELOW_50_CORPUS_MAX", "wer_below_50_corpus", "wer", "max", 100, 2),
        ("VC_N_ABOVE_50_MAX", "n_above_50", "wer", "max", 1, 0),
        ("TTS_MAX_FAILED_REQUESTS", "failed_requests", "reliability", "max", 1, 0),
        ("A_CER_NO_SPK_CP_VALID_PERCENT_REF", "cer_no_spk_cp_valid_percent", "diarization", "max", 1, 2),
        ("A_CER_NO_SPK_BELOW_50_PERCENT_REF", "cer_no_spk_below_50_corpus", "diarization", "max", 1, 2),
        ("A_CER_NO_SPK_PERCENT_REF", "cer_no_spk_percent", "diarization", "max", 1, 2),
        ("A_CP_CER_PERCENT_REF", "cp_cer_percent", "diarization", "max", 1, 2),
        ("A_DELTA_CER_PERCENT_REF", "delta_cer_percent", "diarization", "max", 1, 2),
        ("A_CER_PERCENT_REF", "cer_percent", "diarization", "max", 1, 2),
        ("A_SPEAKER_TIMESTAMP_DER_PERCENT_REF", "speaker_timestamp_der_percent", "diarization", "max", 1, 2),
        ("A_N_ABOVE_50_CER_REF", "n_above_50_pct_cer", "diarization", "max", 1, 0),
        ("A_N_ABOVE_50_CER_MAX", "n_above_50_pct_cer", "diarization", "max", 1, 0),
        ("A_CP_CER_VALID_SAMPLES_MIN", "cp_cer_valid_samples", "diarization", "min", 1, 0),
        ("A_CER_VALID_SAMPLES_MIN", "cer_valid_samples", "diarization", "min", 1, 0),
        ("VC_SIMILARITY_MARGIN_P10_MIN", "similarity_margin", "similarity", "min", 1, 4),
        ("VC_SIMILARITY_MEAN_MIN", "similarity_mean", "similarity", "min", 1, 4),
        ("VC_UTMOS_MEAN_REFERENCE", "utmos_mean", "utmos", "min", 1, 4),
        ("VC_WER_MAX_CORPUS", "corpus_wer", "wer", "max", 100, 2),
        ("SEEDTTS_ASR_CORPUS_WER_MAX", "corpus_wer", "wer", "max", 100, 2),
        ("VC_WER_MAX_PER_SAMPLE", "per_sample_wer_max", "wer", "max", 100, 2),
        ("SEEDTTS_ASR_SAMPLE_WER_MAX", "per_sample_wer_max", "wer", "max", 100, 2),
        ("QWEN3_ASR_THROUGHPUT_MIN", "throughput_qps", "speed", "min", 1, 3),
        ("A_THROUGHPUT_QPS_REF", "throughput_qps", "speed", "min", 1, 3),
        ("A_OUTPUT_TOK_PER_REQ_S_MIN", "output_tok_per_req_s", "speed", "min", 1, 1),
        ("QWEN3_ASR_LATENCY_MEAN_MAX_S", "latency_mean_s", "speed", "max", 1, 3),
        ("QWEN3_ASR_LATENCY_P95_MAX_S", "latency_p95_s", "speed", "max", 1, 3),
        ("QWEN3_ASR_LATENCY_MAX_S", "latency_max_s", "speed", "max", 1, 3),
        ("QWEN3_ASR_RTF_MEAN_MAX", "rtf_mean", "speed", "max", 1, 4),
        ("QWEN3_ASR_RTF_P95_MAX", "rtf_p95", "speed", "max", 1, 4),
        ("A_TTFA_P95_MAX_S", "ttfa_p95_s", "speed", "max", 1, 4),
        ("A_TEXT_TTFT_P95_MAX_S", "text_ttft_p95_s", "speed", "max", 1, 4),
        ("A_INTER_CHUNK_GAP_P95_MAX_S", "inter_chunk_p95_s", "speed", "max", 1, 4),
    ],
)
def test_names(name: str, key: str, group: str, worst: str, scale: int, digits: int) -> None:
    row = match_name(name)
    assert row is not None
    assert (row.metric_key, row.group, row.worst, row.scale, row.digits) == (key, group, worst, scale, digits)


@pytest.mark.parametrize(
    "name",
    ["ACC_MIN", "MAX_SAMPLES", "VC_SIMILARITY_MEAN", "VC_UTMOS_MEAN_MIN", "TTFA_MEAN", "CONCURRENCY", "_X_P95"],
)
def test_what_no_row_knows(name: str) -> None:
    assert match_name(name) is None


@given(NAMES)
def test_a_name_is_the_first_row_that_matches_and_no_other(name: str) -> None:
    matching = [row for row in BUILT_IN if row.matches(name)]
    assert match_name(name) == (matching[0] if matching else None)
    assert is_constant(name)


@given(NAMES, st.randoms(use_true_random=False))
def test_a_name_that_one_row_alone_knows_does_not_hang_on_their_order(name: str, random: object) -> None:
    keys = {row.metric_key for row in BUILT_IN if row.matches(name)}
    if len(keys) == 1:
        row = match_name(name, tuple(reversed(BUILT_IN)))
        assert row is not None
        assert {row.metric_key} == keys


def test_the_registry_holds_together() -> None:
    by_key: dict[str, set[tuple[object, ...]]] = {}
    for row in BUILT_IN:
        by_key.setdefault(row.metric_key, set()).add((row.group, row.worst, row.label, row.scale, row.digits))
        assert row.group in GROUPS
        assert row.nested or row.ends or row.has
        assert stage_problem(f"base_{row.group}") is None
    assert {key: len(shown) for key, shown in by_key.items() if len(shown) > 1} == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("X_ACC_THRESHOLD", "derived from a reference"),
        ("_X_WER_MAX_CORPUS_THRESHOLDS", "derived from a reference"),
        ("THRESHOLD_SLACK_HIGHER", "slack"),
        ("SEEDTTS_EN_FULLSET_SAMPLES", "how many samples"),
        ("TTS_SIMILARITY_MAX_SAMPLES", "how many samples"),
        ("STREAMING_BENCHMARK_MAX_SAMPLES", "how many samples"),
        ("OLD_ACC_MIN", "ignored_constants"),
        ("_OLD_ACC_MIN", "ignored_constants"),
    ],
)
def test_names_that_are_no_threshold(name: str, why: str) -> None:
    assert why in str(skipped_name(name, ("OLD_ACC_MIN",)))


def test_names_that_may_be_one() -> None:
    assert skipped_name("X_ACC_MIN", ("ACC_MIN",)) is None
    assert skipped_name("X_THRESHOLD_ACC_MIN") is None


@pytest.mark.parametrize(
    ("function", "names", "derived"),
    [
        ("apply_slack", ("_X_P95",), True),
        ("utils.apply_wer_slack", ("X",), True),
        ("apply_mos_slack", (), True),
        ("", ("X", "THRESHOLD_SLACK_LOWER"), True),
        ("max", ("X", "TTS_THRESHOLD_SLACK_HIGHER"), True),
        ("max", ("X", "SLACK"), False),
        ("", (), False),
    ],
)
def test_values_that_are_derived(function: str, names: tuple[str, ...], derived: bool) -> None:
    assert (skipped_value(function, names) is not None) is derived


@pytest.mark.parametrize("name", ["X_BLEU_FLOOR", "_X_TTFT_P99", "ACC_MIN", "X_SCORE", "FAILED_REQUESTS_LIMIT"])
def test_what_sounds_like_a_threshold(name: str) -> None:
    assert looks_like_threshold(name)


@pytest.mark.parametrize(
    "name", ["MAX_SAMPLES", "MAX_TOKENS", "CONCURRENCY", "TIMEOUT_S", "MIN_BATCH", "SEED", "MAXWELL"]
)
def test_what_does_not(name: str) -> None:
    assert not looks_like_threshold(name)


def test_rows_of_a_project_go_first() -> None:
    own = parse_patterns(
        [
            {"metric_key": "bleu", "group": "quality", "worst": "min", "has": "BLEU", "ends": "_MIN", "scale": 100},
            {
                "metric_key": "ttft_ms",
                "group": "speed",
                "worst": "max",
                "nested": "ttft_ms",
                "label": "TTFT",
                "digits": 1,
            },
            {"metric_key": "odd", "group": "speed", "worst": "max", "has": ["ACC", "MIN"]},
        ]
    )
    rows = (*own, *BUILT_IN)
    assert match_name("X_BLEU_MIN", rows) == Pattern(
        "bleu", "quality", "min", "bleu", 100, 4, ends="_MIN", has=("BLEU",)
    )
    assert match_key("ttft_ms", rows) == own[1]
    assert match_name("X_ACC_MIN", rows) == own[2]
    assert metric_order(rows)["bleu"] == 0
    assert parse_patterns(None) == ()


GOOD = {"metric_key": "bleu", "group": "quality", "worst": "min", "ends": "_BLEU_MIN"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "config.yaml: patterns: expected a list of rows, got a mapping"),
        (["X"], "config.yaml: patterns[0]: expected a mapping of a row's fields, got 'X'"),
        ([GOOD, {**GOOD, "worst": "avg"}], "patterns[1].worst: expected min or max, got 'avg'"),
        ([{**GOOD, "metric_key": None}], "patterns[0].metric_key: expected text, got nothing"),
        ([{**GOOD, "group": "a/b"}], "patterns[0].group: contains '/'"),
        ([{**GOOD, "digits": 18}], "patterns[0].digits: expected a whole number from 0 to 17, got 18"),
        ([{**GOOD, "digits": True}], "patterns[0].digits: expected a whole number of at least 0, got True"),
        ([{**GOOD, "scale": 0}], "patterns[0].scale: expected a number above 0, got 0"),
        ([{**GOOD, "end": "_MIN"}], "patterns[0].end: unknown key; did you mean ends?"),
        ([{**GOOD, "has": [1]}], "patterns[0].has[0]: expected text, got 1"),
        ([{**GOOD, "ends": None}], "patterns[0]: one of ends, has and nested is needed"),
        ([{**GOOD, "nested": "bleu"}], "patterns[0].nested: a nested key is matched whole"),
    ],
)
def test_rows_that_cannot_be_used(document: Json, said: str) -> None:
    with pytest.raises(SchemaError, match=re.escape(said)):
        parse_patterns(document)
