"""From a load run to the numbers of a result file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tinylab.client import Load, Reply


def percentile_95(values: Sequence[float]) -> float | None:
    """The smallest value that at least 95 % of the values do not exceed; None for no values."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else None


def mean(values: Sequence[float]) -> float | None:
    """The mean; None for no values."""
    return fmean(values) if values else None


def speed_summary(
    load: Load,
    *,
    tokens: Callable[[Reply], int] | None = None,
    audio_s: Callable[[Reply], float] | None = None,
) -> dict[str, Any]:
    """Throughput and latency of a load run.

    Args:
        load: the observations.
        tokens: how many tokens an answer has, for `output_tok_per_req_s`.
        audio_s: how many seconds of sound an answer has, for `rtf_mean` and `ttfa_p95_s`.
    """
    replies = [reply for reply in load.replies if reply is not None]
    latencies = [reply.latency_s for reply in replies]
    summary: dict[str, Any] = {
        "total_requests": len(load.replies),
        "completed_requests": len(replies),
        "failed_requests": len(load.replies) - len(replies),
        "wall_s": load.wall_s,
        "throughput_qps": len(replies) / load.wall_s,
        "latency_mean_s": mean(latencies),
        "latency_p95_s": percentile_95(latencies),
    }
    if tokens is not None:
        summary["output_tok_per_req_s"] = mean([tokens(reply) / reply.latency_s for reply in replies])
    if audio_s is not None:
        summary["rtf_mean"] = mean([reply.latency_s / audio_s(reply) for reply in replies])
        summary["ttfa_p95_s"] = percentile_95([reply.first_byte_s for reply in replies])
    return summary


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write one result file, and make the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(f"results written to {path}", flush=True)
