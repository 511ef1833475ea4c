"""From calibrated references to the limits that tests assert.

A reference is the worst value of N healthy runs. The next healthy run may well be a little worse, so a
test asserts the reference with slack. Calibration rewrites references only; slack is a decision of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

THRESHOLD_SLACK_HIGHER = 0.85  # higher is better: limit = reference * 0.85
THRESHOLD_SLACK_LOWER = 1.2  # lower is better: limit = reference * 1.2

_HIGHER_IS_BETTER = frozenset({"throughput_qps", "output_tok_per_req_s"})

Limits = dict[str, float]


def apply_slack(
    reference: Mapping[int, Mapping[str, float]],
    slack_higher: float = THRESHOLD_SLACK_HIGHER,
    slack_lower: float = THRESHOLD_SLACK_LOWER,
) -> dict[int, Limits]:
    """Turn speed references, keyed by concurrency, into limits under the same keys."""
    return {
        concurrency: {
            name: value * (slack_higher if name in _HIGHER_IS_BETTER else slack_lower) for name, value in row.items()
        }
        for concurrency, row in reference.items()
    }


def apply_wer_slack(reference: float, slack_lower: float = THRESHOLD_SLACK_LOWER) -> float:
    """Turn a word error rate reference into the highest rate that passes."""
    return reference * slack_lower


def speed_failures(measured: Mapping[str, Any], limits: Limits) -> list[str]:
    """Compare measured speed with its limits.

    Returns:
        One sentence per limit that was missed, so that one assertion can show all of them.
    """
    failures = []
    for name, limit in limits.items():
        value = measured[name]
        if value is None:
            failures.append(f"{name}: nothing was measured")
        elif name in _HIGHER_IS_BETTER and value < limit:
            failures.append(f"{name}: {value:.4f} is below {limit:.4f}")
        elif name not in _HIGHER_IS_BETTER and value > limit:
            failures.append(f"{name}: {value:.4f} is above {limit:.4f}")
    return failures
