"""The spelling corrector: how many words are still wrong, and how long does a sentence take?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slack import apply_slack, apply_wer_slack, speed_failures
from tinylab.client import Reply, run_load, running_server
from tinylab.results import speed_summary, write_results
from tinylab.seeds import fresh_random
from tinylab.speller import mistype
from tinylab.text import SENTENCES
from tinylab.wer import score, summarise

CONCURRENCY = 2
MAX_SAMPLES = 400  # every sentence eight times, with other slips each time

SPELLER_MIN_ACCURACY = 0.55  # share of sentences without a wrong word

SPELLER_WER_BELOW_50_CORPUS_MAX = 0.085  # SPELLER_WER_BELOW_50_CORPUS_MAX = 0.06 is a good day
SPELLER_N_ABOVE_50_MAX = 4  # sentences; a count stays a whole number
SPELLER_WER_MAX_CORPUS = 0.0675
SPELLER_WER_MAX_PER_SAMPLE = 1.0

SPELLER_WER_BELOW_50_CORPUS_THRESHOLD = apply_wer_slack(SPELLER_WER_BELOW_50_CORPUS_MAX)
SPELLER_WER_CORPUS_THRESHOLD = apply_wer_slack(SPELLER_WER_MAX_CORPUS)

_SPELLER_P95 = {
    2: {
        "throughput_qps": 100.0,
        "output_tok_per_req_s": 375.0,  # words of one answer, divided by the time it took
        "latency_mean_s": 0.03,
        "latency_p95_s": 0.0400,
    }
}
SPELLER_THRESHOLDS = apply_slack(_SPELLER_P95)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with its lexicon loaded."""
    with running_server("speller") as port:
        yield port


def words_of(reply: Reply) -> int:
    """Number of words in an answer."""
    return len(json.loads(reply.body)["text"].split())


def test_speller_accuracy_wer_and_speed(port: int, tmp_path: Path) -> None:
    """A fixed list of sentences, typed badly in a new way each time."""
    rng = fresh_random("typist")
    references = [SENTENCES[index % len(SENTENCES)] for index in range(MAX_SAMPLES)]
    requests = [{"text": mistype(reference, rng)} for reference in references]

    load = run_load(port, requests, max_samples=MAX_SAMPLES, max_concurrency=CONCURRENCY, label="speller")

    samples = [
        score(reference, json.loads(reply.body)["text"])
        for reference, reply in zip(references, load.replies, strict=True)
        if reply is not None
    ]
    correct = sum(sample.edits == 0 for sample in samples)
    accuracy = correct / len(references)
    wer = summarise(samples, total=len(references))
    speed = speed_summary(load, tokens=words_of)
    write_results(
        tmp_path / "speller" / "speller_results.json",
        {
            "summary": {"total_samples": len(references), "correct": correct, "accuracy": accuracy},
            "wer": {"summary": wer},
            "speed": speed,
        },
    )

    assert load.completed == len(references), "some sentences were never corrected"
    failures = speed_failures(speed, SPELLER_THRESHOLDS[CONCURRENCY])
    if accuracy < SPELLER_MIN_ACCURACY:
        failures.append(f"accuracy: {accuracy:.4f} is below {SPELLER_MIN_ACCURACY:.4f}")
    for name, limit in (
        ("wer_below_50_corpus", SPELLER_WER_BELOW_50_CORPUS_THRESHOLD),
        ("n_above_50_pct_wer", SPELLER_N_ABOVE_50_MAX),
        ("wer_corpus", SPELLER_WER_CORPUS_THRESHOLD),
        ("wer_per_sample_max", SPELLER_WER_MAX_PER_SAMPLE),
    ):
        if wer[name] > limit:
            failures.append(f"{name}: {wer[name]:.4f} is above {limit:.4f}")
    assert not failures, "; ".join(failures)
