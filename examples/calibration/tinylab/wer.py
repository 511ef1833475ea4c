"""Word error rate: edits over reference words, per sample and over a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WerSample:
    """One sentence and what was made of it."""

    reference: str
    hypothesis: str
    edits: int

    @property
    def words(self) -> int:
        """Number of words in the reference."""
        return len(self.reference.split())

    @property
    def wer(self) -> float:
        """Edits per reference word; above 1.0 where words were invented."""
        return self.edits / self.words


def word_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Least number of insertions, deletions and substitutions that turn one word list into the other."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, seen in enumerate(hypothesis, start=1):
            kept = diagonal if expected == seen else diagonal + 1
            diagonal, row[j] = row[j], min(kept, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def score(reference: str, hypothesis: str) -> WerSample:
    """Compare one hypothesis with its reference, word by word."""
    return WerSample(reference, hypothesis, word_edits(reference.split(), hypothesis.split()))


def corpus_wer(samples: Sequence[WerSample]) -> float:
    """Edits of all samples over words of all samples; 0.0 for no samples."""
    words = sum(sample.words for sample in samples)
    return sum(sample.edits for sample in samples) / words if words else 0.0


def summarise(samples: Sequence[WerSample], total: int) -> dict[str, Any]:
    """The `summary` block of a WER result file.

    Args:
        samples: what could be scored; a sample without an answer is missing here.
        total: number of samples that were asked for.
    """
    mild = [sample for sample in samples if sample.wer <= 0.5]
    return {
        "total_samples": total,
        "evaluated": len(samples),
        "wer_corpus": corpus_wer(samples),
        "wer_per_sample_max": max((sample.wer for sample in samples), default=None),
        "wer_below_50_corpus": corpus_wer(mild),
        "n_above_50_pct_wer": len(samples) - len(mild),
    }
