"""Ways that are timed in turn on a machine that others share, with what was taken from it meanwhile."""

from __future__ import annotations

import contextlib
import statistics
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

STOLEN = 0.002
"""Of all processor time: a machine below that takes more in a round shows itself and not what is measured."""

LATENCY = Path("/dev/cpu_dma_latency")
"""Takes how long, at most, a core may need to wake; us."""


def in_turn(
    ways: dict[str, Callable[[], list[float]]], rounds: int, before: Callable[[], object]
) -> dict[str, dict[str, float]]:
    """Each way in turn in every round, a summary of each.

    Args:
        ways: Time something, each in ms.
        rounds: How often.
        before: Called before each.
    """
    found: dict[str, list[tuple[float, list[float]]]] = {who: [] for who in ways}
    for _ in range(rounds):
        for who, measured in ways.items():
            before()
            began = _ticks()
            late = measured()
            stolen, ticks = (after - earlier for after, earlier in zip(_ticks(), began, strict=True))
            found[who].append((stolen / max(1, ticks), late))
    return {who: _summary(each) for who, each in found.items()}


def said(late: dict[str, float]) -> str:
    """One summary in a line."""
    quiet = f": p99 {late['quiet_p99']:.2f} ms" if "quiet_p99" in late else ""
    return (
        f"p50 {late['p50']:6.2f} ms  p99 {late['p99']:6.2f} ms  most {late['most']:7.2f} ms"
        f"  later than 2 ms {late['over_2_ms']:6.2%} of {late['lines']}"
        f"  stolen {late['stolen']:.1%}; {late['quiet_rounds']} quiet rounds{quiet}"
    )


@contextlib.contextmanager
def cores_awake() -> Iterator[None]:
    """Have the kernel wait for work instead of halting a core that has none, as cyclictest does.

    A core that halts is given away by the machine below, and comes back when that likes. Nothing else is run for it, as
    nothing would have to be put aside first.

    Raises:
        OSError: The kernel takes no such wish, or not from who asks.
    """
    with LATENCY.open("wb", buffering=0) as wish:  # holds for as long as it is open
        wish.write(struct.pack("i", 0))  # us
        yield


def _summary(rounds: list[tuple[float, list[float]]]) -> dict[str, float]:
    late = sorted(one for _, each in rounds for one in each)
    quiet = [each for stolen, each in rounds if stolen < STOLEN]
    summary = {
        "lines": len(late),
        "p50": _quantile(late, 0.5),
        "p99": _quantile(late, 0.99),
        "most": late[-1],
        "over_2_ms": sum(one > 2 for one in late) / len(late),
        "stolen": statistics.mean(stolen for stolen, _ in rounds),
        "quiet_rounds": len(quiet),
    }
    if quiet:
        summary["quiet_p99"] = _quantile(sorted(one for each in quiet for one in each), 0.99)
    return summary


def _quantile(sorted_values: list[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def _ticks() -> tuple[int, int]:
    """What the machine below took of all our cores since the start, and all there was, in clock ticks."""
    words = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    return int(words[7]), sum(map(int, words))
