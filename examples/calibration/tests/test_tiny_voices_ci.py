"""The two voices: are they understood, and do they speak fast enough, whole and word by word?

TINY_LAB_VOICE chooses the voice; one run of this file measures both ways of speaking. The references are in
tests/voices_thresholds.py.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slack import Limits, speed_failures
from tests.voices_thresholds import SILENCE_DBFS, VOICE_THRESHOLDS
from tinylab.client import Load, run_load, running_server
from tinylab.results import speed_summary, write_results
from tinylab.text import SENTENCES
from tinylab.voices import duration_s, listen
from tinylab.wer import WerSample, score, summarise

CONCURRENCY = 4
MAX_SAMPLES = 120
STREAMING_BENCHMARK_MAX_SAMPLES = 80

VOICE = os.environ.get("TINY_LAB_VOICE", "alpha")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that speaks with the chosen voice."""
    with running_server("voices", "--voice", VOICE) as port:
        yield port


def test_voices_non_stream(port: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whole sentences: the sound comes when all of it is there."""
    references = [SENTENCES[index % len(SENTENCES)] for index in range(MAX_SAMPLES)]
    requests = [{"text": reference, "stream": False} for reference in references]
    load = run_load(port, requests, max_samples=MAX_SAMPLES, max_concurrency=CONCURRENCY, label=f"{VOICE} non-stream")

    speed, wer = write_observation(load, references, tmp_path_factory.mktemp("vc_nonstream"))

    thresholds = VOICE_THRESHOLDS[VOICE]
    check(load, speed, thresholds.speed[CONCURRENCY], wer, thresholds.wer_corpus)


def test_voices_stream(port: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Word by word: the first sound has to come early."""
    references = [SENTENCES[index % len(SENTENCES)] for index in range(STREAMING_BENCHMARK_MAX_SAMPLES)]
    requests = [{"text": reference, "stream": True} for reference in references]
    load = run_load(
        port,
        requests,
        max_samples=STREAMING_BENCHMARK_MAX_SAMPLES,
        max_concurrency=CONCURRENCY,
        label=f"{VOICE} stream",
    )

    speed, wer = write_observation(load, references, tmp_path_factory.mktemp("vc_stream"))

    thresholds = VOICE_THRESHOLDS[VOICE]
    limits = {**thresholds.stream_speed[CONCURRENCY], "ttfa_p95_s": thresholds.stream_ttfa_p95_s}
    check(load, speed, limits, wer, thresholds.stream_wer_corpus)


def transcribe(load: Load, references: list[str]) -> list[WerSample]:
    """Listen to every answer, after the load run, so that listening takes no time from speaking."""
    samples = []
    for index, (reference, reply) in enumerate(zip(references, load.replies, strict=True), start=1):
        if reply is not None:
            samples.append(score(reference, listen(reply.body)))
        if index % 20 == 0:
            print(f"transcribed {index}/{len(references)}", flush=True)
    return samples


def write_observation(load: Load, references: list[str], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write both result files of one way of speaking.

    Returns:
        The summaries of speed and of word errors.
    """
    speed = speed_summary(load, audio_s=lambda reply: duration_s(reply.body))
    write_results(folder / "speed_results.json", {"summary": speed})
    wer = summarise(transcribe(load, references), total=len(references))
    write_results(folder / "wer_results.json", {"summary": wer})
    return speed, wer


def loudness_dbfs(sound: bytes) -> float:
    """Root mean square of a sound in decibels of full scale."""
    samples = array("h")
    samples.frombytes(sound)
    square = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(square / 32767**2) if square else -math.inf


def check(load: Load, speed: dict[str, Any], limits: Limits, wer: dict[str, Any], wer_limit: float) -> None:
    """Assert everything at once: a failed run shows all that it missed."""
    failures = speed_failures(speed, limits)
    if wer["wer_corpus"] > wer_limit:
        failures.append(f"wer_corpus: {wer['wer_corpus']:.4f} is above {wer_limit:.4f}")
    first = load.replies[0]
    if first is None or loudness_dbfs(first.body) < SILENCE_DBFS:
        failures.append("the first sentence is silent")
    assert not failures, "; ".join(failures)
