"""What one attempt was worth: an observation, something to try again, or a wrong configuration.

The rules are spec/calibration.md, section 4. A failed threshold assertion is a valid observation and is never
tried again; an infrastructure failure is tried again; a value that is missing without one is a HALT, because
trying again would find it missing again.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gates.calibration.extract import Extraction
from gates.calibration.logscan import LogFacts, LogLine, LogScan, scan_log
from gates.calibration.words import one_line
from gates.verdict import Evidence

__all__ = ["Kind", "LogFacts", "LogLine", "LogScan", "Outcome", "StageOutcome", "judge_attempt", "scan_log"]


class Kind(enum.Enum):
    """What an attempt, or one stage of it, was worth; from the best to the gravest."""

    OK = "ok"
    THRESHOLD = "threshold"
    """Every value is there and pytest failed an assertion: an observation."""
    PARTIAL = "partial"
    """Every value is there and not every sample succeeded: recorded, never used, run again by a pass."""
    INVALID = "invalid"
    """Not an observation, and no infrastructure to blame: recorded as failed, run again by a pass."""
    STOPPED = "stopped"
    """Ended by us on request: not recorded."""
    INFRA = "infra"
    """Tried again, up to the limit of attempts."""
    HALT = "halt"
    """The configuration is wrong: stop at once, name the file and key."""


_GRAVITY = tuple(Kind)


@dataclass(frozen=True)
class StageOutcome:
    """What is recorded for one stage: `status` and `reason` go into its run{k}.json as they are."""

    kind: Kind
    status: Literal["ok", "failed"]
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What one attempt was worth.

    Attributes:
        kind: The gravest of its stages'.
        reason: One sentence, such as "threshold_assertion (exit 1)"; "" for ok.
        evidence: What it stands on. A file is relative to basetemp; a line without a file is one of the attempt's log.
        rc: pytest's exit status, from the log's closing line where the real one was lost; None when unknown.
        rc_recovered: True when `rc` comes from the log.
        stages: What to record for each stage.
    """

    kind: Kind
    reason: str
    evidence: tuple[Evidence, ...]
    rc: int | None
    rc_recovered: bool
    stages: Mapping[str, StageOutcome]


# POSIX numbers, kept here so that a verdict does not depend on the machine that makes it.
_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL"}
_SIGNALS |= {11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ"}
_EXITS = {2: "interrupted", 3: "internal error", 4: "usage error", 5: "no tests ran"}
_EXITS |= {126: "not executable", 127: "not found"}
_ENDS = {
    "timeout": "timeout",
    "stalled": "stalled: no output",
    "crashed": "the server crashed before it was ready",
    "lost": "the exit status was lost",
}


def judge_attempt(
    rc: int | None,
    ended: str,
    facts: LogFacts,
    extractions: Mapping[str, Extraction],
    expected: Mapping[str, int | None],
) -> Outcome:
    """Judge one attempt.

    Args:
        rc: pytest's exit status, negative for a signal; None where it was lost, then the log's closing line
            may know it.
        ended: "exited" by itself, or ended by us on "timeout", "stalled", "crashed" (a server before it was ready) or
            "stopped" (on request), or "lost" (nobody saw it).
        facts: What its log says.
        extractions: What its result files gave, by stage.
        expected: expected_samples by stage; None or absent where it is not pinned.

    Returns:
        The outcome of the attempt and of each stage. A clean observation (every value there, the right size, pytest
        ended by itself with 0 or 1) is one whatever else the log says.

    Raises:
        ValueError: `ended` is none of these words.
    """
    if ended not in ("exited", "stopped", *_ENDS):
        raise ValueError(f"ended: {ended!r}")
    recovered = rc is None and facts.summary_rc is not None
    known = facts.summary_rc if recovered else rc
    keys = tuple(extractions)
    if ended == "stopped":
        return _whole(Kind.STOPPED, "stopped on request", (), known, recovered, keys)
    signs = tuple(dict.fromkeys((*facts.oom[:2], *facts.crashes[:2], *facts.deaths[:2])))
    how = _ended_badly(known, ended)
    if how is not None:
        reason = f"{how}, {_sign(facts)}" if signs else how
        evidence = (Evidence(how, value=known), *map(_line, signs))
        return _whole(Kind.INFRA, reason, evidence, known, recovered, keys)
    assert known is not None
    if signs and any(_is_unclean(found, expected.get(key)) for key, found in extractions.items()):
        reason = f"{_sign(facts)} (exit {known})"
        return _whole(Kind.INFRA, reason, tuple(map(_line, signs)), known, recovered, keys)
    judged = {key: _judge_stage(known, key, found, expected.get(key)) for key, found in extractions.items()}
    kind = max((one.kind for one in judged.values()), key=_GRAVITY.index, default=Kind.OK)
    reason = next((one.reason for one in judged.values() if one.kind is kind), "")
    items = [
        item
        for key, found in extractions.items()
        if judged[key].kind is kind
        for item in _evidence(key, found, expected.get(key))
    ]
    if facts.summary is not None:
        items.append(_line(facts.summary))
    return Outcome(kind, reason, tuple(items), known, recovered, judged)


def _judge_stage(rc: int, key: str, found: Extraction, expected: int | None) -> StageOutcome:
    """One stage of an attempt that ended by itself and without infrastructure to blame."""
    if found.observation_valid is False:
        # Before HALT: the test itself explains why values may be missing.
        return StageOutcome(Kind.INVALID, "failed", "the test says that the observation is not valid")
    fault = _wrong(found, expected)
    if fault is not None:
        return StageOutcome(Kind.HALT, "failed", f"{key}: {fault} (exit {rc})")
    if not found.counts_asked:  # a docs stage: passing is all that is asked
        return StageOutcome(Kind.OK, "ok", "") if rc == 0 else StageOutcome(Kind.INVALID, "failed", _exit(rc))
    if rc not in (0, 1):
        return StageOutcome(Kind.INVALID, "failed", _exit(rc))
    if rc != 0 and found.allowed_asked and found.allowed_pytest_failure is not True:
        return StageOutcome(Kind.INVALID, "failed", f"{_exit(rc)}, and the test does not allow it")
    if found.ok != found.total:
        return StageOutcome(Kind.PARTIAL, "ok", f"partial: {found.ok} of {found.total} samples ok (exit {rc})")
    return (
        StageOutcome(Kind.OK, "ok", "")
        if rc == 0
        else StageOutcome(Kind.THRESHOLD, "ok", f"threshold_assertion (exit {rc})")
    )


def _wrong(found: Extraction, expected: int | None) -> str | None:
    """What is wrong with the configuration, None when nothing is."""
    if found.missing:
        more = len(found.missing) - 1
        return one_line(f"missing {found.missing[0]}", 400) + (f" and {more} more" if more else "")
    if expected is not None and found.counts_asked and found.total != expected:
        return f"{found.total} samples, expected {expected}"
    return None


def _is_unclean(found: Extraction, expected: int | None) -> bool:
    """True when a stage's values are not a whole observation."""
    return _wrong(found, expected) is not None or found.ok != found.total


def _ended_badly(rc: int | None, ended: str) -> str | None:
    if ended in ("timeout", "stalled", "crashed"):
        return _ENDS[ended]
    if rc is None:
        return _ENDS["lost"]
    number = -rc if rc < 0 else rc - 128
    if 0 < number <= 64:
        return f"killed by {_SIGNALS.get(number, f'signal {number}')} (exit {rc})"
    return None


def _exit(rc: int) -> str:
    return f"pytest exit {rc}" + (f" ({_EXITS[rc]})" if rc in _EXITS else "")


def _sign(facts: LogFacts) -> str:
    if facts.oom:
        return facts.oom[0].sign
    return f"{facts.crashes[0].sign} before the server was ready" if facts.crashes else facts.deaths[0].sign


def _whole(
    kind: Kind,
    reason: str,
    evidence: tuple[Evidence, ...],
    rc: int | None,
    recovered: bool,
    keys: Sequence[str],
) -> Outcome:
    return Outcome(kind, reason, evidence, rc, recovered, {key: StageOutcome(kind, "failed", reason) for key in keys})


def _evidence(stage: str, found: Extraction, expected: int | None) -> tuple[Evidence, ...]:
    if found.missing:
        return tuple(
            Evidence(one_line(f"{stage}: {item.key}: {item.why}", 400), item.file) for item in found.missing[:10]
        )
    if not found.counts_asked:
        return ()
    return (Evidence(f"{stage}: samples ok", value=found.ok, limit=found.total if expected is None else expected),)


def _line(line: LogLine) -> Evidence:
    return Evidence(line.text, line=line.number, value=line.sign)
