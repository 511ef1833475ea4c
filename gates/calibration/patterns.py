"""The registry: which constant is which metric, as data (spec/calibration.md, section 2).

A row is what a name has to look like and what it then means; the first row that matches wins. A project puts rows of
its own before these, under `patterns` in its config.yaml, and needs no code for that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, cast

from gates.calibration.keypath import Place, SchemaError
from gates.calibration.layout import name_problem
from gates.documents import Json

__all__ = [
    "BUILT_IN",
    "GROUPS",
    "SAMPLE_SCOPES",
    "SLACK_HELPERS",
    "Pattern",
    "SchemaError",
    "is_constant",
    "looks_like_threshold",
    "match_key",
    "match_name",
    "metric_order",
    "parse_patterns",
    "skipped_name",
    "skipped_value",
]

Worst = Literal["min", "max"]

GROUPS = ("accuracy", "wer", "reliability", "diarization", "similarity", "utmos", "speed")
"""The groups of the table, in the order in which a test's stages are listed; a project's own come behind them."""

SLACK_HELPERS = frozenset({"apply_slack", "apply_wer_slack", "apply_mos_slack"})
"""What these return is derived from a reference, and is no reference."""

SAMPLE_SCOPES = frozenset(
    {"SEEDTTS_EN_FULLSET_SAMPLES", "TTS_SIMILARITY_MAX_SAMPLES", "STREAMING_BENCHMARK_MAX_SAMPLES"}
)
"""How many samples a test runs: never a threshold."""

_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*\Z")
_DERIVED = re.compile(r"_THRESHOLDS?\Z")
_SLACK = "THRESHOLD_SLACK_"
_BOUND = re.compile(
    r"(?:^|_)(?:"
    r"MIN|MAX|MINIMUM|MAXIMUM|REF|REFERENCE|REFERENCES|BASELINE|LIMIT|LIMITS|FLOOR|CEILING|BOUND|BUDGET|"
    r"THRESHOLD|TOLERANCE|P50|P90|P95|P99|MEAN|MEDIAN"
    r")(?=_|$)"
)
_MEASURED = re.compile(
    r"(?:^|_)(?:"
    r"ACC|ACCURACY|WER|CER|DER|MOS|UTMOS|SIMILARITY|SCORE|BLEU|CHRF|ROUGE|F1|EM|LATENCY|THROUGHPUT|QPS|RPS|"
    r"RTF|TTFT|TTFA|TPOT|ITL|PERPLEXITY|PPL|ERRORS|FAILURES|FAILED"
    r")(?=_|$)"
)
_SCOPE = re.compile(
    r"(?:^|_)(?:"
    r"SAMPLES|TOKENS|CONCURRENCY|TIMEOUT|RETRIES|ATTEMPTS|SEED|PORT|WORKERS|BATCH|LEN|LENGTH|CHARS|FRAMES|"
    r"SLACK|STEPS|ROUNDS|REQUESTS|INTERVAL|WARMUP|GPUS|MEMORY"
    r")(?=_|$)"
)


@dataclass(frozen=True)
class Pattern:
    """One row: what a name looks like, and the metric that it then is.

    Attributes:
        metric_key: Such as "rtf_mean".
        group: The stage that the metric belongs to.
        worst: Which of several values is the worst one.
        label: How tables call it.
        scale: What raw values are multiplied by for display.
        digits: Digits after the point for display.
        ends: The name ends with this.
        has: The name holds all of these.
        nested: The inner key of a dict of dicts is exactly this; a row of this kind matches no plain name.
    """

    metric_key: str
    group: str
    worst: Worst
    label: str
    scale: int | float = 1
    digits: int = 4
    ends: str = ""
    has: tuple[str, ...] = ()
    nested: str = ""

    def matches(self, name: str) -> bool:
        """Whether a module-level constant of this name is this row's metric."""
        return not self.nested and name.endswith(self.ends) and all(part in name for part in self.has)


def _nested(key: str, worst: Worst, label: str, digits: int) -> Pattern:
    return Pattern(key, "speed", worst, label, 1, digits, nested=key)


def _speed(key: str, worst: Worst, label: str, digits: int, *has: str) -> Pattern:
    return Pattern(key, "speed", worst, label, 1, digits, has=has)


def _wer(key: str, label: str, scale: int, digits: int, has: str) -> Pattern:
    return Pattern(key, "wer", "max", label, scale, digits, has=(has,))


def _diarization(key: str, worst: Worst, label: str, digits: int, has: str) -> Pattern:
    return Pattern(key, "diarization", worst, label, 1, digits, has=(has,))


BUILT_IN: tuple[Pattern, ...] = (
    _nested("throughput_qps", "min", "Throughput (req/s)", 3),
    _nested("output_tok_per_req_s", "min", "Output tok/req-s", 1),
    _nested("latency_mean_s", "max", "Latency mean (s)", 3),
    _nested("latency_p95_s", "max", "Latency p95 (s)", 3),
    _nested("rtf_mean", "max", "RTF mean", 4),
    _nested("rtf_p95", "max", "RTF p95", 4),
    Pattern("accuracy", "accuracy", "min", "Acc (%)", 100, 2, ends="_ACC_MIN"),
    Pattern("accuracy", "accuracy", "min", "Acc (%)", 100, 2, ends="_ACCURACY_MIN"),
    Pattern("accuracy", "accuracy", "min", "Acc (%)", 100, 2, ends="_MIN_ACCURACY"),
    _wer("wer_below_50_corpus", "Corpus WER ≤50% (%)", 100, 2, "WER_BELOW_50_CORPUS_MAX"),
    _wer("n_above_50", "Samples >50% WER", 1, 0, "N_ABOVE_50_MAX"),
    Pattern("failed_requests", "reliability", "max", "Failed requests", 1, 0, has=("MAX_FAILED_REQUESTS",)),
    _diarization("cer_no_spk_cp_valid_percent", "max", "CER no spk, cp valid (%)", 2, "CER_NO_SPK_CP_VALID_PERCENT"),
    _diarization("cer_no_spk_below_50_corpus", "max", "CER no spk ≤50% (%)", 2, "CER_NO_SPK_BELOW_50_PERCENT"),
    _diarization("cer_no_spk_percent", "max", "CER no spk (%)", 2, "CER_NO_SPK_PERCENT"),
    _diarization("cp_cer_percent", "max", "cpCER (%)", 2, "CP_CER_PERCENT"),
    _diarization("delta_cer_percent", "max", "Delta CER (%)", 2, "DELTA_CER_PERCENT"),
    _diarization("cer_percent", "max", "CER (%)", 2, "CER_PERCENT"),
    _diarization(
        "speaker_timestamp_der_percent", "max", "Speaker timestamp DER (%)", 2, "SPEAKER_TIMESTAMP_DER_PERCENT_REF"
    ),
    _diarization("n_above_50_pct_cer", "max", "Samples >50% CER", 0, "N_ABOVE_50_CER_REF"),
    _diarization("n_above_50_pct_cer", "max", "Samples >50% CER", 0, "N_ABOVE_50_CER_MAX"),
    _diarization("cp_cer_valid_samples", "min", "cpCER valid samples", 0, "CP_CER_VALID_SAMPLES_MIN"),
    _diarization("cer_valid_samples", "min", "CER valid samples", 0, "CER_VALID_SAMPLES_MIN"),
    Pattern(
        "similarity_margin", "similarity", "min", "Speaker sim margin", 1, 4, ends="_MIN", has=("SIMILARITY_MARGIN",)
    ),
    Pattern("similarity_mean", "similarity", "min", "Speaker sim mean", 1, 4, ends="_MIN", has=("SIMILARITY",)),
    Pattern("utmos_mean", "utmos", "min", "UTMOS mean", 1, 4, ends="_REFERENCE", has=("UTMOS",)),
    _wer("corpus_wer", "Corpus WER (%)", 100, 2, "WER_MAX_CORPUS"),
    _wer("corpus_wer", "Corpus WER (%)", 100, 2, "CORPUS_WER_MAX"),
    _wer("per_sample_wer_max", "Max per-sample WER (%)", 100, 2, "WER_MAX_PER_SAMPLE"),
    _wer("per_sample_wer_max", "Max per-sample WER (%)", 100, 2, "SAMPLE_WER_MAX"),
    _speed("throughput_qps", "min", "Throughput (req/s)", 3, "THROUGHPUT_QPS"),
    _speed("throughput_qps", "min", "Throughput (req/s)", 3, "THROUGHPUT_MIN"),
    _speed("output_tok_per_req_s", "min", "Output tok/req-s", 1, "OUTPUT_TOK_PER_REQ"),
    _speed("latency_mean_s", "max", "Latency mean (s)", 3, "LATENCY_MEAN"),
    _speed("latency_p95_s", "max", "Latency p95 (s)", 3, "LATENCY_P95"),
    _speed("latency_max_s", "max", "Latency max (s)", 3, "LATENCY_MAX"),
    _speed("rtf_mean", "max", "RTF mean", 4, "RTF_MEAN"),
    _speed("rtf_p95", "max", "RTF p95", 4, "RTF_P95"),
    _speed("ttfa_p95_s", "max", "TTFA p95 (s)", 4, "TTFA", "P95"),
    _speed("text_ttft_p95_s", "max", "Text TTFT p95 (s)", 4, "TEXT_TTFT", "P95"),
    _speed("inter_chunk_p95_s", "max", "Inter-chunk p95 (s)", 4, "INTER_CHUNK", "P95"),
)


def match_name(name: str, rows: Iterable[Pattern] = BUILT_IN) -> Pattern | None:
    """The first row that a module-level constant of this name is, None when it is none."""
    return next((row for row in rows if row.matches(name)), None)


def match_key(key: str, rows: Iterable[Pattern] = BUILT_IN) -> Pattern | None:
    """The first row that the inner key of a dict of dicts is, None when it is none."""
    return next((row for row in rows if row.nested == key and key), None)


def is_constant(name: str) -> bool:
    """Whether a module-level name is written as a constant."""
    return _CONSTANT.match(name) is not None


def skipped_name(name: str, ignored: Iterable[str] = ()) -> str | None:
    """Why a constant of this name is never a threshold to calibrate, None when it may be one.

    Args:
        ignored: The test's `ignored_constants`; a leading underscore need not be written there.
    """
    if name in ignored or name.lstrip("_") in ignored:
        return "listed under ignored_constants"
    if name.lstrip("_") in SAMPLE_SCOPES:
        return "says how many samples are run"
    if _SLACK in name:
        return "is slack"
    return "a name ending in _THRESHOLD is derived from a reference" if _DERIVED.search(name) else None


def skipped_value(function: str, names: Sequence[str]) -> str | None:
    """Why a value made by `function` from `names` is derived from a reference, None when nothing says so."""
    helper = function.rpartition(".")[2]
    if helper in SLACK_HELPERS:
        return f"made by {helper}"
    return next((f"made with {name}" for name in names if _SLACK in name), None)


def looks_like_threshold(name: str) -> bool:
    """Whether a constant that no row knows sounds like one that a test holds its measurements against.

    A word for something measured says so; one that bounds something does, unless what is bound is the scope of the
    test (samples, tokens, time-outs).
    """
    if _MEASURED.search(name):
        return True
    return _BOUND.search(name) is not None and _SCOPE.search(name) is None


def parse_patterns(document: Json, where: str = "config.yaml") -> tuple[Pattern, ...]:
    """Read a project's own rows: a list of mappings with the fields of `Pattern`.

    `metric_key`, `group` and `worst` are needed, and at least one of `ends`, `has` and `nested`.

    Raises:
        SchemaError: A row is not usable; the message names its key path.
    """
    root = Place(document, where, ("patterns",))
    if root.absent:
        return ()
    if not isinstance(document, list):
        raise root.wrong("a list of rows")
    return tuple(_row(Place(row, where, (f"patterns[{at}]",))) for at, row in enumerate(document))


_FIELDS = tuple(field.name for field in fields(Pattern))


def _row(place: Place) -> Pattern:
    for key, at in place.items("a row's fields"):
        if key not in _FIELDS:
            near = difflib.get_close_matches(key, _FIELDS, n=1)
            raise at.error(f"unknown key{f'; did you mean {near[0]}?' if near else ''}")
    worst = place.at("worst")
    if worst.value not in ("min", "max"):
        raise worst.wrong("min or max")
    row = Pattern(
        metric_key=_word(place.at("metric_key")),
        group=_word(place.at("group")),
        worst=cast("Worst", worst.value),
        label=place.at("label").text_or_none() or str(place.at("metric_key").value),
        scale=_scale(place.at("scale")),
        digits=_digits(place.at("digits")),
        ends=place.at("ends").text_or_none() or "",
        has=place.at("has").texts(),
        nested=place.at("nested").text_or_none() or "",
    )
    if not (row.ends or row.has or row.nested):
        raise place.error("one of ends, has and nested is needed, or every constant would match")
    if row.nested and (row.ends or row.has):
        raise place.at("nested").error("a nested key is matched whole; leave ends and has out")
    return row


def _word(place: Place) -> str:
    text = place.text()
    problem = name_problem(text)
    if problem is not None:
        raise place.error(problem)
    return text


def _scale(place: Place) -> int | float:
    value = 1 if place.absent else place.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise place.wrong("a number above 0")
    return value


def _digits(place: Place) -> int:
    value = 4 if place.absent else place.whole(0)
    if value is None or value > 17:
        raise place.wrong("a whole number from 0 to 17")
    return value


def metric_order(rows: Sequence[Pattern]) -> Mapping[str, int]:
    """Where each metric stands in a stage: the place of its first row."""
    order: dict[str, int] = {}
    for row in rows:
        order.setdefault(row.metric_key, len(order))
    return order
